"""What goes on which sheet: tiles of large pieces, several small pieces together."""

import math
from dataclasses import dataclass

from physadv.export.paper import (
    BLEED_MM,
    MARK_SPACE_MM,
    OVERLAP_MM,
    Box,
    artwork_area,
    sheet_size_mm,
)
from physadv.export.pieces import Piece

_PAD_MM = MARK_SPACE_MM + 1.0
NOTE_BESIDE_MM = (40.0, 48.0)  # the note with a piece's place, at its right ...
NOTE_BELOW_MM = (72.0, 34.0)  # ... or below it
_EPSILON_MM = 1e-6


@dataclass(frozen=True)
class Placement:
    """One piece, or one tile of it, on a sheet.

    ``source`` is what is shown, in millimetres from the face's left and top edges; ``target`` the
    same rectangle in millimetres from the sheet's left and top edges. ``row`` and ``col`` count
    from 1. ``note`` is where the drawing of the piece's place goes, if room is kept for it.
    """

    piece: int
    row: int
    col: int
    rows: int
    cols: int
    source: Box
    target: Box
    note: Box | None = None


@dataclass(frozen=True)
class Sheet:
    """One page of artwork."""

    width_mm: float
    height_mm: float
    placements: tuple[Placement, ...]

    @property
    def tiled(self) -> bool:
        """Whether the sheet shows one tile of a piece that takes several sheets."""
        first = self.placements[0]
        return first.rows * first.cols > 1


@dataclass(frozen=True)
class Plan:
    """Every sheet, and the tiles left out because nothing is printed there."""

    page: str
    landscape: bool
    sheets: tuple[Sheet, ...]
    skipped: tuple[Placement, ...]


def split(length: float, capacity: float, overlap: float = OVERLAP_MM) -> list[tuple[float, float]]:
    """Cut ``length`` into the fewest equal parts that fit ``capacity`` and share ``overlap``.

    Returns:
        (start, size) of each part, all in the unit of ``length``.
    """
    if length <= capacity + _EPSILON_MM:
        return [(0.0, length)]
    count = math.ceil((length - overlap - _EPSILON_MM) / (capacity - overlap))
    size = (length + (count - 1) * overlap) / count
    return [(index * (size - overlap), size) for index in range(count)]


def plan_sheets(pieces: list[Piece], page: str) -> Plan:
    """Lay the pieces out on portrait or landscape sheets, whichever takes
    fewer; portrait if both take as many.

    Raises:
        UsageError: If ``page`` is unknown.
    """
    return min(
        (_plan(pieces, page, landscape) for landscape in (False, True)),
        key=lambda plan: len(plan.sheets),
    )


def _plan(pieces: list[Piece], page: str, landscape: bool) -> Plan:
    area = artwork_area(page, landscape)
    width, height = sheet_size_mm(page, landscape)
    sheets: list[Sheet] = []
    skipped: list[Placement] = []
    small: list[_Cell] = []
    for piece in pieces:
        cell = _cell(piece, area)
        if cell is not None:
            small.append(cell)
            continue
        for tile in _tiles(piece, area):
            if piece.mask[piece.texels_in(tile.source)].any():
                sheets.append(Sheet(width, height, (tile,)))
            else:
                skipped.append(tile)
    sheets += [Sheet(width, height, placed) for placed in _pack(small, area)]
    return Plan(page, landscape, tuple(sheets), tuple(skipped))


def _tiles(piece: Piece, area: Box) -> list[Placement]:
    columns = split(piece.box.width, area.width)
    lines = split(piece.box.height, area.height)
    return [
        Placement(
            piece.number,
            row + 1,
            col + 1,
            len(lines),
            len(columns),
            Box(piece.box.left + x, piece.box.top + y, width, height),
            Box(area.left, area.top, width, height),
        )
        for row, (y, height) in enumerate(lines)
        for col, (x, width) in enumerate(columns)
    ]


@dataclass(frozen=True)
class _Cell:
    """A small piece with its crop marks and note; positions relative to the cell."""

    piece: Piece
    width: float
    height: float
    note: Box


def _cell(piece: Piece, area: Box) -> _Cell | None:
    """The piece's cell with its note beside it or below it, or None if neither fits a sheet."""
    width, height = piece.box.width + 2 * _PAD_MM, piece.box.height + 2 * _PAD_MM
    note_w, note_h = NOTE_BESIDE_MM
    note_top = MARK_SPACE_MM - BLEED_MM
    beside = _Cell(
        piece,
        width + note_w,
        max(height, note_top + note_h),
        Box(width, note_top, note_w, note_h),
    )
    note_w, note_h = NOTE_BELOW_MM
    below = _Cell(
        piece,
        max(width, _PAD_MM + note_w),
        height + note_h,
        Box(_PAD_MM, height, note_w, note_h),
    )
    fitting = [
        cell for cell in (beside, below) if cell.width <= area.width and cell.height <= area.height
    ]
    return min(fitting, key=lambda cell: cell.width * cell.height, default=None)


def _pack(cells: list[_Cell], area: Box) -> list[tuple[Placement, ...]]:
    """First-fit shelves, tallest cells first."""
    order = sorted(cells, key=lambda cell: (-round(cell.height, 3), cell.piece.number))
    sheets: list[list[Placement]] = []
    shelves: list[_Shelf] = []
    filled: list[float] = []
    for cell in order:
        shelf = next(
            (
                s
                for s in shelves
                if s.used + cell.width <= area.width and cell.height <= s.height + _EPSILON_MM
            ),
            None,
        )
        if shelf is None:
            sheet = next(
                (i for i, used in enumerate(filled) if used + cell.height <= area.height), None
            )
            if sheet is None:
                sheet = len(filled)
                filled.append(0.0)
                sheets.append([])
            shelf = _Shelf(sheet, filled[sheet], cell.height)
            shelves.append(shelf)
            filled[sheet] += cell.height
        left, top = area.left + shelf.used, area.top + shelf.top
        shelf.used += cell.width
        box = cell.piece.box
        sheets[shelf.sheet].append(
            Placement(
                cell.piece.number,
                1,
                1,
                1,
                1,
                box,
                Box(left + _PAD_MM, top + _PAD_MM, box.width, box.height),
                cell.note.moved(left, top),
            )
        )
    return [tuple(placed) for placed in sheets]


@dataclass
class _Shelf:
    sheet: int
    top: float
    height: float
    used: float = 0.0
