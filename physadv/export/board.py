"""A patch and four markers on one piece of paper: where they go, and how they are drawn."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from physadv.export.codes import CELLS, CORNERS, label_bits, marker_bits, marker_id
from physadv.export.layout import Placement, plan_sheets
from physadv.export.paper import Box
from physadv.export.pen import GREY, INK, Pen
from physadv.export.pieces import Piece, rectangles
from physadv.export.sheetfile import SheetLayout
from physadv.export.sheets import crop_to_texels
from physadv.types import Treatment

MIN_MARKER_MM = 15.0
MAX_MARKER_MM = 150.0
_MARKER_SHARE = 0.3  # of the patch's shorter side, at most
_SMALLEST_SHARE = 0.1
_LABEL_MM = (30.0, 12.0)  # largest and smallest side of the QR code
_TEXEL_MM = 1 / 6
_PREVIEW_PX = 768

Where = Literal["corners", "above and below", "left and right"]


@dataclass(frozen=True)
class BoardPlan:
    """What is printed between the cut lines; boxes in millimetres from the board's top left.

    ``label`` is the QR code, ``words`` the line of text; either may be missing for want of room.
    """

    width_mm: float
    height_mm: float
    artwork: Box
    marker_mm: float
    markers: tuple[Box, Box, Box, Box]
    label: Box | None
    words: Box | None

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Distances between the markers' middles, across and down."""
        first, _, last, _ = self.markers
        return last.left - first.left, last.top - first.top


def plan_board(
    mask: npt.NDArray[np.bool_], width_mm: float, height_mm: float, page: str, most_sheets: int
) -> BoardPlan | None:
    """Place four markers around a patch, or in the empty corners of its face.

    Of what takes the fewest sheets, the largest markers are chosen.

    Args:
        mask: [H,W] True where the artwork is printed.
        width_mm: Printed width of the face.
        height_mm: Its printed height.
        page: Paper by name or size.
        most_sheets: How many sheets it may take.

    Returns:
        The plan; None if no marker of 15 mm and a tenth of the patch finds room.
    """
    side = min(width_mm, height_mm)
    largest = math.floor(min(MAX_MARKER_MM, max(MIN_MARKER_MM, _MARKER_SHARE * side)))
    smallest = math.ceil(max(MIN_MARKER_MM, min(_SMALLEST_SHARE * side, MAX_MARKER_MM)))
    best: tuple[int, BoardPlan] | None = None
    for marker_mm in range(largest, smallest - 1, -1):
        for where in _ways(mask):
            plan = _place(mask, width_mm, height_mm, float(marker_mm), where)
            if plan is None:
                continue
            sheets = len(plan_sheets([_outline(plan)], page).sheets)
            if sheets <= most_sheets and (best is None or sheets < best[0]):
                best = (sheets, plan)
    return best[1] if best is not None else None


def _ways(mask: npt.NDArray[np.bool_]) -> tuple[Where, ...]:
    corners = mask[[0, 0, -1, -1], [0, -1, -1, 0]]
    return ("above and below", "left and right") if corners.any() else ("corners",)


def _outline(plan: BoardPlan) -> Piece:
    """The board as one piece to be laid out on sheets."""
    box = Box(0.0, 0.0, plan.width_mm, plan.height_mm)
    return Piece(1, 0, 0, np.ones((1, 1), dtype=bool), box)


def _place(
    mask: npt.NDArray[np.bool_], width_mm: float, height_mm: float, marker_mm: float, where: Where
) -> BoardPlan | None:
    quiet = marker_mm / CELLS  # what a detector needs white around a marker
    band = marker_mm + 2 * quiet
    left = band if where == "left and right" else quiet
    top = band if where == "above and below" else quiet
    width, height = width_mm + 2 * left, height_mm + 2 * top
    x, y = (quiet, width - quiet - marker_mm), (quiet, height - quiet - marker_mm)
    boxes = [Box(x[i], y[j], marker_mm, marker_mm) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    art = Box(left, top, width_mm, height_mm)
    if not all(_is_free(mask, art, box.grown(*[quiet] * 4)) for box in boxes):
        return None
    label = _beside(mask, art, boxes[3], where, marker_mm, quiet)
    words = _beside(
        mask, art, boxes[0 if where != "left and right" else 1], where, marker_mm, quiet
    )
    markers = (boxes[0], boxes[1], boxes[2], boxes[3])
    return BoardPlan(width, height, art, marker_mm, markers, label, words)


def _beside(
    mask: npt.NDArray[np.bool_],
    art: Box,
    marker: Box,
    where: Where,
    marker_mm: float,
    quiet: float,
) -> Box | None:
    """The largest free square next to a marker on the way to the next one, or None."""
    gap = max(quiet, 3.0)
    low = marker.top > art.top + art.height / 2
    width, height = 2 * art.left + art.width, 2 * art.top + art.height
    for side in np.arange(min(_LABEL_MM[0], marker_mm), _LABEL_MM[1] - 0.5, -1.0).tolist():
        if where == "left and right":
            y = marker.top - gap - side if low else marker.bottom + gap
            box = Box(marker.left, y, side, side)
            reach = height - box.top if low else box.bottom
            fits = reach + gap <= (marker.top if low else height - marker.bottom)
        else:
            box = Box(marker.right + gap, marker.bottom - side if low else marker.top, side, side)
            fits = box.right + gap <= width - marker.right
        if fits and _is_free(mask, art, box.grown(*[gap] * 4)):
            return box
    return None


def _is_free(mask: npt.NDArray[np.bool_], art: Box, box: Box) -> bool:
    """Whether nothing of the artwork lies in ``box``."""
    rows, cols = mask.shape
    row0 = max(0, math.floor((box.top - art.top) / art.height * rows + 1e-6))
    row1 = max(0, math.ceil((box.bottom - art.top) / art.height * rows - 1e-6))
    col0 = max(0, math.floor((box.left - art.left) / art.width * cols + 1e-6))
    col1 = max(0, math.ceil((box.right - art.left) / art.width * cols - 1e-6))
    return not mask[row0:row1, col0:col1].any()


class BoardPainter:
    """Paints the tiles of a board: artwork, markers and label, each cut at the tile's edge."""

    def __init__(
        self,
        rgb: npt.NDArray[np.uint8],
        mask: npt.NDArray[np.bool_],
        plan: BoardPlan,
        layout: SheetLayout,
        treatment: Treatment,
    ) -> None:
        self._plan, self._layout, self._treatment = plan, layout, treatment
        self._rgba = np.dstack([rgb, np.where(mask, 255, 0).astype(np.uint8)])
        art = plan.artwork
        whole = Piece(1, 0, 0, mask, Box(art.left, art.top, art.width, art.height))
        self._parts = rectangles(whole)
        self._symbols = [
            (marker_bits(marker_id(layout.code, treatment, corner)), plan.markers[corner])
            for corner in range(len(CORNERS))
        ]
        if plan.label is not None:
            self._symbols.append((label_bits(layout.label(treatment)), plan.label))

    def paint(self, pen: Pen, placement: Placement) -> list[Box]:
        """Paint one tile; returns where it lies on the sheet."""
        source, target = placement.source, placement.target
        dx, dy = target.left - source.left, target.top - source.top
        with pen.clip([target]):
            with pen.clip([part.moved(dx, dy) for part in self._parts]):
                picture, place = crop_to_texels(self._rgba[..., :3], self._plan.artwork, source)
                if picture.size:
                    pen.picture(picture, place.moved(dx, dy))
            for bits, box in self._symbols:
                pen.picture(symbol(bits, box.width), box.moved(dx, dy))
            self._write(pen, dx, dy)
        return [target]

    def _write(self, pen: Pen, dx: float, dy: float) -> None:
        box = self._plan.words
        if box is None:
            return
        box = box.moved(dx, dy)
        lines = (
            ("TEST", 8.0, INK),
            (self._treatment, 6.5, INK),
            (self._layout.run or "-", 5.0, GREY),
            (f"{self._layout.artwork_sha256[:8]} {self._layout.code}", 5.0, GREY),
        )
        for index, (text, size, colour) in enumerate(lines):
            y = box.top + 3.0 + 2.8 * index
            pen.text(box.left, y, text, size, colour=colour, max_width=box.width, bold=index == 0)

    def preview(self) -> npt.NDArray[np.uint8]:
        """[h,w,4] uint8 the board as a picture, for the drawings on the pages."""
        plan = self._plan
        scale = _PREVIEW_PX / max(plan.width_mm, plan.height_mm)
        canvas = Image.new(
            "RGBA", (max(1, round(plan.width_mm * scale)), max(1, round(plan.height_mm * scale)))
        )
        canvas.paste((255, 255, 255, 255), (0, 0, *canvas.size))
        _paste(canvas, self._rgba, plan.artwork, scale)
        for bits, box in self._symbols:
            squares = symbol(bits, box.width)
            opaque = np.full((*squares.shape[:2], 1), 255, np.uint8)
            _paste(canvas, np.concatenate([squares, opaque], axis=2), box, scale)
        return np.asarray(canvas)


def _paste(canvas: Image.Image, rgba: npt.NDArray[np.uint8], box: Box, scale: float) -> None:
    left, top = round(box.left * scale), round(box.top * scale)
    size = (max(1, round(box.right * scale) - left), max(1, round(box.bottom * scale) - top))
    part = Image.fromarray(rgba).resize(size, Image.Resampling.BOX)
    canvas.paste(part, (left, top), part)


def symbol(bits: npt.NDArray[np.bool_], side_mm: float) -> npt.NDArray[np.uint8]:
    """[h,w,3] the cells, each repeated so that viewers that smooth keep them square."""
    repeat = max(1, math.ceil(side_mm / len(bits) / _TEXEL_MM))
    grey = np.where(bits, 255, 0).astype(np.uint8).repeat(repeat, axis=0).repeat(repeat, axis=1)
    return np.ascontiguousarray(grey[..., None].repeat(3, axis=2))
