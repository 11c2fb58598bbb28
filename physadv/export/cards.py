"""Cards that tell a photograph's treatment where markers cannot lie on the artwork itself."""

from pathlib import Path

from physadv.artwork.files import Artwork
from physadv.data.files import atomic_path
from physadv.export.board import symbol
from physadv.export.codes import CELLS, CORNERS, label_bits, marker_bits, marker_id
from physadv.export.overview import ETHICS
from physadv.export.paper import MARGIN_MM, Box, sheet_size_mm
from physadv.export.pen import ACCENT, GREY, LIGHT, Pen
from physadv.export.sheetfile import SheetLayout
from physadv.types import TREATMENTS, Treatment

_MARKER_SHARE = 0.32  # of the page's width
_LABEL_MM = 40.0


def write_cards(
    artwork: Artwork, path: Path, *, width_mm: float, page: str = "a4", run_name: str = ""
) -> SheetLayout:
    """Write a PDF of one card for each treatment, the clean sign among them.

    Stickers on a sign leave no room for markers, so a card is hung beside the sign. It names the
    treatment in the photograph; its own pose is not the sign's.

    Args:
        artwork: What the cards are about.
        path: The file to write; replaced only if all goes well.
        width_mm: Printed width of the artwork's face.
        page: Paper, as for ``write_pdf``.
        run_name: Shown on each card.

    Raises:
        UserError: If the paper's size is out of range or the file cannot be written.
        UsageError: If the page size is unknown.
    """
    page = page.lower()
    size = sheet_size_mm(page)
    marker_mm = float(round(_MARKER_SHARE * size[0]))
    inset = MARGIN_MM + marker_mm / CELLS
    layout = SheetLayout(
        "card",
        run_name,
        artwork.sha256,
        width_mm,
        width_mm * artwork.height_mm / artwork.width_mm,
        marker_mm,
        (size[0] - 2 * inset - marker_mm, size[1] - 2 * inset - marker_mm),
    )
    pen = Pen(f"{run_name or 'Artwork'} - cards")
    for treatment in TREATMENTS:
        _draw_card(pen, size, inset, layout, treatment)
    with atomic_path(path) as temporary:
        pen.save(str(temporary))
    return layout


def _draw_card(
    pen: Pen,
    size: tuple[float, float],
    inset: float,
    layout: SheetLayout,
    treatment: Treatment,
) -> None:
    width, height = size
    pen.add_page(width, height)
    pen.rect(Box(MARGIN_MM, MARGIN_MM, width - 2 * MARGIN_MM, height - 2 * MARGIN_MM), colour=LIGHT)
    marker = layout.marker_mm
    far_x, far_y = width - inset - marker, height - inset - marker
    places = ((inset, inset), (far_x, inset), (far_x, far_y), (inset, far_y))
    for corner in range(len(CORNERS)):
        bits = marker_bits(marker_id(layout.code, treatment, corner))
        pen.picture(symbol(bits, marker), Box(*places[corner], marker, marker))
    middle, y = width / 2, inset + marker + 12
    pen.text(middle, y, "TEST", 22, bold=True, colour=ACCENT, align="centre")
    pen.text(middle, y + 16, treatment, 34, bold=True, align="centre")
    lines = (
        layout.run or "-",
        f"artwork {layout.artwork_sha256[:12]}, face {layout.width_mm:.0f} x "
        f"{layout.height_mm:.0f} mm, code {layout.code}",
        "Hang it beside the sign, flat and in full view, while this treatment is on the sign.",
    )
    for index, line in enumerate(lines):
        pen.text(middle, y + 24 + 5 * index, line, 9, colour=GREY, align="centre")
    label = Box(middle - _LABEL_MM / 2, y + 39, _LABEL_MM, _LABEL_MM)
    pen.picture(symbol(label_bits(layout.label(treatment)), _LABEL_MM), label)
    pen.paragraph(Box(inset, far_y - 14, width - 2 * inset, 10), ETHICS, 7, GREY)
