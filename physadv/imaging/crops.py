"""Windows around objects, cut from photographs at the pixel scale that a detector judges at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from physadv.data.coco import AnnotatedPhoto
from physadv.data.files import read_image_rgb

Array = npt.NDArray[np.float64]

_GREY = 114
# Heights and widths of windows: the least that holds an object with some room is used.
SHAPES = ((320, 224), (448, 288), (608, 352))
_ROOM = 1.15
_SCALE = (0.85, 1.1)
_MOST_CUT = 0.25  # share of a box that may lie outside the window


@dataclass(frozen=True)
class Target:
    """One object to hide: ``box`` xyxy in the pixels of ``photo`` scaled by ``scale``."""

    photo: AnnotatedPhoto
    scale: float
    box: Array


@dataclass(frozen=True)
class Crops:
    """``images`` [B,3,h,w] in [0,1]; ``boxes`` [P,4] xyxy of all objects in them, ``frame`` [P]."""

    images: Tensor
    boxes: Array
    frame: npt.NDArray[np.int64]


def targets_of(
    photos: Sequence[AnnotatedPhoto], scale_of: Callable[[int, int], float], least_height: float
) -> list[list[Target]]:
    """The objects of photographs, by the window of ``SHAPES`` that they need.

    Args:
        photos: Photographs with boxes.
        scale_of: Pixels of the detector's input per pixel of a photograph of that height and width.
        least_height: Lower objects, as a share of the photograph's height, are left out.
    """
    groups: list[list[Target]] = [[] for _ in SHAPES]
    for photo in photos:
        scale = scale_of(photo.height, photo.width)
        for box in photo.boxes:
            if box[3] - box[1] < least_height * photo.height:
                continue
            target = Target(photo, scale, box * scale)
            width, height = target.box[2:] - target.box[:2]
            fitting = [
                n for n, (h, w) in enumerate(SHAPES) if h >= _ROOM * height and w >= _ROOM * width
            ]
            groups[fitting[0] if fitting else -1].append(target)
    return groups


@lru_cache(maxsize=1024)
def _scaled(path: Path, scale: float, sha256: str) -> npt.NDArray[np.uint8]:
    photo = read_image_rgb(path)
    size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
    return cv2.resize(photo, size, interpolation=cv2.INTER_LINEAR)


def cut_crops(
    targets: Sequence[Target],
    shape: tuple[int, int],
    least_height: float,
    generator: np.random.Generator,
    device: torch.device,
) -> Crops:
    """Cut one window around each target: shifted, scaled a little, mirrored half the time.

    Args:
        targets: B objects. Each is listed, cut off where it is larger than the window.
        shape: Height and width of the windows.
        least_height: As in ``targets_of``; all such objects that lie in a window by three quarters
            are listed too.
        generator: Source of the draws.
        device: Where the images go.
    """
    images, boxes, frames = [], [], []
    for n, target in enumerate(targets):
        factor = generator.uniform(*_SCALE)
        mirrored = generator.random() < 0.5
        shift = generator.uniform(-0.5, 0.5, 2)
        photo = _scaled(target.photo.path, target.scale, target.photo.sha256)
        picture, inside = _window(photo, target, shape, factor, shift)
        own = target.photo.boxes * target.scale * factor - np.tile(inside, 2)
        tall = target.photo.boxes[:, 3] - target.photo.boxes[:, 1]
        is_target = (target.photo.boxes * target.scale == target.box).all(axis=1)
        wanted = tall >= least_height * target.photo.height
        own, is_target = own[wanted], is_target[wanted]
        if mirrored:
            picture = picture[:, ::-1]
            own = np.stack([shape[1] - own[:, 2], own[:, 1], shape[1] - own[:, 0], own[:, 3]], 1)
        images.append(np.ascontiguousarray(picture))
        for box, kept in zip(own, is_target, strict=True):
            limit = np.array([shape[1], shape[0]] * 2, np.float64)
            clipped = np.clip(box, 0, limit)
            area = np.prod(np.maximum(box[2:] - box[:2], 0))
            if kept or np.prod(clipped[2:] - clipped[:2]) >= (1 - _MOST_CUT) * area:
                boxes.append(clipped)
                frames.append(n)
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return Crops(
        batch.to(device).float().div_(255).contiguous(),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(frames, np.int64),
    )


def _window(
    photo: npt.NDArray[np.uint8],
    target: Target,
    shape: tuple[int, int],
    factor: float,
    shift: Array,
) -> tuple[npt.NDArray[np.uint8], Array]:
    """The window's pixels, and the place of its top left in the scaled photograph."""
    height, width = shape
    box = target.box * factor
    middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    free = np.maximum(np.array([width, height]) - size, 0)
    left, top = np.round(middle + shift * free - [width / 2, height / 2])
    half = 0.5 * (factor - 1)  # cv2 puts pixel centres at integers
    matrix = np.array([[factor, 0, half - left], [0, factor, half - top]])
    picture = cv2.warpAffine(
        photo,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(_GREY, _GREY, _GREY),
    )
    return picture, np.array([left, top])
