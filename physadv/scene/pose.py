"""Camera, pose and the plane-to-image homography: the geometry that both renderers share.

World frame: the target's centre is the origin, +X right, +Y up, +Z its outward normal (towards
the camera). Radians exist only in this file.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.units import MM_PER_M, deg_to_rad

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: sensor pixels = focal_px * size / distance; no distortion."""

    focal_px: float
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Pose:
    """Where the camera stands relative to the target, and how the target hangs.

    The camera is ``distance_m`` from the target's centre and looks at it. ``yaw_deg`` > 0: the
    camera stands to the target's right (+X), so that the target's right edge is nearer;
    ``pitch_deg`` > 0: the camera stands above it; ``roll_deg`` > 0 turns the target clockwise in
    the image. ``offset_px`` moves the target's centre in the image (right, down).
    """

    distance_m: float
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    offset_px: tuple[float, float] = (0.0, 0.0)


def plane_to_image(pose: Pose, camera: Camera) -> Array:
    """Homography from the target's plane to the image.

    Args:
        pose: The camera's pose.
        camera: The camera's intrinsics.

    Returns:
        [3, 3] float64, mapping (x_mm right, y_mm up, 1) on the target to image pixels
        (x right, y down; pixel centres at +0.5), the target's centre to the principal point
        plus ``offset_px``.

    Raises:
        UserError: If the distance is not positive or an angle reaches 90 degrees.

    References:
        Hartley & Zisserman, Multiple View Geometry, 2nd ed., eq. 8.1 (points on a plane).
    """
    if pose.distance_m <= 0 or abs(pose.yaw_deg) >= 90 or abs(pose.pitch_deg) >= 90:
        raise UserError(
            f"pose distance_m={pose.distance_m:g} yaw_deg={pose.yaw_deg:g} "
            f"pitch_deg={pose.pitch_deg:g}",
            "the camera is behind the target's plane or inside it",
            "Give a distance above 0 m and angles between -90 and 90 degrees.",
        )
    yaw, pitch, roll = (deg_to_rad(a) for a in (pose.yaw_deg, pose.pitch_deg, pose.roll_deg))
    sin_yaw, cos_yaw = math.sin(yaw), math.cos(yaw)
    sin_pitch, cos_pitch = math.sin(pitch), math.cos(pitch)
    # Rows: camera x (right), y (down), z (viewing direction); z is minus the way to the camera
    # (sin yaw cos pitch, sin pitch, cos yaw cos pitch), y minus its cross product with x.
    rotation = np.array(
        [
            [cos_yaw, 0.0, -sin_yaw],
            [sin_yaw * sin_pitch, -cos_pitch, cos_yaw * sin_pitch],
            [-sin_yaw * cos_pitch, -sin_pitch, -cos_yaw * cos_pitch],
        ]
    )
    sin_roll, cos_roll = math.sin(roll), math.cos(roll)
    hang = np.array([[cos_roll, sin_roll], [-sin_roll, cos_roll], [0.0, 0.0]])
    intrinsics = np.array(
        [
            [camera.focal_px, 0.0, camera.width_px / 2 + pose.offset_px[0]],
            [0.0, camera.focal_px, camera.height_px / 2 + pose.offset_px[1]],
            [0.0, 0.0, 1.0],
        ]
    )
    extrinsics = np.concatenate([rotation @ hang, [[0.0], [0.0], [pose.distance_m]]], axis=1)
    return intrinsics @ extrinsics @ np.diag([1 / MM_PER_M, 1 / MM_PER_M, 1.0])


def project(homography: Array, points: npt.ArrayLike) -> Array:
    """Map [N, 2] points through a [3, 3] homography.

    Raises:
        UserError: If a point lies on or behind the camera's plane.
    """
    points = np.asarray(points, dtype=np.float64)
    mapped = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ homography.T
    if np.any(mapped[:, 2] <= 0):
        raise UserError(
            "project the target into the image",
            "part of it lies behind the camera",
            "Move the camera further away or turn it less.",
        )
    return mapped[:, :2] / mapped[:, 2:]


def bounding_box(points: Array) -> Array:
    """Axis-aligned box xyxy [4] of [N, 2] points."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def texture_to_plane(width_mm: float, height_mm: float, width_tx: int, height_tx: int) -> Array:
    """[3, 3] map from texture pixels (origin top left, centres at +0.5) to plane millimetres."""
    return np.array(
        [
            [width_mm / width_tx, 0.0, -width_mm / 2],
            [0.0, -height_mm / height_tx, height_mm / 2],
            [0.0, 0.0, 1.0],
        ]
    )


def crop_to_square(box: npt.ArrayLike, size_px: int) -> Array:
    """[3, 3] map from image pixels to a ``size_px`` square that shows exactly ``box`` (xyxy)."""
    x1, y1, x2, y2 = np.asarray(box, dtype=np.float64)
    scale_x, scale_y = size_px / (x2 - x1), size_px / (y2 - y1)
    return np.array([[scale_x, 0.0, -x1 * scale_x], [0.0, scale_y, -y1 * scale_y], [0, 0, 1.0]])
