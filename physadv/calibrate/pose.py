"""Where the camera stood: from a sheet's markers, a board, a sign's outline, a box or a tape."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from physadv.calibrate.boards import Board, BoardView
from physadv.calibrate.camera import CameraCalibration
from physadv.calibrate.fiducials import FoundSheet
from physadv.calibrate.planar import (
    LEAST_PIXEL_SD,
    angles_deg,
    deviations_of,
    solve,
    turn_deg,
)
from physadv.checks import UserError, check_range
from physadv.export.sheetfile import SheetLayout
from physadv.scene.faces import octagon
from physadv.units import M_PER_FOOT, MM_PER_M

Array = npt.NDArray[np.float64]
Source = Literal["fiducial", "board", "sign", "box", "manifest"]

CONTRADICTION = 0.20  # two distances that differ by more are not of the same picture
_CLEAR_RATIO = 2.0  # the second pose fits so much worse where the first is beyond doubt
_SAME_POSE_DEG = 1.0
_BOX_SD_SHARE, _BOX_SD_PX = 0.03, 1.5  # of a detector's box height
_TAPE_SD_SHARE, _TAPE_SD_M = 0.01, 0.02
_UNIT_SLACK = 0.1


@dataclass(frozen=True)
class PoseEstimate:
    """Where the camera stood, as ``scene.pose.Pose`` has it, and how well that is known.

    ``distance_m`` is from the camera to the target's middle, ``distance_sd_m`` its one-sigma error
    without that of the printed size. The angles are those of a level camera before a target that
    hangs vertically, whatever part of the picture it is in; None where unknown. ``angle_sd_deg``
    is the larger of yaw's and pitch's. ``camera_m`` is the camera's place in the target's own frame
    (x right, y up, z out of it), also where camera or target are not level. ``reprojection_px`` is
    the rms distance of the points from where this pose shows them.

    Of a flat target two poses may look alike: ``ambiguous`` tells that the other, with the angles
    ``other_deg`` (yaw, pitch, roll), fits less than twice as badly. The distance hardly differs.
    """

    distance_m: float
    yaw_deg: float | None
    pitch_deg: float | None
    roll_deg: float | None
    source: Source
    distance_sd_m: float
    angle_sd_deg: float | None = None
    reprojection_px: float | None = None
    ambiguous: bool = False
    other_deg: tuple[float, float, float] | None = None
    camera_m: tuple[float, float, float] | None = None


def pose_from_sheet(
    sheet: FoundSheet,
    camera: CameraCalibration,
    layout: SheetLayout | None = None,
) -> PoseEstimate:
    """The pose of a printed sheet from all its markers at once.

    Args:
        sheet: What ``find_sheets`` found.
        camera: The camera, for the picture's size (``CameraCalibration.for_picture``).
        layout: The print; needed if the sheet's own ``layout`` is None.

    Raises:
        UserError: If the layout is not known, or no camera can see the markers so.
    """
    layout = sheet.layout or layout
    if layout is None:
        raise UserError(
            f"measure the distance of the sheet with code {sheet.code}",
            "where its markers lie is not known",
            "Give the run folder that printed it.",
        )
    plane = np.concatenate([layout.corners_mm(corner) for corner in sheet.corners_px])
    pixels = np.concatenate(list(sheet.corners_px.values()))
    if sheet.mirrored:
        pixels = np.stack([camera.width_px - pixels[:, 0], pixels[:, 1]], axis=1)
    return pose_from_points(plane, pixels, camera, "fiducial")


def pose_from_board(view: BoardView, board: Board, camera: CameraCalibration) -> PoseEstimate:
    """The pose of a calibration board, with its middle as the target's.

    Raises:
        UserError: If no camera can see the corners so.
    """
    plane = (view.object_mm - board.centre_mm)[:, :2] * [1.0, -1.0]
    return pose_from_points(plane, view.image_px, camera, "board")


def pose_from_octagon(
    corners_px: npt.ArrayLike, width_mm: float, camera: CameraCalibration
) -> PoseEstimate:
    """The pose of an octagonal sign from its outline.

    Args:
        corners_px: [8,2] corners in the order of ``scene.faces.octagon``, pixel centres at +0.5.
        width_mm: Width of the square that bounds the sign.
        camera: The camera.

    Raises:
        UserError: If no camera can see the corners so, or the width is not positive.
    """
    check_range("width of the sign", width_mm, 0, 10_000, "mm", low_open=True)
    plane = (octagon(width_mm) - width_mm / 2) * [1.0, -1.0]
    return pose_from_points(plane, corners_px, camera, "sign")


def pose_from_points(
    plane_mm: npt.ArrayLike,
    pixels: npt.ArrayLike,
    camera: CameraCalibration,
    source: Source,
) -> PoseEstimate:
    """The pose of a flat target from points on it.

    Both poses that a plane allows are refined by Levenberg-Marquardt on the distorted pixels; the
    better one is returned. (OpenCV 5's closed form for the two, IPPE, gives wrong or no numbers for
    views from exactly in front, beside or above.)

    Args:
        plane_mm: [N,2] points on the target, x right and y up from its middle, N >= 4.
        pixels: [N,2] where they are in the picture, pixel centres at +0.5.
        camera: The camera.
        source: What the points are.

    Raises:
        UserError: If no pose shows the target's face to the camera.

    References:
        Schweighofer & Pinz, Robust Pose Estimation from a Planar Target, PAMI 2006.
    """
    flat = np.asarray(plane_mm, dtype=np.float64).reshape(-1, 2) / MM_PER_M
    seen = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
    points = np.concatenate([flat, np.zeros((len(flat), 1))], axis=1)
    solutions = solve(points, seen, camera)
    if not solutions:
        raise UserError(
            f"measure the distance from a {source}",
            "no camera position shows its points where they are",
            "Check the camera's calibration and the sheet's run.",
        )
    best = solutions[0]
    angles = angles_deg(best)
    others = [s for s in solutions[1:] if turn_deg(s.rotation, best.rotation) > _SAME_POSE_DEG]
    doubt = bool(others) and others[0].error_px < _CLEAR_RATIO * max(best.error_px, LEAST_PIXEL_SD)
    distance = float(np.linalg.norm(best.shift_m))
    distance_sd, angle_sd = deviations_of(points, camera, best)
    place = -best.rotation.T @ best.shift_m
    return PoseEstimate(
        distance,
        *angles,
        source,
        math.hypot(distance_sd, camera.focal_sd * distance),
        angle_sd,
        best.error_px,
        doubt,
        angles_deg(others[0]) if others else None,
        (float(place[0]), float(place[1]), float(place[2])),
    )


def distance_from_box(
    box: npt.ArrayLike,
    height_mm: float,
    camera: CameraCalibration,
    height_sd_mm: float = 0.0,
) -> PoseEstimate:
    """A coarse distance from a detector's box around an upright object of known height.

    Args:
        box: [4] xyxy in pixels.
        height_mm: Height of the object.
        camera: The camera, held level.
        height_sd_mm: One sigma of the object's height, e.g. 70 mm for any adult.

    Returns:
        The distance with its error; the angles are unknown.

    Raises:
        UserError: If the box is empty, or cut by the picture's edge so that its height is not the
            object's.
    """
    check_range("height of the object", height_mm, 0, 100_000, "mm", low_open=True)
    left, top, right, bottom = (float(value) for value in np.asarray(box, dtype=np.float64))
    if not (right > left and bottom > top):
        raise UserError(
            "a distance from a box",
            f"an empty box {left:g}, {top:g}, {right:g}, {bottom:g}",
            "Check the boxes.",
        )
    if top <= 1 or bottom >= camera.height_px - 1:
        raise UserError(
            "a distance from a box",
            "the picture's edge cuts the object",
            "Use photographs that show it whole, or a tape measure.",
        )
    middle = (left + right) / 2
    ends = camera.undistort([[middle, top], [middle, bottom]])
    height_px = float(ends[1, 1] - ends[0, 1])
    depth_m = camera.fy * height_mm / MM_PER_M / height_px
    x = (float(ends[:, 0].mean()) - camera.cx) / camera.fx
    y = (float(ends[:, 1].mean()) - camera.cy) / camera.fy
    distance = depth_m * math.sqrt(1 + x * x + y * y)
    share = math.hypot(
        max(_BOX_SD_SHARE, _BOX_SD_PX / height_px), height_sd_mm / height_mm, camera.focal_sd
    )
    return PoseEstimate(distance, None, None, None, "box", share * distance)


def pose_from_manifest(
    distance_m: float,
    yaw_deg: float | None = None,
    pitch_deg: float | None = None,
    roll_deg: float | None = None,
) -> PoseEstimate:
    """What was measured by tape and written down.

    Raises:
        UserError: If the distance is not in (0, 1000] m or an angle reaches 90 degrees (roll 180).
    """
    check_range("distance_m", distance_m, 0, 1000, "m", low_open=True)
    for name, angle, most in (("yaw_deg", yaw_deg, 89), ("pitch_deg", pitch_deg, 89)):
        if angle is not None:
            check_range(name, angle, -most, most, "degrees")
    if roll_deg is not None:
        check_range("roll_deg", roll_deg, -180, 180, "degrees")
    deviation = max(_TAPE_SD_M, _TAPE_SD_SHARE * distance_m)
    return PoseEstimate(distance_m, yaw_deg, pitch_deg, roll_deg, "manifest", deviation)


def contradiction(measured_m: float, stated_m: float) -> str:
    """Why a stated distance cannot be that of the measured picture; empty if it can.

    More than 20 % apart is no error of a tape; the usual reason is another unit.
    """
    ratio = stated_m / measured_m
    if abs(ratio - 1) <= CONTRADICTION:
        return ""
    text = f"stated {stated_m:g} m but measured {measured_m:.2f} m"
    units = {
        "feet": 1 / M_PER_FOOT,
        "inches": 12 / M_PER_FOOT,
        "centimetres": 100.0,
        "millimetres": MM_PER_M,
    }
    for unit, per_m in units.items():
        if abs(ratio / per_m - 1) <= _UNIT_SLACK:
            return f"{text}; it looks like {unit}"
    return text
