"""How much a detector still sees: the losses that the optimiser minimises, per object."""

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


def hide(
    output: DetectorOutput,
    frame: Tensor,
    boxes: Tensor,
    class_index: int,
    *,
    margin: float = 1.5,
    least_iou: float = 0.3,
    top: int = 8,
) -> tuple[Tensor, Tensor]:
    """How strongly one head still finds each object: a softplus of its strongest logits.

    The candidates are those that overlap the object by at least ``least_iou``. Confidences are
    compared as logits, so the gradient does not die where the sigmoid saturates, and through a
    softplus, so it fades only for candidates that are safely below the threshold (a logit of
    ``-margin``; 1.5 is a confidence of 0.18).

    Args:
        output: One head's candidates for B frames.
        frame: [P] int64, the frame of each object.
        boxes: [P,4] xyxy, in the frames' pixels.
        class_index: The class that must not be found.
        margin: How far below 0 the logits are to be pushed.
        least_iou: Overlap from which a candidate counts as the object's.
        top: How many of its candidates count.

    Returns:
        Losses [P], and the strongest logit [P] of each object (-inf where no candidate overlaps).

    References:
        After Thys et al. 2019, eq. 3 (the maximum of object scores), taken in logits over several
        candidates, since detectors without objectness spread a person over many.
    """
    overlap = box_iou(boxes[:, None], output.boxes_of(class_index).detach()[frame])[:, 0]
    logits = output.class_logits[frame, :, class_index]
    own = logits.masked_fill(overlap < least_iou, -torch.inf)
    strongest = own.topk(min(top, own.shape[1]), dim=1).values
    losses = F.softplus(strongest + margin).mean(dim=1)
    return losses, strongest[:, 0].detach()


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
