"""Decoupled direction and norm: gradient steps on a sphere whose radius follows success."""

import math

import torch
from torch import Tensor

from physadv.checks import check_range
from physadv.digital.inputs import Model, check_count
from physadv.digital.losses import log_odds
from physadv.digital.norms import column, length
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import opened, rounded


def ddn(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    steps: int = 100,
    radius: float = 1.0,
    change: float = 0.05,
    targets: Tensor | None = None,
) -> Adversarials:
    """The smallest l2 change: the radius shrinks while the model is fooled and grows while not.

    Every point looked at is rounded to 8 bits, so that what is found survives a file.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        steps: Points looked at, the clean image first.
        radius: First radius, l2.
        change: Share by which a step shrinks or grows the radius.
        targets: [B] classes to reach; None for any wrong one.

    Raises:
        UserError: If an argument is out of range.

    References:
        Rony et al., Decoupling direction and norm for efficient gradient-based l2 adversarial
        attacks and defenses, CVPR 2019, algorithm 1.
    """
    check_count("steps", steps)
    check_range("radius", radius, 0, 1e6, low_open=True)
    check_range("change", change, 0, 0.5, low_open=True)
    with opened(model, images, labels, targets, clean_loss=log_odds) as problem:
        rows, gradient = problem.clean_gradient()
        clean = best = problem.clean(rows)
        farthest = length(torch.maximum(clean, 1 - clean), "l2")
        shortest = torch.full_like(farthest, torch.inf)
        radii = torch.full_like(farthest, radius)
        delta = torch.zeros_like(clean)
        for step in range(1, steps):
            pace = 0.01 + 0.99 * (1 + math.cos(math.pi * step / steps)) / 2
            slope = length(gradient, "l2")
            delta.addcmul_(gradient, column(torch.where(slope > 0, pace / slope, 0)))
            delta.mul_(column(radii / length(delta, "l2").clamp_min(1e-12)))
            point = rounded((clean + delta).clamp_(0, 1))
            torch.sub(point, clean, out=delta)
            if step < steps - 1:  # the last gradient would lead nowhere
                gradient, logits, _ = problem.gradient(point, rows, log_odds)
            else:
                logits = problem.logits(point, rows)
            fooled, size = problem.fooled(logits, rows), length(delta, "l2")
            better = fooled & (size < shortest)
            shortest = torch.where(better, size, shortest)
            best = torch.where(column(better), point, best)
            radii = torch.minimum(radii * torch.where(fooled, 1 - change, 1 + change), farthest)
        found = shortest.isfinite()
        problem.last(best[found], rows[found])
        return problem.close("ddn")
