"""The markers in a picture: which quadrilaterals carry a code, upright or seen in a mirror."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from physadv.calibrate.edges import refine_quads
from physadv.calibrate.squares import find_quads
from physadv.export.codes import CELLS, DICTIONARY

Grey = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

MOST_ERRORS = 3  # bits; two codes of the family differ in ten
_WHITE_RING = 1  # cells of quiet zone that are looked at around a marker
_SIDE = CELLS + 2 * _WHITE_RING
_SAMPLES = 3  # along a cell
_LEAST_CONTRAST = 12.0
_MOST_BORDER_ERRORS = 3
_INNER = CELLS - 2


@dataclass(frozen=True)
class Marker:
    """One marker in a picture.

    ``corners_px`` [4,2] begins with the marker's own top left corner and goes round as printed
    (clockwise in the image, anticlockwise if ``mirrored``); pixel centres at +0.5. ``errors`` is
    how many of its 36 bits were wrong.
    """

    identifier: int
    corners_px: Array
    errors: int
    mirrored: bool


@cache
def _codebook() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """([4,N], [4,N]) words of every code as seen turned 0 to 3 quarters, plain and mirrored."""
    dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARY)
    listed = dictionary.bytesList
    bits = np.array(
        [
            cv2.aruco.Dictionary.getBitsFromByteList(listed[i : i + 1], _INNER)
            for i in range(len(listed))
        ]
    )
    plain, mirrored = (
        np.stack([_words(np.rot90(seen, -turns, (1, 2))) for turns in range(4)])
        for seen in (bits, bits[:, :, ::-1])
    )
    return plain, mirrored


def _words(bits: npt.NDArray[np.generic]) -> npt.NDArray[np.uint64]:
    """[N] one 36-bit word for each [N,6,6] pattern."""
    flat = np.asarray(bits).reshape(len(bits), _INNER**2).astype(np.uint64)
    return (flat << np.arange(flat.shape[1], dtype=np.uint64)).sum(axis=1, dtype=np.uint64)


def find_markers(grey: Grey) -> list[Marker]:
    """Every marker of the family in a picture, with corners fitted to its sides.

    Args:
        grey: [H,W] uint8.
    """
    quads = find_quads(grey)
    words, bordered = _read_cells(_cell_levels(grey, quads))
    found = _look_up(words, bordered)
    # What repeats a marker that was read without an error need not be looked at again.
    repeated = _near(quads[found.errors == 0], quads).any(axis=0)
    unread = np.flatnonzero(bordered & (found.errors > MOST_ERRORS) & ~repeated)
    if len(unread):
        quads[unread] = refine_quads(grey, quads[unread], cells=CELLS)
        again = _read_cells(_cell_levels(grey, quads[unread]))
        found.update(unread, _look_up(*again))
    read = _without_repeats(quads, found.errors)
    corners = refine_quads(grey, quads[read], cells=CELLS)
    markers = []
    for index, quad in zip(read, corners, strict=True):
        mirrored = bool(found.mirrored[index])
        own = np.roll(quad, -int(found.turns[index]), axis=0)
        if mirrored:
            own = own[[1, 0, 3, 2]]
        markers.append(
            Marker(int(found.identifiers[index]), own, int(found.errors[index]), mirrored)
        )
    return markers


@dataclass
class _Readings:
    """[N] each: the nearest code, how far it is, how it is turned and whether it is mirrored."""

    identifiers: npt.NDArray[np.int64]
    errors: npt.NDArray[np.int64]
    turns: npt.NDArray[np.int64]
    mirrored: npt.NDArray[np.bool_]

    def update(self, where: npt.NDArray[np.int64], other: "_Readings") -> None:
        """Take over the readings ``other`` has for the rows ``where``."""
        self.identifiers[where] = other.identifiers
        self.errors[where] = other.errors
        self.turns[where] = other.turns
        self.mirrored[where] = other.mirrored


def _cell_levels(grey: Grey, quads: Array) -> Array:
    """[N,10,10] mean grey of every cell of each quadrilateral and of the ring around it."""
    if not len(quads):
        return np.zeros((0, _SIDE, _SIDE))
    square = np.array([[0, 0], [CELLS, 0], [CELLS, CELLS], [0, CELLS]], np.float32)
    inner = (np.arange(_SAMPLES) + 1) / (_SAMPLES + 1)
    steps = (np.arange(_SIDE)[:, None] + inner - _WHITE_RING).ravel()
    x, y = np.meshgrid(steps, steps)
    plane = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    maps = np.array(
        [cv2.getPerspectiveTransform(square, quad.astype(np.float32)) for quad in quads]
    )
    seen = maps @ plane
    places = np.moveaxis(seen[:, :2] / seen[:, 2:], 1, 2).astype(np.float32) - np.float32(0.5)
    levels = cv2.remap(grey, places, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
    cells = levels.reshape(len(quads), _SIDE, _SAMPLES, _SIDE, _SAMPLES)
    return np.asarray(cells.mean(axis=(2, 4)), dtype=np.float64)


@cache
def _rings() -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """([10,10], [10,10]) the quiet zone and the black border."""
    away = np.minimum.outer(*[np.minimum(np.arange(_SIDE), np.arange(_SIDE)[::-1])] * 2)
    return away < _WHITE_RING, away == _WHITE_RING


def _read_cells(levels: Array) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """[N] words and [N] whether there is a black border in a light surround.

    The threshold of each cell is midway between planes fitted to the quiet zone and to the
    border, so a shadow or gradient across the marker does no harm.
    """
    white, black = _rings()
    y, x = np.mgrid[:_SIDE, :_SIDE] - (_SIDE - 1) / 2
    plane = np.stack([np.ones_like(x), x, y], axis=-1)
    threshold = np.zeros_like(levels)
    for ring in (white, black):
        fitted = levels[:, ring] @ np.linalg.pinv(plane[ring]).T
        threshold += 0.5 * (fitted @ plane.reshape(-1, 3).T).reshape(levels.shape)
    bits = levels > threshold
    contrast = np.median(levels[:, white], axis=1) - np.median(levels[:, black], axis=1)
    wrong = bits[:, black].sum(axis=1)
    bordered = (wrong <= _MOST_BORDER_ERRORS) & (contrast >= _LEAST_CONTRAST)
    inner = slice(_WHITE_RING + 1, _SIDE - _WHITE_RING - 1)
    return _words(bits[:, inner, inner]), np.asarray(bordered)


def _look_up(words: npt.NDArray[np.uint64], bordered: npt.NDArray[np.bool_]) -> _Readings:
    """The nearest code of each bordered word; an error of 99 where there is no border."""
    count = len(words)
    found = _Readings(
        np.zeros(count, np.int64),
        np.full(count, 99, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, dtype=bool),
    )
    books = np.stack(_codebook())
    for index in np.flatnonzero(bordered):
        errors = np.bitwise_count(books ^ words[index])
        best = np.unravel_index(int(errors.argmin()), errors.shape)
        found.identifiers[index] = best[2]
        found.errors[index] = errors[best]
        found.turns[index] = best[1]
        found.mirrored[index] = best[0] == 1
    return found


def _near(quads: Array, others: Array) -> npt.NDArray[np.bool_]:
    """[N,M] whether a quadrilateral's middle lies within a quarter of the other's size of its."""
    away = quads.mean(axis=1)[:, None] - others.mean(axis=1)
    size = np.linalg.norm(others[:, 0] - others[:, 2], axis=1)
    return np.asarray(np.linalg.norm(away, axis=2) <= size / 4)


def _without_repeats(quads: Array, errors: npt.NDArray[np.int64]) -> list[int]:
    """Of readings of one marker, such as from its border's inside and outside, the best."""
    kept: list[int] = []
    for index in np.argsort(errors, kind="stable").tolist():
        if errors[index] > MOST_ERRORS:
            break
        if not _near(quads[kept], quads[[index]]).any():
            kept.append(index)
    return kept
