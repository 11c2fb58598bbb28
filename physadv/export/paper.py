"""Paper sizes, the areas of a sheet, and boxes in millimetres."""

import re
from dataclasses import dataclass

from physadv.checks import UserError, check_name

# ISO 216 and ANSI/ASME Y14.1, portrait.
PAGES_MM: dict[str, tuple[float, float]] = {
    "a4": (210.0, 297.0),
    "a3": (297.0, 420.0),
    "letter": (215.9, 279.4),
    "tabloid": (279.4, 431.8),
}

_SMALLEST_MM = (200.0, 270.0)  # the first page needs as much
_LARGEST_MM = 5000.0  # PDF readers stop at 5080 mm

MARGIN_MM = 10.0
FOOTER_MM = 26.0  # below the artwork: crop marks, then ruler, label and TEST
OVERLAP_MM = 10.0
BLEED_MM = 3.0
MARK_GAP_MM = BLEED_MM + 0.5
MARK_LENGTH_MM = 3.5
MARK_SPACE_MM = MARK_GAP_MM + MARK_LENGTH_MM


@dataclass(frozen=True)
class Box:
    """An axis-aligned rectangle in millimetres, x right and y down."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def moved(self, dx: float, dy: float) -> "Box":
        """The same rectangle shifted."""
        return Box(self.left + dx, self.top + dy, self.width, self.height)

    def scaled_into(self, origin: "Box", scale: float) -> "Box":
        """The rectangle, scaled, with its own origin moved to the corner of ``origin``."""
        return Box(
            origin.left + self.left * scale,
            origin.top + self.top * scale,
            self.width * scale,
            self.height * scale,
        )

    def grown(self, left: float, top: float, right: float, bottom: float) -> "Box":
        """The rectangle with each side pushed outwards."""
        return Box(
            self.left - left, self.top - top, self.width + left + right, self.height + top + bottom
        )


def sheet_size_mm(page: str, landscape: bool = False) -> tuple[float, float]:
    """Width and height of a sheet, in portrait unless ``landscape``.

    Args:
        page: A key of ``PAGES_MM``, or a size like ``610x914`` in millimetres.
        landscape: Whether the long side lies across.

    Raises:
        UsageError: If ``page`` is neither.
        UserError: If the size is not between 200 x 270 mm and 5 m.
    """
    custom = re.fullmatch(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)(?:mm)?", page)
    if custom is None:
        width, height = PAGES_MM[
            check_name("page size", page, PAGES_MM, "Or a size in mm, like 610x914.")
        ]
    else:
        width, height = sorted(float(side) for side in custom.groups())
        if width < _SMALLEST_MM[0] or height < _SMALLEST_MM[1] or height > _LARGEST_MM:
            raise UserError(
                f"page {width:g} x {height:g} mm",
                f"not between {_SMALLEST_MM[0]:g} x {_SMALLEST_MM[1]:g} mm and {_LARGEST_MM:g} mm",
                "Name the size of the paper in millimetres.",
            )
    return (height, width) if landscape else (width, height)


def artwork_area(page: str, landscape: bool = False) -> Box:
    """The part of a sheet that artwork may fill (trimmed size; bleed runs into the margin)."""
    width, height = sheet_size_mm(page, landscape)
    return Box(MARGIN_MM, MARGIN_MM, width - 2 * MARGIN_MM, height - MARGIN_MM - FOOTER_MM)
