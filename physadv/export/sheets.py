"""The sheets that carry the artwork at its exact size."""

import math
from functools import cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from physadv.export import furniture
from physadv.export.facemap import FaceMap
from physadv.export.layout import NOTE_BESIDE_MM, Placement, Sheet
from physadv.export.paper import BLEED_MM, Box
from physadv.export.pen import ACCENT, HAIRLINE_MM, Pen
from physadv.export.pieces import Piece, extend_colours, outline, rectangles

_STORED_PIXEL_MM = 1 / 6  # viewers that smooth do so over one stored pixel
_MOST_PIXELS_PER_TEXEL = 64  # keeps prints of several metres small


class Painter(Protocol):
    """Paints what a placement shows."""

    def paint(self, pen: Pen, placement: Placement) -> list[Box]:
        """Paint it; returns where ink lies on the sheet."""
        ...


class ArtworkPainter:
    """Paints pieces of one artwork; keeps what the tiles of a piece share."""

    def __init__(self, rgb: npt.NDArray[np.uint8], pieces: list[Piece]) -> None:
        self._rgb = rgb
        self._by_number = {piece.number: piece for piece in pieces}
        self._shape = cache(self._work_out)

    def _work_out(
        self, number: int
    ) -> tuple[npt.NDArray[np.uint8], Box, list[Box], list[tuple[float, float, float, float]]]:
        piece = self._by_number[number]
        colours, covered = extend_colours(self._rgb, piece, BLEED_MM)
        edges = [] if piece.is_rectangle else outline(piece)
        return colours, covered, rectangles(piece), edges

    def paint(self, pen: Pen, placement: Placement) -> list[Box]:
        """Paint one tile with its bleed and cut line; returns where ink lies on the sheet.

        The texels are drawn last, clipped to the mask itself, so that nothing else shows within.
        """
        colours, covered, parts, edges = self._shape(placement.piece)
        source, target = placement.source, placement.target
        window = source.grown(
            BLEED_MM if placement.col == 1 else 0.0,
            BLEED_MM if placement.row == 1 else 0.0,
            BLEED_MM if placement.col == placement.cols else 0.0,
            BLEED_MM if placement.row == placement.rows else 0.0,
        )
        dx, dy = target.left - source.left, target.top - source.top
        picture, place = crop_to_texels(colours, covered, window)
        place = place.moved(dx, dy)
        inked = [part for part in parts if _meets(part, window, BLEED_MM)]
        bled = [part.grown(*[BLEED_MM] * 4).moved(dx, dy) for part in inked]
        with pen.clip([window.moved(dx, dy)]):
            with pen.clip(bled):
                pen.picture(picture, place)
            if edges:
                pen.segments(
                    [
                        (x0 + dx, y0 + dy, x1 + dx, y1 + dy)
                        for x0, y0, x1, y1 in edges
                        if _meets(Box(x0, y0, x1 - x0, y1 - y0), window, 1.0)
                    ],
                    width=2 * HAIRLINE_MM,
                    colour=ACCENT,
                )
                with pen.clip([part.moved(dx, dy) for part in inked]):
                    pen.picture(picture, place)
        return [_within(box, window.moved(dx, dy)) for box in bled]


def crop_to_texels(
    colours: npt.NDArray[np.uint8], covered: Box, window: Box
) -> tuple[npt.NDArray[np.uint8], Box]:
    """The texels that meet ``window``, each repeated so that smoothing viewers keep it square.

    Returns:
        [h, w, 3] colours, empty if none meets the window, and where they lie.
    """
    rows, cols = colours.shape[:2]
    texel_w, texel_h = covered.width / cols, covered.height / rows
    col0 = max(0, math.floor((window.left - covered.left) / texel_w))
    col1 = min(cols, math.ceil((window.right - covered.left) / texel_w))
    row0 = max(0, math.floor((window.top - covered.top) / texel_h))
    row1 = min(rows, math.ceil((window.bottom - covered.top) / texel_h))
    wanted = math.ceil(max(texel_w, texel_h) / _STORED_PIXEL_MM)
    repeat = min(wanted, _MOST_PIXELS_PER_TEXEL)
    picture = colours[row0:row1, col0:col1].repeat(repeat, axis=0).repeat(repeat, axis=1)
    return picture, Box(
        covered.left + col0 * texel_w,
        covered.top + row0 * texel_h,
        (col1 - col0) * texel_w,
        (row1 - row0) * texel_h,
    )


def _meets(part: Box, window: Box, reach: float) -> bool:
    return (
        part.left - reach < window.right
        and part.right + reach > window.left
        and part.top - reach < window.bottom
        and part.bottom + reach > window.top
    )


def _within(box: Box, window: Box) -> Box:
    left, top = max(box.left, window.left), max(box.top, window.top)
    right, bottom = min(box.right, window.right), min(box.bottom, window.bottom)
    return Box(left, top, max(0.0, right - left), max(0.0, bottom - top))


def draw_sheet(
    pen: Pen,
    sheet: Sheet,
    painter: Painter,
    pieces: list[Piece],
    face: FaceMap,
    page_text: str,
    identity: str,
) -> None:
    """One page of artwork with everything around it.

    ``page_text`` is the page's number among all, ``identity`` what the print belongs to.
    """
    pen.add_page(sheet.width_mm, sheet.height_mm)
    room = furniture.Room(sheet.width_mm, sheet.height_mm)
    by_number = {piece.number: piece for piece in pieces}
    for placement in sheet.placements:
        for box in painter.paint(pen, placement):
            room.take(box)
        furniture.crop_marks(pen, placement)
        for box in furniture.mark_boxes(placement):
            room.take(box, 0.0)
    for placement in sheet.placements:
        place = placement.note
        if place is not None:
            room.take(place)
        elif len(pieces) > 1:
            place = room.find(*NOTE_BESIDE_MM)
        if place is not None:
            furniture.note(pen, place, face, by_number[placement.piece])
    spot = room.find(furniture.SQUARE_MM, furniture.SQUARE_MM)
    if spot is not None:
        furniture.square(pen, spot.left, spot.top)
    for size in ((110.0, 32.0), (80.0, 24.0), (50.0, 15.0)):
        spot = room.find(*size)
        if spot is not None:
            furniture.watermark(pen, spot)
            break
    lines = (sheet_label(sheet, len(pieces)), page_text, identity)
    shown = [(by_number[placed.piece], placed.source) for placed in sheet.placements]
    furniture.footer(pen, lines, face, shown)


def sheet_label(sheet: Sheet, pieces: int) -> str:
    """What a sheet shows, e.g. ``Tile row 1 / col 2 of 3 x 5`` or ``Pieces 1, 2, 4``."""
    first = sheet.placements[0]
    tile = f"row {first.row} / col {first.col} of {first.rows} x {first.cols}"
    if pieces == 1:
        return f"Tile {tile}"
    if sheet.tiled:
        return f"Piece {first.piece}: {tile}"
    numbers = sorted(placement.piece for placement in sheet.placements)
    return f"Piece{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
