"""Frozen dataclasses that cross layers."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Treatment = Literal["clean", "blank", "noise", "control", "adversarial"]
TREATMENTS: tuple[Treatment, ...] = ("clean", "blank", "noise", "adversarial")
"""What physadv makes. A ``control`` is any other print or object that someone photographed for
comparison, such as an ordinary picture of the target."""
CAPTURED: tuple[Treatment, ...] = ("clean", "blank", "noise", "control", "adversarial")

Crop = Literal["exact", "jittered", "whole", "detector"]
CROPS: tuple[Crop, ...] = ("exact", "jittered")
"""How the judge cuts an object out for a classifier: its true box, or that box moved and scaled.
Detectors are shown the whole frame, and a chain's classifier what the detector cuts out."""

Goal = Literal["hide", "misread", "appear"]
GOALS: tuple[Goal, ...] = ("hide", "misread", "appear")
"""What a detector is made to do: miss the object, call it the target, see the target on it."""

NOTHING = "nothing"
"""What a hidden object is read as."""

Verdict = Literal["hit", "target", "misclassified", "missed"]
"""A partition of outcomes: ``hit`` the true class, ``target`` the attacker's class,
``misclassified`` any other class, ``missed`` nothing found (detectors only)."""


@dataclass(frozen=True)
class Detections:
    """What a detector reports on one image, strongest first.

    ``boxes`` [N,4] xyxy in pixels, ``scores`` [N] in [0,1], ``classes`` [N] indices.
    """

    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.boxes.shape != (count, 4) or self.classes.shape != (count,):
            raise ValueError(
                f"boxes {self.boxes.shape}, scores {self.scores.shape}, classes "
                f"{self.classes.shape}: give [N,4], [N], [N]"
            )


@dataclass(frozen=True)
class Trial:
    """One look at one victim, rendered or real; one row of ``trials.parquet``.

    ``distance_m`` and the angles are None where unknown. ``cell`` names the stratum that tables
    group by (for a grid: one distance and one yaw). ``pose_source`` is rendered, fiducial,
    manifest or exif. ``crop`` is the rule that cut the object out: exact, jittered or detector.
    ``score`` is the softmax probability of the predicted class; for a detector the strongest
    confidence of the true class on the object (IoU >= 0.5), and ``near_score`` the same for any
    overlap from 0.1, so that half a person found is not taken for a hidden one.
    """

    run: str
    artwork: str
    victim: str
    source: Literal["grid", "photo", "objects", "capture", "video", "digital"]
    treatment: Treatment
    verdict: Verdict
    predicted_class: str
    true_class: str
    target_class: str
    score: float
    cell: str = ""
    distance_m: float | None = None
    yaw_deg: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    pose_source: str = "rendered"
    crop: str = "exact"
    group: str = ""
    frame: int = 0
    time_s: float | None = None
    iou: float | None = None
    near_score: float | None = None
    defence: str = "none"
    sha256: str = ""


@dataclass(frozen=True)
class RunManifest:
    """What ``run.json`` holds: enough to repeat the run and to audit every figure made from it."""

    command: str
    scene: dict[str, Any]
    victims: list[dict[str, str]]
    target: str
    layout: str
    seed: int
    options: dict[str, Any]
    versions: dict[str, str]
    started: str
    timings_s: dict[str, float] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return asdict(self)
