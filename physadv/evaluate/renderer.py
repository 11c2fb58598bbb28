"""The judge's renderer: OpenCV and NumPy only, at the sensor's resolution.

It shares the pose geometry with the optimiser's renderer and nothing else.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from physadv.evaluate.conditions import GAMMA, Conditions
from physadv.scene.faces import octagon, scene_face
from physadv.scene.pose import (
    Camera,
    Pose,
    bounding_box,
    plane_to_image,
    project,
    texture_to_plane,
)
from physadv.scene.schema import Scene
from physadv.seeding import generator_for

FACE_PX = 1024
_LUMA = np.array([0.299, 0.587, 0.114])
_NOISE_SIDE = 1400
# cv2 puts pixel centres at integers, this project at +0.5.
_HALF = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
_UNHALF = np.linalg.inv(_HALF)

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Region:
    """The part of the sensor around the sign that is rendered.

    ``left`` and ``top`` place it on the sensor, in pixels; ``box`` xyxy is the tight box of the
    sign's outline in the region's own pixels; ``to_region`` [3,3] maps plane mm to them.
    """

    left: int
    top: int
    width_px: int
    height_px: int
    box: Array
    to_region: Array


def outline_mm(scene: Scene) -> Array:
    """[8,2] corners of the sign's octagon on its plane, mm, y up."""
    width = scene.carrier.width_mm
    return (octagon(width) - width / 2) * [1.0, -1.0]


def region_of(scene: Scene, pose: Pose, margin: float) -> Region:
    """The region around the sign at ``pose``, wider than its box by ``margin`` on each side.

    Args:
        scene: Camera and carrier.
        pose: The camera's pose.
        margin: Share of the box's width and height to add on every side.
    """
    camera = Camera(scene.camera.focal_px, scene.camera.width_px, scene.camera.height_px)
    to_image = plane_to_image(pose, camera)
    x1, y1, x2, y2 = bounding_box(project(to_image, outline_mm(scene)))
    left, right = np.floor(x1 - margin * (x2 - x1)) - 1, np.ceil(x2 + margin * (x2 - x1)) + 1
    top, bottom = np.floor(y1 - margin * (y2 - y1)) - 1, np.ceil(y2 + margin * (y2 - y1)) + 1
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
    return Region(
        int(left),
        int(top),
        int(right - left),
        int(bottom - top),
        np.array([x1 - left, y1 - top, x2 - left, y2 - top]),
        shift @ to_image,
    )


class FaceTexture:
    """The scene's face, premultiplied, with halved copies for area filtering."""

    def __init__(self, scene: Scene) -> None:
        face = scene_face(scene, FACE_PX).astype(np.float32)
        face[..., :3] *= face[..., 3:] / 255
        self._levels = [face]
        while len(self._levels[-1]) > 64:
            side = len(self._levels[-1]) // 2
            self._levels.append(
                cv2.resize(self._levels[-1], (side, side), interpolation=cv2.INTER_AREA)
            )

    def at(self, width_tx: int, height_tx: int) -> npt.NDArray[np.float32]:
        """[height_tx, width_tx, 4] premultiplied RGBA in 0..255, area averaged."""
        enough = [level for level in self._levels if len(level) >= max(width_tx, height_tx)]
        source = enough[-1] if enough else self._levels[0]
        return _area(source, width_tx, height_tx)


def _area(texture: npt.NDArray[np.float32], width: int, height: int) -> npt.NDArray[np.float32]:
    """Resample by area, exactly that of the texels: enlarging repeats texels first."""
    side_y, side_x = texture.shape[:2]
    repeat_x, repeat_y = -(-width // side_x), -(-height // side_y)
    if repeat_x > 1 or repeat_y > 1:
        size = (side_x * repeat_x, side_y * repeat_y)
        texture = cv2.resize(texture, size, interpolation=cv2.INTER_NEAREST)
    if texture.shape[:2] == (height, width):
        return texture
    return cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class View:
    """Geometry and shared parts of one draw; every treatment is painted into it.

    ``behind`` [h,w,3] uint8 is the background. ``texture_size`` (w, h) is the size to which
    textures are area filtered: about the sign's size on the sensor.
    """

    region: Region
    behind: Picture
    conditions: Conditions
    texture_size: tuple[int, int]
    to_region_from_texture: Array

    @staticmethod
    def of(scene: Scene, region: Region, behind: Picture, conditions: Conditions) -> "View":
        """Prepare a draw."""
        x1, y1, x2, y2 = region.box
        size = (max(2, round(x2 - x1)), max(2, round(y2 - y1)))
        side = scene.carrier.width_mm
        forward = region.to_region @ texture_to_plane(side, side, *size)
        return View(region, behind, conditions, size, forward)


def paint(
    view: View, face: FaceTexture, colours: Picture | None, mask: npt.NDArray[np.bool_]
) -> Picture:
    """Image the sign with (or without) something stuck on it.

    Args:
        view: The draw.
        face: The clean sign.
        colours: [T,T,3] uint8 RGB of what is stuck, texels as hard squares; None for nothing.
        mask: [T,T] True where it is stuck.

    Returns:
        [h,w,3] uint8 RGB of the region.
    """
    conditions, size = view.conditions, view.texture_size
    texture = face.at(*size)
    if colours is not None:
        stuck = _area(mask.astype(np.float32), *size)[..., None]
        printed = colours * conditions.print_gain + 255 * conditions.print_offset
        layer = np.clip(printed, 0, 255).astype(np.float32) * mask[..., None]
        texture = texture * (1 - stuck)
        texture[..., :3] += _area(layer, *size)
        texture[..., 3:] += 255 * stuck
    warped = cv2.warpPerspective(
        np.rint(texture).astype(np.uint8),
        _UNHALF @ view.to_region_from_texture @ _HALF,
        (view.region.width_px, view.region.height_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(0, 0, 0, 0),
    )
    alpha = cv2.merge([255 - warped[..., 3]] * 3)
    scene_light = cv2.add(
        np.ascontiguousarray(warped[..., :3]), cv2.multiply(view.behind, alpha, scale=1 / 255)
    )
    return _expose(_blur(scene_light, conditions), conditions)


def _blur(image: Picture, conditions: Conditions) -> Picture:
    if conditions.defocus_px > 0.2:
        image = cv2.GaussianBlur(
            image, (0, 0), conditions.defocus_px, borderType=cv2.BORDER_REPLICATE
        )
    if conditions.motion_px > 1.2:
        kernel = motion_kernel(conditions.motion_px, conditions.motion_angle_rad)
        image = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return image


def motion_kernel(length_px: float, angle_rad: float) -> npt.NDArray[np.float32]:
    """A line of ``length_px`` through the centre, drawn by splatting 65 points bilinearly."""
    half = int(np.ceil(length_px / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for t in np.linspace(-0.5, 0.5, 65) * length_px:
        x, y = half + t * np.cos(angle_rad), half + t * np.sin(angle_rad)
        left, top = int(np.floor(x)), int(np.floor(y))
        for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
            kernel[row, column] += (1 - abs(x - column)) * (1 - abs(y - row))
    return kernel / kernel.sum()


def _light(height: int, width: int, conditions: Conditions) -> npt.NDArray[np.float32] | None:
    """[h,w] factors on coded values, or None where the light is even."""
    if conditions.shadow is None and conditions.slope == 0:
        return None
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    light = np.ones((height, width), np.float32)
    if conditions.shadow is not None:
        shadow = conditions.shadow
        across = x * np.cos(shadow.angle_rad) + y * np.sin(shadow.angle_rad) - shadow.edge
        inside = 1 / (1 + np.exp(across / shadow.softness))
        light -= (1 - shadow.remaining_light) * inside
    if conditions.slope:
        angle = conditions.slope_angle_rad
        light *= 1 + conditions.slope * (x * np.cos(angle) + y * np.sin(angle))
    return np.maximum(light, 0.05) ** np.float32(1 / GAMMA)


@lru_cache(maxsize=1)
def _noise_sheet() -> npt.NDArray[np.float32]:
    """Standard normal noise that every draw cuts its field from."""
    generator = generator_for(0, "judge noise sheet")
    return generator.standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3), dtype=np.float32)


def _noise(height: int, width: int, key: int) -> npt.NDArray[np.float32]:
    sheet = _noise_sheet()
    if height > _NOISE_SIDE or width > _NOISE_SIDE:
        return generator_for(key, "large").standard_normal((height, width, 3), dtype=np.float32)
    top = key % (_NOISE_SIDE - height + 1)
    left = (key // _NOISE_SIDE) % (_NOISE_SIDE - width + 1)
    return sheet[top : top + height, left : left + width]


def _expose(image: Picture, conditions: Conditions) -> Picture:
    """Light, colour, sensor noise, 8-bit rounding, JPEG."""
    saturate = conditions.saturation * np.eye(3) + (1 - conditions.saturation) * _LUMA[None, :]
    matrix = conditions.contrast * saturate * conditions.gain[None, :]
    bias = 255 * (0.5 * (1 - conditions.contrast) + conditions.offset)
    pixels = image.astype(np.float32)
    light = _light(*image.shape[:2], conditions)
    if light is not None:
        pixels *= light[..., None]
    pixels = cv2.transform(pixels, np.column_stack([matrix, np.full(3, bias)]))
    if conditions.noise_sd > 0:
        noise = _noise(*image.shape[:2], conditions.noise_key)
        pixels = cv2.scaleAdd(np.ascontiguousarray(noise), 255 * conditions.noise_sd, pixels)
    exposed = np.rint(pixels.clip(0, 255)).astype(np.uint8)
    if conditions.jpeg_quality is None:
        return exposed
    quality = [cv2.IMWRITE_JPEG_QUALITY, conditions.jpeg_quality]
    _, coded = cv2.imencode(".jpg", exposed[..., ::-1], quality)
    return np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])


def cut_crop(image: Picture, box: Array) -> Picture:
    """The pixels of ``box`` (xyxy, edges rounded to whole pixels, at least 2 x 2, inside)."""
    height, width = image.shape[:2]
    x1, y1 = (int(np.clip(round(v), 0, limit - 2)) for v, limit in zip(box[:2], (width, height), strict=True))
    x2 = int(np.clip(round(box[2]), x1 + 2, width))
    y2 = int(np.clip(round(box[3]), y1 + 2, height))
    return image[y1:y2, x1:x2]
