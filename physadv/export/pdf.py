"""The printable PDF of an artwork, exact in millimetres."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import printed_colours
from physadv.checks import UserError, check_range
from physadv.data.files import atomic_path
from physadv.export.board import BoardPainter, BoardPlan, plan_board
from physadv.export.facemap import FaceMap
from physadv.export.layout import Placement, Sheet, plan_sheets
from physadv.export.overview import Document, draw_overview, overview_pages
from physadv.export.paper import sheet_size_mm
from physadv.export.pen import Pen
from physadv.export.pieces import find_pieces
from physadv.export.sheetfile import SheetLayout
from physadv.export.sheets import ArtworkPainter, Painter, draw_sheet
from physadv.types import Treatment

MAX_WIDTH_MM = 5000.0
MAX_SHEETS = 10_000

Fiducials = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class PdfSummary:
    """What was written.

    ``width_mm`` and ``height_mm`` are the printed size of the face. The first ``overview_pages``
    pages describe; then comes one page for each of ``sheets``. ``rows`` and ``cols`` are the tile
    grid of the piece that takes most sheets. ``skipped_tiles`` carry no ink and have no page.
    ``layout`` tells where the markers lie, None if there are none; ``board`` likewise, on paper.
    """

    page: str
    landscape: bool
    pages: int
    overview_pages: int
    width_mm: float
    height_mm: float
    pieces: int
    rows: int
    cols: int
    sheets: tuple[Sheet, ...]
    skipped_tiles: tuple[Placement, ...]
    board: BoardPlan | None = None
    layout: SheetLayout | None = None


def write_pdf(
    artwork: Artwork,
    path: Path,
    *,
    width_mm: float,
    page: str = "a4",
    run_name: str = "",
    face: npt.NDArray[np.uint8] | None = None,
    treatment: Treatment = "adversarial",
    fiducials: Fiducials = "off",
) -> PdfSummary:
    """Write a print sheet: an overview, then the artwork at its exact size.

    Each connected piece of the mask is a cut-out with 3 mm bleed, crop marks and its place on the
    face; pieces larger than a sheet are cut into tiles that overlap by 10 mm, and small pieces
    share a sheet. Texels are stored losslessly as squares, sRGB. The same input gives the same
    bytes.

    Args:
        artwork: What to print.
        path: The file to write; replaced only if all goes well.
        width_mm: Printed width of the square that bounds the face, in (0, 5000]; the height
            follows from the artwork's own proportions.
        page: A key of ``paper.PAGES_MM``, in any case, or a size in mm like ``610x914``.
        run_name: Shown on each page.
        face: [h, w, 4] uint8 RGBA picture of the carrier's face for the drawing on the first page,
            stretched to the face's square; None draws a plain one.
        treatment: Print the artwork, or in its place a blank or noise of the same shape.
        fiducials: ``auto`` prints four markers around a rectangular patch where that takes no more
            sheets, ``on`` around whatever covers its face in one piece. The paper between the cut
            lines then is one board.

    Raises:
        UserError: If the width is out of range, the artwork is empty, markers are asked for that
            find no room, or the file cannot be written.
        UsageError: If the page size is unknown.
        ValueError: If ``face`` is not [h, w, 4] uint8.
    """
    check_range("width_mm", width_mm, 0, MAX_WIDTH_MM, "mm", low_open=True)
    page = page.lower()
    sheet_size_mm(page)
    if face is not None and (face.dtype != np.uint8 or face.ndim != 3 or face.shape[2] != 4):
        raise ValueError(f"face must be [h, w, 4] uint8, got {face.dtype} {face.shape}")
    if not artwork.mask.any():
        raise UserError(
            "print the artwork", "nothing is stuck anywhere (alpha is 0)", "Give a mask with area."
        )
    height_mm = width_mm * artwork.height_mm / artwork.width_mm
    rgb = printed_colours(artwork, treatment)
    pieces = find_pieces(artwork.mask, width_mm, height_mm)
    plan = plan_sheets(pieces, page)
    drawing = FaceMap(artwork, face, width_mm, height_mm)
    painter: Painter = ArtworkPainter(rgb, pieces)
    board = _choose_board(artwork, width_mm, height_mm, page, fiducials, len(plan.sheets))
    layout = None
    if board is not None:
        layout = SheetLayout(
            "board",
            run_name,
            artwork.sha256,
            width_mm,
            height_mm,
            board.marker_mm,
            board.spacing_mm,
        )
        painter = BoardPainter(rgb, artwork.mask, board, layout, treatment)
        shown = replace(artwork, rgba=painter.preview())
        drawing = FaceMap(shown, None, board.width_mm, board.height_mm)
        pieces = find_pieces(shown.mask, board.width_mm, board.height_mm)
        plan = plan_sheets(pieces, page)
    elif treatment != "adversarial":
        drawing = replace(drawing, artwork=replace(artwork, rgba=_with_colours(artwork, rgb)))
    first = overview_pages(len(pieces), page)
    pages = first + len(plan.sheets)
    document = Document(
        artwork,
        width_mm,
        treatment,
        board.marker_mm if board is not None else None,
        board.artwork if board is not None else None,
        drawing,
        run_name,
        pieces,
        plan,
        first + 1,
        pages,
    )
    pen = Pen(f"{run_name or 'Artwork'} - print sheet")
    draw_overview(pen, document)
    for number, sheet in enumerate(plan.sheets, start=first + 1):
        draw_sheet(
            pen, sheet, painter, pieces, drawing, document.page_text(number), document.identity
        )
    with atomic_path(path) as temporary:
        pen.save(str(temporary))
    largest = max(
        (placed for sheet in plan.sheets for placed in sheet.placements),
        key=lambda placed: placed.rows * placed.cols,
    )
    return PdfSummary(
        page,
        plan.landscape,
        pages,
        first,
        width_mm,
        height_mm,
        len(pieces),
        largest.rows,
        largest.cols,
        plan.sheets,
        plan.skipped,
        board,
        layout,
    )


def covers_face(artwork: Artwork) -> bool:
    """Whether the artwork is one piece that reaches all four edges of its face."""
    pieces = find_pieces(artwork.mask, 1.0, 1.0)
    return len(pieces) == 1 and pieces[0].mask.shape == artwork.mask.shape


def _choose_board(
    artwork: Artwork,
    width_mm: float,
    height_mm: float,
    page: str,
    fiducials: Fiducials,
    plain_sheets: int,
) -> BoardPlan | None:
    if fiducials == "off" or (fiducials == "auto" and not artwork.mask.all()):
        return None
    most = plain_sheets if fiducials == "auto" else MAX_SHEETS
    board = (
        plan_board(artwork.mask, width_mm, height_mm, page, most)
        if (covers_face(artwork))
        else None
    )
    if board is None and fiducials == "on":
        raise UserError(
            "print markers around the artwork",
            "it is in several pieces or covers only a part of its face"
            if not covers_face(artwork)
            else "its face leaves no room for them",
            "Print a card to hang beside it, or measure the sign by its own outline.",
        )
    return board


def _with_colours(artwork: Artwork, rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.dstack([rgb, artwork.rgba[..., 3]])
