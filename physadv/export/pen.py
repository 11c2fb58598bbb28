"""Drawing on a PDF page in millimetres from its top-left corner."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from fpdf import FPDF
from fpdf.prefs import ViewerPreferences
from PIL import Image, ImageCms

from physadv.export.paper import Box
from physadv.units import MM_PER_POINT

Colour = tuple[int, int, int]
INK: Colour = (20, 20, 20)
GREY: Colour = (110, 110, 110)
LIGHT: Colour = (205, 205, 205)
FAINT: Colour = (232, 232, 232)
ACCENT: Colour = (196, 0, 98)
HAIRLINE_MM = 0.1

# The same input gives the same bytes, so the file cannot carry the time it was made.
_FIXED_DATE = datetime(2000, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1)
def _srgb_profile() -> bytes:
    """An sRGB profile whose header date, which LittleCMS sets to now, is fixed (ICC.1, 7.2.8)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = b"".join(part.to_bytes(2, "big") for part in (2000, 1, 1, 0, 0, 0))
    return bytes(profile)


class Pen:
    """A thin shell over fpdf2: lengths in millimetres, text sizes in points, colours as RGB."""

    def __init__(self, title: str) -> None:
        self._pdf = FPDF(unit="mm")
        self._pdf.set_auto_page_break(False)
        self._pdf.set_margin(0)
        self._pdf.c_margin = 0
        self._pdf.set_creation_date(_FIXED_DATE)
        self._pdf.set_title(_latin1(title))
        self._pdf.set_creator("physadv")
        # Viewers that obey it preselect "actual size" in the print dialogue.
        self._pdf.viewer_preferences = ViewerPreferences(print_scaling="None")

    def add_page(self, width_mm: float, height_mm: float) -> None:
        """Start a page of that size."""
        self._pdf.add_page(format=(width_mm, height_mm))
        self.width_mm, self.height_mm = width_mm, height_mm

    def save(self, path: str) -> None:
        """Write the file."""
        self._pdf.output(path)

    def line(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        *,
        width: float = HAIRLINE_MM,
        colour: Colour = INK,
        dash: float = 0.0,
    ) -> None:
        """A straight stroke, dashed if ``dash`` (its on and off length) is positive."""
        self._stroke(width, colour, dash)
        self._pdf.line(x0, y0, x1, y1)

    def segments(
        self,
        segments: Iterable[tuple[float, float, float, float]],
        *,
        width: float = HAIRLINE_MM,
        colour: Colour = INK,
        dash: float = 0.0,
    ) -> None:
        """Many strokes of one style."""
        self._stroke(width, colour, dash)
        for x0, y0, x1, y1 in segments:
            self._pdf.line(x0, y0, x1, y1)

    def rect(
        self,
        box: Box,
        *,
        width: float = HAIRLINE_MM,
        colour: Colour | None = INK,
        fill: Colour | None = None,
        dash: float = 0.0,
    ) -> None:
        """A rectangle, stroked in ``colour`` and filled with ``fill`` where given."""
        if fill is not None:
            self._pdf.set_fill_color(*fill)
        if colour is not None:
            self._stroke(width, colour, dash)
        style = ("D" if colour is not None else "") + ("F" if fill is not None else "")
        self._pdf.rect(box.left, box.top, box.width, box.height, style=style)

    def disc(self, x: float, y: float, radius: float, *, fill: Colour, colour: Colour) -> None:
        """A filled circle around (x, y)."""
        self._stroke(0.2, colour, 0.0)
        self._pdf.set_fill_color(*fill)
        self._pdf.circle(x=x, y=y, radius=radius, style="DF")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 8.0,
        *,
        bold: bool = False,
        colour: Colour = INK,
        align: Literal["left", "centre", "right"] = "left",
        max_width: float | None = None,
        upright: bool = True,
    ) -> float:
        """One line with its baseline at y; returns its width.

        Text that is wider than ``max_width`` is shortened with three dots. Not ``upright`` runs
        upwards from (x, y).
        """
        self._pdf.set_font("Helvetica", style="B" if bold else "", size=size)
        self._pdf.set_text_color(*colour)
        shown = _latin1(text)
        while max_width is not None and len(shown) > 4 and self._wide(shown, max_width):
            shown = shown.removesuffix("...")[:-1].rstrip() + "..."
        width = self._pdf.get_string_width(shown)
        shift = {"left": 0.0, "centre": width / 2, "right": width}[align]
        if upright:
            self._pdf.text(x - shift, y, shown)
        else:
            with self._pdf.rotation(90, x, y):
                self._pdf.text(x - shift, y, shown)
        return width

    def paragraph(self, box: Box, text: str, size: float = 8.0, colour: Colour = INK) -> float:
        """Wrapped text from the top of ``box``; returns the y below its last line."""
        self._pdf.set_font("Helvetica", size=size)
        self._pdf.set_text_color(*colour)
        self._pdf.set_xy(box.left, box.top)
        line = size * MM_PER_POINT * 1.3
        self._pdf.multi_cell(box.width, line, _latin1(text), align="L", new_x="LEFT", new_y="NEXT")
        return float(self._pdf.get_y())

    def picture(self, rgb: npt.NDArray[np.uint8], box: Box) -> None:
        """Put an [H, W, 3] sRGB picture, stored losslessly and never interpolated, into ``box``."""
        image = Image.fromarray(rgb, mode=None)
        image.info["icc_profile"] = _srgb_profile()
        self._pdf.image(image, box.left, box.top, box.width, box.height)

    @contextmanager
    def clip(self, boxes: Iterable[Box]) -> Iterator[None]:
        """Show what is drawn inside only within the union of ``boxes``.

        Written as page content because fpdf2 clips to a single rectangle only, rounded to 0.01 pt.
        """
        scale = 1 / MM_PER_POINT
        path = "\n".join(
            f"{box.left * scale:.4f} {(self.height_mm - box.bottom) * scale:.4f} "
            f"{box.width * scale:.4f} {box.height * scale:.4f} re"
            for box in boxes
        )
        self._pdf._out(f"q\n{path}\nW n")
        yield
        self._pdf._out("Q")

    def _stroke(self, width: float, colour: Colour, dash: float) -> None:
        self._pdf.set_line_width(width)
        self._pdf.set_draw_color(*colour)
        self._pdf.set_dash_pattern(dash=dash, gap=dash)

    def _wide(self, text: str, max_width: float) -> bool:
        return bool(self._pdf.get_string_width(text) > max_width)


def _latin1(text: str) -> str:
    """The text in the character set of the PDF core fonts; other characters become '?'."""
    return (
        "".join(c if c.isprintable() else " " for c in text)
        .encode("latin-1", "replace")
        .decode("latin-1")
    )
