"""Paper sizes, the areas of a sheet, and boxes in millimetres."""

from dataclasses import dataclass

from physadv.checks import check_name

# ISO 216 and ANSI/ASME Y14.1, portrait.
PAGES_MM: dict[str, tuple[float, float]] = {
    "a4": (210.0, 297.0),
    "a3": (297.0, 420.0),
    "letter": (215.9, 279.4),
    "tabloid": (279.4, 431.8),
}

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
    """Width and height of a sheet.

    Raises:
        UsageError: If ``page`` is not a key of ``PAGES_MM``.
    """
    width, height = PAGES_MM[check_name("page size", page, PAGES_MM)]
    return (height, width) if landscape else (width, height)


def artwork_area(page: str, landscape: bool = False) -> Box:
    """The part of a sheet that artwork may fill (trimmed size; bleed runs into the margin)."""
    width, height = sheet_size_mm(page, landscape)
    return Box(MARGIN_MM, MARGIN_MM, width - 2 * MARGIN_MM, height - MARGIN_MM - FOOTER_MM)
