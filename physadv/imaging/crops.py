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
from physadv.data.instances import Instances, hidden_by_others, read_instances
from physadv.imaging.tiles import Tiles

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
    """``images`` [B,3,h,w] in [0,1]; ``boxes`` [P,4] xyxy of all objects in them, ``frame`` [P].

    ``instances`` [B,h,w] says which object each pixel belongs to (0: none known) and ``values``
    [P] which value is whose; None where that was not asked for.
    """

    images: Tensor
    boxes: Array
    frame: npt.NDArray[np.int64]
    instances: Instances | None
    values: npt.NDArray[np.int32]


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
    *,
    with_instances: bool = False,
) -> Crops:
    """Cut one window around each target: shifted, scaled a little, mirrored half the time.

    Args:
        targets: B objects. Each is listed, cut off where it is larger than the window.
        shape: Height and width of the windows.
        least_height: As in ``targets_of``; all such objects that lie in a window by three quarters
            are listed too.
        generator: Source of the draws.
        device: Where the images go.
        with_instances: Cut the instance masks too.
    """
    images, boxes, frames, masks, values = [], [], [], [], []
    for n, target in enumerate(targets):
        factor = generator.uniform(*_SCALE)
        mirrored = generator.random() < 0.5
        shift = generator.uniform(-0.5, 0.5, 2)
        photo = _scaled(target.photo.path, target.scale, target.photo.sha256)
        matrix, inside = _window(target, shape, factor, shift)
        picture = cv2.warpAffine(
            photo,
            matrix,
            shape[::-1],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(_GREY, _GREY, _GREY),
        )
        if with_instances:
            mask = _instances(target, matrix, shape)
            masks.append(mask[:, ::-1] if mirrored else mask)
        own = target.photo.boxes * target.scale * factor - np.tile(inside, 2)
        tall = target.photo.boxes[:, 3] - target.photo.boxes[:, 1]
        is_target = (target.photo.boxes * target.scale == target.box).all(axis=1)
        wanted = tall >= least_height * target.photo.height
        own, is_target = own[wanted], is_target[wanted]
        whose = np.array(target.photo.mask_values, np.int32)[wanted]
        if mirrored:
            picture = picture[:, ::-1]
            own = np.stack([shape[1] - own[:, 2], own[:, 1], shape[1] - own[:, 0], own[:, 3]], 1)
        images.append(np.ascontiguousarray(picture))
        for box, kept, value in zip(own, is_target, whose, strict=True):
            limit = np.array([shape[1], shape[0]] * 2, np.float64)
            clipped = np.clip(box, 0, limit)
            area = np.prod(np.maximum(box[2:] - box[:2], 0))
            if kept or np.prod(clipped[2:] - clipped[:2]) >= (1 - _MOST_CUT) * area:
                boxes.append(clipped)
                frames.append(n)
                values.append(value)
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return Crops(
        batch.to(device, non_blocking=True).float().div_(255).contiguous(),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(frames, np.int64),
        np.stack(masks) if with_instances else None,
        np.array(values, np.int32),
    )


def _instances(target: Target, matrix: Array, shape: tuple[int, int]) -> Instances:
    """The window's part of the instance mask, without interpolation."""
    found = read_instances(target.photo)
    if found is None:
        return np.zeros(shape, np.int32)
    # The mask has the photograph's own pixels; the matrix starts from the scaled ones.
    sizes = np.array([found.shape[1], found.shape[0]])
    factor = np.round(sizes * target.scale) / sizes
    scaling = np.array(
        [[factor[0], 0, 0.5 * (factor[0] - 1)], [0, factor[1], 0.5 * (factor[1] - 1)]]
    )
    whole = matrix @ np.vstack([scaling, [0, 0, 1]])
    cut = cv2.warpAffine(found.astype(np.float32), whole, shape[::-1], flags=cv2.INTER_NEAREST)
    return cut.astype(np.int32)


def visible(crops: Crops, tiles: Tiles) -> Tensor:
    """[M,1,t,t] 1 where nothing is known to be in front of the patch of each object, else 0."""
    side = tiles.tile_px
    shown = np.ones((len(tiles), 1, side, side), np.float32)
    if crops.instances is not None:
        around = np.pad(crops.instances, ((0, 0), (side, side), (side, side)))
        height, width = crops.instances.shape[1:]
        for m, (left, top) in enumerate(tiles.corners.tolist()):
            x, y = (int(np.clip(v, -side, s) + side) for v, s in ((left, width), (top, height)))
            part = around[crops.frame[m], y : y + side, x : x + side]
            shown[m, 0][hidden_by_others(part, crops.values[m])] = 0
    return torch.from_numpy(shown).to(tiles.matrix.device, non_blocking=True)


def _window(
    target: Target,
    shape: tuple[int, int],
    factor: float,
    shift: Array,
) -> tuple[Array, Array]:
    """From the scaled photograph to the window [2,3], and the place of its top left there [2]."""
    height, width = shape
    box = target.box * factor
    middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    free = np.maximum(np.array([width, height]) - size, 0)
    left, top = np.round(middle + shift * free - [width / 2, height / 2])
    half = 0.5 * (factor - 1)  # cv2 puts pixel centres at integers
    matrix = np.array([[factor, 0, half - left], [0, factor, half - top]])
    return matrix, np.array([left, top])
