"""From a head's candidates to detections: thresholds and non-maximum suppression."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

MOST_DETECTIONS = 300
_MOST_CANDIDATES = 30_000
_CLASS_OFFSET_PX = 7680.0
_ULTRALYTICS_IOU = 0.7


class Scored(NamedTuple):
    """One image's candidates of the judging head.

    ``boxes`` [N,4] xyxy, or [N,K,4] where every class has its own, in pixels of the input;
    ``scores`` [N,K] in [0,1]; ``levels`` as in ``DetectorOutput``; ``size`` (height, width) of the
    input in pixels.
    """

    boxes: Tensor
    scores: Tensor
    levels: tuple[int, ...]
    size: tuple[int, int]


class Kept(NamedTuple):
    """``boxes`` [n,4], ``scores`` [n], ``classes`` [n] int64, strongest first."""

    boxes: Tensor
    scores: Tensor
    classes: Tensor


class Reporting(Protocol):
    """A detector's own way from candidates to detections."""

    def keep(self, found: Scored, confidence: float, iou: float | None) -> Kept:
        """What is reported above ``confidence``; ``iou`` None is the detector's own."""
        ...


@dataclass(frozen=True)
class BestClass:
    """Ultralytics' way for heads that need suppression: each candidate has its best class alone."""

    def keep(self, found: Scored, confidence: float, iou: float | None) -> Kept:
        """See ``suppress``."""
        return suppress(
            found.boxes, found.scores, confidence, _ULTRALYTICS_IOU if iou is None else iou
        )


@dataclass(frozen=True)
class Unsuppressed:
    """Ultralytics' way for heads that need no suppression."""

    def keep(self, found: Scored, confidence: float, iou: float | None) -> Kept:
        """See ``strongest``; ``iou`` does not matter."""
        return strongest(found.boxes, found.scores, confidence)


@dataclass(frozen=True)
class EveryPair:
    """Torchvision's way: every pair of candidate and class stands for itself.

    The ``shortlist`` strongest pairs of each level or class (``per``) are clipped to the input;
    those narrower or lower than ``least_px`` are dropped; suppression within each class at ``iou``
    leaves ``most``.
    """

    iou: float
    most: int
    shortlist: int | None = None
    per: Literal["level", "class"] = "level"
    least_px: float = 0.0

    def keep(self, found: Scored, confidence: float, iou: float | None) -> Kept:
        """See the class."""
        from torchvision.ops import batched_nms, clip_boxes_to_image, remove_small_boxes

        rows, classes = (found.scores > confidence).nonzero(as_tuple=True)
        scores = found.scores[rows, classes]
        if self.shortlist is not None:
            group = classes if self.per == "class" else _level_of(rows, found.levels)
            listed = _strongest_of_each(scores, group, self.shortlist)
            rows, classes, scores = rows[listed], classes[listed], scores[listed]
        own = found.boxes[rows] if found.boxes.ndim == 2 else found.boxes[rows, classes]
        boxes = clip_boxes_to_image(own, found.size)
        large = remove_small_boxes(boxes, self.least_px)
        boxes, scores, classes = boxes[large], scores[large], classes[large]
        kept = batched_nms(boxes, scores, classes, self.iou if iou is None else iou)[: self.most]
        return Kept(boxes[kept], scores[kept], classes[kept])


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


def _level_of(rows: Tensor, levels: tuple[int, ...]) -> Tensor:
    """[n] which of the levels, of so many candidates each, every row is in."""
    ends = torch.tensor(levels, device=rows.device).cumsum(0)
    return torch.searchsorted(ends, rows, right=True)


def _strongest_of_each(scores: Tensor, group: Tensor, most: int) -> Tensor:
    """Indices of the ``most`` strongest of each group: groups in order, strongest first."""
    listed = [group.new_empty(0)]
    for number in group.unique():
        own = (group == number).nonzero()[:, 0]
        listed.append(own[scores[own].topk(min(most, len(own))).indices])
    return torch.cat(listed)
