"""From a head's candidates to detections: thresholds and non-maximum suppression."""

from typing import NamedTuple

import torch
from torch import Tensor

MOST_DETECTIONS = 300
_MOST_CANDIDATES = 30_000
_CLASS_OFFSET_PX = 7680.0


class Kept(NamedTuple):
    """``boxes`` [n,4], ``scores`` [n], ``classes`` [n] int64, strongest first."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor


def suppress(boxes: Tensor, scores: Tensor, confidence: float, iou: float) -> Kept:
    """Greedy non-maximum suppression within each class, as ultralytics does it.

    Every candidate counts for its strongest class alone.

    Args:
        boxes: [N,4] xyxy.
        scores: [N,K] in [0,1].
        confidence: Candidates at or below it are dropped.
        iou: Candidates that overlap a stronger one of their class by more are dropped.
    """
    from torchvision.ops import nms

    best, classes = scores.max(dim=1)
    kept = (best > confidence).nonzero()[:, 0]
    kept = kept[best[kept].argsort(descending=True)[:_MOST_CANDIDATES]]
    apart = boxes[kept] + (classes[kept] * _CLASS_OFFSET_PX)[:, None]
    kept = kept[nms(apart, best[kept], iou)[:MOST_DETECTIONS]]
    return Kept(boxes[kept], best[kept], classes[kept])


def strongest(boxes: Tensor, scores: Tensor, confidence: float) -> Kept:
    """The ``MOST_DETECTIONS`` strongest pairs of candidate and class of an NMS-free head.

    Args:
        boxes: [N,4] xyxy.
        scores: [N,K] in [0,1].
        confidence: Pairs at or below it are dropped.
    """
    count = min(MOST_DETECTIONS, len(boxes))
    kept = scores.max(dim=1).values.topk(count).indices
    values, flat = scores[kept].flatten().topk(count)
    inside = values > confidence
    rows, classes = torch.div(flat, scores.shape[1], rounding_mode="floor"), flat % scores.shape[1]
    return Kept(boxes[kept[rows[inside]]], values[inside], classes[inside])
