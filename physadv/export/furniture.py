"""What surrounds the artwork on a sheet: ruler, square, crop marks, label, TEST."""

import numpy as np

from physadv.export.facemap import FaceMap, draw_locator
from physadv.export.layout import Placement
from physadv.export.paper import (
    MARGIN_MM,
    MARK_GAP_MM,
    MARK_LENGTH_MM,
    MARK_SPACE_MM,
    OVERLAP_MM,
    Box,
)
from physadv.export.pen import ACCENT, FAINT, GREY, INK, LIGHT, Pen
from physadv.export.pieces import Piece

RULER_MM = 100
SQUARE_MM = 50.0
_FOOTER_TOP_MM = 18.0  # from the sheet's bottom edge
_LOCATOR_MM = 12.0


class Room:
    """Which square millimetres of a sheet are still free."""

    def __init__(self, width_mm: float, height_mm: float) -> None:
        self._free = np.zeros((int(height_mm), int(width_mm)), dtype=bool)
        inner = int(MARGIN_MM)
        self._free[inner : int(height_mm - _FOOTER_TOP_MM - 1), inner:-inner] = True

    def take(self, box: Box, clearance_mm: float = 2.0) -> None:
        """Mark ``box`` and what is within ``clearance_mm`` of it as used."""
        c = clearance_mm
        box = box.grown(c, c, c, c)
        rows = slice(max(0, int(np.floor(box.top))), max(0, int(np.ceil(box.bottom))))
        cols = slice(max(0, int(np.floor(box.left))), max(0, int(np.ceil(box.right))))
        self._free[rows, cols] = False

    def find(self, width_mm: float, height_mm: float, clearance_mm: float = 3.0) -> Box | None:
        """Take the first free place of that size, top to bottom, or return None.

        Nothing used before, nor the margin, lies within ``clearance_mm`` of it.
        """
        c = clearance_mm
        rows, cols = int(np.ceil(height_mm + 2 * c)), int(np.ceil(width_mm + 2 * c))
        if rows > self._free.shape[0] or cols > self._free.shape[1]:
            return None
        sums = np.pad(np.cumsum(np.cumsum(self._free, axis=0), axis=1), ((1, 0), (1, 0)))
        filled = (
            sums[rows:, cols:] - sums[:-rows, cols:] - sums[rows:, :-cols] + sums[:-rows, :-cols]
        )
        places = np.argwhere(filled == rows * cols)
        if not len(places):
            return None
        box = Box(float(places[0][1]) + c, float(places[0][0]) + c, width_mm, height_mm)
        self.take(box, 0.0)
        return box


def ruler(pen: Pen, left: float, baseline: float) -> None:
    """A 100 mm ruler with millimetre ticks that stand on ``baseline``."""
    pen.line(left, baseline, left + RULER_MM, baseline)
    for tick in range(RULER_MM + 1):
        length = 5.0 if tick % 10 == 0 else 3.5 if tick % 5 == 0 else 2.0
        pen.line(left + tick, baseline, left + tick, baseline - length)
        if tick % 10 == 0:
            unit = " mm" if tick == RULER_MM else ""
            pen.text(left + tick, baseline - 5.8, f"{tick}{unit}", 5.5, align="centre")


def square(pen: Pen, left: float, top: float) -> None:
    """A 50 mm square, measured between the centres of its lines."""
    pen.rect(Box(left, top, SQUARE_MM, SQUARE_MM))
    centre = left + SQUARE_MM / 2
    pen.text(centre, top + 24.5, "50 mm x 50 mm", 9, align="centre", colour=GREY)
    pen.text(centre, top + 29, "check both directions", 6.5, align="centre", colour=GREY)


def watermark(pen: Pen, box: Box) -> None:
    """TEST, as large as ``box`` allows, pale."""
    size = min(box.height / 0.26, box.width / 0.94)
    pen.text(
        box.left + box.width / 2,
        box.top + box.height / 2 + size * 0.127,
        "TEST",
        size,
        bold=True,
        colour=FAINT,
        align="centre",
    )


def crop_marks(pen: Pen, placement: Placement) -> None:
    """Solid marks on the edges; dashed ones where the next tile's edge comes to lie."""
    box = placement.target
    near, far = MARK_GAP_MM, MARK_SPACE_MM
    for x in (box.left, box.right):
        pen.line(x, box.top - near, x, box.top - far)
        pen.line(x, box.bottom + near, x, box.bottom + far)
    for y in (box.top, box.bottom):
        pen.line(box.left - near, y, box.left - far, y)
        pen.line(box.right + near, y, box.right + far, y)
    dash = MARK_LENGTH_MM / 5
    if placement.col < placement.cols:
        x = box.right - OVERLAP_MM
        for y in (box.top - far, box.bottom + near):
            pen.line(x, y, x, y + MARK_LENGTH_MM, colour=ACCENT, dash=dash)
    if placement.row < placement.rows:
        y = box.bottom - OVERLAP_MM
        for x in (box.left - far, box.right + near):
            pen.line(x, y, x + MARK_LENGTH_MM, y, colour=ACCENT, dash=dash)


def mark_boxes(placement: Placement) -> list[Box]:
    """The strips around a placement that its crop marks lie in."""
    box, space = placement.target, MARK_SPACE_MM
    around = box.grown(space, space, space, space)
    return [
        Box(around.left, around.top, around.width, space),
        Box(around.left, box.bottom, around.width, space),
        Box(around.left, around.top, space, around.height),
        Box(box.right, around.top, space, around.height),
    ]


def footer(
    pen: Pen,
    lines: tuple[str, str, str],
    face: FaceMap,
    shown: list[tuple[Piece, Box]],
) -> None:
    """Ruler, three lines of label, TEST and the map of the face along the bottom of a sheet."""
    top = pen.height_mm - _FOOTER_TOP_MM
    ruler(pen, MARGIN_MM, top + 10)
    right = pen.width_mm - MARGIN_MM
    label_left, label_width = MARGIN_MM + RULER_MM + 7, pen.width_mm - 2 * MARGIN_MM - 146
    sizes: tuple[tuple[float, bool], ...] = ((8.0, True), (6.5, False), (6.0, False))
    for line, y, (size, bold) in zip(lines, (2.8, 6.6, 10.0), sizes, strict=True):
        pen.text(
            label_left,
            top + y,
            line,
            size,
            bold=bold,
            colour=INK if bold else GREY,
            max_width=label_width,
        )
    pen.text(right - _LOCATOR_MM - 3, top + 9.2, "TEST", 19, bold=True, colour=LIGHT, align="right")
    room = Box(right - _LOCATOR_MM, top - 1, _LOCATOR_MM, _LOCATOR_MM)
    draw_locator(pen, room, face, shown, frames=True)


def note(pen: Pen, box: Box, face: FaceMap, piece: Piece) -> None:
    """A piece's number, size and place: a small drawing with its distances from left and top.

    A box that is taller than wide has the words below the drawing, otherwise beside it.
    """
    room = Box(box.left + 1, box.top + 1, 32, 30)
    drawn, scale = draw_locator(pen, room, face, [(piece, piece.box)], frames=False)
    place = piece.box.scaled_into(drawn, scale)
    middle_x, middle_y = place.left + place.width / 2, place.top + place.height / 2
    for x0, y0, x1, y1 in (
        (drawn.left, middle_y, place.left, middle_y),
        (middle_x, drawn.top, middle_x, place.top),
    ):
        if x1 - x0 + y1 - y0 > 1:
            pen.line(x0, y0, x1, y1, width=0.2)
            pen.disc(x0, y0, 0.5, fill=INK, colour=INK)
    below = box.height > box.width
    x, y = (box.left + 1, drawn.bottom + 4.5) if below else (drawn.right + 4, drawn.top + 6)
    pen.text(x, y, f"Piece {piece.number}", 9, bold=True)
    lines = (
        f"{piece.box.width:.2f} x {piece.box.height:.2f} mm",
        f"{piece.box.left:.2f} mm from left edge",
        f"{piece.box.top:.2f} mm from top edge",
    )
    for index, line in enumerate(lines, start=1):
        pen.text(x, y + 3.8 * index, line, 7, colour=INK if index == 1 else GREY)
