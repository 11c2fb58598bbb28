"""The printable PDF of an artwork, exact in millimetres."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from physadv.artwork.files import Artwork
from physadv.checks import UserError, check_range
from physadv.data.files import atomic_path
from physadv.export.facemap import FaceMap
from physadv.export.layout import Placement, Sheet, plan_sheets
from physadv.export.overview import Document, draw_overview, overview_pages
from physadv.export.paper import sheet_size_mm
from physadv.export.pen import Pen
from physadv.export.pieces import find_pieces
from physadv.export.sheets import ArtworkPainter, draw_sheet

MAX_WIDTH_MM = 5000.0


@dataclass(frozen=True)
class PdfSummary:
    """What was written.

    ``width_mm`` and ``height_mm`` are the printed size of the face. The first ``overview_pages``
    pages describe; then comes one page for each of ``sheets``. ``rows`` and ``cols`` are the tile
    grid of the piece that takes most sheets. ``skipped_tiles`` carry no ink and have no page.
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


def write_pdf(
    artwork: Artwork,
    path: Path,
    *,
    width_mm: float,
    page: str = "a4",
    run_name: str = "",
    face: npt.NDArray[np.uint8] | None = None,
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
        page: A key of ``paper.PAGES_MM``, in any case.
        run_name: Shown on each page.
        face: [h, w, 4] uint8 RGBA picture of the carrier's face for the drawing on the first page,
            stretched to the face's square; None draws a plain one.

    Raises:
        UserError: If the width is out of range, the artwork is empty or the file cannot be written.
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
    pieces = find_pieces(artwork.mask, width_mm, height_mm)
    plan = plan_sheets(pieces, page)
    first = overview_pages(len(pieces), page)
    pages = first + len(plan.sheets)
    drawing = FaceMap(artwork, face, width_mm, height_mm)
    document = Document(drawing, run_name, pieces, plan, first + 1, pages)
    pen = Pen(f"{run_name or 'Artwork'} - print sheet")
    draw_overview(pen, document)
    painter = ArtworkPainter(np.ascontiguousarray(artwork.rgba[..., :3]), pieces)
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
    )
