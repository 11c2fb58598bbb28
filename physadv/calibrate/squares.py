"""Dark quadrilaterals on light ground: where markers may be in a picture."""

import math
import threading
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_HALVE_ABOVE_PX = 3_000_000
_WINDOW_PX = 9  # wider ones join a shaded sheet's border to a bright background
_COARSER = 2
# Darker than the surround by a share of it, as shadows keep ratios, and by what noise may be.
_DARKER_SHARE, _DARKER_BY = 0.2, 2
_MIN_SIDE_PX = 12  # a cell of 1.5 px cannot be told from its neighbours
# Of its box a marker turned by 45 degrees fills half as much as an upright one, of which 44 to 90 %
# is dark; of a large one only a band along the edges stands out in the window.
_MIN_FILL, _MAX_FILL, _MIN_BAND_PX = 0.2, 0.92, 2
_MAX_ASPECT = 4
_CORNER_SHARES = (0.03, 0.05, 0.08, 0.12)  # of the outline's length, to simplify it by
_NEXT = [1, 2, 3, 0]
_MOST_SIDE_RATIO = 5
_MIN_QUAD_FILL = 0.85  # of the hull, by the four-sided outline and the other way round


class _Kept(threading.local):
    """Arrays to work in, for each thread its own, as large as its largest picture, until it ends.

    New ones for every picture cost a quarter of the time: the system clears their pages.
    """

    def __init__(self) -> None:
        self._flat: dict[str, npt.NDArray[Any]] = {}

    def of(self, name: str, shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
        """An array with anything in it; the next one of that name is the same memory."""
        size = math.prod(shape)
        if name not in self._flat or len(self._flat[name]) < size:
            self._flat[name] = np.empty(size, kind)
        return self._flat[name][:size].reshape(shape)


_KEPT = _Kept()


def find_quads(grey: Grey) -> Array:
    """Corners of dark things with four straight sides.

    Large pictures are looked at in half size: a marker's cells need 4 pixels there, 2 in others.

    Args:
        grey: [H,W] uint8.

    Returns:
        [N,4,2] corners within about two pixels, clockwise in the image, pixel centres at +0.5.
    """
    factor = 2 if grey.size > _HALVE_ABOVE_PX else 1
    picture = _reduced(grey, factor)
    quads = [_quads_in(picture) * factor]
    # Edges that are blurred over many pixels stand out in a narrow window only when reduced.
    for _ in range(_COARSER):
        if min(picture.shape) < 2 * _WINDOW_PX:
            break
        picture, factor = _reduced(picture, 2), 2 * factor
        quads.append(_quads_in(picture) * factor)
    return np.concatenate(quads)


def _reduced(grey: Grey, factor: int) -> Grey:
    """The picture reduced by a whole number, without its last odd rows and columns."""
    if factor == 1:
        return grey
    height, width = (side - side % factor for side in grey.shape)
    size = (width // factor, height // factor)
    return np.asarray(
        cv2.resize(grey[:height, :width], size, interpolation=cv2.INTER_AREA), np.uint8
    )


def _quads_in(grey: Grey) -> Array:
    """[N,4,2] corners of dark quadrilaterals in one picture, in its own pixels."""
    if min(grey.shape) < _WINDOW_PX:
        return np.zeros((0, 4, 2))
    level, dark = (_KEPT.of(name, grey.shape, np.uint8) for name in ("level", "dark"))
    labels = _KEPT.of("labels", grey.shape, np.int32)
    cv2.blur(grey, (_WINDOW_PX, _WINDOW_PX), level)
    cv2.convertScaleAbs(level, level, alpha=1 - _DARKER_SHARE)
    cv2.subtract(level, (_DARKER_BY,), level)
    cv2.compare(grey, level, cv2.CMP_LT, dark)
    _, _, stats, _ = cv2.connectedComponentsWithStatsWithAlgorithm(
        dark, 8, cv2.CV_32S, cv2.CCL_BBDT, labels
    )
    width, height, area = stats[:, 2], stats[:, 3], stats[:, 4]
    short, long = np.minimum(width, height), np.maximum(width, height)
    least = np.minimum(_MIN_FILL * width * height, _MIN_BAND_PX * (width + height))
    likely = (short >= _MIN_SIDE_PX) & (long <= _MAX_ASPECT * short)
    likely &= (area >= least) & (area <= _MAX_FILL * width * height)
    likely[0] = False  # what is not dark
    found = []
    places = np.flatnonzero(likely).tolist()
    for label, (left, top, w, h, _) in zip(places, stats[places].tolist(), strict=True):
        own = labels[top : top + h, left : left + w] == label
        outline = _four_sided(own.view(np.uint8))
        if outline is not None:
            found.append(outline + np.array([left, top]))
    return _well_shaped(np.array(found, dtype=np.float64).reshape(-1, 4, 2))


def _four_sided(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32] | None:
    """[4,2] the outermost pixels of a component at its corners; None if it has not four sides."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    hull = cv2.convexHull(contours[0])
    covered = cv2.contourArea(hull)
    if covered < _MIN_SIDE_PX**2 / 2:
        return None
    length = cv2.arcLength(hull, True)
    for share in _CORNER_SHARES:
        simple = cv2.approxPolyDP(hull, share * length, True)
        if len(simple) <= 4:
            break
    if len(simple) != 4:
        return None
    inside = cv2.contourArea(simple)
    if not _MIN_QUAD_FILL <= inside / covered <= 1 / _MIN_QUAD_FILL:
        return None
    return np.asarray(simple.reshape(4, 2), np.int32)


def _well_shaped(quads: Array) -> Array:
    """[N,4,2] those with sides neither short nor much unlike, clockwise, pixel centres at +0.5."""
    along = quads[:, _NEXT] - quads
    sides = np.hypot(along[..., 0], along[..., 1])
    short, long = sides.min(axis=1, initial=np.inf), sides.max(axis=1, initial=0)
    good = (short >= _MIN_SIDE_PX - 1) & (long <= _MOST_SIDE_RATIO * short)
    quads, along = quads[good], along[good]
    backward = along[:, 0, 0] * along[:, 1, 1] < along[:, 0, 1] * along[:, 1, 0]
    quads = np.where(backward[:, None, None], quads[:, ::-1], quads)
    # Contours run through the middles of the outermost pixels, half a pixel inside the edge.
    away = quads - quads.mean(axis=1, keepdims=True)
    return quads + 0.5 + 0.7 * away / np.linalg.norm(away, axis=2, keepdims=True)
