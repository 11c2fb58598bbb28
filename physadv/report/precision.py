"""Average precision and the best confidence of detectors, from the detection store alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from physadv.evaluate.detections import DETECTION, IGNORED, OBJECT
from physadv.evaluate.trials import DRAW_STRIDE
from physadv.stats.intervals import Interval
from physadv.stats.precision import (
    MATCH_IOU,
    RECALLS,
    RIGHT,
    Array,
    Scored,
    best_confidence,
    match,
    match_all,
    precision_interval,
)
from physadv.types import TREATMENTS

CLEAN_CONFIDENCE = 0.4
"""Clean detections from here on are what the second reference asks for, as Thys et al. 2019 did."""

_NOTHING = np.zeros((0, 4))


@dataclass(frozen=True)
class Precision:
    """Average precision at IoU 0.5 over ``objects`` objects; None without any.

    ``interval`` is approximate, from photographs drawn anew (see ``precision_interval``); None
    below 8 of them, and where every draw gives the same.
    """

    value: float | None
    interval: Interval | None
    objects: int


@dataclass(frozen=True)
class PrecisionSummary:
    """Average precision of one judgement, by treatment.

    ``annotated`` is against the human boxes that carry the patch; the boxes too low for it, and
    crowds, are neither right nor wrong. ``detected`` is against the detector's own boxes on the
    clean photograph from confidence 0.4 on that sit on such an object; its others are neither.
    ``best_confidence`` gives by photograph the confidence of the highest F1 on the clean
    photographs of the other half (every second one by its checksum); empty where a half has none.
    """

    annotated: Mapping[str, Precision]
    detected: Mapping[str, Precision]
    best_confidence: Mapping[str, float]


class _Seen:
    """One judgement's rows by photograph, draw and treatment; detections of one class alone."""

    def __init__(self, trials: pl.DataFrame, rows: pl.DataFrame, class_name: str) -> None:
        draws = trials.select("sha256", draw=pl.col("frame") // DRAW_STRIDE).unique()
        self.looks: list[tuple[str, int]] = sorted(draws.iter_rows())
        own = rows.filter((pl.col("kind") != DETECTION) | (pl.col("class_name") == class_name))
        parts = own.partition_by(
            "sha256", "kind", "draw", "treatment", as_dict=True, maintain_order=True
        )
        self._boxes = {
            key: part.select("x1", "y1", "x2", "y2").to_numpy() for key, part in parts.items()
        }
        self._scores = {key: part["score"].to_numpy() for key, part in parts.items()}

    def annotated(self, sha256: str, kind: str) -> Array:
        return self._boxes.get((sha256, kind, None, None), _NOTHING)

    def scored(
        self, look: tuple[str, int], treatment: str, reference: tuple[Array, Array] | None = None
    ) -> Scored:
        """Detections of one look against (objects, ignored); by default those annotated."""
        sha256, draw = look
        key = (sha256, DETECTION, draw, treatment)
        boxes, scores = self._boxes.get(key, _NOTHING), self._scores.get(key, np.zeros(0))
        objects, ignored = reference or tuple(
            self.annotated(sha256, kind) for kind in (OBJECT, IGNORED)
        )
        return Scored(boxes, scores, objects, ignored)

    def clean_reference(self, look: tuple[str, int]) -> tuple[Array, Array]:
        """Confident clean detections of one look: those on an object, and all others."""
        clean = self.scored(look, "clean")
        confident = clean.scores >= CLEAN_CONFIDENCE
        on_object = match(clean) == RIGHT
        return clean.boxes[confident & on_object], clean.boxes[confident & ~on_object]


def summarise_precision(
    trials: pl.DataFrame, detections: pl.DataFrame, class_name: str
) -> PrecisionSummary | None:
    """Average precision of one judgement.

    Args:
        trials: The Trials of one victim, artwork, group and true class.
        detections: Rows of the detection store.
        class_name: The true class, as the victim calls it.

    Returns:
        The figures; None where the store does not hold the looks that the Trials were made of.
    """
    victim, artwork, group = (trials[name][0] for name in ("victim", "artwork", "group"))
    rows = detections.filter(
        (pl.col("victim") == victim) & (pl.col("artwork") == artwork) & (pl.col("group") == group)
    )
    if not _belong_together(trials, rows):
        return None
    seen = _Seen(trials, rows, class_name)
    treatments: list[str] = [t for t in TREATMENTS if t in set(trials["treatment"])]
    photographs = [sha256 for sha256, _ in seen.looks]
    annotated = {
        t: _precision([seen.scored(look, t) for look in seen.looks], photographs)
        for t in treatments
    }
    detected: dict[str, Precision] = {}
    if "clean" in treatments:
        references = {look: seen.clean_reference(look) for look in seen.looks}
        for t in treatments:
            images = [seen.scored(look, t, references[look]) for look in seen.looks]
            detected[t] = _precision(images, photographs)
    best = _best_confidences(seen) if "clean" in treatments else {}
    return PrecisionSummary(annotated, detected, best)


def _belong_together(trials: pl.DataFrame, rows: pl.DataFrame) -> bool:
    """Whether both stores hold the same photographs with as many objects, and the same draws.

    They are two files; a run that was stopped between them may hold an older one.
    """

    def objects(table: pl.DataFrame) -> list[tuple[object, ...]]:
        return sorted(table.group_by("sha256").len().rows())

    looks = trials.select("sha256", number=pl.col("frame") % DRAW_STRIDE).unique()
    if objects(looks) != objects(rows.filter(pl.col("kind") == OBJECT)):
        return False
    draws = set(trials["frame"] // DRAW_STRIDE)
    return set(rows["draw"].drop_nulls()) <= draws


def _precision(images: Sequence[Scored], photographs: Sequence[str]) -> Precision:
    objects = sum(len(image.objects) for image in images)
    if not objects:
        return Precision(None, None, 0)
    # The figure is torchmetrics'. Drawn anew a thousand times it would take minutes, so the
    # interval comes from our own matches, whose figure is the same (a test compares them).
    interval = precision_interval(match_all(images), photographs)
    return Precision(coco_precision(images), interval, objects)


def coco_precision(images: Sequence[Scored]) -> float:
    """COCO's average precision at IoU 0.5 of one class, by torchmetrics and faster-coco-eval."""
    import torch
    from torchmetrics.detection import MeanAveragePrecision

    def boxes(*arrays: Array) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(arrays).reshape(-1, 4))

    # Recalls given, since torchmetrics' own are rounded to 32 bits and miss some by a hair.
    metric = MeanAveragePrecision(
        iou_thresholds=[MATCH_IOU], rec_thresholds=RECALLS.tolist(), backend="faster_coco_eval"
    )
    metric.warn_on_many_detections = False
    found = [
        {
            "boxes": boxes(image.boxes),
            "scores": torch.from_numpy(np.array(image.scores, np.float64)),
            "labels": torch.zeros(len(image.scores), dtype=torch.long),
        }
        for image in images
    ]
    there = [
        {
            "boxes": boxes(image.objects, image.ignored),
            "labels": torch.zeros(len(image.objects) + len(image.ignored), dtype=torch.long),
            "iscrowd": torch.tensor([0] * len(image.objects) + [1] * len(image.ignored)),
        }
        for image in images
    ]
    metric.update(found, there)
    return float(metric.compute()["map_50"])


def _best_confidences(seen: _Seen) -> dict[str, float]:
    """Confidence of the highest clean F1, by photograph, chosen on the half that it is not in."""
    order = sorted({sha256 for sha256, _ in seen.looks})
    halves = [set(order[start::2]) for start in (0, 1)]
    found: dict[str, float] = {}
    for own, other in (halves, halves[::-1]):
        images = [seen.scored(look, "clean") for look in seen.looks if look[0] in other]
        best = best_confidence(match_all(images))
        if np.isnan(best):
            return {}
        found |= dict.fromkeys(sorted(own), best)
    return found
