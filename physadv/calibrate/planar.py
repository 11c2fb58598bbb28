"""The two poses that a flat target may have in a picture, refined, and their errors."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from physadv.calibrate.camera import CameraCalibration
from physadv.units import rad_to_deg

Array = npt.NDArray[np.float64]

LEAST_PIXEL_SD = 0.1
_UNTIL = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 60, 1e-12)


@dataclass(frozen=True)
class Solution:
    """One pose: ``rotation`` [3,3] and ``shift_m`` [3] from the target's frame (x right, y up, z
    out of it) to the camera's (x right, y down, z forward), and its rms error.
    """

    rotation: Array
    shift_m: Array
    error_px: float


def solve(points: Array, seen: Array, camera: CameraCalibration) -> list[Solution]:
    """The poses that face the camera, best first."""
    straight = (camera.undistort(seen) - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    # As rotation vectors have no good derivative at half a turn, the target is first laid as the
    # picture has it.
    lay = _quarter_turn(points, straight)
    laid = points @ lay.T
    first, shift = _from_homography(laid, straight)
    solutions = []
    for start in (first, _reflected(first, shift)):
        turn, moved = cv2.solvePnPRefineLM(
            laid,
            seen,
            camera.matrix,
            np.array(camera.distortion),
            cv2.Rodrigues(start)[0],
            shift[:, None].copy(),
            _UNTIL,
        )
        rotation = cv2.Rodrigues(turn)[0] @ lay
        shift_m = np.asarray(moved, dtype=np.float64).ravel()
        # The face must be turned to the camera, which is in front of it.
        if not (shift_m[2] > 0 and rotation[:, 2] @ shift_m < 0):
            continue
        away = camera.project(points, rotation, shift_m) - seen
        error = float(np.sqrt(np.square(away).sum(axis=1).mean()))
        if math.isfinite(error):
            solutions.append(Solution(rotation, shift_m, error))
    return sorted(solutions, key=lambda solution: solution.error_px)


def _from_homography(points: Array, rays: Array) -> tuple[Array, Array]:
    """[3,3] rotation and [3] shift that roughly show a plane's points along [N,2] rays.

    Zhang, A Flexible New Technique for Camera Calibration, PAMI 2000, section 3.1.
    """
    matrix, _ = cv2.findHomography(points[:, :2], rays)
    if matrix is None:
        return np.eye(3), np.array([0.0, 0.0, 1.0])
    scale = 2 / (np.linalg.norm(matrix[:, 0]) + np.linalg.norm(matrix[:, 1]))
    first, second, shift = (matrix * math.copysign(scale, matrix[2, 2])).T
    left, _, right = np.linalg.svd(np.stack([first, second, np.cross(first, second)], axis=1))
    return left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right, shift


def _reflected(rotation: Array, shift: Array) -> Array:
    """The rotation whose normal is mirrored at the line of sight: near the other minimum."""
    sight = shift / np.linalg.norm(shift)
    normal = rotation[:, 2]
    # Twice the turn from the normal to the line of sight, about what is at right angles to both.
    between = cv2.Rodrigues(np.cross(normal, sight) * _angle_over_sine(normal, sight))[0]
    return np.asarray(between @ between @ rotation)


def _angle_over_sine(one: Array, other: Array) -> float:
    """Angle between unit vectors as a share of its sine: what turns a cross product into a turn."""
    cosine = float(np.clip(one @ other, -1.0, 1.0))
    sine = math.sqrt(max(0.0, 1 - cosine**2))
    return math.acos(cosine) / sine if sine > 1e-9 else 1.0


def _quarter_turn(points: Array, pixels: Array) -> Array:
    """[3,3] rotation of the target, x to the right and y down, nearest to how it is seen."""
    flip = np.diag([1.0, -1.0, -1.0])
    middle = pixels - pixels.mean(axis=0)
    plane = (points - points.mean(axis=0)) @ flip
    along = np.linalg.lstsq(plane[:, :2], middle, rcond=None)[0]
    # Of the affine map, the turn that is nearest to it.
    angle = math.atan2(along[0, 1] - along[1, 0], along[0, 0] + along[1, 1])
    quarters = round(angle / (math.pi / 2))
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters % 4]
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]]) @ flip


def angles_deg(solution: Solution) -> tuple[float, float, float]:
    """Yaw, pitch and roll of ``scene.pose`` for a level camera and a target that hangs vertically.

    The camera's x axis and the target's normal are then both horizontal, and what is at right
    angles to both is up; the camera may be turned any way about that and tilted.
    """
    normal = solution.rotation[:, 2]
    up = np.cross([1.0, 0.0, 0.0], normal)
    # The camera's y axis points down; the target faces the camera, so its normal has z < 0.
    up /= np.linalg.norm(up)
    if up[1] > 0:
        up = -up
    right = np.cross(up, normal)
    way = -solution.shift_m / np.linalg.norm(solution.shift_m)
    yaw = math.atan2(way @ right, way @ normal)
    pitch = math.asin(max(-1.0, min(1.0, float(way @ up))))
    own_right = solution.rotation[:, 0]
    roll = math.atan2(-(own_right @ up), own_right @ right)
    return rad_to_deg(yaw), rad_to_deg(pitch), rad_to_deg(roll)


def turn_deg(one: Array, other: Array) -> float:
    """Angle between two rotations."""
    return rad_to_deg(float(np.linalg.norm(cv2.Rodrigues(one @ other.T)[0])))


def deviations_of(
    points: Array, camera: CameraCalibration, solution: Solution
) -> tuple[float, float]:
    """One sigma of the distance (m) and of the worse of yaw and pitch (degrees).

    The covariance of the six parameters is that of least squares, with the scatter that was seen
    (at least a tenth of a pixel), carried over to distance and angles by finite differences.
    """
    turn = cv2.Rodrigues(solution.rotation)[0].ravel()
    start = np.concatenate([turn, solution.shift_m])

    def seen_from(parameters: Array) -> Array:
        rotation = cv2.Rodrigues(parameters[:3])[0]
        return camera.project(points, rotation, parameters[3:]).ravel()

    def measures(parameters: Array) -> Array:
        moved = Solution(cv2.Rodrigues(parameters[:3])[0], parameters[3:], 0.0)
        return np.array([np.linalg.norm(moved.shift_m), *angles_deg(moved)[:2]])

    steps = np.eye(6) * 1e-6 * max(1.0, float(np.linalg.norm(solution.shift_m)))
    jacobian = np.stack(
        [(seen_from(start + s) - seen_from(start - s)) / (2 * s.max()) for s in steps], axis=1
    )
    gradient = np.stack(
        [(measures(start + s) - measures(start - s)) / (2 * s.max()) for s in steps], axis=1
    )
    count = 2 * len(points)
    scatter = solution.error_px * math.sqrt(len(points) / max(count - 6, 1))
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * max(scatter, LEAST_PIXEL_SD) ** 2
    variances = np.einsum("ij,jk,ik->i", gradient, covariance, gradient)
    deviations = np.sqrt(np.maximum(variances, 0.0))
    return float(deviations[0]), float(deviations[1:].max())
