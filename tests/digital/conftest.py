"""A victim whose best attacks are known in closed form."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

SHAPE = (3, 8, 8)


class Linear(nn.Module):
    """Logits W x + b."""

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)
        self.bias = nn.Parameter(bias)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights.T + self.bias


@dataclass(frozen=True)
class Known:
    """Images around grey with the least changes that reach another class, in each norm.

    No optimum in l2 or linf touches black or white, so the closed form is exact.
    """

    model: Linear
    images: Tensor
    labels: Tensor
    l2: Tensor
    linf: Tensor
    l0: Tensor
    l1: Tensor


@pytest.fixture
def known() -> Known:
    """Three classes: attacks have to find the nearest border."""
    return _make(3)


@pytest.fixture
def known_two() -> Known:
    """Two classes: every loss has the direction of the one border."""
    return _make(2)


def _make(classes: int) -> Known:
    generator = np.random.default_rng(5)
    count = int(np.prod(SHAPE))
    weights = torch.from_numpy(generator.standard_normal((classes, count))).float()
    labels = torch.arange(24) % classes
    # Grey noise, pushed towards the label by some 15 grey levels.
    noise = torch.from_numpy(generator.uniform(0.4, 0.6, (24, count))).float()
    push = 0.06 * (weights - weights.mean(dim=0)).sign()[labels]
    images = ((noise + push) * 255).round().view(24, *SHAPE) / 255
    bias = -0.5 * weights.sum(dim=1)
    model = Linear(weights, bias).eval()
    logits = images.flatten(1) @ weights.T + bias
    assert (logits.argmax(dim=1) == labels).all()
    gap = logits.gather(1, labels[:, None]) - logits
    slope = weights[labels][:, None] - weights[None]  # [B,K,D]
    own = torch.zeros_like(gap).scatter(1, labels[:, None], torch.inf)
    flat = images.flatten(1)[:, None]
    # Moving an element to the end of the box gains at most this.
    room = torch.where(slope > 0, flat, 1 - flat) * slope.abs()
    by_pixel = room.view(*gap.shape, SHAPE[0], -1).sum(dim=2)
    gained = by_pixel.sort(dim=2, descending=True).values.cumsum(dim=2)
    fewest = (gained <= gap[..., None]).sum(dim=2) + 1 + own
    return Known(
        model,
        images,
        labels,
        l2=(gap / slope.norm(dim=2).clamp_min(1e-9) + own).amin(dim=1),
        linf=(gap / slope.abs().sum(dim=2).clamp_min(1e-9) + own).amin(dim=1),
        l0=fewest.amin(dim=1),
        l1=(_least_l1(gap, slope, room) + own).amin(dim=1),
    )


def _least_l1(gap: Tensor, slope: Tensor, room: Tensor) -> Tensor:
    """[B,K] least l1: fill the elements with the steepest slopes to the end of the box."""
    order = slope.abs().argsort(dim=2, descending=True)
    steep = slope.abs().gather(2, order).clamp_min(1e-9)
    gains = room.gather(2, order)
    before = gains.cumsum(dim=2) - gains
    used = torch.minimum((gap[..., None] - before).clamp_min(0), gains)
    return (used / steep).sum(dim=2)
