"""How much a detector still sees: the losses that the optimiser minimises, per object."""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from physadv.victim.detector import DetectorOutput


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union [..., N, M] of boxes [..., N, 4] and [..., M, 4] xyxy."""
    low = torch.maximum(first[..., :, None, :2], second[..., None, :, :2])
    high = torch.minimum(first[..., :, None, 2:], second[..., None, :, 2:])
    inter = (high - low).clamp(min=0).prod(dim=-1)
    area_first = (first[..., 2:] - first[..., :2]).prod(dim=-1)
    area_second = (second[..., 2:] - second[..., :2]).prod(dim=-1)
    union = area_first[..., :, None] + area_second[..., None, :] - inter
    return inter / union.clamp(min=1e-6)


def strongest_logits(
    output: DetectorOutput,
    frame: Tensor,
    boxes: Tensor,
    class_index: int,
    *,
    least_iou: float = 0.3,
    top: int = 8,
) -> Tensor:
    """Logits with which one head finds each object most strongly.

    Args:
        output: One head's candidates for B frames.
        frame: [P] int64, the frame of each object.
        boxes: [P,4] xyxy, in the frames' pixels.
        class_index: The class that must not be found.
        least_iou: Overlap from which a candidate counts as the object's.
        top: How many of its candidates count.

    Returns:
        [P,K] from the strongest down, K at most ``top``; -inf where no further candidate overlaps.
    """
    overlap = box_iou(boxes[:, None], output.boxes_of(class_index).detach()[frame])[:, 0]
    logits = output.class_logits[frame, :, class_index]
    own = logits.masked_fill(overlap < least_iou, -torch.inf)
    return own.topk(min(top, own.shape[1]), dim=1).values


def hide(
    output: DetectorOutput,
    frame: Tensor,
    boxes: Tensor,
    class_index: int,
    *,
    margin: float = 1.5,
    top: int = 8,
) -> tuple[Tensor, Tensor]:
    """How strongly one head still finds each object: a softplus of its strongest logits.

    Confidences are compared as logits, so the gradient does not die where the sigmoid saturates,
    and through a softplus, so it fades only for candidates that are safely below the threshold (a
    logit of ``-margin``; 1.5 is a confidence of 0.18).

    Args:
        output: One head's candidates for B frames.
        frame: [P] int64, the frame of each object.
        boxes: [P,4] xyxy, in the frames' pixels.
        class_index: The class that must not be found.
        margin: How far below 0 the logits are to be pushed.
        top: How many of an object's candidates count.

    Returns:
        Losses [P], and the strongest logit [P] of each object (-inf where no candidate overlaps).

    References:
        After Thys et al. 2019, eq. 3 (the maximum of object scores), taken in logits over several
        candidates, since detectors without objectness spread a person over many.
    """
    strongest = strongest_logits(output, frame, boxes, class_index, top=top)
    return F.softplus(strongest + margin).mean(dim=1), strongest[:, 0].detach()


def recall(
    output: DetectorOutput,
    frame: Tensor,
    boxes: Tensor,
    class_index: int,
    *,
    confidence: float = 0.4,
    scatter: float = 1.0,
    top: int = 8,
) -> tuple[Tensor, Tensor]:
    """How likely one head still finds each object: a smooth count of candidates above a confidence.

    A logistic with scale ``scatter``, in logits, about the logit of ``confidence``. So objects
    near the threshold of a judge weigh most, and those far above it, which a small patch cannot
    hide, least. It has little gradient where everything is found for certain: start from a patch
    made with ``hide``. Scaled so that its slope is at most 1, as that of ``hide``, so that weights
    of other terms mean the same beside both.

    Args:
        output: One head's candidates for B frames.
        frame: [P] int64, the frame of each object.
        boxes: [P,4] xyxy, in the frames' pixels.
        class_index: The class that must not be found.
        confidence: From which a candidate counts as found, in (0, 1).
        scatter: How far, in logits, the strength varies from look to look.
        top: How many of an object's candidates count.

    Returns:
        Losses [P] in [0, 4 ``scatter``], and the strongest logit [P] of each object, as ``hide``.
    """
    strongest = strongest_logits(output, frame, boxes, class_index, top=top)
    threshold = math.log(confidence / (1 - confidence))
    found = ((strongest - threshold) / scatter).sigmoid()
    return 4 * scatter * found.mean(dim=1), strongest[:, 0].detach()


Hiding = Literal["hide", "recall"]
HIDING: dict[Hiding, Callable[..., tuple[Tensor, Tensor]]] = {"hide": hide, "recall": recall}
"""Losses that make objects go unseen, by name."""


def appear(
    output: DetectorOutput,
    frame: Tensor,
    boxes: Tensor,
    class_index: int,
    *,
    margin: float = 2.0,
    least_iou: float = 0.5,
    top: int = 3,
) -> tuple[Tensor, Tensor]:
    """How far one head is from seeing a class at each place.

    Args:
        output: One head's candidates for B frames.
        frame: [P] int64, the frame of each place.
        boxes: [P,4] xyxy, in the frames' pixels.
        class_index: The class to be seen.
        margin: How far above 0 the logits are to be pushed; 2 is a confidence of 0.88.
        least_iou: Overlap from which a candidate counts as being there.
        top: How many candidates are pushed at once, those that overlap and are nearest to it.

    Returns:
        Losses [P], and the strongest logit [P] at each place (-inf where no candidate overlaps).

    References:
        After Braunegg et al., APRICOT, ECCV 2020, whose measure is a confident box of the target
        class that overlaps the patch.
    """
    candidates = output.boxes_of(class_index).detach()
    overlap = box_iou(boxes[:, None], candidates[frame])[:, 0]
    logits = output.class_logits[frame, :, class_index]
    there = overlap >= least_iou
    # Where a head puts no candidate, the best overlapping ones are drawn there.
    there |= overlap >= overlap.topk(min(top, overlap.shape[1]), dim=1).values[:, -1:]
    own = logits.masked_fill(~there, -torch.inf)
    nearest = own.topk(min(top, own.shape[1]), dim=1).values
    losses = F.softplus(margin - nearest).mean(dim=1)
    seen = logits.detach().masked_fill(overlap < least_iou, -torch.inf).amax(dim=1)
    return losses, seen
