"""The colour chart: 6 x 6 x 6 colours, greys and white, between four markers, on one page."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from physadv.data.files import atomic_path
from physadv.export.board import symbol
from physadv.export.codes import CELLS, CORNERS, marker_bits, marker_id
from physadv.export.paper import MARGIN_MM, Box, sheet_size_mm
from physadv.export.pen import GREY, Pen
from physadv.export.sheetfile import SheetLayout
from physadv.seeding import generator_for
from physadv.types import Treatment

VERSION = "physadv colour chart 1"
COLUMNS, ROWS = 14, 20
TREATMENT: Treatment = "blank"
_LEVELS = (0, 51, 102, 153, 204, 255)
_GREYS = tuple(round(255 * n / 17) for n in range(1, 17))
_HEAD_MM, _SIDE_MM = 9.0, 27.0
_MARKER_MM = 18.0

Colours = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Chart:
    """``colours`` [20,14,3] uint8 as sent to the printer, by row and column; white cells are bare
    paper. ``cell_mm`` is a cell's side; the grid has the middle of the markers' rectangle."""

    page: str
    size_mm: tuple[float, float]
    layout: SheetLayout
    cell_mm: float
    colours: Colours

    def centres_mm(self) -> npt.NDArray[np.float64]:
        """[20,14,2] middles of the cells in the sheet's frame, x right and y up."""
        x = (np.arange(COLUMNS) - (COLUMNS - 1) / 2) * self.cell_mm
        y = ((ROWS - 1) / 2 - np.arange(ROWS)) * self.cell_mm
        return np.stack(np.meshgrid(x, y), axis=-1)


@lru_cache(maxsize=8)
def chart_of(page: str) -> Chart:
    """The chart for a page size.

    The order is shuffled, always in the same way, so that uneven light falls on all kinds of
    colours; every ninth cell or so is white, by which the light is measured.

    Raises:
        UsageError: If the page size is unknown.
        UserError: If it is out of range.
    """
    page = page.lower()
    size = sheet_size_mm(page)
    inset = MARGIN_MM + _MARKER_MM / CELLS + _MARKER_MM / 2
    spacing = (size[0] - 2 * inset, size[1] - 2 * inset - _HEAD_MM)
    cell = min((size[0] - 2 * _SIDE_MM) / COLUMNS, (spacing[1] - _MARKER_MM * 1.6) / ROWS)
    cell = float(np.floor(cell * 10) / 10)
    identity = hashlib.sha256(VERSION.encode()).hexdigest()
    width, height = round(cell * COLUMNS, 2), round(cell * ROWS, 2)
    layout = SheetLayout("board", "chart", identity, width, height, _MARKER_MM, spacing)
    return Chart(page, size, layout, cell, _colours())


def _colours() -> Colours:
    white = {(row, column) for row in range(ROWS) for column in range(COLUMNS)
             if row % 3 == 1 and column % 3 == row // 3 % 3}  # fmt: skip
    cube = [(r, g, b) for r in _LEVELS for g in _LEVELS for b in _LEVELS]
    sent = cube + [(g, g, g) for g in _GREYS]
    places = [
        (row, column)
        for row in range(ROWS)
        for column in range(COLUMNS)
        if (row, column) not in white
    ]
    order = generator_for(0, "colour chart").permutation(len(places))
    colours = np.full((ROWS, COLUMNS, 3), 255, np.uint8)
    for colour, index in zip(sent, order, strict=False):
        colours[places[index]] = colour
    # What is left over repeats greys, which tell the light's colour apart from the ink's.
    left = [places[index] for index in order[len(sent) :]]
    for number, place in enumerate(left):
        colours[place] = (_GREYS[(3 * number) % len(_GREYS)],) * 3
    return colours


def write_chart(path: Path, page: str = "a4") -> Chart:
    """Write the chart as a PDF, byte for byte the same each time.

    Raises:
        UsageError: If the page size is unknown.
        UserError: If the page is out of range or the file cannot be written.
    """
    chart = chart_of(page)
    pen = Pen("physadv colour chart")
    width, height = chart.size_mm
    pen.add_page(width, height)
    pen.text(MARGIN_MM, MARGIN_MM + 4, "Colour chart", 11, bold=True)
    words = (
        "Print at 100 % on the paper, with the printer and its settings that artwork will be "
        "printed with. Photograph it whole, flat and evenly lit, without clipping the white."
    )
    pen.paragraph(
        Box(MARGIN_MM + 28, MARGIN_MM + 0.6, width - 2 * MARGIN_MM - 28, 8), words, 7, GREY
    )
    down = chart.layout.spacing_mm[1]
    middle = (width / 2, MARGIN_MM + _HEAD_MM + _MARKER_MM / CELLS + _MARKER_MM / 2 + down / 2)
    for corner in range(len(CORNERS)):
        x, y = chart.layout.corners_mm(corner)[0]
        bits = marker_bits(marker_id(chart.layout.code, TREATMENT, corner))
        box = Box(middle[0] + x, middle[1] - y, _MARKER_MM, _MARKER_MM)
        pen.picture(symbol(bits, _MARKER_MM), box)
    left = middle[0] - chart.cell_mm * COLUMNS / 2
    top = middle[1] - chart.cell_mm * ROWS / 2
    grid = Box(left, top, chart.cell_mm * COLUMNS, chart.cell_mm * ROWS)
    pen.picture(chart.colours, grid)
    pen.rect(grid, colour=GREY, width=0.15)
    with atomic_path(path) as temporary:
        pen.save(str(temporary))
    return chart
