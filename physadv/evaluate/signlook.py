"""How a picture shows a sign: its blur, its light and its grain, read off the sign itself."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.special import ndtr

from physadv.evaluate.compositing import Lighting
from physadv.evaluate.facefit import square_matrix, square_outline, square_size
from physadv.scene.faces import FACES, StopFace, draw_face

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]

_FACE_TX = 256
_LUMA = np.array([0.299, 0.587, 0.114])
_ALONG = np.linspace(0.2, 0.8, 21)  # of a side; its ends are rounded
_INWARD = 0.10  # of the face's width; the legend begins further in
_OUTWARD_PX = 1.5  # beyond lies what is behind the sign
_STEP_PX = 0.25
_WHITE_SD = 0.15  # of the contrast: how well legend and border are of one brightness
_SHIFT_SD_PX = 0.3
_FEWEST = 30
_PURE = 0.03  # most white that a pixel of the red field holds
_PEAK = 0.9  # quantile of the legend's box that is compared
# What sampling a picture between its pixels blurs: a square pixel's own average, and the mean of
# f (1 - f) of bilinear interpolation.
_SAMPLED_VARIANCE = 1 / 12 + 1 / 6
_MOST_HAZE = 80.0
LEAST_BLUR_PX, MOST_BLUR_PX = 0.3, 6.0


@dataclass(frozen=True)
class SignLook:
    """``blur_px`` is one sigma beyond the pixels' own average, ``grain`` the deviation of single
    pixels in 0..255, and ``light`` how the face's colours are shown."""

    blur_px: float
    light: Lighting
    grain: float


def look_of(picture: Picture, square: Array, face: str, blur_px: float = 1.0) -> SignLook | None:
    """Read blur, light and grain off a sign.

    Args:
        picture: [H,W,3] uint8 RGB.
        square: [4,2] corners of the face's square in it.
        face: A key of ``FACES`` with a border and a legend.
        blur_px: First guess of the blur.

    Returns:
        The look, or None where the sign lies outside the picture or shows no legend on its ground.
    """
    for _ in range(2):
        colours = _two_colours(picture, square, face, blur_px)
        if colours is None:
            return None
        measured = edge_blur_px(picture, square, face, *colours)
        if measured is None:
            return None
        blur_px = measured
    colours = _two_colours(picture, square, face, blur_px)
    if colours is None:
        return None
    red, white = colours
    part, low, field = _red_field(picture, square, face, blur_px)
    slope, centre = _slope(part, field)
    light = light_from(red, white, face, slope, centre + low)
    return SignLook(blur_px, light, _grain(part, field))


def light_from(red: Array, white: Array, face: str, slope: Array, centre: Array) -> Lighting:
    """The light under which a face's red and white look as ``red`` and ``white`` [3].

    The white gives the light's colour; what the red has of green and blue beyond that is haze,
    the same in all channels: white = g w + h and red = g r + h, solved for h.
    """
    known = FACES[face]
    assert isinstance(known, StopFace)  # the callers have checked the face
    known_red, known_white = np.array(known.red, float), np.array(known.white, float)
    ratio = known_red / known_white
    haze = float(np.clip(((red - white * ratio) / (1 - ratio))[1:].min(), 0, _MOST_HAZE))
    return Lighting((white - haze) / known_white, np.full(3, haze), slope, centre)


def edge_blur_px(
    picture: Picture, square: Array, face: str, red: Array, white: Array
) -> float | None:
    """Sigma of a picture's blur, from the width of the edges of an octagon's border.

    Across each side the brightness goes from the red field over the white border to what is
    behind. The profile of such three steps, blurred, is fitted to all eight sides at once: one
    sigma, one red and one white, and for each side its background and a small shift.

    Args:
        picture: [H,W,3] uint8 RGB.
        square: [4,2] corners of the face's square.
        face: Gives the border's width.
        red: [3] colour of the field.
        white: [3] colour that the border has if it is as white as the legend.

    Returns:
        Sigma in pixels beyond the average over a pixel, within [0.3, 6]; None if fewer than four
        sides lie inside the picture or nothing tells red from white.
    """
    known = FACES[face]
    assert isinstance(known, StopFace)
    contrast = float((white - red) @ _LUMA)
    size = square_size(square)
    border = known.border * size
    outward, profiles = _profiles(picture, square, _INWARD * size)
    if len(profiles) < 4 or contrast < 5:
        return None
    count = len(profiles)
    measured = (profiles - red @ _LUMA) / contrast  # 0 is red, 1 is white

    def misfit(values: Array) -> Array:
        log_sigma, ground, bright = values[:3]
        behind, shift = values[3 : 3 + count, None], values[3 + count :, None]
        sigma = np.sqrt(np.exp(2 * log_sigma) + _SAMPLED_VARIANCE)
        inner = ndtr((outward - shift + border) / sigma)
        outer = ndtr((outward - shift) / sigma)
        shown = ground + (bright - ground) * inner + (behind - bright) * outer
        beliefs = [ground / 0.1, (bright - 1) / _WHITE_SD, *(shift[:, 0] / _SHIFT_SD_PX)]
        return np.concatenate([((shown - measured) / 0.05).ravel(), beliefs])

    ends = measured[:, -1]
    start = np.concatenate([[0.0, 0.0, 1.0], ends, np.zeros(count)])
    bounds = (np.log(LEAST_BLUR_PX), np.log(MOST_BLUR_PX))
    low = np.concatenate([[bounds[0], -1, 0.2], np.full(count, -np.inf), np.full(count, -2.0)])
    high = np.concatenate([[bounds[1], 1, 3.0], np.full(count, np.inf), np.full(count, 2.0)])
    found = least_squares(misfit, start, bounds=(low, high), loss="soft_l1")
    return float(np.exp(found.x[0]))


def _profiles(picture: Picture, square: Array, inward_px: float) -> tuple[Array, Array]:
    """Distances outward [K] from the sides, and the mean luma [S,K] along each side there."""
    outline = square_outline(square)
    outward = np.arange(-inward_px, _OUTWARD_PX + 1e-9, _STEP_PX)
    height, width = picture.shape[:2]
    profiles = []
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        along = end - start
        normal = np.array([along[1], -along[0]]) / np.linalg.norm(along)
        places = start + _ALONG[:, None, None] * along + outward[None, :, None] * normal
        if (places.min(axis=(0, 1)) < 1).any() or (
            places.max(axis=(0, 1)) > [width - 1, height - 1]
        ).any():
            continue
        low = np.floor(places.min(axis=(0, 1))).astype(int) - 1
        high = np.ceil(places.max(axis=(0, 1))).astype(int) + 1
        low = low.clip(0)
        part = picture[low[1] : high[1], low[0] : high[0]].astype(np.float32) @ _LUMA
        pixels = (places - low - 0.5).astype(np.float32)
        seen = cv2.remap(
            part.astype(np.float32),
            pixels[..., 0],
            pixels[..., 1],
            cv2.INTER_LINEAR,
            None,
            cv2.BORDER_REPLICATE,
        )
        profiles.append(np.median(seen, axis=0))
    return outward, np.array(profiles, dtype=np.float64)


@lru_cache(maxsize=64)
def _whiteness(face: str, blur_steps: int) -> tuple[Values, Mask, Mask]:
    """[S,S] share of white in a blurred face, its legend's box, and its field without border."""
    known = FACES[face]
    assert isinstance(known, StopFace)
    drawn = draw_face(face, _FACE_TX)
    green = drawn[..., 1].astype(np.float32)
    white = (green - known.red[1]) / (known.white[1] - known.red[1])
    inside = (drawn[..., 3] > 250).astype(np.uint8)
    sigma = max(blur_steps / 1000 * _FACE_TX, 0.3)
    rim = 2 * (int(np.ceil((known.border + blur_steps / 500) * _FACE_TX)) + 1) + 1
    field = cv2.erode(
        cv2.copyMakeBorder(inside, 1, 1, 1, 1, cv2.BORDER_CONSTANT), np.ones((rim, rim))
    )
    half_w, half_h = known.legend_width / 2, known.letter_height / 2
    legend = np.zeros((_FACE_TX, _FACE_TX), bool)
    x, y = (
        slice(round((0.5 - h) * _FACE_TX), round((0.5 + h) * _FACE_TX)) for h in (half_w, half_h)
    )
    legend[y, x] = True
    return cv2.GaussianBlur(white, (0, 0), sigma), legend, field[1:-1, 1:-1] > 0


def _two_colours(
    picture: Picture, square: Array, face: str, blur_px: float
) -> tuple[Array, Array] | None:
    """What the face's red and white look like in a picture, [3] each in 0..255.

    The red is the median of the field away from legend and border. The white's hue is that which
    the legend's box has on average, as neither blur nor a film's coarse colour moves an average;
    its brightness is that of the brightest tenth of the box over what the drawing, blurred alike,
    has there.
    """
    if not _whole(picture, square):
        return None
    blur = np.hypot(blur_px, np.sqrt(_SAMPLED_VARIANCE)) / square_size(square)
    share, legend, field = _whiteness(face, round(1000 * blur))
    to_face = np.diag([_FACE_TX, _FACE_TX, 1.0]) @ np.linalg.inv(square_matrix(square))
    half = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    seen = cv2.warpPerspective(
        picture, np.linalg.inv(half) @ to_face @ half, (_FACE_TX, _FACE_TX), flags=cv2.INTER_LINEAR
    ).astype(np.float64)
    pure = field & (share < _PURE)
    if pure.sum() < _FEWEST:
        return None
    red = np.median(seen[pure], axis=0)
    box = seen[legend]
    mean = red + (box.mean(axis=0) - red) / share[legend].mean()
    ground = red @ _LUMA
    peak = np.quantile(box @ _LUMA, _PEAK) - ground
    bright = ground + peak / np.quantile(share[legend], _PEAK)
    if peak < 5 or mean.min() <= 0:
        return None
    return red, (mean * bright / (mean @ _LUMA)).clip(0, 255)


def _whole(picture: Picture, square: Array) -> bool:
    height, width = picture.shape[:2]
    return bool(
        np.isfinite(square).all()
        and (square.min(axis=0) >= 0).all()
        and (square.max(axis=0) <= [width, height]).all()
        and square_size(square) > 4
    )


def _red_field(
    picture: Picture, square: Array, face: str, blur_px: float
) -> tuple[Picture, Array, Mask]:
    """The part of a picture around a sign, where it begins, and which pixels are pure red field."""
    low = np.floor(square.min(axis=0)).astype(int).clip(0)
    high = np.ceil(square.max(axis=0)).astype(int)
    part = picture[low[1] : high[1], low[0] : high[0]]
    share, _, field = _whiteness(face, round(1000 * blur_px / square_size(square)))
    pure = (field & (share < _PURE)).astype(np.uint8) * 255
    shift = np.array([[1.0, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]])
    half = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = shift @ square_matrix(square) @ np.diag([1 / _FACE_TX, 1 / _FACE_TX, 1.0])
    seen = cv2.warpPerspective(
        pure, np.linalg.inv(half) @ matrix @ half, part.shape[1::-1], flags=cv2.INTER_LINEAR
    )
    return part, low.astype(np.float64), seen > 200


def _slope(part: Picture, field: Mask) -> tuple[Array, Array]:
    """Relative change of light per pixel along x and y over the red field, and its middle."""
    rows, columns = np.nonzero(field)
    if len(rows) < _FEWEST:
        return np.zeros(2), np.array(part.shape[1::-1]) / 2
    x, y = columns + 0.5, rows + 0.5
    centre = np.array([x.mean(), y.mean()])
    brightness = part[field].mean(axis=1)
    plane = np.column_stack([np.ones(len(x)), x - centre[0], y - centre[1]])
    slope = np.linalg.lstsq(plane, brightness / brightness.mean(), rcond=None)[0][1:]
    return slope, centre


def _grain(part: Picture, field: Mask) -> float:
    """Deviation of the noise in the red field, from second differences of the luma.

    References:
        Immerkaer, Fast Noise Variance Estimation, CVIU 1996 (here with a median).
    """
    kernel = np.array([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6
    rough = cv2.filter2D((part @ _LUMA).astype(np.float32), -1, kernel)
    inner = cv2.erode(field.astype(np.uint8), np.ones((3, 3))) > 0
    return float(np.median(np.abs(rough[inner])) / 0.6745) if inner.sum() >= _FEWEST else 0.0
