"""Sheets that a photographer takes along: where to stand, and what to photograph in which order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from physadv.data.files import atomic_path
from physadv.export.overview import ETHICS
from physadv.export.paper import MARGIN_MM, Box, sheet_size_mm
from physadv.export.pen import ACCENT, FAINT, GREY, INK, Pen
from physadv.units import M_PER_FOOT, deg_to_rad

_ROW_MM = 5.2
_MAP_MM = 105.0


@dataclass(frozen=True)
class Station:
    """Where the camera stands for one cell, measured on the floor from below the target.

    ``along_m`` runs straight out from the target, ``across_m`` to the right of one who faces it.
    ``target_px`` is the target's width in the picture, ``cell_px`` that of a marker's cell, None
    without markers; ``warning`` is empty where all can be read.
    """

    name: str
    distance_m: float
    yaw_deg: float
    target_px: float | None = None
    cell_px: float | None = None
    warning: str = ""

    @property
    def across_m(self) -> float:
        """Offset to the right of the middle line."""
        return self.distance_m * math.sin(deg_to_rad(self.yaw_deg))

    @property
    def along_m(self) -> float:
        """Way along the middle line."""
        return self.distance_m * math.cos(deg_to_rad(self.yaw_deg))


@dataclass(frozen=True)
class Visit:
    """So many photographs of one treatment from one station, in this session."""

    session: int
    station: Station
    treatment: str
    photographs: int


def write_field_plan(
    path: Path,
    title: str,
    stations: Sequence[Station],
    visits: Sequence[Visit],
    notes: Sequence[str],
    *,
    page: str = "a4",
) -> int:
    """Write the plan as a PDF: a map and table of the stations, then the shot list.

    Args:
        path: The file; replaced only if all goes well.
        title: Of the first page.
        stations: Every cell.
        visits: In the order in which they are to be made.
        notes: Paragraphs below the map.
        page: Paper, as for ``write_pdf``.

    Returns:
        How many pages it has.

    Raises:
        UserError: If the paper's size is out of range or the file cannot be written.
        UsageError: If the page size is unknown.
    """
    size = sheet_size_mm(page.lower())
    pen = Pen(title)
    pen.add_page(*size)
    left, width = MARGIN_MM, size[0] - 2 * MARGIN_MM
    pen.text(left, MARGIN_MM + 6, title, 15, bold=True, max_width=width)
    y = MARGIN_MM + 11
    for note in notes:
        y = pen.paragraph(Box(left, y, width, 20), note, 8.5) + 1.2
    y = _map(pen, stations, Box(left, y + 2, width, _MAP_MM)) + 4
    pages = 1
    rows = list(stations)
    titles = ("Station", "Tape m", "Tape ft", "Yaw", "Out m", "Right m", "Target px", "Cell px")
    stops = (0.16, 0.27, 0.38, 0.47, 0.58, 0.70, 0.82, 0.92)
    while rows:
        y = _head(pen, left, width, y, titles, stops)
        room = int((size[1] - MARGIN_MM - 28 - y) // _ROW_MM)
        for station in rows[:room]:
            y = _station_row(pen, station, left, width, y, stops)
        rows = rows[room:]
        if rows:
            pen.add_page(*size)
            pages, y = pages + 1, MARGIN_MM + 6
    told = [f"{s.name}: {s.warning}" for s in stations if s.warning]
    if told:
        words = "! Give distance and angle of these by hand, or print larger. " + "; ".join(told)
        pen.paragraph(Box(left, y + 2, width, 30), words + ".", 7.5, ACCENT)
    pen.paragraph(Box(left, size[1] - MARGIN_MM - 6, width, 12), ETHICS, 7, GREY)
    pages += _draw_shots(pen, visits, size)
    with atomic_path(path) as temporary:
        pen.save(str(temporary))
    return pages


def _head(
    pen: Pen, left: float, width: float, y: float, titles: Sequence[str], stops: Sequence[float]
) -> float:
    for title, stop in zip(titles, stops, strict=True):
        pen.text(left + stop * width, y + 3, title, 7, bold=True, colour=GREY, align="right")
    pen.line(left, y + 4.4, left + width, y + 4.4, width=0.2)
    return y + 4.4


def _station_row(
    pen: Pen, station: Station, left: float, width: float, y: float, stops: Sequence[float]
) -> float:
    cells = (
        station.name,
        f"{station.distance_m:.2f}",
        _feet(station.distance_m),
        f"{station.yaw_deg:g}",
        f"{station.along_m:.2f}",
        f"{station.across_m:+.2f}",
        "-" if station.target_px is None else f"{station.target_px:.0f}",
        "-" if station.cell_px is None else f"{station.cell_px:.1f}",
    )
    colour = ACCENT if station.warning else INK
    for text, stop in zip(cells, stops, strict=True):
        pen.text(left + stop * width, y + 3.7, text, 8, align="right", colour=colour)
    if station.warning:
        pen.text(left + stops[-1] * width + 2, y + 3.7, "!", 8, bold=True, colour=ACCENT)
    pen.line(left, y + _ROW_MM, left + width, y + _ROW_MM, colour=FAINT)
    return y + _ROW_MM


def _map(pen: Pen, stations: Sequence[Station], box: Box) -> float:
    """The floor from above: the target at the top, stations below; returns the bottom."""
    far = max(station.along_m for station in stations)
    wide = max(1.0, *(abs(station.across_m) for station in stations))
    scale = min((box.height - 14) / far, (box.width / 2 - 10) / wide)
    x0, y0 = box.left + box.width / 2, box.top + 5
    pen.line(x0, y0, x0, y0 + far * scale + 3, colour=FAINT, dash=1.0)
    pen.line(x0 - 6, y0, x0 + 6, y0, width=1.2, colour=ACCENT)
    pen.text(x0 + 8, y0 + 1, "target", 8, colour=ACCENT)
    for station in stations:
        x, y = x0 + station.across_m * scale, y0 + station.along_m * scale
        pen.line(x0, y0, x, y, colour=FAINT)
    for station in stations:
        x, y = x0 + station.across_m * scale, y0 + station.along_m * scale
        fill = (255, 226, 214) if station.warning else (255, 255, 255)
        pen.disc(x, y, 2.4, fill=fill, colour=ACCENT if station.warning else INK)
        pen.text(x, y + 0.9, station.name, 6, align="centre")
    metre = round(far / 4) or 1
    pen.line(box.left, y0 + 2, box.left + metre * scale, y0 + 2, width=0.5)
    pen.text(box.left, y0 + 6, f"{metre} m ({_feet(metre)})", 7)
    return y0 + far * scale + 4


def _feet(length_m: float) -> str:
    """Feet and inches to a quarter of an inch, e.g. ``14' 9.5"``."""
    quarters = round(length_m / M_PER_FOOT * 48)
    feet, rest = divmod(quarters, 48)
    inches = f"{rest / 4:.2f}".rstrip("0").rstrip(".")
    return f"{feet}' {inches}\""


def _draw_shots(pen: Pen, visits: Sequence[Visit], size: tuple[float, float]) -> int:
    """The list to tick off, on as many pages as it takes."""
    left, width = MARGIN_MM, size[0] - 2 * MARGIN_MM
    titles = (
        "No.",
        "Session",
        "Station",
        "Tape m",
        "Yaw",
        "Show",
        "Photos",
        "Done",
        "File numbers",
    )
    stops = (0.05, 0.14, 0.23, 0.33, 0.41, 0.57, 0.66, 0.74, 0.92)
    pages, y, session = 0, size[1], 0
    for number, visit in enumerate(visits, start=1):
        if y + _ROW_MM > size[1] - MARGIN_MM or (visit.session != session and y > size[1] * 0.8):
            pen.add_page(*size)
            pages += 1
            pen.text(left, MARGIN_MM + 5, f"Shot list, page {pages}", 11, bold=True)
            y = _head(pen, left, width, MARGIN_MM + 8, titles, stops)
        if visit.session != session:
            session = visit.session
            pen.line(left, y, left + width, y, width=0.5)
        station = visit.station
        cells = (
            str(number),
            str(visit.session),
            station.name,
            f"{station.distance_m:.2f}",
            f"{station.yaw_deg:g}",
            visit.treatment,
            str(visit.photographs),
        )
        for text, stop in zip(cells, stops, strict=False):
            bold = text == visit.treatment
            pen.text(left + stop * width, y + 3.7, text, 8, align="right", bold=bold)
        pen.rect(Box(left + stops[7] * width - 3.2, y + 1.0, 3.2, 3.2), width=0.2)
        pen.line(left + 0.76 * width, y + 4.2, left + stops[8] * width, y + 4.2, colour=GREY)
        pen.line(left, y + _ROW_MM, left + width, y + _ROW_MM, colour=FAINT)
        y += _ROW_MM
    return pages
