"""Photographs of flat pictures by a known camera: ray by ray, independent of the library."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from physadv.calibrate.camera import CameraCalibration

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]


def level_camera(
    distance_m: float,
    yaw_deg: float,
    pitch_deg: float,
    *,
    pan_deg: float = 0.0,
    tilt_deg: float = 0.0,
    roll_deg: float = 0.0,
) -> tuple[Array, Array]:
    """[3,3] rotation and [3] shift (m) from the target's frame to the camera's.

    The camera stands at the yaw and pitch, level, and looks ``pan_deg`` and ``tilt_deg`` off the
    target's middle; then it is turned clockwise by ``roll_deg``.
    """
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    place_m = distance_m * np.array(
        [math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)]
    )
    forward = -place_m / np.linalg.norm(place_m)
    heading = math.atan2(forward[0], -forward[2]) + math.radians(pan_deg)
    climb = math.asin(forward[1]) + math.radians(tilt_deg)
    z = np.array(
        [math.sin(heading) * math.cos(climb), math.sin(climb), -math.cos(heading) * math.cos(climb)]
    )
    x = np.array([math.cos(heading), 0.0, math.sin(heading)])
    rotation = np.stack([x, np.cross(z, x), z])
    cosine, sine = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    rotation = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1.0]]) @ rotation
    return rotation, -rotation @ place_m


def photograph(
    picture: Picture,
    px_per_mm: float,
    middle_mm: tuple[float, float],
    camera: CameraCalibration,
    rotation: Array,
    shift_m: Array,
    *,
    background: Picture,
    blur_px: float = 0.7,
    noise_sd: float = 2.0,
    light: float = 1.0,
    jpeg: int = 90,
    seed: int = 0,
) -> Picture:
    """[H,W,3] uint8 RGB: a printed picture before a background, as a camera takes it.

    Args:
        picture: [h,w,3] what is printed.
        px_per_mm: Its resolution.
        middle_mm: The target's middle on it, from its left and top edges.
        camera: The camera, with its lens.
        rotation: [3,3] from the target's frame (x right, y up) to the camera's.
        shift_m: [3] likewise.
        background: [H,W,3] what is behind.
        blur_px: Standard deviation of the blur.
        noise_sd: Standard deviation of the sensor's noise, grey levels.
        light: Factor on the picture's brightness.
        jpeg: Quality.
        seed: Of the noise.
    """
    fine = 3
    # Where the print is finer than the sub-pixels, average it first.
    while px_per_mm * 1000 * shift_m[2] / camera.fx / fine > 2:
        even = picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
        picture = cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        px_per_mm /= 2
    height, width = camera.height_px, camera.width_px
    corners = np.array(
        [[0, 0], [picture.shape[1], 0], picture.shape[1::-1], [0, picture.shape[0]]], float
    )
    outline = (corners / px_per_mm - middle_mm) * [1, -1] / 1000
    seen = camera.project(np.c_[outline, np.zeros(4)], rotation, shift_m)
    low = np.clip(np.floor(seen.min(axis=0)) - 8, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0)) + 8, 0, [width, height]).astype(int)
    size = high - low
    if size.min() < 2:
        return background.copy()
    y, x = (np.mgrid[: size[1] * fine, : size[0] * fine] + 0.5) / fine
    pixels = np.stack([x.ravel() + low[0], y.ravel() + low[1]], axis=1)
    rays = np.c_[camera.undistort(pixels), np.ones(len(pixels))] @ np.linalg.inv(camera.matrix).T
    plane = rays @ np.linalg.inv(np.c_[rotation[:, :2], shift_m]).T
    on_plane = plane[:, :2] / plane[:, 2:] * 1000 * [1, -1] + middle_mm
    maps = (on_plane * px_per_mm - 0.5).reshape(size[1] * fine, size[0] * fine, 2)
    maps = maps.astype(np.float32)
    sheet = cv2.remap(picture, maps, None, cv2.INTER_LINEAR).astype(np.float32)
    covered = cv2.remap(np.ones(picture.shape[:2], np.float32), maps, None, cv2.INTER_LINEAR)
    target = (int(size[0]), int(size[1]))
    sheet, covered = (cv2.resize(p, target, interpolation=cv2.INTER_AREA) for p in (sheet, covered))
    region = np.s_[low[1] : high[1], low[0] : high[0]]
    behind = background[region].astype(np.float32)
    shown = light * sheet + behind * (1 - covered[..., None])
    if blur_px:
        shown = cv2.GaussianBlur(shown, (0, 0), blur_px)
    shown += np.random.default_rng(seed).normal(0, noise_sd, shown.shape)
    whole = background.copy()
    whole[region] = shown.clip(0, 255)
    _, stored = cv2.imencode(
        ".jpg", cv2.cvtColor(whole, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, jpeg]
    )
    return np.asarray(
        cv2.cvtColor(cv2.imdecode(stored, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8
    )


def leaves(height: int, width: int, seed: int) -> Picture:
    """[H,W,3] uint8 a busy texture: overlapping discs, boxes and lines of all sizes."""
    generator = np.random.default_rng(seed)
    canvas = np.full((height, width, 3), generator.integers(0, 256, 3), np.uint8)
    for _ in range(700):
        colour = tuple(int(value) for value in generator.integers(0, 256, 3))
        x, y = (int(value) for value in generator.uniform(0, [width, height]))
        size = int(generator.pareto(1.5) * 6 + 3)
        kind = generator.integers(3)
        if kind == 0:
            cv2.circle(canvas, (x, y), size, colour, -1)
        elif kind == 1:
            box = cv2.boxPoints(((x, y), (size, size * generator.uniform(0.5, 2)), 90.0 * size))
            cv2.fillConvexPoly(canvas, box.astype(np.int32), colour)
        else:
            end = (x + int(generator.normal(0, 60)), y + int(generator.normal(0, 60)))
            cv2.line(canvas, (x, y), end, colour, max(1, size // 4))
    return canvas
