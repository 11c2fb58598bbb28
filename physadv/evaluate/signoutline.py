"""A stop sign's outline to a fraction of a pixel, whatever is stuck on its legend.

Detectors' boxes are a few per cent too large or too small, and differ with what is on the sign. The
edge of the red field does not: it is where redness falls to half, on all eight sides. Of small
signs that is the first guess only (see ``signrim``).
"""

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from physadv.evaluate.signrim import LEAST_PX, refine_outline
from physadv.scene.faces import US_R1_1, StopFace, octagon

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_ROUNDS = 4
_WIDE, _NARROW = 0.16, 0.10  # reach of the profiles about the edge, as shares of the sign's width
_LEAST_REACH_PX = 2.5
_STEP_PX = 0.125
_MARGIN = 0.5  # of the box, looked at around it
_LEAST_RED = 15.0  # coded values by which red exceeds the mean of green and blue
_LEAST_PROFILES = 24  # of 72: three sides
_MISFIT, _MISFIT_PX = 0.04, 0.25
_MOST_TURN = 1.7  # ratio of the sides of the bounding box
_SMALL_PX = 64.0  # below, half a pixel matters


def find_outline(picture: Picture, box: Array, face: StopFace = US_R1_1) -> Array | None:
    """The box of a stop sign by the edge of its red field.

    Profiles of redness, R - (G + B) / 2, run across all sides; where each falls to half between
    its inner and outer level is on the edge. An octagon, free in place, width and height, is fitted
    to those points; profiles that do not begin in red (a sticker's) or lie far off have no say.
    Signs of less than 64 px are then compared with a blurred drawing of their rim.

    Args:
        picture: [H,W,3] uint8 RGB.
        box: [4] xyxy around the sign, a fifth of its size off at most.
        face: Whose border it has.

    Returns:
        [4] xyxy of the sign's outer edge in pixels (centres at +0.5); None if there are not enough
        red edges of one octagon.
    """
    size = box[2:] - box[:2]
    low = np.maximum(np.floor(box[:2] - _MARGIN * size - 4), 0).astype(int)
    high = np.minimum(np.ceil(box[2:] + _MARGIN * size + 4), picture.shape[1::-1]).astype(int)
    if (high - low < 4).any():
        return None
    part = picture[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    redness = part[..., 0] - part[..., 1:].mean(axis=-1)
    places, normals = _sides()
    places = places * (1 - 2 * face.border)
    middle, span, misfit = (box[:2] + box[2:]) / 2, size.astype(np.float64), np.inf
    for number in range(_ROUNDS):
        share = _WIDE if number < _ROUNDS / 2 else _NARROW
        reach = max(share * float(span.mean()), _LEAST_REACH_PX)
        across = normals / span
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        offsets = _edges(redness, middle + places * span - low, across, reach)
        good = np.isfinite(offsets)
        if good.sum() < _LEAST_PROFILES:
            return None
        moved, misfit = _fit(offsets[good], across[good], (places * span)[good])
        middle, span = middle + moved[:2], span * np.clip(1 + moved[2:], 0.7, 1.4)
    turned = max(span[0] / span[1], span[1] / span[0])
    if misfit > _MISFIT * span.mean() + _MISFIT_PX or turned > _MOST_TURN:
        return None
    found = np.concatenate([middle - span / 2, middle + span / 2])
    if span.min() < LEAST_PX or span.mean() >= _SMALL_PX:
        return found
    return refine_outline(picture, found, face)


@cache
def _sides() -> tuple[Array, Array]:
    """Points on the sides of the octagon of width 1 about the origin, and outward normals."""
    corners = octagon() - 0.5
    places, normals = [], []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = (end - start) / np.linalg.norm(end - start)
        for share in np.linspace(0.15, 0.85, 9):
            places.append(start + (end - start) * share)
            normals.append([along[1], -along[0]])
    return np.array(places), np.array(normals)


def _edges(redness: npt.NDArray[np.float32], places: Array, across: Array, reach: float) -> Array:
    """[N] how far outside each place redness falls to half; NaN where it does not."""
    steps = np.arange(-reach, reach + _STEP_PX / 2, _STEP_PX)
    at = (places[:, None] + across[:, None] * steps[:, None] - 0.5).astype(np.float32)
    profiles = cv2.remap(
        redness, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    inner = np.quantile(profiles[:, steps <= -0.3 * reach], 0.75, axis=1)
    outer = np.median(profiles[:, steps >= 0.5 * reach], axis=1)
    # Dark stickers near the edge lower the profiles that begin beside them; what is red all the
    # way sets the level for all.
    level = float(np.quantile(inner, 0.75))
    good = (level > _LEAST_RED) & (inner > 0.8 * level) & (inner - outer > 0.4 * level)
    half = (level + outer) / 2
    begins = np.argmax(np.where(steps <= 0.3 * reach, profiles, -np.inf), axis=1)
    found = np.full(len(places), np.nan)
    for row in np.flatnonzero(good):
        below = np.flatnonzero(profiles[row, begins[row] :] < half[row])
        if len(below) and below[0] > 0:
            after = begins[row] + below[0]
            first, second = profiles[row, after - 1], profiles[row, after]
            found[row] = steps[after - 1] + _STEP_PX * (first - half[row]) / (first - second)
    return found


def _fit(offsets: Array, across: Array, places: Array) -> tuple[Array, float]:
    """Shift in x and y (px) and relative growth in x and y that explain the offsets; the misfit.

    Moving the edge's points p by dx + p * growth moves the edge by n . (dx + p * growth).
    """
    design = np.concatenate([across, across * places], axis=1)
    weights = np.ones(len(offsets))
    for _ in range(4):
        found = np.linalg.lstsq(design * weights[:, None], offsets * weights, rcond=None)[0]
        left = offsets - design @ found
        scale = 1.4826 * float(np.median(np.abs(left))) + 0.03
        weights = np.clip(1 - (left / (4 * scale)) ** 2, 0, None)
    return np.asarray(found, dtype=np.float64), scale
