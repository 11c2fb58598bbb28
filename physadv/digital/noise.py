"""Random noise: the control that every attack has to beat."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from physadv.checks import check_name, check_range
from physadv.digital.inputs import Model, check_count
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import opened

NoiseKind = Literal["uniform", "gaussian", "salt-and-pepper"]
KINDS: tuple[NoiseKind, ...] = ("uniform", "gaussian", "salt-and-pepper")


def noise(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    kind: NoiseKind = "uniform",
    targets: Tensor | None = None,
    draws: int = 1,
    seed: int = 0,
) -> Adversarials:
    """Add noise that knows nothing of the model.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        eps: Half width of the uniform noise, standard deviation of the Gaussian, or share of the
            pixels that salt and pepper replace by black or white, in equal parts.
        kind: One of ``KINDS``. The result is clipped to [0,1].
        targets: [B] classes to reach; None for any wrong one.
        draws: How many draws to try on those that still resist.
        seed: With the sample's pixels, decides the draws.

    Raises:
        UserError: If an argument is out of range.
    """
    check_name("noise", kind, KINDS)
    check_range("eps", eps, 0, 1)
    check_count("draws", draws)
    with opened(model, images, labels, targets, gradients=False) as problem:
        for draw in range(draws):
            rows = problem.open_rows
            if not len(rows):
                break
            clean = problem.clean(rows)
            generators = problem.generators(rows, "noise", draw, seed=seed)
            drawn = [_draw(clean.shape[1:], kind, eps, generator) for generator in generators]
            values = torch.from_numpy(np.stack(drawn)).to(clean)
            if kind == "salt-and-pepper":
                noisy = torch.where(values.isnan(), clean, values)
            else:
                noisy = (clean + values).clamp(0, 1)
            problem.last(noisy, rows)
        return problem.close("noise")


def _draw(
    shape: torch.Size, kind: NoiseKind, eps: float, generator: np.random.Generator
) -> np.ndarray:
    """[C,H,W]: what is added; for salt and pepper what replaces, NaN where nothing does."""
    if kind == "uniform":
        return generator.uniform(-eps, eps, shape).astype(np.float32)
    if kind == "gaussian":
        return (eps * generator.standard_normal(shape)).astype(np.float32)
    chance = generator.uniform(size=(1, *shape[1:]))
    value = np.where(chance < eps / 2, 0.0, np.where(chance < eps, 1.0, np.nan))
    return np.broadcast_to(value, shape).astype(np.float32)
