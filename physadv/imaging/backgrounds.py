"""What is behind the sign while optimising: drawn textures, or one half of a folder of photographs.

The judge has its own drawing code and the other half of the folder.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from physadv.data.files import read_image_rgb
from physadv.data.photos import split_photos
from physadv.seeding import generator_for

POOL = 256


def _cloud(
    generator: np.random.Generator, size_px: int, exponent: float
) -> npt.NDArray[np.float64]:
    """1/f**exponent noise in [0, 1], [s, s]: the amplitude spectrum of natural images."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size_px), np.fft.fftfreq(size_px)))
    frequency[0, 0] = np.inf
    phases = np.exp(2j * np.pi * generator.random((size_px, size_px)))
    field = np.real(np.fft.ifft2(phases / frequency**exponent))
    low, high = field.min(), field.max()
    return (field - low) / (high - low)


def _draw(generator: np.random.Generator, size_px: int) -> npt.NDArray[np.float64]:
    """One background [s, s, 3]: two colours mixed by noise, with up to three flat shapes."""
    first, second = generator.random((2, 3)) * generator.uniform(0.3, 1)
    mix = _cloud(generator, size_px, generator.uniform(0.6, 2.2))[..., None]
    image = first * mix + second * (1 - mix)
    y, x = np.mgrid[0:size_px, 0:size_px] / size_px
    for _ in range(generator.integers(0, 4)):
        angle, position = generator.uniform(0, np.pi), generator.uniform(-0.5, 1.2)
        width = generator.uniform(0.03, 0.5)
        across = x * np.cos(angle) + y * np.sin(angle) - position
        inside = ((across > 0) & (across < width))[..., None]
        image = np.where(inside, generator.random(3), image)
    return image


def background_pool(
    seed: int, size_px: int, folder: Path | None = None, count: int = POOL
) -> Tensor:
    """Backgrounds for the optimiser.

    Args:
        seed: Run seed.
        size_px: Side of each.
        folder: Photographs to cut from; None draws them.
        count: How many.

    Returns:
        [count,3,s,s] float32 in [0,1].

    Raises:
        UserError: If the folder is missing or has too few photographs.
    """
    pool = np.empty((count, size_px, size_px, 3), np.float32)
    paths = split_photos(folder, "optimise") if folder else []
    photos = [_shrink(path) for path in paths[:count]]
    for index in range(count):
        generator = generator_for(seed, "optimiser background", index)
        if photos:
            pool[index] = _cut(photos[index % len(photos)], generator, size_px)
        else:
            pool[index] = _draw(generator, size_px)
    return torch.from_numpy(pool.clip(0, 1)).permute(0, 3, 1, 2).contiguous()


def _shrink(path: Path) -> Image.Image:
    image = Image.fromarray(read_image_rgb(path))
    image.thumbnail((640, 640))
    return image


def _cut(
    photo: Image.Image, generator: np.random.Generator, size_px: int
) -> npt.NDArray[np.float64]:
    side = generator.uniform(0.2, 0.9) * min(photo.size)
    left = generator.uniform(0, photo.width - side)
    top = generator.uniform(0, photo.height - side)
    cut = photo.resize((size_px, size_px), box=(left, top, left + side, top + side))
    return np.asarray(cut, dtype=np.float64) / 255
