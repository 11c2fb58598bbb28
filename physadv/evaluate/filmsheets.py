"""Printed sheets in films: where the object is, how far away, and which treatment it carries."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from physadv.calibrate.camera import CameraCalibration
from physadv.calibrate.fiducials import FoundSheet, find_sheets
from physadv.calibrate.pose import pose_from_sheet
from physadv.checks import UserError
from physadv.data.film import Frame
from physadv.evaluate.capture_plan import Printed, place_of
from physadv.export.sheetfile import SheetLayout
from physadv.types import TREATMENTS, Treatment

Array = npt.NDArray[np.float64]

_LEAST_SHEETS = 3  # samples that must show a treatment's markers before they are believed


@dataclass(frozen=True)
class SheetAsker:
    """Rows: the print's code, number of its treatment, corner of the sheet, x and y of the four
    corners of that corner's marker. Sheets in a mirror and unknown prints are left out."""

    layouts: tuple[SheetLayout, ...]
    width: int = 11

    @property
    def key(self) -> str:
        """The prints."""
        prints = sorted((layout.code, layout.geometry) for layout in self.layouts)
        return f"sheets {prints}"

    def for_thread(self) -> Self:
        """Itself."""
        return self

    def look(self, frame: Frame) -> Array:
        """The markers of known prints."""
        rows = [
            [sheet.code, TREATMENTS.index(sheet.treatment), corner, *points.ravel()]
            for sheet in find_sheets(frame.rgb, self.layouts)
            if sheet.layout is not None and sheet.code is not None and not sheet.mirrored
            for corner, points in sheet.corners_px.items()
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, self.width)


def sheets_of(rows: npt.NDArray[np.float32], layouts: Sequence[SheetLayout]) -> list[FoundSheet]:
    """The sheets of one sample, from the log."""
    known = {layout.code: layout for layout in layouts}
    found: dict[tuple[int, int], dict[int, Array]] = {}
    for row in rows.astype(np.float64):
        corners = found.setdefault((int(row[0]), int(row[1])), {})
        corners[int(row[2])] = row[3:].reshape(4, 2)
    return [
        FoundSheet(TREATMENTS[treatment], code, corners, False, known[code], 0)
        for (code, treatment), corners in found.items()
    ]


def treatment_by_sheets(samples: Sequence[Sequence[FoundSheet]]) -> Treatment | None:
    """The treatment that a film's markers tell; None if too few are seen.

    Raises:
        UserError: If they tell several.
    """
    count = Counter(sheet.treatment for sheets in samples for sheet in sheets)
    told = [treatment for treatment, times in count.items() if times >= _LEAST_SHEETS]
    if len(told) > 1:
        seen = ", ".join(f"{name} in {count[name]} samples" for name in told)
        raise UserError(
            "tell a film's treatment by its markers", seen, "Cut the film, or cover other prints."
        )
    return told[0] if told else None


def box_by_sheet(sheet: FoundSheet, printed: Printed | None) -> Array | None:
    """[4] xyxy of the object that a sheet covers; None if it covers a part of it only."""
    return place_of(sheet, printed)[0]


def depth_by_sheet(sheet: FoundSheet, camera: CameraCalibration) -> tuple[float, float] | None:
    """Distance along the camera's axis and its one-sigma error; None if no pose fits."""
    try:
        pose = pose_from_sheet(sheet, camera)
    except UserError:
        return None
    matrix = sheet.plane_to_picture()
    if matrix is None:
        return None
    middle = cv2.perspectiveTransform(np.zeros((1, 1, 2)), matrix)[0]
    x, y = camera.undistort(middle)[0]
    slant = math.hypot(1.0, (x - camera.cx) / camera.fx, (y - camera.cy) / camera.fy)
    return pose.distance_m / slant, pose.distance_sd_m / slant
