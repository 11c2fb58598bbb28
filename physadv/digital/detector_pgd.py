"""Projected gradient descent on a whole picture that a detector is shown."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from physadv.checks import UsageError, UserError, check_range
from physadv.digital.inputs import check_count
from physadv.digital.norms import draw_in_ball, within
from physadv.objective.detection import appear, hide
from physadv.seeding import generator_for
from physadv.victim.detector import DetectorOutput, DetectorVictim

Picture = npt.NDArray[np.uint8]
_LEAST_LOGIT = 1.0  # of what is to be seen: above every confidence in use


@dataclass(frozen=True)
class AttackedPicture:
    """``picture`` [H,W,3] uint8, as a file keeps it: no value is further than the budget, in whole
    grey levels, from the one given. ``felt`` is False where every gradient was zero; the picture
    is then the one given. ``passes`` counts forward and backward passes."""

    picture: Picture
    felt: bool
    passes: int


def detector_pgd(
    victim: DetectorVictim,
    picture: Picture,
    boxes: npt.NDArray[np.float64],
    true_index: int,
    *,
    eps: float,
    target_index: int | None = None,
    steps: int = 20,
    step_size: float | None = None,
    seed: int = 0,
) -> AttackedPicture:
    """Change every pixel by up to ``eps`` (linf) so that the detector misses or misreads objects.

    All objects are attacked at once, over all heads of the detector, at the picture's own
    resolution; of all steps the one with the least loss is kept, then rounded to 8 bits within the
    budget. The search does not stop at success: how sure a detector still is counts at several
    thresholds.

    Args:
        victim: The detector.
        picture: [H,W,3] uint8 RGB.
        boxes: [P,4] xyxy of the objects, in the picture's pixels.
        true_index: Their class, which must not be found.
        eps: On the scale of [0,1]; whole grey levels of it count.
        target_index: Class to be seen in their place; None for none (the objects are hidden).
        steps: Gradient steps.
        step_size: Of one; None for 2.5 eps / steps.
        seed: With the picture, decides the start.

    Raises:
        UserError: If an argument is out of range or no object is given.
        UsageError: If the target is the objects' own class.

    References:
        Madry et al., ICLR 2018, section 2.1; on detectors: Xie et al., Adversarial examples for
        semantic segmentation and object detection, ICCV 2017. The objectives are those of
        ``objective.detection``.
    """
    check_range("eps", eps, 0, 1)
    check_count("steps", steps)
    size = 2.5 * eps / steps if step_size is None else check_range("step_size", step_size, 0, 1)
    if not len(boxes):
        raise UserError("objects to attack", "none", "Give their boxes.")
    if target_index == true_index:
        raise UsageError(
            f"target {victim.class_names[true_index]!r}",
            "that is what the objects are",
            "Choose another class.",
        )
    levels = math.floor(255 * eps + 1e-6)
    clean = torch.from_numpy(picture.copy()).to(victim.device).permute(2, 0, 1)[None].float() / 255
    places = torch.from_numpy(boxes).to(clean)
    generator = generator_for(seed, "detector pgd", hashlib.sha256(picture.tobytes()).hexdigest())
    drawn = draw_in_ball(clean.shape[1:], eps, "linf", generator)
    point = within(clean + torch.from_numpy(drawn).to(clean), clean, eps, "linf")
    best, least = point, torch.full((), torch.inf).to(clean)  # not read: a GPU is not waited for
    for step in range(steps + 1):
        inputs = point.detach().requires_grad_(step < steps)
        heads = victim.outputs(inputs)
        # A head without classes can be silenced, but not made to name one.
        naming = [head for head in heads if target_index is None or not head.class_agnostic]
        losses = [_loss(head, places, true_index, target_index) for head in naming]
        loss = torch.stack(losses).mean()
        better = loss.detach() < least
        best = torch.where(better, inputs.detach(), best)
        least = torch.where(better, loss.detach(), least)
        if step == steps:
            break
        (gradient,) = torch.autograd.grad(loss, inputs)
        gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        if step == 0 and not bool((gradient != 0).any()):
            return AttackedPicture(picture.copy(), False, 2)
        point = within(inputs.detach() - size * gradient.sign(), clean, eps, "linf")
    rounded = (best[0] * 255).round().permute(1, 2, 0).cpu().numpy().astype(np.int16)
    kept = np.clip(rounded, picture.astype(np.int16) - levels, picture.astype(np.int16) + levels)
    return AttackedPicture(kept.clip(0, 255).astype(np.uint8), True, 2 * steps + 1)


def _loss(head: DetectorOutput, boxes: Tensor, true_index: int, target_index: int | None) -> Tensor:
    """Of one head, summed over the objects."""
    frame = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    loss = hide(head, frame, boxes, true_index)[0].sum()
    if target_index is not None:
        loss = loss + appear(head, frame, boxes, target_index, margin=_LEAST_LOGIT)[0].sum()
    return loss
