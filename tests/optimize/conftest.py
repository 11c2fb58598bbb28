"""Analytic victims: linear in the mean colours, so that the optimum is known."""

import pytest
import torch
from torch import Tensor, nn

from physadv.optimize.problem import Settings
from physadv.victim.protocol import ClassifierVictim


class MeanColour(nn.Module):
    """Logits: 0 for "stop", and for the others gain times a mix of the image's mean channels."""

    input_px = 0

    def __init__(self, mixes: list[list[float]], gain: float = 20.0) -> None:
        super().__init__()
        self.register_buffer("mixes", torch.tensor(mixes))
        self.gain = gain

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean(dim=(2, 3))
        return torch.cat([torch.zeros(len(images), 1), self.gain * means @ self.mixes.T], dim=1)


@pytest.fixture
def colour_victim() -> ClassifierVictim:
    """Reads "green" where green exceeds red and blue, "blue" where blue exceeds red and green."""
    module = MeanColour([[-1.0, 2.0, -1.0], [-1.0, -1.0, 2.0]])
    return ClassifierVictim("colour", ("stop", "green", "blue"), "", 0, module)


@pytest.fixture
def short() -> Settings:
    """Few steps and views, for tests of the machinery."""
    return Settings(
        steps=12, views=4, size_px=16, checkpoint_every=3, held_out_every=4, held_out_views=8
    )
