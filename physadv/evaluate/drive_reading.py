"""What each victim's looks at a film mean for the object that is followed through it."""

from collections.abc import Sequence

import numpy as np

from physadv.checks import UserError
from physadv.evaluate.capture_reading import (
    Wanted,
    read_answer,
    read_detections,
)
from physadv.evaluate.drive_plan import DrivePlan
from physadv.evaluate.filmaskers import detections_of
from physadv.evaluate.judging import Answer
from physadv.evaluate.looklog import LookLog
from physadv.evaluate.matching import MATCH_IOU, overlaps
from physadv.evaluate.reading import Reading
from physadv.types import NOTHING
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim

_FEW = 100

Victim = ClassifierVictim | DetectorVictim | ChainVictim


def detector_of(victim: Victim) -> DetectorVictim | None:
    """The detector that a victim sees whole pictures with; None for a classifier."""
    if isinstance(victim, ClassifierVictim):
        return None
    return victim.detector if isinstance(victim, ChainVictim) else victim


def check_names(plan: DrivePlan, victims: Sequence[Victim]) -> None:
    """Check that what is right to read and the attacker's class are known, before any film is read.

    Raises:
        UserError: If a victim has no class of a true name, or none has the target's.
    """
    for victim in victims:
        parts = (
            (victim,)
            if not isinstance(victim, ChainVictim)
            else (victim.detector, victim.classifier)
        )
        for part in parts:
            known = {name.casefold() for name in part.class_names}
            if not known & {name.casefold() for name in plan.true_names}:
                raise UserError(
                    f"what {part.name} should read: {' or '.join(map(repr, plan.true_names))}",
                    f"it has no such class among {len(part.class_names)}"
                    + ("" if len(known) > _FEW else f": {', '.join(part.class_names)}"),
                    "Give its name for it too: --truth may be repeated.",
                )
    # A run's target may be one that none of these victims knows; one that is asked for may not.
    if untold_target(plan, victims) and (
        plan.printed is None or plan.target != plan.printed.target
    ):
        raise UserError(
            f"--target {plan.target!r}",
            "no victim has a class of that name",
            "See its class names, or leave it out.",
        )


def untold_target(plan: DrivePlan, victims: Sequence[Victim]) -> bool:
    """Whether there is a target that no victim has a class for."""
    return bool(plan.target) and not any(wanted_of(victim, plan).targets for victim in victims)


def wanted_of(victim: Victim, plan: DrivePlan) -> Wanted:
    """What is right for a victim; a target that a detector has no class for cannot be read."""
    names = victim.classifier if isinstance(victim, ChainVictim) else victim
    known = {name.casefold() for name in names.class_names}
    return Wanted(plan.true_names, (plan.target,) if plan.target.casefold() in known else ())


def reading_of(victim: Victim, log: LookLog, frame: int, wanted: Wanted) -> Reading:
    """One victim's reading of the object in one frame, from the log of its looks."""
    rows = log.of(frame)
    if isinstance(victim, DetectorVictim):
        return read_detections(victim, detections_of(rows), wanted)
    if isinstance(victim, ClassifierVictim):
        if not len(rows):
            return Reading("missed", NOTHING, 0.0)
        return read_answer(victim, Answer(int(rows[0, 0]), float(rows[0, 1])), wanted)
    assert wanted.box is not None
    boxes = rows[:, :4].astype(np.float64)
    own = np.flatnonzero(overlaps(wanted.box, boxes) >= MATCH_IOU)
    if not len(own):
        return Reading("missed", NOTHING, 0.0)
    best = int(own[0])  # the detector's strongest
    answer = Answer(int(rows[best, 4]), float(rows[best, 5]))
    read = read_answer(victim.classifier, answer, wanted)
    overlap = float(overlaps(wanted.box, boxes[best : best + 1])[0])
    return Reading(read.verdict, read.predicted, read.score, overlap)
