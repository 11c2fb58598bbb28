"""Balls, steps and lengths in linf, l2 and l1, of tensors [B,C,H,W]; a radius is one number."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from physadv.checks import check_name, check_range

Norm = Literal["linf", "l2", "l1"]
NORMS: tuple[Norm, ...] = ("linf", "l2", "l1")
_HALVINGS = 24  # of the l1 projection's threshold: to 1e-7 of the largest change
_ROOM = 0.0625  # an element this near to its end of the box gets no share of a step in l1
_SPARSE = 0.015  # share of the elements that one step in l1 changes


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

    In l1 that is one element; the 1.5 % of elements with the largest gradients that the box [0,1]
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
    free = torch.where(sign > 0, 1 - images, images) > _ROOM
    strength = (gradient.abs() * free).flatten(1)
    count = max(1, round(_SPARSE * strength.shape[1]))
    border = strength.topk(count, dim=1).values[:, -1:]
    chosen = ((strength >= border) & (strength > 0)).view_as(gradient)
    share = chosen.flatten(1).sum(dim=1).clamp_min(1)
    return chosen * sign / column(share)


def within(candidates: Tensor, images: Tensor, eps: float, norm: Norm) -> Tensor:
    """``candidates`` brought back into the ball around ``images`` and the box [0,1].

    In linf and l1 this is the nearest point of both at once; in l2 the nearest of the ball, then
    clipped, which only shortens the change. Not differentiable.

    References:
        Croce & Hein, Mind the box: l1-APGD for sparse adversarial attacks on image classifiers,
        ICML 2021, proposition 2.1 (here solved by bisection).
    """
    if norm == "linf":
        low, high = (images - eps).clamp_min_(0), (images + eps).clamp_max_(1)
        return torch.maximum(candidates, low, out=low).clamp_max_(high)
    delta = candidates - images
    if norm == "l2":
        size = length(delta, "l2").clamp_min(torch.finfo(delta.dtype).tiny)
        return (images + delta * column((eps / size).clamp_max(1))).clamp(0, 1)
    sign, sizes = delta.sign(), delta.abs()
    room = torch.where(sign > 0, 1 - images, images)
    low = torch.zeros_like(sizes[:, 0, 0, 0])
    high = sizes.flatten(1).amax(dim=1)
    fits = torch.minimum(sizes, room).flatten(1).sum(dim=1) <= eps
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        shrunk = torch.minimum((sizes - column(middle)).clamp_min(0), room)
        above = shrunk.flatten(1).sum(dim=1) > eps
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    threshold = torch.where(fits, 0, high)
    shrunk = torch.minimum((sizes - column(threshold)).clamp_min(0), room)
    return images + sign * shrunk


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
