"""What each victim's looks at a film mean for the object that is followed through it."""

import numpy as np

from physadv.evaluate.capture_reading import (
    Wanted,
    class_indices,
    read_answer,
    read_detections,
)
from physadv.evaluate.drive_plan import DrivePlan
from physadv.evaluate.filmlooks import detections_of
from physadv.evaluate.judging import Answer
from physadv.evaluate.looklog import LookLog
from physadv.evaluate.matching import MATCH_IOU, overlaps
from physadv.evaluate.reading import Reading
from physadv.types import NOTHING
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim

Victim = ClassifierVictim | DetectorVictim | ChainVictim


def wanted_of(victim: Victim, plan: DrivePlan) -> Wanted:
    """What is right for a victim; a target that a detector has no class for cannot be read."""
    names = victim.classifier if isinstance(victim, ChainVictim) else victim
    target = plan.target
    if target and target.casefold() not in {name.casefold() for name in names.class_names}:
        target = ""
    class_indices(names, plan.true_names)
    return Wanted(plan.true_names, target)


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
