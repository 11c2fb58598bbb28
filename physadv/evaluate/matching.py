"""What a detector made of one object: found, read as something else, or missed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from physadv.types import Detections, Verdict

Array = npt.NDArray[np.float64]

MATCH_IOU = 0.5
NEAR_IOU = 0.1
CONFIDENCE = 0.25
"""Confidence at which verdicts are given: the one that ultralytics predicts with."""


@dataclass(frozen=True)
class Look:
    """The strongest detection of the true class on an object, and of any other class.

    ``near_score`` is the strongest confidence of the true class at any overlap from ``NEAR_IOU``:
    a detector that boxes half of a person has not been blinded, whatever ``score`` says.

    ``score`` and ``iou`` are 0 where no detection of the true class overlaps the object by
    ``MATCH_IOU``; ``other`` is the class index of the strongest other one, -1 where there is none.
    """

    score: float
    iou: float
    other: int
    other_score: float
    near_score: float

    def verdict(self, confidence: float = CONFIDENCE, target: int = -1) -> Verdict:
        """A partition, in this order: hit, target, misclassified, missed."""
        if self.score >= confidence:
            return "hit"
        if self.other >= 0 and self.other_score >= confidence:
            return "target" if self.other == target else "misclassified"
        return "missed"


def overlaps(box: Array, boxes: Array) -> Array:
    """Intersection over union [N] of a box xyxy [4] with boxes [N,4]."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    inter = np.maximum(high - low, 0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    union: Array = inter / np.maximum((box[2:] - box[:2]).prod() + areas - inter, 1e-9)
    return union


def look_at(box: Array, detections: Detections, true_index: int) -> Look:
    """Match detections to one annotated box xyxy [4]."""
    iou = overlaps(box, detections.boxes)
    near = iou >= MATCH_IOU
    own = np.flatnonzero(near & (detections.classes == true_index))
    others = np.flatnonzero(near & (detections.classes != true_index))
    score, overlap, other, other_score = 0.0, 0.0, -1, 0.0
    if len(own):
        best = own[np.argmax(detections.scores[own])]
        score, overlap = float(detections.scores[best]), float(iou[best])
    if len(others):
        best = others[np.argmax(detections.scores[others])]
        other, other_score = int(detections.classes[best]), float(detections.scores[best])
    near_scores = detections.scores[(iou >= NEAR_IOU) & (detections.classes == true_index)]
    return Look(score, overlap, other, other_score, float(near_scores.max(initial=0.0)))
