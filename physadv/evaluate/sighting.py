"""What a photograph shows before any victim looks: its sheet, which way up, a sign's outline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from physadv.calibrate.fiducials import FoundSheet, corner_names, find_sheets
from physadv.data.jpeg import turned_clockwise
from physadv.export.codes import CORNERS
from physadv.export.sheetfile import SheetLayout
from physadv.types import Treatment

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_TURNED = {1: "a quarter turn", 2: "half a turn", 3: "a quarter turn"}


@dataclass(frozen=True)
class Sighting:
    """``sheet`` is the one sheet of the photograph; ``problem`` says why it cannot be used.

    ``width_px`` and ``height_px`` are the upright picture's. ``quarter_turns`` is how far the
    stored picture was turned clockwise to be upright, by EXIF and by the sheet. ``notes`` tells
    what was mended.
    """

    width_px: int
    height_px: int
    quarter_turns: int
    sheet: FoundSheet | None = None
    notes: tuple[str, ...] = ()
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON; ``sighting_from`` reads it."""
        sheet = self.sheet
        return {
            "size": [self.width_px, self.height_px],
            "turns": self.quarter_turns,
            "notes": list(self.notes),
            "problem": self.problem,
            "sheet": None
            if sheet is None
            else {
                "treatment": sheet.treatment,
                "code": sheet.code,
                "bits": sheet.corrected_bits,
                "corners": {str(k): v.round(4).tolist() for k, v in sheet.corners_px.items()},
            },
        }


def sighting_from(record: Mapping[str, Any], known: Mapping[int, SheetLayout]) -> Sighting:
    """What ``Sighting.to_dict`` wrote; layouts are those of ``known`` sheets, by code."""
    found = record["sheet"]
    sheet = None
    if found is not None:
        treatment: Treatment = found["treatment"]
        corners = {int(k): np.array(v, dtype=np.float64) for k, v in found["corners"].items()}
        layout = None if found["code"] is None else known.get(found["code"])
        sheet = FoundSheet(treatment, found["code"], corners, False, layout, found["bits"])
    width, height = record["size"]
    notes = tuple(record["notes"])
    return Sighting(width, height, record["turns"], sheet, notes, record["problem"])


@dataclass(frozen=True)
class Righting:
    """What makes a picture the one that an upright camera without a mirror would have taken."""

    mirrored: bool = False
    quarter_turns: int = 0  # clockwise, after the mirror

    def of(self, picture: Picture) -> Picture:
        """The picture set right: [H,W,3], or [W,H,3] after a quarter turn."""
        if self.mirrored:
            picture = np.asarray(cv2.flip(picture, 1), np.uint8)
        return turned_clockwise(picture, self.quarter_turns)


def look_over(
    picture: Picture, quarter_turns: int, known: Sequence[SheetLayout]
) -> tuple[Sighting, Righting]:
    """Find a photograph's sheet, and whether it is mirrored or not upright.

    Args:
        picture: [H,W,3] uint8 RGB, turned as its EXIF says.
        quarter_turns: How far that was, clockwise.
        known: The sheets that were printed.

    Returns:
        What the picture shows once it is set right, and how that is done.
    """
    sheets = find_sheets(picture, known)
    height, width = picture.shape[:2]
    if len({(sheet.treatment, sheet.code) for sheet in sheets if sheet.code is not None}) > 1:
        seen = ", ".join(f"{sheet.treatment} (print {sheet.code})" for sheet in sheets)
        problem = f"it shows {len(sheets)} sheets: {seen}"
        return Sighting(width, height, quarter_turns, problem=problem), Righting()
    if not sheets:
        return Sighting(width, height, quarter_turns), Righting()
    sheet = sheets[0]
    notes = []
    corners = sheet.corners_px
    if sheet.mirrored:
        corners = {k: np.stack([width - v[:, 0], v[:, 1]], axis=1) for k, v in corners.items()}
        notes.append("mirrored by the camera; turned back")
    turns = _turns_to_upright(corners)
    if turns:
        corners = {k: _turned(v, width, height, turns) for k, v in corners.items()}
        if turns % 2:
            height, width = width, height
        notes.append(f"its sheet was off by {_TURNED[turns]}; turned upright")
    righting = Righting(sheet.mirrored, turns)
    sheet = FoundSheet(
        sheet.treatment, sheet.code, corners, False, sheet.layout, sheet.corrected_bits
    )
    if len(corners) < len(CORNERS):
        notes.append(f"markers seen: {corner_names(sheet)}")
    turns = (quarter_turns + turns) % 4
    return Sighting(width, height, turns, sheet, tuple(notes)), righting


def _turns_to_upright(corners: Mapping[int, Array]) -> int:
    """Clockwise quarter turns after which the markers' down points down."""
    down = np.sum([quad[3] - quad[0] + quad[2] - quad[1] for quad in corners.values()], axis=0)
    # Down is +y in pictures: a sheet whose down points to the right needs one turn clockwise.
    return int(np.rint(np.arctan2(down[0], down[1]) / (np.pi / 2))) % 4


def _turned(points: Array, width: int, height: int, turns: int) -> Array:
    """Points of a picture of that size after so many quarter turns clockwise."""
    x, y = points[:, 0], points[:, 1]
    moved = {1: (height - y, x), 2: (width - x, height - y), 3: (y, width - x)}[turns]
    return np.stack(moved, axis=1)
