"""What detectors and chains make of whole frames: one reading of the sign in each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.evaluate.judging import Question, ask, check_carrier
from physadv.evaluate.matching import CONFIDENCE, MATCH_IOU, NEAR_IOU, look_at, overlaps
from physadv.evaluate.renderer import cut_crop
from physadv.scene.schema import Scene
from physadv.types import NOTHING, Crop, Detections, Verdict
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

APPEAR_CONFIDENCE = 0.5
"""Confidence from which something has appeared (APRICOT)."""

_FLOOR = 0.01  # least confidence that is kept


@dataclass(frozen=True)
class Reading:
    """One frame's outcome; ``score``, ``iou`` and ``near_score`` as in ``Trial``."""

    verdict: Verdict
    predicted: str
    score: float
    iou: float | None = None
    near_score: float | None = None


class Reader(Protocol):
    """Reads the sign in frames."""

    name: str
    crop: Crop
    true_class: str
    target_class: str

    def read(self, frames: Sequence[Picture], box: Array) -> list[Reading]:
        """One reading of each frame [H,W,3] uint8 RGB that shows the sign at ``box`` xyxy [4]."""
        ...


class DetectorReader:
    """A detector that may find the sign, call it something else, or miss it."""

    crop: Crop = "whole"

    def __init__(self, scene: Scene, artwork: Artwork, victim: DetectorVictim) -> None:
        check_carrier(scene, artwork)
        self.victim, self.name = victim, victim.name
        self.true_index = victim.first_known(scene.carrier.true_class)
        self.true_class = victim.class_names[self.true_index]
        self.target_class = artwork.target
        known = [name.casefold() for name in victim.class_names]
        target = artwork.target.casefold()
        self.target_index = known.index(target) if target in known else -1

    def read(self, frames: Sequence[Picture], box: Array) -> list[Reading]:
        """Found at confidence 0.25 with IoU >= 0.5 is a hit."""
        return [self._reading(box, found) for found in self.victim.detect(frames, _FLOOR)]

    def _reading(self, box: Array, found: Detections) -> Reading:
        look = look_at(box, found, self.true_index)
        verdict = look.verdict(target=self.target_index)
        read = {"hit": self.true_class, "missed": NOTHING}.get(verdict, "")
        return Reading(
            verdict,
            read or self.victim.class_names[look.other],
            look.score,
            look.iou,
            look.near_score,
        )


class AppearReader:
    """A detector that is right to see nothing, and may see the target on the artwork."""

    crop: Crop = "whole"
    true_class = NOTHING

    def __init__(self, scene: Scene, artwork: Artwork, victim: DetectorVictim) -> None:
        check_carrier(scene, artwork)
        self.victim, self.name = victim, victim.name
        self.target_index = victim.first_known([artwork.target])
        self.target_class = victim.class_names[self.target_index]

    def read(self, frames: Sequence[Picture], box: Array) -> list[Reading]:
        """A box of the target's class with confidence >= 0.5 and IoU >= 0.1 is the target."""
        return [self._reading(box, found) for found in self.victim.detect(frames, _FLOOR)]

    def _reading(self, box: Array, found: Detections) -> Reading:
        near = overlaps(box, found.boxes) >= NEAR_IOU
        target = near & (found.classes == self.target_index)
        score = float(found.scores[target].max(initial=0.0))
        if score >= APPEAR_CONFIDENCE:
            return Reading("target", self.target_class, score)
        others = np.flatnonzero(near & ~target & (found.scores >= APPEAR_CONFIDENCE))
        if len(others):
            read = self.victim.class_names[found.classes[others[0]]]
            return Reading("misclassified", read, score)
        return Reading("hit", NOTHING, score)


class ChainReader:
    """A chain: no box of the sign's class on the sign is a miss, else the classifier decides."""

    crop: Crop = "detector"

    def __init__(self, scene: Scene, artwork: Artwork, victim: ChainVictim) -> None:
        check_carrier(scene, artwork)
        self.victim, self.name = victim, victim.name
        self.true_index = victim.detector.first_known(scene.carrier.true_class)
        self.question = Question.of(scene, artwork, victim.classifier)
        names = victim.classifier.class_names
        self.true_class = names[self.question.true_index]
        self.target_class = names[self.question.target_index]

    def read(self, frames: Sequence[Picture], box: Array) -> list[Reading]:
        """The strongest box found at confidence 0.25 with IoU >= 0.5 is cut out and read."""
        places = [self._place(box, d) for d in self.victim.detector.detect(frames, CONFIDENCE)]
        crops = [cut_crop(f, p) for f, p in zip(frames, places, strict=True) if p is not None]
        answers = iter(ask(self.victim.classifier, crops) if crops else [])
        readings = []
        for place in places:
            if place is None:
                readings.append(Reading("missed", NOTHING, 0.0))
                continue
            answer = next(answers)
            read = self.victim.classifier.class_names[answer.index]
            overlap = float(overlaps(box, place[None])[0])
            verdict = self.question.verdict(answer.index)
            readings.append(Reading(verdict, read, answer.score, overlap))
        return readings

    def _place(self, box: Array, found: Detections) -> Array | None:
        own = (found.classes == self.true_index) & (overlaps(box, found.boxes) >= MATCH_IOU)
        return found.boxes[np.flatnonzero(own)[0]] if own.any() else None


def reader_of(scene: Scene, artwork: Artwork, victim: DetectorVictim | ChainVictim) -> Reader:
    """Who reads an artwork's frames: its goal decides what a detector is right to see.

    Raises:
        UserError: If the artwork was made for another carrier, or a chain cannot read it.
        UsageError: If a class is unknown to the victim.
    """
    appears = artwork.recipe.get("goal") == "appear"
    if isinstance(victim, DetectorVictim):
        return (AppearReader if appears else DetectorReader)(scene, artwork, victim)
    if appears or artwork.target == NOTHING:
        raise UserError(
            f"judge this artwork with {victim.name}",
            "it names no class for the classifier to read",
            f"Judge it with {victim.detector.name} alone.",
        )
    return ChainReader(scene, artwork, victim)
