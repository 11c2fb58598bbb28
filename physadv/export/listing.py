"""Words and tables about pieces and tiles on the first pages."""

from physadv.export.layout import Plan
from physadv.export.paper import OVERLAP_MM, Box
from physadv.export.pen import FAINT, GREY, Pen
from physadv.export.pieces import Piece

_MOST_NAMED = 12


def page_numbers(plan: Plan, first_page: int) -> dict[int, str]:
    """The page or pages of each piece by its number, e.g. ``{1: "3", 2: "4-9"}``."""
    found: dict[int, list[int]] = {}
    for page, sheet in enumerate(plan.sheets, start=first_page):
        for placement in sheet.placements:
            found.setdefault(placement.piece, []).append(page)
    return {
        number: str(pages[0]) if len(pages) == 1 else f"{pages[0]}-{pages[-1]}"
        for number, pages in found.items()
    }


def draw_table(
    pen: Pen, pieces: list[Piece], pages: dict[int, str], box: Box, row_mm: float
) -> float:
    """Numbers, sizes and places of ``pieces`` in millimetres; returns the table's bottom."""
    titles = ("Piece", "Width", "Height", "From left", "From top", "Page")
    stops = [box.left + box.width * share for share in (0.10, 0.27, 0.44, 0.64, 0.84, 1.0)]
    for title, x in zip(titles, stops, strict=True):
        pen.text(x, box.top + 2.5, title, 6.5, bold=True, colour=GREY, align="right")
    pen.line(box.left, box.top + 4, box.right, box.top + 4, width=0.2)
    for index, piece in enumerate(pieces):
        y = box.top + 4 + row_mm * (index + 1) - 1.2
        place = piece.box
        pen.text(stops[0], y, str(piece.number), 7, bold=True, align="right")
        lengths = (place.width, place.height, place.left, place.top)
        for value, x in zip(lengths, stops[1:-1], strict=True):
            pen.text(x, y, f"{value:.2f}", 7, align="right")
        pen.text(stops[-1], y, pages[piece.number], 7, align="right")
        pen.line(box.left, y + 1.2, box.right, y + 1.2, colour=FAINT)
    return box.top + 4 + row_mm * len(pieces)


def draw_tiles_text(
    pen: Pen, piece: Piece, plan: Plan, box: Box, on_board: Box | None = None
) -> float:
    """How the only piece is cut into tiles; returns the y below the text.

    ``on_board`` is where the artwork lies on the piece if that is a board with markers.
    """
    first = plan.sheets[0].placements[0]
    tile, place = first.source, piece.box
    lines = [
        f"One piece, {place.width:.2f} x {place.height:.2f} mm, {place.left:.2f} mm from the "
        f"face's left edge and {place.top:.2f} mm from its top edge."
        if on_board is None
        else f"One board, {place.width:.2f} x {place.height:.2f} mm, with four markers; the face "
        f"lies in its middle, {on_board.left:.2f} mm from its left edge and {on_board.top:.2f} mm "
        "from its top edge."
    ]
    if plan.sheets[0].tiled:
        lines += [
            f"Tiles: {first.rows} down x {first.cols} across, each {tile.width:.2f} x "
            f"{tile.height:.2f} mm, overlapping {OVERLAP_MM:g} mm; the drawing shows row/column.",
            f"They start at {_starts(place.width, tile.width, first.cols)} mm from the piece's "
            f"left edge,",
            f"and at {_starts(place.height, tile.height, first.rows)} mm from its top edge.",
            skipped_text(plan, single=True),
        ]
    else:
        lines.append("It fits one sheet.")
    pen.text(box.left, box.top + 2.5, "Sheets", 10, bold=True)
    y = box.top + 5.5
    for line in lines:
        y = pen.paragraph(Box(box.left, y, box.width, 20), line, 8) + 1.6
    return y


def _starts(length: float, size: float, count: int) -> str:
    step = (length - size) / (count - 1) if count > 1 else 0.0
    shown = ", ".join(f"{index * step:.2f}" for index in range(min(count, _MOST_NAMED)))
    return shown + (f", ... every {step:.2f}" if count > _MOST_NAMED else "")


def skipped_text(plan: Plan, *, single: bool) -> str:
    """Which tiles are left out because they carry no ink."""
    skipped = plan.skipped
    if not skipped:
        return "No tile is left out."
    names = [
        f"{'' if single else f'piece {tile.piece} '}{tile.row}/{tile.col}"
        for tile in skipped[:_MOST_NAMED]
    ]
    more = f" and {len(skipped) - _MOST_NAMED} more" if len(skipped) > _MOST_NAMED else ""
    count = f"{len(skipped)} tile{'' if len(skipped) == 1 else 's'}"
    return (
        f"Left out because nothing is printed there ({count}, crossed out in the drawing; "
        f"row/column): {', '.join(names)}{more}."
    )
