"""What victims make of the objects in photographs that a camera took."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.evaluate.judging import Answer, ask
from physadv.evaluate.matching import CONFIDENCE, MATCH_IOU, NEAR_IOU, look_at, overlaps
from physadv.evaluate.reading import APPEAR_CONFIDENCE, Reading
from physadv.evaluate.renderer import cut_crop
from physadv.types import NOTHING, Crop, Detections, Verdict
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_FLOOR = 0.01  # least confidence that is kept
_POINT_MARGIN = 2.0  # px


@dataclass(frozen=True)
class Wanted:
    """An object in a photograph: where it is, and what is right to read there.

    ``box`` is xyxy around it; ``point`` [2] lies on it where only that is known; with neither the
    whole picture is meant. ``true_names`` are all class names that count as right, ``targets``
    all that count as the attacker's class, or none.
    """

    true_names: tuple[str, ...]
    targets: tuple[str, ...] = ()
    box: Array | None = None
    point: Array | None = None

    @property
    def target(self) -> str:
        """The attacker's class as a Trial names it, several with ``|`` between; empty if none."""
        return "|".join(self.targets)


Victim = ClassifierVictim | DetectorVictim | ChainVictim


def crop_of(victim: Victim, wanted: Wanted) -> Crop:
    """How the victim is shown the object, as a Trial says it."""
    if isinstance(victim, ChainVictim):
        return "detector"
    return "exact" if isinstance(victim, ClassifierVictim) and wanted.box is not None else "whole"


def read_objects(
    victim: Victim, pictures: Sequence[Picture], wanted: Sequence[Wanted]
) -> list[Reading]:
    """Read one object in each picture.

    A classifier is shown the box, or the whole picture where there is none. A detector's boxes are
    matched to the object's (IoU >= 0.5); where only a point is known, boxes that contain it count,
    and where nothing is known any box in the picture. A chain's classifier is shown the strongest
    box so found of the object's class.

    Raises:
        UserError: If a victim has no class of a true name, or a classifier none of the target's.
    """
    if isinstance(victim, ClassifierVictim):
        crops = [
            picture if one.box is None else cut_crop(picture, one.box)
            for picture, one in zip(pictures, wanted, strict=True)
        ]
        answers = ask(victim, crops)
        return [read_answer(victim, a, w) for a, w in zip(answers, wanted, strict=True)]
    if isinstance(victim, DetectorVictim):
        found = victim.detect(pictures, _FLOOR)
        return [read_detections(victim, d, w) for d, w in zip(found, wanted, strict=True)]
    return _chained(victim, pictures, wanted)


def check_classes(victim: Victim, wanted: Wanted) -> None:
    """Check that a victim knows the classes, before any photograph is read.

    Raises:
        UserError: If it does not.
    """
    if isinstance(victim, ChainVictim):
        class_indices(victim.detector, wanted.true_names)
        victim = victim.classifier
    if wanted.true_names != (NOTHING,) or isinstance(victim, ClassifierVictim):
        class_indices(victim, wanted.true_names)
    if wanted.targets and wanted.targets != (NOTHING,):
        class_indices(victim, wanted.targets)


def class_indices(victim: ClassifierVictim | DetectorVictim, names: Sequence[str]) -> list[int]:
    """A victim's classes that have one of the names.

    Raises:
        UserError: If it has none.
    """
    folded = {name.casefold() for name in names}
    found = [i for i, known in enumerate(victim.class_names) if known.casefold() in folded]
    if not found:
        raise UserError(
            f"what {victim.name} should read: {' or '.join(map(repr, names)) or 'nothing'}",
            f"it has no such class among {len(victim.class_names)}"
            + ("" if len(victim.class_names) > 100 else f": {', '.join(victim.class_names)}"),
            "Give --truth and --target with its names, or --same NAME=ITS_NAME.",
        )
    return found


def read_answer(victim: ClassifierVictim, answer: Answer, wanted: Wanted) -> Reading:
    """What a classifier's answer about the object means."""
    name = victim.class_names[answer.index]
    if answer.index in class_indices(victim, wanted.true_names):
        return Reading("hit", name, answer.score)
    target = answer.index in _targets(victim, wanted)
    return Reading("target" if target else "misclassified", name, answer.score)


def _appeared(victim: DetectorVictim, found: Detections, wanted: Wanted) -> Reading:
    """Where it is right to see nothing: has anything appeared on the artwork?"""
    seen = _there(found, wanted, NEAR_IOU) & (found.scores >= APPEAR_CONFIDENCE)
    names = [victim.class_names[index] for index in found.classes]
    target = np.isin(found.classes, _targets(victim, wanted))
    for verdict, rows in (("target", seen & target), ("misclassified", seen & ~target)):
        if rows.any():
            first = int(np.flatnonzero(rows)[0])
            return Reading(cast(Verdict, verdict), names[first], float(found.scores[first]))
    return Reading("hit", NOTHING, 0.0)


def read_detections(victim: DetectorVictim, found: Detections, wanted: Wanted) -> Reading:
    """What a detector's report on a picture means for the object; see ``read_objects``."""
    if wanted.true_names == (NOTHING,):
        return _appeared(victim, found, wanted)
    true = class_indices(victim, wanted.true_names)
    target = _targets(victim, wanted)
    if wanted.box is not None:
        # Any of the true classes is right: they become the first of them.
        classes = np.where(np.isin(found.classes, true), true[0], found.classes)
        look = look_at(
            wanted.box, Detections(found.boxes, found.scores, classes.astype(np.int64)), true[0]
        )
        verdict = look.verdict(target=look.other if look.other in target else -1)
        name = {"hit": victim.class_names[true[0]], "missed": NOTHING}.get(verdict, "")
        read = name or victim.class_names[look.other]
        return Reading(verdict, read, look.score, look.iou, look.near_score)
    there = _there(found, wanted)
    own = there & np.isin(found.classes, true)
    score = float(found.scores[own].max(initial=0.0))
    if score >= CONFIDENCE:
        return Reading("hit", victim.class_names[true[0]], score)
    # Without a box other things in the picture are not the object misread, except as the target.
    aimed = there & np.isin(found.classes, target)
    if float(found.scores[aimed].max(initial=0.0)) >= CONFIDENCE:
        strongest = np.flatnonzero(aimed)[found.scores[aimed].argmax()]
        return Reading("target", victim.class_names[found.classes[strongest]], score)
    return Reading("missed", NOTHING, score)


def _targets(victim: ClassifierVictim | DetectorVictim, wanted: Wanted) -> list[int]:
    """The victim's classes that count as the attacker's; it may have none."""
    folded = {name.casefold() for name in wanted.targets}
    return [i for i, name in enumerate(victim.class_names) if name.casefold() in folded]


def _there(
    found: Detections, wanted: Wanted, least_iou: float = MATCH_IOU
) -> npt.NDArray[np.bool_]:
    """Which detections may be of the object."""
    if wanted.box is not None:
        return np.asarray(overlaps(wanted.box, found.boxes) >= least_iou)
    if wanted.point is None:
        return np.ones(len(found.scores), dtype=bool)
    low, high = found.boxes[:, :2] - _POINT_MARGIN, found.boxes[:, 2:] + _POINT_MARGIN
    return np.asarray(((low <= wanted.point) & (wanted.point <= high)).all(axis=1))


def _chained(
    victim: ChainVictim, pictures: Sequence[Picture], wanted: Sequence[Wanted]
) -> list[Reading]:
    places: list[Array | None] = []
    for found, one in zip(victim.detector.detect(pictures, CONFIDENCE), wanted, strict=True):
        own = _there(found, one) & np.isin(
            found.classes, class_indices(victim.detector, one.true_names)
        )
        places.append(found.boxes[np.flatnonzero(own)[0]] if own.any() else None)
    crops = [cut_crop(p, box) for p, box in zip(pictures, places, strict=True) if box is not None]
    answers = iter(ask(victim.classifier, crops) if crops else [])
    readings = []
    for place, one in zip(places, wanted, strict=True):
        if place is None:
            readings.append(Reading("missed", NOTHING, 0.0))
            continue
        overlap = None if one.box is None else float(overlaps(one.box, place[None])[0])
        read = read_answer(victim.classifier, next(answers), one)
        readings.append(Reading(read.verdict, read.predicted, read.score, overlap))
    return readings
