"""What is behind the sign for the judge: drawn streets, or its half of a folder of photographs."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from physadv.data.files import read_image_rgb
from physadv.data.photos import split_photos
from physadv.seeding import generator_for

POOL = 48
WIDTH_PX, HEIGHT_PX = 640, 480

Picture = npt.NDArray[np.uint8]


def _colour(generator: np.random.Generator, *ranges: tuple[int, int]) -> tuple[int, int, int]:
    r, g, b = (int(generator.integers(low, high)) for low, high in ranges)
    return r, g, b


def _foliage(image: Picture, generator: np.random.Generator, left: int, base: int) -> None:
    """A tree or hedge: a heap of overlapping leaf-coloured discs."""
    spread, height = generator.integers(20, 110), generator.integers(30, 220)
    for _ in range(int(generator.integers(60, 220))):
        x = left + int(generator.normal(0, spread / 2))
        y = base - int(abs(generator.normal(height / 2, height / 3)))
        colour = _colour(generator, (20, 110), (50, 150), (10, 80))
        cv2.circle(image, (x, y), int(generator.integers(3, 22)), colour, -1, cv2.LINE_AA)


def _building(image: Picture, generator: np.random.Generator, left: int, base: int) -> None:
    """A facade with rows of windows."""
    width, height = int(generator.integers(60, 240)), int(generator.integers(80, 330))
    wall = _colour(generator, (90, 220), (80, 200), (70, 190))
    top = base - height
    cv2.rectangle(image, (left, top), (left + width, base), wall, -1)
    pane = _colour(generator, (30, 120), (40, 130), (50, 150))
    pitch = int(generator.integers(22, 48))
    for x in range(left + pitch // 3, left + width - pitch // 2, pitch):
        for y in range(top + pitch // 3, base - pitch // 2, pitch):
            cv2.rectangle(image, (x, y), (x + pitch // 2, y + pitch // 2), pane, -1)


def draw_street(generator: np.random.Generator) -> Picture:
    """One drawn street scene, [HEIGHT_PX, WIDTH_PX, 3] uint8 RGB."""
    sky = generator.uniform(150, 235) + generator.uniform(0, 1, 3) * [-45, -20, 20]
    fade = np.linspace(1.0, generator.uniform(0.8, 1.15), HEIGHT_PX, dtype=np.float32)
    image = np.clip(sky * fade[:, None, None].repeat(WIDTH_PX, 1), 0, 255).astype(np.uint8)
    horizon = int(generator.integers(200, 330))
    for _ in range(int(generator.integers(1, 5))):
        _building(image, generator, int(generator.integers(-80, WIDTH_PX)), horizon + 10)
    for _ in range(int(generator.integers(1, 7))):
        _foliage(image, generator, int(generator.integers(0, WIDTH_PX)), horizon + 20)
    verge = _colour(generator, (60, 150), (80, 150), (40, 110))
    cv2.rectangle(image, (0, horizon), (WIDTH_PX, HEIGHT_PX), verge, -1)
    grey = int(generator.integers(60, 140))
    vanish = int(generator.integers(100, WIDTH_PX - 100))
    left, right = int(generator.integers(-300, 200)), int(generator.integers(440, 940))
    road = np.array([[vanish, horizon], [left, HEIGHT_PX], [right, HEIGHT_PX]], np.int32)
    cv2.fillPoly(image, [road], (grey, grey, grey + 5))
    cv2.line(image, (vanish, horizon), ((left + right) // 2, HEIGHT_PX), (225, 225, 220), 4)
    for _ in range(int(generator.integers(0, 4))):
        x = int(generator.integers(0, WIDTH_PX))
        pole = int(generator.integers(40, 170))
        cv2.line(image, (x, 0), (x, HEIGHT_PX - 60), (pole, pole, pole), 5)
    grain = generator.normal(0, 1, (HEIGHT_PX // 2, WIDTH_PX // 2, 1)).astype(np.float32)
    grain = cv2.resize(grain, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    grained = image + generator.uniform(3, 14) * grain[..., None]
    blurred = cv2.GaussianBlur(np.clip(grained, 0, 255), (0, 0), generator.uniform(0.5, 1.5))
    return blurred.astype(np.uint8)


def background_pictures(seed: int, folder: Path | None = None) -> list[Picture]:
    """The judge's pictures: up to ``POOL`` of [H,W,3] uint8 RGB.

    Args:
        seed: Judge's seed.
        folder: Photographs; only those that the optimiser does not use. None draws streets.

    Raises:
        UserError: If the folder is missing or has too few photographs.
    """
    if folder is None:
        return [draw_street(generator_for(seed, "judge background", i)) for i in range(POOL)]
    pictures = []
    for path in split_photos(folder, "judge")[:POOL]:
        picture = read_image_rgb(path)
        scale = min(1.0, WIDTH_PX / max(picture.shape[:2]))
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        pictures.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return pictures


def cut(
    picture: Picture,
    generator: np.random.Generator,
    width_px: int,
    height_px: int,
    least: float = 0.35,
) -> Picture:
    """A random part of a picture with the aspect of the region, resampled to its size.

    It is at least ``least`` of the largest such part.
    """
    height, width = picture.shape[:2]
    scale = generator.uniform(least, 1.0) * min(width / width_px, height / height_px)
    part_w, part_h = max(2, int(width_px * scale)), max(2, int(height_px * scale))
    left = int(generator.integers(0, width - part_w + 1))
    top = int(generator.integers(0, height - part_h + 1))
    part = picture[top : top + part_h, left : left + part_w]
    shrink = part_w > width_px
    return cv2.resize(
        part, (width_px, height_px), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    )
