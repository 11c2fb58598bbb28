"""The judge's renderer: OpenCV and NumPy only, at the sensor's resolution.

It shares the pose geometry with the optimiser's renderer and nothing else.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from physadv.evaluate.conditions import Conditions
from physadv.evaluate.exposure import expose
from physadv.scene.faces import face_outline_mm, scene_face
from physadv.scene.pose import (
    Camera,
    Pose,
    bounding_box,
    plane_to_image,
    project,
    texture_to_plane,
)
from physadv.scene.schema import Scene

FACE_PX = 1024
_RIM_PX = 5
_EXACT_TX = 256
# cv2 puts pixel centres at integers, this project at +0.5.
_HALF = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
_UNHALF = np.linalg.inv(_HALF)

Picture = npt.NDArray[np.uint8]
AnyPicture = npt.NDArray[Any]
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


def sign_box(scene: Scene, pose: Pose) -> Array:
    """Tight box xyxy [4] of the sign's outline on the sensor, in pixels."""
    return bounding_box(project(_to_sensor(scene, pose), face_outline_mm(scene)))


def region_of(scene: Scene, pose: Pose, margin: float = 0.0, also: Array | None = None) -> Region:
    """The region around the sign at ``pose``, with a rim so that blur does not see its edge.

    Args:
        scene: Camera and carrier.
        pose: The camera's pose.
        margin: Share of the box's width and height to add on every side.
        also: Another box xyxy on the sensor that the region must hold.
    """
    box = sign_box(scene, pose)
    size = np.tile(box[2:] - box[:2], 2)
    wide = box + margin * size * [-1, -1, 1, 1]
    if also is not None:
        wide = np.concatenate([np.minimum(wide[:2], also[:2]), np.maximum(wide[2:], also[2:])])
    low, high = np.floor(wide[:2]) - _RIM_PX, np.ceil(wide[2:]) + _RIM_PX
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]])
    width, height = (int(v) for v in high - low)
    return Region(
        int(low[0]),
        int(low[1]),
        width,
        height,
        box - np.tile(low, 2),
        shift @ _to_sensor(scene, pose),
    )


def _to_sensor(scene: Scene, pose: Pose) -> Array:
    camera = Camera(scene.camera.focal_px, scene.camera.width_px, scene.camera.height_px)
    return plane_to_image(pose, camera)


class SignTexture:
    """A scene's face with a mask of what is stuck on it, filtered to any size.

    ``stamp`` [T,T,4] uint8 is 255, 255, 255, 0 where something is stuck, else 0.
    """

    def __init__(self, scene: Scene, mask: npt.NDArray[np.bool_]) -> None:
        face = scene_face(scene, FACE_PX).astype(np.float32)
        face[..., :3] *= face[..., 3:] / 255
        # Halved copies, so that filtering down to a small size stays cheap.
        self._levels = [face]
        while len(self._levels[-1]) > 64:
            side = len(self._levels[-1]) // 2
            self._levels.append(
                cv2.resize(self._levels[-1], (side, side), interpolation=cv2.INTER_AREA)
            )
        stuck = mask.astype(np.uint8) * 255
        self.stamp: Picture = cv2.merge([stuck, stuck, stuck, np.zeros_like(stuck)])
        self.at = lru_cache(maxsize=128)(self._at)

    def _at(self, width_tx: int, height_tx: int) -> tuple[Picture, Picture]:
        """``clean`` and ``covered`` of a View, [height_tx, width_tx, 4] uint8 each."""
        enough = [level for level in self._levels if len(level) >= max(width_tx, height_tx)]
        clean = _area(enough[-1] if enough else self._levels[0], width_tx, height_tx)
        stuck = self.stamp[..., 0].astype(np.float32) / 255
        bare = 1 - _area(stuck, width_tx, height_tx)
        covered = clean * bare[..., None]
        covered[..., 3] += 255 * (1 - bare)
        return cv2.convertScaleAbs(clean), cv2.convertScaleAbs(covered)


def _texture_side(length_px: float) -> int:
    """Texels to filter a texture down to where it covers ``length_px`` on the sensor.

    Up to 256 exactly that many: one texel a pixel. Beyond, 512 or 1024, whichever is nearer: the
    artwork's texels are then several pixels wide, and the warp's own interpolation is filter
    enough.
    """
    if length_px <= _EXACT_TX:
        return max(2, round(length_px))
    return 512 if length_px < 724 else FACE_PX


def _area(texture: AnyPicture, width: int, height: int) -> AnyPicture:
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

    ``behind`` [h,w,3] uint8 is the background. ``clean`` [ty,tx,4] uint8 is the sign's texture,
    area filtered to about its size on the sensor, and ``covered`` the same with black, opaque
    holes where something is stuck; both premultiplied RGBA. ``stamp`` is ``SignTexture.stamp``,
    ``from_texture`` [3,3] maps texture pixels to the region's.
    """

    region: Region
    behind: Picture
    conditions: Conditions
    clean: Picture
    covered: Picture
    stamp: Picture
    from_texture: Array

    @staticmethod
    def of(
        scene: Scene,
        region: Region,
        sign: SignTexture,
        behind: Picture,
        conditions: Conditions,
    ) -> "View":
        """Prepare a draw."""
        x1, y1, x2, y2 = region.box
        size = (_texture_side(x2 - x1), _texture_side(y2 - y1))
        clean, covered = sign.at(*size)
        side = scene.carrier.width_mm
        return View(
            region,
            behind,
            conditions,
            clean,
            covered,
            sign.stamp,
            region.to_region @ texture_to_plane(side, side, *size),
        )


def paint(view: View, colours: Picture | None) -> Picture:
    """Image the sign with (or without) something stuck on it.

    Args:
        view: The draw.
        colours: [T,T,3] uint8 RGB of what is stuck, texels as hard squares; None for nothing.

    Returns:
        [h,w,3] uint8 RGB of the region.
    """
    conditions, texture = view.conditions, view.clean
    if colours is not None:
        coded = np.arange(256)[:, None] * conditions.print_gain + 255 * conditions.print_offset
        table = np.rint(coded.clip(0, 255)).astype(np.uint8)[None]
        printed = cv2.cvtColor(cv2.LUT(colours, table), cv2.COLOR_RGB2RGBA)
        layer = cv2.bitwise_and(printed, view.stamp)
        texture = cv2.add(view.covered, _area(layer, texture.shape[1], texture.shape[0]))
    warped = cv2.warpPerspective(
        texture,
        _UNHALF @ view.from_texture @ _HALF,
        (view.region.width_px, view.region.height_px),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(0, 0, 0, 0),
    )
    clear = cv2.bitwise_not(cv2.extractChannel(warped, 3))
    behind = cv2.multiply(view.behind, cv2.merge([clear, clear, clear]), scale=1 / 255)
    lit = cv2.add(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB), behind)
    return expose(_blur(lit, conditions), conditions)


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
    along = np.linspace(-0.5, 0.5, 65) * length_px
    x, y = half + along * np.cos(angle_rad), half + along * np.sin(angle_rad)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        np.add.at(kernel, (row, column), (1 - abs(x - column)) * (1 - abs(y - row)))
    return kernel / kernel.sum()


def cut_crop(image: Picture, box: Array) -> Picture:
    """The pixels of ``box`` (xyxy, edges rounded to whole pixels, at least 2 x 2, inside)."""
    height, width = image.shape[:2]
    x1 = min(max(round(box[0]), 0), width - 2)
    y1 = min(max(round(box[1]), 0), height - 2)
    x2 = min(max(round(box[2]), x1 + 2), width)
    y2 = min(max(round(box[3]), y1 + 2), height)
    return image[y1:y2, x1:x2]
