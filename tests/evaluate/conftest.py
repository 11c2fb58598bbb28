"""Artworks and an analytic victim for the judge's tests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from torch import Tensor, nn

from physadv.artwork.files import Artwork
from physadv.data.film import Film, Frame
from physadv.scene.catalog import load_grid
from physadv.scene.faces import draw_face
from physadv.scene.schema import Grid
from physadv.victim.protocol import ClassifierVictim


class Dominant(nn.Module):
    """Logits: mean red, green and blue of the image, times 50."""

    input_px = 0

    def forward(self, images: Tensor) -> Tensor:
        return 50 * images.mean(dim=(2, 3))


@pytest.fixture
def dominant() -> ClassifierVictim:
    """Reads "stop" where red dominates, else "green" or "blue"."""
    return ClassifierVictim("dominant", ("stop", "green", "blue"), "", 0, Dominant())


def poster(colour: tuple[int, int, int], **recipe: object) -> Artwork:
    """An artwork of one colour over the whole face."""
    alpha = (draw_face("us_r1_1", 256)[..., 3] > 127).astype(np.uint8) * 255
    rgb = np.broadcast_to(np.array(colour, np.uint8), (256, 256, 3)) * (alpha[..., None] > 0)
    return Artwork(
        np.dstack([rgb.astype(np.uint8), alpha]), 762, 762, "us_r1_1", "green", ("x",), dict(recipe)
    )


@pytest.fixture
def green_poster() -> Artwork:
    return poster((10, 200, 10), palette="rgb")


@pytest.fixture
def checker() -> Artwork:
    """Random 12 mm texels over the whole face."""
    generator = np.random.default_rng(0)
    colours = generator.integers(0, 256, (64, 64, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    alpha = (draw_face("us_r1_1", 256)[..., 3] > 127).astype(np.uint8) * 255
    return Artwork(np.dstack([colours, alpha]), 762, 762, "us_r1_1", "green", ("x",))


@pytest.fixture
def small_grid() -> Grid:
    content = load_grid("rp2_lab").model_dump()
    cells = [{"distance_m": 3.0, "yaw_deg": 0}, {"distance_m": 9.0, "yaw_deg": 30}]
    return Grid.model_validate({**content, "name": "small", "cells": cells})


@dataclass(frozen=True)
class PictureFilm:
    """A film of pictures [N,H,W,3] in memory, eight a second."""

    pictures: np.ndarray
    name: str = "drive.mp4"
    identity: str = "drive"
    notes: tuple[str, ...] = ()

    @property
    def width_px(self) -> int:
        return self.pictures.shape[2]

    @property
    def height_px(self) -> int:
        return self.pictures.shape[1]

    @property
    def frames_hint(self) -> int:
        return len(self.pictures)

    def frames(self, after: int = -1) -> Iterator[Frame]:
        for index in range(after + 1, len(self.pictures)):
            yield Frame(index, index / 8, self.pictures[index])


@pytest.fixture
def film_of() -> Callable[[np.ndarray], Film]:
    return PictureFilm
