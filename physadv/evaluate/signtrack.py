"""A sign followed through a film: its corners, blur and light, measured per frame and smoothed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.evaluate.compositing import Lighting
from physadv.evaluate.facefit import fit_face
from physadv.evaluate.signlook import LEAST_BLUR_PX, SignLook, look_of
from physadv.scene.faces import FACES, StopFace

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

LEAST_CORRELATION = 0.5
_PLACE_REACH = 1.5  # frames: a hand-held camera's shake is followed
_SIZE_REACH = 5.0
_SHAPE_REACH = 12.0
_LOOK_REACH = 12.0
_LONGEST_GAP = 8  # frames without a measured sign that are bridged
_CUT_OFF = 6.0  # deviations beyond which a measurement counts for nothing
_SIGNS = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]) / 2
_BEND = np.array([1.0, -1.0, 1.0, -1.0]) / 4


@dataclass(frozen=True)
class Sighted:
    """One frame's sign as measured: ``square`` [4,2] px, and how it looks, None where that could
    not be read."""

    square: Array
    look: SignLook | None


@dataclass(frozen=True)
class Placed:
    """Where a print goes in a frame and how it will look there."""

    square: Array
    look: SignLook


def check_face(face: str) -> None:
    """Check that a face has what signs are found and lit by.

    Raises:
        UserError: If it has no red field, border and legend of known size and colour.
    """
    if not isinstance(FACES.get(face), StopFace):
        stops = ", ".join(name for name, known in FACES.items() if isinstance(known, StopFace))
        raise UserError(
            f"paint on the face {face}",
            "signs are found and lit by the red and white of a drawn stop sign",
            f"Use a run whose carrier.face is one of {stops}.",
        )


def sight(picture: Picture, box: Array, face: str) -> Sighted | None:
    """Measure the sign in ``box`` xyxy [4]; None if nothing like the face is there."""
    found = fit_face(picture, box, face)
    if found is None or found.correlation < LEAST_CORRELATION:
        return None
    return Sighted(found.square, look_of(picture, found.square, face))


def smooth_track(
    sighted: Mapping[int, Sighted], frames: npt.NDArray[np.int64], width_px: int, height_px: int
) -> dict[int, Placed]:
    """Where the sign is in each frame, without the measurements' noise and slips.

    At constant speed a sign's distance, hence one over its size, is linear in time, and so is its
    place measured in its own size from the picture's middle; those two are smoothed, by local
    robust lines, the place over a shorter time so that a shaking camera is followed. Shape, blur
    and light change slowly and are smoothed over a longer time.

    Args:
        sighted: Measurements by frame number.
        frames: [N] frame numbers that show the sign, ascending.
        width_px: The film's width.
        height_px: Its height.

    Returns:
        Places by frame number; frames further than 8 from any measurement are left out.

    References:
        Cleveland, Robust Locally Weighted Regression, JASA 1979.
    """
    known = [n for n in frames.tolist() if n in sighted]
    looks = {n: look for n in known if (look := sighted[n].look) is not None}
    if not looks:
        return {}
    low, count = int(frames[0]), int(frames[-1] - frames[0]) + 1
    squares = np.full((count, 4, 2), np.nan)
    for n in known:
        squares[n - low] = sighted[n].square
    middle = squares.mean(axis=1)
    u = (squares[:, 1] + squares[:, 2] - squares[:, 0] - squares[:, 3]) / 2
    v = (squares[:, 2] + squares[:, 3] - squares[:, 0] - squares[:, 1]) / 2
    bend = np.einsum("c,nck->nk", 4 * _BEND, squares)
    width, height = (1 / smooth(1 / side, _SIZE_REACH) for side in (u[:, :1], v[:, 1:]))
    size = np.sqrt(width * height)
    origin = np.array([width_px, height_px]) / 2
    place = origin + size * smooth((middle - origin) / size, _PLACE_REACH)
    tilt = smooth(np.column_stack([u[:, 1], v[:, 0], *bend.T]) / size, _SHAPE_REACH) * size
    u, v = np.column_stack([width, tilt[:, :1]]), np.column_stack([tilt[:, 1:2], height])
    corners = (
        place[:, None]
        + _SIGNS[:, :1] * u[:, None]
        + _SIGNS[:, 1:] * v[:, None]
        + _BEND[:, None] * tilt[:, None, 2:]
    )
    rows = np.full((count, 8), np.nan)
    for n, look in looks.items():
        light = look.light
        slope = light.slope * size[n - low]
        rows[n - low] = [look.blur_px, *light.gain, light.offset[0], *slope, look.grain]
    rows = smooth(rows, _LOOK_REACH, longest_gap=count)
    return {
        n: Placed(corners[n - low], _look(rows[n - low], corners[n - low], float(size[n - low, 0])))
        for n in frames.tolist()
        if np.isfinite(corners[n - low]).all()
    }


def _look(row: Array, square: Array, size: float) -> SignLook:
    light = Lighting(
        np.maximum(row[1:4], 0), np.full(3, max(row[4], 0)), row[5:7] / size, square.mean(axis=0)
    )
    return SignLook(max(float(row[0]), LEAST_BLUR_PX), light, max(float(row[7]), 0))


def smooth(values: Array, reach: float, longest_gap: int = _LONGEST_GAP) -> Array:
    """Local robust lines through [N,K] series sampled once a frame.

    Args:
        values: NaN where nothing was measured.
        reach: Sigma of the Gaussian weights, in frames.
        longest_gap: Frames from the nearest measurement beyond which the result is NaN.

    Returns:
        [N,K]; a series that is linear in time is returned as it came.
    """
    there: npt.NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1))
    trusted = there.astype(np.float64)[:, None].repeat(values.shape[1], axis=1)
    given = np.where(there[:, None], values, 0.0)
    if not there.any():
        return np.full_like(values, np.nan)
    # Where measurements are sparse the lines reach further.
    widest = int(max(np.ceil(4 * reach), longest_gap + 1))
    result = given
    for _ in range(3):
        result = _lines(given, trusted, reach, widest)
        away = np.abs(given - result)
        spread = np.array([np.median(column) for column in away[there].T]) / 0.6745 + 1e-12
        trusted = there[:, None] * np.clip(1 - (away / (_CUT_OFF * spread)) ** 2, 0, 1) ** 2
    return np.where((_frames_away(there) <= longest_gap)[:, None], result, np.nan)


def _frames_away(there: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """[N] how far the nearest True is from each sample."""
    numbers, known = np.arange(len(there)), np.flatnonzero(there)
    after = np.searchsorted(known, numbers)
    left = numbers - known[(after - 1).clip(0)]
    right = known[after.clip(max=len(known) - 1)] - numbers
    return np.minimum(np.abs(left), np.abs(right))


def _lines(values: Array, weights: Array, reach: float, widest: int) -> Array:
    """The value at 0 of the weighted line through the neighbours of each sample."""
    count = len(values)
    sums = np.zeros((5, *values.shape))
    for offset in range(-min(widest, count - 1), min(widest, count - 1) + 1):
        # Heavy tails keep a line defined over gaps; near samples count for all the rest.
        near = np.exp(-0.5 * (offset / reach) ** 2) + 1e-6 / (1 + offset**2)
        here = slice(max(0, -offset), count - max(0, offset))
        there = slice(max(0, offset), count - max(0, -offset))
        weight = near * weights[there]
        for row, power in enumerate((1.0, offset, offset**2)):
            sums[row, here] += weight * power
        sums[3, here] += weight * values[there]
        sums[4, here] += weight * offset * values[there]
    s0, s1, s2, t0, t1 = sums
    det = s0 * s2 - s1**2
    line = (s2 * t0 - s1 * t1) / np.where(det > 1e-12 * s0 * s2, det, np.inf)
    flat = t0 / np.maximum(s0, 1e-300)
    return np.where(det > 1e-9 * (s0 * s2 + 1e-300), line, flat)
