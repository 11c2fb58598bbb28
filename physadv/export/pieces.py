"""The separate pieces of an artwork: what is cut out and stuck on as one."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from physadv.export.paper import Box

_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True)
class Piece:
    """One connected part of the mask.

    ``mask`` [h, w] is the part alone, cropped to its bounding box; ``row`` and ``col`` place that
    crop in the artwork's texels; ``box`` is the crop on the printed face, millimetres from the
    face's left and top edges. Pieces are numbered from 1, top to bottom, then left to right.
    """

    number: int
    row: int
    col: int
    mask: npt.NDArray[np.bool_]
    box: Box

    @property
    def texel_mm(self) -> tuple[float, float]:
        """Width and height of one texel in print."""
        return self.box.width / self.mask.shape[1], self.box.height / self.mask.shape[0]

    def texels_in(self, window: Box) -> tuple[slice, slice]:
        """Rows and columns of ``mask`` that ``window`` (on the face) touches."""
        texel_w, texel_h = self.texel_mm
        return (
            _touched(window.top - self.box.top, window.height, texel_h),
            _touched(window.left - self.box.left, window.width, texel_w),
        )

    @property
    def is_rectangle(self) -> bool:
        return bool(self.mask.all())


def _touched(start: float, size: float, texel: float) -> slice:
    # Rounding must not make a window touch the texel that begins where it ends.
    first, last = math.floor(start / texel + 1e-6), math.ceil((start + size) / texel - 1e-6)
    return slice(max(0, first), max(0, last))


def find_pieces(mask: npt.NDArray[np.bool_], width_mm: float, height_mm: float) -> list[Piece]:
    """The 8-connected parts of ``mask`` [H, W], printed ``width_mm`` by ``height_mm``."""
    labels, _ = ndimage.label(mask, structure=_EIGHT_NEIGHBOURS)
    found = ndimage.find_objects(labels)
    order = sorted(
        range(len(found)), key=lambda index: (found[index][0].start, found[index][1].start)
    )
    texel_w, texel_h = width_mm / mask.shape[1], height_mm / mask.shape[0]
    pieces = []
    for number, index in enumerate(order, start=1):
        rows, cols = found[index]
        box = Box(
            cols.start * texel_w,
            rows.start * texel_h,
            (cols.stop - cols.start) * texel_w,
            (rows.stop - rows.start) * texel_h,
        )
        own = labels[rows, cols] == index + 1
        pieces.append(Piece(number, rows.start, cols.start, own, box))
    return pieces


def rectangles(piece: Piece) -> list[Box]:
    """Boxes on the face that together cover the piece exactly, without overlap."""
    texel_w, texel_h = piece.texel_mm
    padded = np.pad(piece.mask.astype(np.int8), ((0, 0), (1, 1)))
    open_runs: dict[tuple[int, int], int] = {}
    done: list[tuple[int, int, int, int]] = []
    for row, edges in enumerate(np.diff(padded, axis=1)):
        starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        runs = {(int(a), int(b)) for a, b in zip(starts, stops, strict=True)}
        for run in [run for run in open_runs if run not in runs]:
            done.append((open_runs.pop(run), row, *run))
        for run in runs:
            open_runs.setdefault(run, row)
    done += [(first, piece.mask.shape[0], *run) for run, first in open_runs.items()]
    return [
        Box(
            piece.box.left + left * texel_w,
            piece.box.top + top * texel_h,
            (right - left) * texel_w,
            (bottom - top) * texel_h,
        )
        for top, bottom, left, right in sorted(done)
    ]


def outline(piece: Piece) -> list[tuple[float, float, float, float]]:
    """The piece's boundary as straight segments (x0, y0, x1, y1) on the face, in millimetres."""
    texel_w, texel_h = piece.texel_mm
    padded = np.pad(piece.mask, 1).astype(np.int8)
    left, top = piece.box.left, piece.box.top
    segments = []
    for row, col0, col1 in _edge_runs(np.diff(padded, axis=0)[:, 1:-1]):
        y = top + row * texel_h
        segments.append((left + col0 * texel_w, y, left + col1 * texel_w, y))
    for col, row0, row1 in _edge_runs(np.diff(padded, axis=1)[1:-1].T):
        x = left + col * texel_w
        segments.append((x, top + row0 * texel_h, x, top + row1 * texel_h))
    return segments


def _edge_runs(edges: npt.NDArray[np.int8]) -> list[tuple[int, int, int]]:
    """(line, start, stop) of the runs of equal non-zero values in each line of ``edges``."""
    runs = []
    for line, values in enumerate(edges):
        cuts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
        for start, stop in itertools.pairwise(cuts):
            if values[start]:
                runs.append((line, start, stop))
    return runs


def extend_colours(
    rgb: npt.NDArray[np.uint8], piece: Piece, margin_mm: float
) -> tuple[npt.NDArray[np.uint8], Box]:
    """The piece's colours carried outwards, each point taking its nearest texel's.

    Args:
        rgb: [H, W, 3] the artwork's colours.
        piece: The piece, whose own texels alone are used.
        margin_mm: How far the colours must reach at least.

    Returns:
        [h, w, 3] uint8 colours and the box on the face that they cover, which may reach beyond it.
    """
    texel_w, texel_h = piece.texel_mm
    pad_x, pad_y = int(np.ceil(margin_mm / texel_w)), int(np.ceil(margin_mm / texel_h))
    padding = ((pad_y, pad_y), (pad_x, pad_x))
    rows, cols = piece.mask.shape
    own = rgb[piece.row : piece.row + rows, piece.col : piece.col + cols]
    nearest = ndimage.distance_transform_edt(
        ~np.pad(piece.mask, padding),
        sampling=(texel_h, texel_w),
        return_distances=False,
        return_indices=True,
    )
    colours = np.pad(own, (*padding, (0, 0)))[nearest[0], nearest[1]]
    reach_x, reach_y = pad_x * texel_w, pad_y * texel_h
    return colours, piece.box.grown(reach_x, reach_y, reach_x, reach_y)
