"""Printed sheets in photographs: which treatment, which print, where each marker lies."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
import numpy.typing as npt

from physadv.calibrate.markers import Marker, find_markers
from physadv.export.codes import CELLS, CORNERS, MarkerMeaning, code_of, digit_of, read_marker
from physadv.export.sheetfile import SheetLayout, layout_from_label
from physadv.types import Treatment

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

# Markers of one sheet are of like size and lie as far apart as a sheet can make them.
_MOST_SIZE_RATIO = 3.0
_MIN_APART, _MAX_APART = 0.9, 40.0  # marker sides
_MISFIT_CELLS = 0.6  # of a marker's corners from where its sheet says they are
_SQUARE = ((-0.5, 0.5), (0.5, 0.5), (0.5, -0.5), (-0.5, -0.5))  # corners, x right and y up
_LABEL_MARKER_PX = 480  # side of a marker when its neighbourhood is straightened
_LABEL_PX = 1600


@dataclass(frozen=True)
class FoundSheet:
    """A sheet in a picture.

    ``corners_px`` gives, for each corner of the sheet that was seen (index into
    ``export.codes.CORNERS``), the [4,2] corners of its marker, beginning with the marker's own top
    left and going round as printed; pixel centres at +0.5. ``code`` names the print and is None
    if a single marker was seen whose sheet is not known. ``layout`` is that print if it is known.
    ``mirrored`` tells that the picture shows it in a mirror, as front cameras store it.
    """

    treatment: Treatment
    code: int | None
    corners_px: dict[int, Array]
    mirrored: bool
    layout: SheetLayout | None
    corrected_bits: int

    @property
    def checked(self) -> bool:
        """Whether more was read than is needed: three markers agree, or two fit a known sheet."""
        seen = len(self.corners_px)
        return seen >= 3 or (seen == 2 and self.layout is not None)

    @property
    def box(self) -> Array:
        """[4] xyxy box around the markers that were seen."""
        points = np.concatenate(list(self.corners_px.values()))
        return np.concatenate([points.min(axis=0), points.max(axis=0)])

    def plane_to_picture(self) -> Array | None:
        """[3,3] homography from the sheet's frame (mm, x right, y up) to pixels.

        None if the sheet's layout is not known.
        """
        return None if self.layout is None else _homography(self.layout, self.corners_px)


@dataclass(frozen=True, eq=False)
class _Read:
    marker: Marker
    meaning: MarkerMeaning

    @cached_property
    def middle(self) -> Array:
        return np.asarray(self.marker.corners_px.mean(axis=0))

    @cached_property
    def side(self) -> float:
        points = self.marker.corners_px
        return float(np.linalg.norm(points - points[[1, 2, 3, 0]], axis=1).mean())

    @cached_property
    def to_own(self) -> Array:
        """[2,2] from pixels to marker sides, x across and y up, as at the marker's middle."""
        # Affine, since the perspective of one small marker cannot be carried that far.
        points = self.marker.corners_px
        across = (points[1] - points[0] + points[2] - points[3]) / 2
        up = (points[0] - points[3] + points[1] - points[2]) / 2
        return np.asarray(np.linalg.inv(np.stack([across, up], axis=1)))


def find_sheets(picture: Picture, known: Sequence[SheetLayout] = ()) -> list[FoundSheet]:
    """Find every printed sheet in a photograph.

    A sheet is found in any turn, in a mirror, and with some of its markers out of the frame. Two
    markers or more must agree in treatment, code and place; a lone one is believed if no bit of it
    is wrong.

    Args:
        picture: [H,W,3] uint8 RGB, or [H,W] grey.
        known: The sheets that were printed (``export.sheetfile.load_layouts``). Markers with the
            code of one must lie where it has them; other sheets have ``layout`` None.

    Returns:
        The sheets, the one with most markers first.
    """
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    read = [
        _Read(marker, meaning)
        for marker in find_markers(np.ascontiguousarray(grey))
        if (meaning := read_marker(marker.identifier)) is not None
    ]
    layouts = {layout.code: layout for layout in known}
    sheets = []
    code_of_pair = cache(_code_of_pair)
    while (group := _best_group(read, layouts, code_of_pair)) is not None:
        members, code = group
        read = [one for one in read if one not in members]
        sheets.append(_sheet(members, code, layouts.get(code)))
    for one in read:
        lone = _lone(one, known)
        if lone is not None:
            sheets.append(lone)
    return sorted(sheets, key=lambda sheet: -len(sheet.corners_px))


def _sheet(members: list[_Read], code: int, layout: SheetLayout | None) -> FoundSheet:
    first = members[0]
    return FoundSheet(
        first.meaning.treatment,
        code,
        {one.meaning.corner: one.marker.corners_px for one in members},
        first.marker.mirrored,
        layout,
        sum(one.marker.errors for one in members),
    )


def _best_group(
    read: list[_Read],
    layouts: dict[int, SheetLayout],
    code_of_pair: Callable[[_Read, _Read], int | None],
) -> tuple[list[_Read], int] | None:
    """The largest set of markers that one sheet can have, and its code."""
    best: tuple[list[_Read], int] | None = None
    for one, other in itertools.combinations(read, 2):
        code = code_of_pair(one, other)
        if code is None:
            continue
        members = [one, other]
        for third in read:
            corners = {member.meaning.corner for member in members}
            if third.meaning.corner not in corners and all(
                code_of_pair(member, third) == code for member in members
            ):
                members.append(third)
        if code in layouts and not _fits(layouts[code], members):
            continue
        rank = (len(members), code in layouts)
        if best is None or rank > (len(best[0]), best[1] in layouts):
            best = (members, code)
    return best


def _code_of_pair(one: _Read, other: _Read) -> int | None:
    """The code of the sheet to which both may belong, else None."""
    a, b = one.meaning, other.meaning
    if a.treatment != b.treatment or a.corner == b.corner:
        return None
    if one.marker.mirrored != other.marker.mirrored:
        return None
    if not 1 / _MOST_SIZE_RATIO <= one.side / other.side <= _MOST_SIZE_RATIO:
        return None
    if not (_lies_right(one, other) and _lies_right(other, one)):
        return None
    return code_of({a.corner: a.digit, b.corner: b.digit})


def _lies_right(one: _Read, other: _Read) -> bool:
    """Whether ``other`` lies on that side of ``one`` on which its corner of the sheet is."""
    away = (one.to_own @ (other.middle - one.middle)).tolist()
    distance = math.hypot(*away)
    if not _MIN_APART <= distance <= _MAX_APART:
        return False
    here, there = _SQUARE[one.meaning.corner], _SQUARE[other.meaning.corner]
    for value, sign in zip(away, (there[0] - here[0], there[1] - here[1]), strict=True):
        if sign and value * sign < _MIN_APART / 2:
            return False
        if not sign and abs(value) > 0.5 * distance:
            return False
    return True


def _fits(layout: SheetLayout, members: list[_Read]) -> bool:
    """Whether one view of the sheet explains where all its markers lie."""
    seen = {one.meaning.corner: one.marker.corners_px for one in members}
    matrix = _homography(layout, seen)
    for corner, points in seen.items():
        shown = cv2.perspectiveTransform(layout.corners_mm(corner)[None], matrix)[0]
        side = np.linalg.norm(points - points[[1, 2, 3, 0]], axis=1).mean()
        if np.linalg.norm(shown - points, axis=1).max() > max(2.0, _MISFIT_CELLS * side / CELLS):
            return False
    return True


def _homography(layout: SheetLayout, corners_px: dict[int, Array]) -> Array:
    plane = np.concatenate([layout.corners_mm(corner) for corner in corners_px])
    matrix, _ = cv2.findHomography(plane, np.concatenate(list(corners_px.values())))
    return np.asarray(matrix, dtype=np.float64)


def _lone(one: _Read, known: Sequence[SheetLayout]) -> FoundSheet | None:
    """The sheet of a marker without company, if it can be believed."""
    if one.marker.errors:
        return None
    possible = [
        layout for layout in known if digit_of(layout.code, one.meaning.corner) == one.meaning.digit
    ]
    if known and not possible:
        return None
    layout = possible[0] if len(possible) == 1 else None
    return FoundSheet(
        one.meaning.treatment,
        None if layout is None else layout.code,
        {one.meaning.corner: one.marker.corners_px},
        one.marker.mirrored,
        layout,
        0,
    )


def read_label(picture: Picture, sheet: FoundSheet) -> tuple[SheetLayout, Treatment] | None:
    """Read the QR code beside the markers: the sheet's layout without its run's ``sheet.json``.

    Args:
        picture: [H,W,3] uint8 RGB, in which the sheet was found.
        sheet: The sheet.

    Returns:
        The layout, with the artwork's sha256 and the run's name cut short, and the treatment; None
        if the QR code is too small, out of the frame or hidden.
    """
    reader = cv2.QRCodeDetector()
    for part in _label_places(picture, sheet):
        text, _, _ = reader.detectAndDecode(part)
        try:
            return layout_from_label(text)
        except ValueError:
            continue
    return None


def _label_places(picture: Picture, sheet: FoundSheet) -> Iterator[Picture]:
    """Straightened parts of the picture that may hold the label: by a marker, then the middle."""
    side = _LABEL_MARKER_PX
    marker = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    beside = CORNERS.index("bottom left")
    if beside in sheet.corners_px:
        # The label lies within two marker sides to the right of this marker or above it.
        reach, edge = 2 * side, side // 8
        target = marker + np.array([edge, reach], np.float32)
        matrix = cv2.getPerspectiveTransform(
            sheet.corners_px[beside].astype(np.float32) - np.float32(0.5), target
        )
        size = (side + reach + edge, side + reach + edge)
        yield cv2.warpPerspective(picture, matrix, size, flags=cv2.INTER_CUBIC)
    corners = {corner: quad[corner] for corner, quad in sheet.corners_px.items()}
    if len(corners) == len(CORNERS):
        outer = np.stack([corners[corner] for corner in range(4)]).astype(np.float32)
        square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * np.float32(_LABEL_PX)
        matrix = cv2.getPerspectiveTransform(outer - np.float32(0.5), square)
        yield cv2.warpPerspective(picture, matrix, (_LABEL_PX, _LABEL_PX), flags=cv2.INTER_CUBIC)


def corner_names(sheet: FoundSheet) -> str:
    """Which corners were seen, for messages, e.g. ``top left, bottom right``."""
    return ", ".join(CORNERS[corner] for corner in sorted(sheet.corners_px))
