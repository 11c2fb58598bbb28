"""Momentum and input diversity: examples that carry over to models that were not seen."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from physadv.checks import check_name, check_range
from physadv.digital.inputs import Model, check_count
from physadv.digital.losses import LOSSES
from physadv.digital.norms import check_budget, column, within
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import opened


def diversified(images: Tensor, draws: Tensor) -> Tensor:
    """Each image shrunk and moved within its frame, zeros around it.

    Args:
        images: [n,C,H,W].
        draws: [n,3]: side over the frame's side, and where it lies across and down, 0 to 1.
            Side 1 changes nothing.
    """
    side, across, down = draws.unbind(dim=1)
    zero = torch.zeros_like(side)
    # Output coordinates to input coordinates: u_in = (u_out - centre) / side.
    x, y = (1 - side) * (2 * across - 1), (1 - side) * (2 * down - 1)
    rows = [
        torch.stack([1 / side, zero, -x / side], 1),
        torch.stack([zero, 1 / side, -y / side], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def momentum(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    steps: int = 10,
    step_size: float | None = None,
    decay: float = 1.0,
    diversity: float = 0.0,
    smallest_side: float = 0.875,
    targets: Tensor | None = None,
    loss: str = "cross-entropy",
    seed: int = 0,
) -> Adversarials:
    """Iterated gradient signs with momentum (MI-FGSM), optionally on diversified inputs (DI).

    Takes every step on every sample: what only just fools this model seldom fools another.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        eps: Largest change of any element.
        steps: Gradient steps.
        step_size: Change per step; None for eps / steps.
        decay: Share of the accumulated direction that a step keeps; 0 is BIM.
        diversity: Probability that a step looks at a shrunk and moved copy; 0 is MI-FGSM.
        smallest_side: Smallest side of that copy over the frame's side.
        targets: [B] classes to reach; None for any wrong one.
        loss: A key of ``losses.LOSSES``.
        seed: With the sample's pixels, decides the copies.

    Raises:
        UserError: If an argument is out of range.

    References:
        Dong et al., Boosting adversarial attacks with momentum, CVPR 2018, algorithm 1.
        Xie et al., Improving transferability of adversarial examples with input diversity, CVPR
        2019, equation 6.
    """
    check_budget("linf", eps)
    check_name("loss", loss, LOSSES)
    check_count("steps", steps)
    check_range("decay", decay, 0, 10)
    check_range("diversity", diversity, 0, 1)
    check_range("smallest_side", smallest_side, 0, 1, low_open=True)
    size = eps / steps if step_size is None else check_range("step_size", step_size, 0, 1)
    with opened(model, images, labels, targets) as problem:
        rows = problem.open_rows
        if not len(rows):
            return problem.close("momentum")
        clean = point = problem.clean(rows)
        direction = torch.zeros_like(clean)
        draws = torch.ones(steps, len(rows), 3).to(clean)
        if diversity:
            for n, generator in enumerate(problem.generators(rows, "momentum", seed=seed)):
                uniform = generator.uniform(size=(steps, 4))
                side = smallest_side + (1 - smallest_side) * uniform[:, 0]
                side = np.where(uniform[:, 3] < diversity, side, 1.0)
                drawn = np.column_stack([side, uniform[:, 1:3]])
                draws[:, n] = torch.from_numpy(drawn).to(clean)
        for step in range(steps):
            with torch.enable_grad():
                inputs = point.detach().requires_grad_(True)
                seen = diversified(inputs, draws[step]) if diversity else inputs
                values = problem.loss(problem.logits(seen, rows), rows, LOSSES[loss])
                gradient = problem.differentiate(values, inputs, rows)
            length = gradient.flatten(1).abs().sum(dim=1)
            direction = decay * direction + gradient / column(torch.where(length > 0, length, 1))
            point = within(point + size * direction.sign(), clean, eps, "linf")
        problem.last(point, rows)
        return problem.close("momentum")
