"""The first page: what is printed, where it goes, how to print and check it."""

import math
from dataclasses import dataclass

from physadv.artwork.files import Artwork
from physadv.export import furniture
from physadv.export.facemap import FaceMap
from physadv.export.layout import Plan
from physadv.export.listing import draw_table, draw_tiles_text, page_numbers, skipped_text
from physadv.export.paper import BLEED_MM, MARGIN_MM, OVERLAP_MM, Box, sheet_size_mm
from physadv.export.pen import ACCENT, GREY, INK, LIGHT, Colour, Pen
from physadv.export.pieces import Piece
from physadv.types import Treatment

_ROW_MM = 4.2
_TOP_MM = 56.0
_LOWER_PART_MM = 132.0  # instructions, ruler, square and label below the drawing
_MOST_BADGES = 99  # more would hide the artwork
_WHITE: Colour = (255, 255, 255)
ETHICS = (
    "Use on your own or private property only. Never put this on a public road sign or where road "
    "users can see it. Cover or remove it after the session."
)


@dataclass(frozen=True)
class Document:
    """Everything the first page tells; ``first_sheet_page`` is the page of the first sheet.

    ``artwork`` is what it is about, ``width_mm`` the printed width of its face. ``face`` is what
    the pages draw: the face, or the whole board if there are markers of ``marker_mm``, with the
    face at ``on_board``.
    """

    artwork: Artwork
    width_mm: float
    treatment: Treatment
    marker_mm: float | None
    on_board: Box | None
    face: FaceMap
    run_name: str
    pieces: list[Piece]
    plan: Plan
    first_sheet_page: int
    pages: int

    @property
    def single(self) -> bool:
        return len(self.pieces) == 1

    @property
    def identity(self) -> str:
        """What every sheet belongs to: the artwork's digest, then the run's name."""
        control = "" if self.treatment == "adversarial" else f"{self.treatment} control for "
        return f"{control}{self.artwork.sha256[:12]}  {self.run_name}".rstrip()

    @property
    def height_mm(self) -> float:
        """Printed height of the artwork's face."""
        return self.width_mm * self.artwork.height_mm / self.artwork.width_mm

    def page_text(self, page: int) -> str:
        """The page's number and the one thing that must not be forgotten."""
        return f"Page {page} of {self.pages}, 100 %, no scaling"


def _table_rows(page: str) -> tuple[int, int]:
    """How many pieces the table on the first page lists, and how many each page after it."""
    height = sheet_size_mm(page)[1]
    first = height - _TOP_MM - _LOWER_PART_MM
    return int(first / _ROW_MM) - 1, 2 * (int((height - 60) / _ROW_MM) - 1)


def overview_pages(pieces: int, page: str) -> int:
    """Pages that the overview takes; a single piece needs no table."""
    first, more = _table_rows(page)
    return 1 + max(0, math.ceil((pieces - first) / more)) if pieces > 1 else 1


def draw_overview(pen: Pen, document: Document) -> None:
    """Draw the first page and, for many pieces, the rest of their table."""
    plan, pieces = document.plan, document.pieces
    pen.add_page(*sheet_size_mm(plan.page))
    _head(pen, document)
    size = min(pen.height_mm - _TOP_MM - _LOWER_PART_MM, pen.width_mm - 2 * MARGIN_MM - 84)
    drawn = _drawing(pen, document, Box(MARGIN_MM + 6, _TOP_MM + 5, size - 6, size - 5))
    column = drawn.right + 8
    beside = Box(column, _TOP_MM, pen.width_mm - MARGIN_MM - column, size)
    first, more = _table_rows(plan.page)
    numbers = page_numbers(plan, document.first_sheet_page)
    if document.single:
        bottom = draw_tiles_text(pen, pieces[0], plan, beside, document.on_board)
    else:
        bottom = draw_table(pen, pieces[:first], numbers, beside, _ROW_MM)
    _instructions(pen, document, max(bottom, drawn.bottom) + 9)
    _foot(pen, document)
    rest = [] if document.single else pieces[first:]
    for start in range(0, len(rest), more):
        pen.add_page(*sheet_size_mm(plan.page))
        pen.text(MARGIN_MM, 18, "Pieces, continued", 14, bold=True)
        half, width = more // 2, pen.width_mm / 2 - MARGIN_MM - 4
        for column_index in range(2):
            begin = start + column_index * half
            if part := rest[begin : begin + half]:
                left = MARGIN_MM + column_index * (width + 8)
                draw_table(pen, part, numbers, Box(left, 24, width, pen.height_mm - 60), _ROW_MM)
        _footer(pen, document, 2 + start // more)


def _head(pen: Pen, document: Document) -> None:
    artwork, plan = document.artwork, document.plan
    left, right = MARGIN_MM, pen.width_mm - MARGIN_MM
    control = "" if document.treatment == "adversarial" else f": {document.treatment} control"
    end = left + pen.text(left, 17.5, f"Print sheet{control}", 20, bold=True)
    pen.text(end + 3, 17.5, "physadv", 10, colour=GREY)
    pen.text(right, 17.5, "TEST", 24, bold=True, colour=LIGHT, align="right")
    pen.line(left, 21, right, 21, width=0.4)
    sheet = plan.sheets[0]
    pieces = f"{len(document.pieces)} piece{'' if document.single else 's'}"
    facts = (
        ("Run", document.run_name or "-"),
        ("Made to be read as", artwork.target or "-"),
        ("Carrier", artwork.carrier or "-"),
        ("Artwork sha256", artwork.sha256[:16]),
        ("Printed size of the face", f"{document.width_mm:.2f} x {document.height_mm:.2f} mm"),
        ("Artwork", f"{pieces}, {100 * artwork.mask.mean():.1f} % of the bounding rectangle"),
        ("Victims", ", ".join(artwork.victims) or "-"),
        (
            "Sheets",
            f"{len(plan.sheets)} x {plan.page.upper() if plan.page[0] == 'a' else plan.page} "
            f"{'landscape' if plan.landscape else 'portrait'} "
            f"({sheet.width_mm:g} x {sheet.height_mm:g} mm)",
        ),
    )
    middle = (right - left) / 2
    for index, (name, value) in enumerate(facts):
        x, y = left + (index // 4) * middle, 27.5 + 5 * (index % 4)
        pen.text(x, y, name, 7.5, colour=GREY)
        pen.text(x + 33, y, value, 8, max_width=middle - 36)
    scale = document.width_mm / artwork.width_mm
    if abs(scale - 1) > 1e-4:
        text = (
            f"Scaled: the artwork was made for a face {artwork.width_mm:g} mm wide; "
            f"this print is {100 * scale:.1f} % of that."
        )
        pen.text(left, 49, text, 8, bold=True, colour=ACCENT)


def _drawing(pen: Pen, document: Document, room: Box) -> Box:
    """The face with the artwork on it; returns where it was drawn."""
    face, plan = document.face, document.plan
    scale = min(room.width / face.width_mm, room.height / face.height_mm)
    drawn = Box(room.left, room.top, face.width_mm * scale, face.height_mm * scale)
    pen.picture(face.picture(), drawn)
    pen.rect(drawn, colour=GREY)
    _dimensions(pen, drawn, face.width_mm, face.height_mm)
    framed = [s.placements[0] for s in plan.sheets if s.tiled]
    boxes = [placed.source for placed in framed]
    boxes += [] if document.single else [piece.box for piece in document.pieces]
    for box in boxes:
        pen.rect(box.scaled_into(drawn, scale), colour=_WHITE, width=0.5)
        pen.rect(box.scaled_into(drawn, scale), width=0.15)
    for tile_out in plan.skipped:
        tile = tile_out.source.scaled_into(drawn, scale)
        pen.rect(tile, colour=GREY, width=0.15, dash=1)
        pen.line(tile.left, tile.top, tile.right, tile.bottom, colour=GREY)
        pen.line(tile.left, tile.bottom, tile.right, tile.top, colour=GREY)
    if document.single:
        for placed in framed:
            tile = placed.source.scaled_into(drawn, scale)
            if min(tile.width, tile.height) > 8:
                x, y = tile.left + tile.width / 2, tile.top + tile.height / 2
                _badge(pen, x, y, f"{placed.row}/{placed.col}")
    elif len(document.pieces) <= _MOST_BADGES:
        for piece in document.pieces:
            place = piece.box.scaled_into(drawn, scale)
            _badge(pen, place.left, place.top, str(piece.number))
    return drawn


def _dimensions(pen: Pen, drawn: Box, width_mm: float, height_mm: float) -> None:
    x, y = drawn.left - 2.5, drawn.top - 2.5
    pen.segments(
        [
            (drawn.left, y, drawn.right, y),
            (drawn.left, y - 1, drawn.left, y + 1),
            (drawn.right, y - 1, drawn.right, y + 1),
            (x, drawn.top, x, drawn.bottom),
            (x - 1, drawn.top, x + 1, drawn.top),
            (x - 1, drawn.bottom, x + 1, drawn.bottom),
        ],
        colour=GREY,
    )
    middle_x, middle_y = drawn.left + drawn.width / 2, drawn.top + drawn.height / 2
    pen.text(middle_x, y - 1.2, f"{width_mm:.1f} mm", 7, colour=GREY, align="centre")
    pen.text(
        x - 1.2, middle_y, f"{height_mm:.1f} mm", 7, colour=GREY, align="centre", upright=False
    )


def _badge(pen: Pen, x: float, y: float, text: str) -> None:
    size = 7.0 if len(text) < 3 else 5.5
    pen.disc(x, y, 2.4 if len(text) < 4 else 3.2, fill=_WHITE, colour=INK)
    pen.text(x, y + size * 0.127, text, size, bold=True, align="centre")


def _steps(document: Document) -> list[str]:
    steps = [
        'Print at 100 %, no scaling ("actual size", not "fit to page"), in colour, on matt paper.',
        "Measure: on every page the ruler must be 100 mm long to within 1 mm; here, and where "
        "another page has one, the square must be 50 mm both ways to within 0.5 mm. If not, "
        "correct the printer's scale and print again.",
    ]
    if any(sheet.tiled for sheet in document.plan.sheets):
        steps.append(
            f"Tiles overlap by {OVERLAP_MM:g} mm. Start at the top left. Cut each tile along its "
            "left and top crop marks, keep its right and bottom edge as a flap, and glue the next "
            "tile over the flap so that its cut edge meets the dashed marks and "
            "the squares agree."
        )
    if all(piece.is_rectangle for piece in document.pieces):
        cut = "Cut from crop mark to crop mark."
    else:
        cut = (
            "Cut along the coloured line, which lies just outside the artwork; where there is "
            "none, from crop mark to crop mark."
        )
    if document.marker_mm is None:
        cut += (
            f" The colours run on for {BLEED_MM:g} mm so that a slightly wrong cut shows no white."
        )
    steps.append(cut)
    if document.marker_mm is not None:
        steps.append(
            "Keep the white border with its four markers: the distance is measured from them. "
            "Mount the whole board flat and stiff. A marker is "
            f"{document.marker_mm:g} mm wide; at the farthest distance one of its eight cells "
            "must cover 4 pixels of the photograph."
        )
        return steps
    if document.single:
        steps.append("Mount it at the distances given from the face's left and top edges.")
        return steps
    steps.append(
        "Only the cut-outs are printed, not the whole face. Write each piece's number on its back. "
        "Mount it at the distances given, from the face's left and top edges to the piece's own."
    )
    if document.plan.skipped:
        steps.append(skipped_text(document.plan, single=False))
    return steps


def _instructions(pen: Pen, document: Document, top: float) -> None:
    box = Box(MARGIN_MM, top, pen.width_mm - 2 * MARGIN_MM, 60)
    pen.text(box.left, top, "How to print, check and mount", 10, bold=True)
    y = top + 3
    for number, step in enumerate(_steps(document), start=1):
        pen.text(box.left + 3, y + 2.7, f"{number}.", 8, bold=True, align="right")
        y = pen.paragraph(Box(box.left + 5, y, box.width - 5, 10), step, 8) + 0.9


def _foot(pen: Pen, document: Document) -> None:
    bottom = pen.height_mm - 22
    left, right = MARGIN_MM, pen.width_mm - MARGIN_MM
    size = furniture.SQUARE_MM
    furniture.square(pen, right - size, bottom - size)
    box = Box(left, bottom - 20, right - size - 8 - left, 20)
    pen.rect(box, colour=ACCENT, width=0.4)
    pen.text(box.left + 4, box.top + 6.5, "For tests only", 10, bold=True, colour=ACCENT)
    pen.paragraph(Box(box.left + 4, box.top + 8.5, box.width - 8, 10), ETHICS, 8)
    furniture.watermark(pen, Box(left, bottom - size, box.width, size - 24))
    _footer(pen, document, 1)


def _footer(pen: Pen, document: Document, page: int) -> None:
    lines = ("Overview", document.page_text(page), document.identity)
    furniture.footer(pen, lines, document.face, [])
