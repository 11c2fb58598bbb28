"""Laying a drawn face over a real sign, to a fraction of a pixel, from a rough box around it."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from physadv.scene.faces import draw_face, octagon
from physadv.scene.pose import bounding_box, project

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_DRAWN_TX = 512
_SAMPLES = 48  # along a side of the face
_MARGIN = 0.3
_LARGEST_PX = 110.0  # a larger sign is looked at in a smaller copy
_COARSE = 0.04  # first look: the face blurred by this share of its width
_MISFIT_SD = 0.4  # of a pixel, in units of the face's own contrast
_BEND_SD = 0.03  # of the perspective term, as a share of the sign's size
_BOX_SD = 0.08
_BLURS = 200  # steps of blur, in shares of the face, that templates are kept for

UNIT_SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


@dataclass(frozen=True)
class FaceFit:
    """Where a face lies: ``square`` [4,2] px are the corners of the square that bounds it,
    clockwise from its own top left; ``correlation`` in [-1,1] is how alike face and picture are."""

    square: Array
    correlation: float


def whiteness(picture: Picture) -> npt.NDArray[np.float32]:
    """[H,W] mean of green and blue of [H,W,3] RGB: what tells a legend from its red ground."""
    value: npt.NDArray[np.float32] = (picture[..., 1:].astype(np.float32)).mean(axis=-1)
    return value


def square_outline(square: Array) -> Array:
    """[8,2] corners of the octagon in a sign's bounding square [4,2]."""
    return project(square_matrix(square), octagon())


def square_matrix(square: Array) -> Array:
    """[3,3] homography from the face's unit square (x right, y down) to pixels."""
    matrix = cv2.getPerspectiveTransform(
        UNIT_SQUARE.astype(np.float32), np.asarray(square).astype(np.float32)
    )
    return np.asarray(matrix, dtype=np.float64)


def square_size(square: Array) -> float:
    """Side in pixels of a square of the same area."""
    return float(np.sqrt(cv2.contourArea(np.asarray(square).astype(np.float32))))


@lru_cache(maxsize=4)
def _drawn(face: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], Array]:
    """Whiteness of the drawn face, which samples lie inside it, and their places [K,2] on it."""
    drawn = draw_face(face, _DRAWN_TX)
    alpha = cv2.resize(drawn[..., 3], (_SAMPLES, _SAMPLES), interpolation=cv2.INTER_AREA)
    inside = alpha > 250
    rows, columns = np.nonzero(inside)
    return whiteness(drawn[..., :3]), inside, (np.stack([columns, rows], axis=1) + 0.5) / _SAMPLES


@lru_cache(maxsize=256)
def _template(face: str, step: int) -> Array:
    """The face's samples at ``step`` steps of blur, with mean 0 and deviation 1."""
    drawn, inside, _ = _drawn(face)
    sigma = max(step / _BLURS * 0.1 * _DRAWN_TX, 0.3)
    blurred = cv2.GaussianBlur(drawn, (0, 0), sigma)
    small = cv2.resize(blurred, (_SAMPLES, _SAMPLES), interpolation=cv2.INTER_AREA)
    values = small[inside].astype(np.float64)
    return (values - values.mean()) / values.std()


def _blurred_template(face: str, share: float) -> Array:
    return _template(face, int(np.clip(round(share / 0.1 * _BLURS), 1, _BLURS)))


def fit_face(picture: Picture, box: Array, face: str, blur_px: float = 1.0) -> FaceFit | None:
    """Lay a drawn face over the sign in ``box``.

    The corners of the face's square are moved until the picture, sampled on the face, correlates
    best with the drawing blurred as the picture is (a least-squares match of normalised grey
    levels, first coarse, then fine). Two weak beliefs hold it where a sign is a smear of a few
    pixels: the square's outline is about the box, and it is about a parallelogram.

    Args:
        picture: [H,W,3] uint8 RGB.
        box: [4] xyxy around the sign in pixels, within about a tenth of its size.
        face: A key of ``FACES`` whose drawing has a legend and a border.
        blur_px: Blur of the picture, as one sigma.

    Returns:
        The fit; None if the box is empty or outside the picture, or nothing in it has contrast.

    References:
        Lucas & Kanade, IJCAI 1981; Evangelidis & Psarakis, Parametric Image Alignment Using
        Enhanced Correlation Coefficient Maximization, PAMI 2008 (normalised grey levels).
    """
    size = box[2:] - box[:2]
    if not (size > 1).all():
        return None
    low = np.floor(box[:2] - _MARGIN * size).astype(int).clip(0)
    high = np.minimum(np.ceil(box[2:] + _MARGIN * size).astype(int), picture.shape[1::-1])
    if (high - low < 4).any():
        return None
    part = whiteness(np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]]))
    scale = min(1.0, _LARGEST_PX / float(np.sqrt(size.prod())))
    if scale < 1:
        small = (round(part.shape[1] * scale), round(part.shape[0] * scale))
        scales = np.array(small) / part.shape[1::-1]
        part = cv2.resize(part, small, interpolation=cv2.INTER_AREA)
    else:
        scales = np.ones(2)
    start = box[[0, 1, 2, 1, 2, 3, 0, 3]].reshape(4, 2)
    square = (start - low) * scales
    expected = bounding_box(square)
    side = float(np.sqrt((expected[2:] - expected[:2]).prod()))
    _, _, places = _drawn(face)
    blur = blur_px * scale / side
    for share in (max(_COARSE, 1.5 * blur), blur):
        target = _blurred_template(face, share)
        weight = np.sqrt(side**2 / len(target) * octagon_share()) / _MISFIT_SD

        def misfit(corners: Array, target: Array = target, weight: float = float(weight)) -> Array:
            moved = corners.reshape(4, 2)
            away = weight * (_normalised(_sample(part, moved, places)) - target)
            bend = (moved[0] - moved[1] + moved[2] - moved[3]) / (_BEND_SD * side)
            strayed = (bounding_box(moved) - expected) / (_BOX_SD * side)
            return np.concatenate([away, bend, strayed])

        found = least_squares(misfit, square.ravel(), diff_step=1e-3, max_nfev=20)
        square = found.x.reshape(4, 2)
    values = _sample(part, square, places)
    if values.std() < 1.0:
        return None
    correlation = float((_normalised(values) * _blurred_template(face, blur)).mean())
    return FaceFit(square / scales + low, correlation)


def octagon_share() -> float:
    """Area of an octagon as a share of its bounding square's."""
    return float(cv2.contourArea(octagon().astype(np.float32)))


def _normalised(values: Array) -> Array:
    return (values - values.mean()) / (values.std() + 1e-6)


def _sample(part: npt.NDArray[np.float32], square: Array, places: Array) -> Array:
    """[K] values of a picture at places on the face."""
    matrix = square_matrix(square)
    mapped = np.column_stack([places, np.ones(len(places))]) @ matrix.T
    pixels = (mapped[:, :2] / mapped[:, 2:] - 0.5).astype(np.float32)
    found = cv2.remap(
        part, pixels[None, :, 0], pixels[None, :, 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
    )
    return np.asarray(found[0], dtype=np.float64)
