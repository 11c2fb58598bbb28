"""Painting a print into single frames of a film: on a sign by its corners, on a person by box."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from physadv.evaluate.compositing import stick
from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.facefit import square_outline
from physadv.evaluate.patching import Place, stick_patch
from physadv.evaluate.signtrack import Placed, smooth
from physadv.scene.objects import ObjectScene
from physadv.scene.pose import bounding_box
from physadv.seeding import generator_for

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]

_LUMA = np.array([0.299, 0.587, 0.114])
_REBLUR_PX = 1.0
_SHARP_SHARE = 0.01  # of a box's pixels that count as its edges
_TONES = (2, 98)  # percentiles that are a box's black and white
_MOST_BLUR_PX = 4.0
_BOX_REACH, _TONE_REACH = 2.0, 12.0


class Painter(Protocol):
    """Puts a print into frames, always in the same place of the same frame."""

    def paint(self, frame: int, picture: Picture, colours: Picture) -> Picture:
        """The frame [H,W,3] with the print's ``colours`` [T,T,3]; unchanged where it has none."""

    def box(self, frame: int) -> Array | None:
        """Box xyxy [4] of the object, None where the frame is left alone."""


@dataclass(frozen=True)
class SignPainter:
    """Sticks prints on a sign.

    ``mask`` [T,T] is where something is stuck. With ``grain`` the print gets the noise that the
    sign's red field has.
    """

    placed: Mapping[int, Placed]
    mask: Mask
    grain: bool = False
    seed: int = 0

    def box(self, frame: int) -> Array | None:
        """Box of the sign's outline."""
        placed = self.placed.get(frame)
        return None if placed is None else bounding_box(square_outline(placed.square))

    def paint(self, frame: int, picture: Picture, colours: Picture) -> Picture:
        """As ``Painter.paint``."""
        placed = self.placed.get(frame)
        if placed is None:
            return picture
        look = placed.look
        painted = stick(picture, placed.square, colours, self.mask, look.light, look.blur_px)
        if not self.grain:
            return painted
        changed = (painted != picture).any(axis=-1)
        noise = generator_for(self.seed, "paint-in grain", frame).normal(
            0, look.grain, changed.shape
        )
        grained = np.rint(painted + (noise * changed)[..., None])
        return np.asarray(grained.clip(0, 255), dtype=np.uint8)


@dataclass(frozen=True)
class Worn:
    """Where a person is in a frame, and its tones: ``black`` and ``white`` in 0..255 are the
    darkest and brightest of what is in the box, ``blur_px`` is one sigma."""

    box: Array
    black: float
    white: float
    blur_px: float


@dataclass(frozen=True)
class PatchPainter:
    """Puts a flat patch on people, sized and placed as the scene says, without its spread."""

    worn: Mapping[int, Worn]
    scene: ObjectScene

    def box(self, frame: int) -> Array | None:
        """The person's smoothed box."""
        worn = self.worn.get(frame)
        return None if worn is None else worn.box

    def paint(self, frame: int, picture: Picture, colours: Picture) -> Picture:
        """As ``Painter.paint``."""
        worn = self.worn.get(frame)
        if worn is None:
            return picture
        patch, size = self.scene.patch, worn.box[2:] - worn.box[:2]
        base = float(np.hypot(*size)) if patch.share_of == "diagonal" else float(size[1])
        place = Place(worn.box[:2] + np.array(patch.centre) * size, base * patch.share, 0.0)
        light = replace(
            NEUTRAL,
            gain=np.full(3, (worn.white - worn.black) / 255),
            offset=worn.black / 255,
            defocus_px=worn.blur_px,
        )
        return stick_patch(picture, colours, place, light, generator_for(0, "paint-in", frame))


def wear(picture: Picture, box: Array) -> Worn | None:
    """Read a person's tones off what is in its box; None if the box lies outside the picture.

    Nothing on a person has a known colour: the print's black and white are taken to be those of
    the box, its blur that of the sharpest edges there.
    """
    low = np.floor(box[:2]).astype(int).clip(0)
    high = np.minimum(np.ceil(box[2:]).astype(int), picture.shape[1::-1])
    if (high - low < 8).any():
        return None
    tones = (picture[low[1] : high[1], low[0] : high[0]] @ _LUMA).astype(np.float32)
    black, white = (float(value) for value in np.percentile(tones, _TONES))
    return Worn(box, black, white, sharpest_blur_px(tones))


def sharpest_blur_px(tones: npt.NDArray[np.float32]) -> float:
    """Sigma of the blur of the strongest edges of a grey picture [H,W], within [0, 4] px.

    An edge blurred by sigma is R times steeper than after another blur by 1 px, where
    R^2 = 1 + 1 / sigma^2.

    References:
        Zhuo & Sim, Defocus Map Estimation from a Single Image, Pattern Recognition 2011, eq. 4.
    """
    steep, again = (
        np.hypot(*(cv2.filter2D(one, -1, kernel) for kernel in _SLOPES))
        for one in (tones, cv2.GaussianBlur(tones, (0, 0), _REBLUR_PX))
    )
    edges = steep >= np.quantile(steep, 1 - _SHARP_SHARE)
    ratio = float(np.median(steep[edges] / np.maximum(again[edges], 1e-3)))
    if ratio <= 1:
        return _MOST_BLUR_PX
    return float(np.clip(_REBLUR_PX / np.sqrt(ratio**2 - 1), 0, _MOST_BLUR_PX))


_SLOPES = (np.array([[-0.5, 0, 0.5]], np.float32), np.array([[-0.5], [0], [0.5]], np.float32))


def smooth_worn(worn: Mapping[int, Worn], frames: npt.NDArray[np.int64]) -> dict[int, Worn]:
    """Boxes and tones of a film without their noise; ``frames`` [N] ascending are to be painted."""
    known = [n for n in frames.tolist() if n in worn]
    if not known:
        return {}
    low, count = int(frames[0]), int(frames[-1] - frames[0]) + 1
    boxes, tones = np.full((count, 4), np.nan), np.full((count, 3), np.nan)
    for n in known:
        one = worn[n]
        boxes[n - low], tones[n - low] = one.box, [one.black, one.white, one.blur_px]
    boxes, tones = smooth(boxes, _BOX_REACH), smooth(tones, _TONE_REACH, longest_gap=count)
    return {
        n: Worn(boxes[n - low], *(float(value) for value in tones[n - low].clip(0, 255)))
        for n in frames.tolist()
        if np.isfinite(boxes[n - low]).all()
    }
