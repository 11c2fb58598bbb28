"""Balls, steps and lengths in linf, l2 and l1; every tensor is [B,C,H,W], every radius one number.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from physadv.checks import check_name, check_range

Norm = Literal["linf", "l2", "l1"]
NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
_SPARSE = 0.05  # share of the elements that one step in l1 changes


def check_budget(norm: str, eps: float) -> None:
    """Raise unless ``norm`` is known and ``eps`` a length from 0 up (at most 1 for linf).

    Raises:
        UserError: If one is not.
    """
    check_name("norm", norm, NORMS)
    check_range("eps", eps, 0, 1 if norm == "linf" else 1e6)


def column(values: Tensor) -> Tensor:
    """[B] as [B,1,1,1]."""
    return values[:, None, None, None]


def length(delta: Tensor, norm: Norm) -> Tensor:
    """[B] lengths."""
    order = {"linf": torch.inf, "l2": 2.0, "l1": 1.0}[norm]
    return torch.linalg.vector_norm(delta.flatten(1), order, dim=1)


def unit(vectors: Tensor) -> Tensor:
    """Each sample divided by its l2 length; a zero stays zero."""
    size = length(vectors, "l2")
    return vectors * column(torch.where(size > 0, 1 / size, 0))


def steepest(gradient: Tensor, images: Tensor, norm: Norm) -> Tensor:
    """The step of length 1 along which a linear loss grows fastest.

    In l1 that is one element; the 5 % of elements with the largest gradients that the box [0,1]
    lets move share the step, as in sparse l1 descent.

    References:
        Tramèr & Boneh, Adversarial training and robustness for multiple perturbations, NeurIPS
        2019 (sparse l1 descent).
    """
    if norm == "linf":
        return gradient.sign()
    if norm == "l2":
        return unit(gradient)
    sign = gradient.sign()
    free = torch.where(sign > 0, images < 1, images > 0)
    strength = (gradient.abs() * free).flatten(1)
    count = max(1, round(_SPARSE * strength.shape[1]))
    border = strength.topk(count, dim=1).values[:, -1:]
    chosen = ((strength >= border) & (strength > 0)).view_as(gradient)
    share = chosen.flatten(1).sum(dim=1).clamp_min(1)
    return chosen * sign / column(share)


def into_ball(delta: Tensor, eps: float, norm: Norm) -> Tensor:
    """The nearest point of the ball of radius ``eps``.

    References:
        Duchi et al., Efficient projections onto the l1-ball for learning in high dimensions,
        ICML 2008, figure 1.
    """
    if norm == "linf":
        return delta.clamp(-eps, eps)
    if norm == "l2":
        size = torch.linalg.vector_norm(delta.flatten(1), dim=1)
        return delta * column((eps / size.clamp_min(torch.finfo(delta.dtype).tiny)).clamp_max(1))
    flat = delta.flatten(1)
    sizes = flat.abs()
    ranked = sizes.sort(dim=1, descending=True).values
    excess = ranked.cumsum(dim=1) - eps
    rank = torch.arange(1, flat.shape[1] + 1, device=delta.device)
    last = (ranked * rank > excess).sum(dim=1, keepdim=True).clamp_min(1)
    threshold = (excess.gather(1, last - 1) / last).clamp_min(0)
    return (flat.sign() * (sizes - threshold).clamp_min(0)).view_as(delta)


def within(candidates: Tensor, images: Tensor, eps: float, norm: Norm) -> Tensor:
    """``candidates`` brought back into the ball around ``images`` and the box [0,1]."""
    if norm == "linf":
        low, high = (images - eps).clamp_min(0), (images + eps).clamp_max(1)
        return torch.minimum(torch.maximum(candidates, low), high)
    # The box afterwards: it only shortens what it changes, so the ball is not left.
    return (images + into_ball(candidates - images, eps, norm)).clamp(0, 1)


def draw_in_ball(
    shape: torch.Size, eps: float, norm: Norm, generator: np.random.Generator
) -> np.ndarray:
    """One sample's uniform draw [C,H,W] float32 from the ball of radius ``eps``."""
    count = int(np.prod(shape))
    if norm == "linf":
        return generator.uniform(-eps, eps, shape).astype(np.float32)
    if norm == "l2":
        vector = generator.standard_normal(count)
        vector /= np.linalg.norm(vector)
    else:
        vector = generator.laplace(size=count)
        vector /= np.abs(vector).sum()
    radius = eps * generator.uniform() ** (1 / count)
    return (radius * vector).reshape(shape).astype(np.float32)
