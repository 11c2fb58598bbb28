"""How a view is framed: the object's own crop for classifiers, a window for detectors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from physadv.scene.faces import face_outline_mm
from physadv.scene.pose import (
    Camera,
    Pose,
    bounding_box,
    crop_to_square,
    plane_to_image,
    project,
    texture_to_plane,
)
from physadv.scene.schema import Scene

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """Where one square view looks.

    ``to_texture`` [3,3] maps normalised view coordinates to normalised texture coordinates (both
    [-1, 1] over the full extent). ``box`` xyxy [4] is the carrier's tight box in the view's
    pixels, which may reach beyond it; ``zoom`` [2] are view pixels per sensor pixel along x and y.
    """

    to_texture: Array
    box: Array
    zoom: Array


Framing = Callable[[Scene, Sequence[Pose], int, np.random.Generator], list[Geometry]]
"""Frames poses as views of so many pixels, with draws of its own."""


def carrier_box(scene: Scene, pose: Pose) -> Array:
    """Tight box xyxy [4] of the carrier's outline on the sensor, in pixels."""
    return bounding_box(project(plane_to_image(pose, _camera(scene)), face_outline_mm(scene)))


def view_of(scene: Scene, pose: Pose, looked_at: Array, size_px: int) -> Geometry:
    """A view of ``size_px`` square of the part ``looked_at`` (xyxy [4], pixels) of the sensor."""
    side = scene.carrier.width_mm
    # A texture of 2x2 units centred on 0 is exactly the normalised texture frame.
    normalised = texture_to_plane(side, side, 2, 2) @ np.array([[1, 0, 1], [0, 1, 1], [0, 0, 1.0]])
    view = np.array([[2 / size_px, 0, -1], [0, 2 / size_px, -1], [0, 0, 1]]) @ crop_to_square(
        list(looked_at), size_px
    )
    to_image = plane_to_image(pose, _camera(scene))
    zoom = size_px / (looked_at[2:] - looked_at[:2])
    box = (carrier_box(scene, pose) - np.tile(looked_at[:2], 2)) * np.tile(zoom, 2)
    return Geometry(np.linalg.inv(view @ to_image @ normalised), box, zoom)


def crop_geometry(
    scene: Scene, pose: Pose, size_px: int, *, shift: Array | None = None, scale: float = 1.0
) -> Geometry:
    """Geometry of the crop around the carrier's tight box, optionally jittered.

    Args:
        scene: Gives camera and carrier.
        pose: The camera's pose.
        size_px: Side of the square that the crop is resampled to, without keeping aspect.
        shift: [2] displacement of the box's centre as a share of its width and height.
        scale: Factor on the box's width and height.
    """
    box = carrier_box(scene, pose)
    size = box[2:] - box[:2]
    centre = (box[:2] + box[2:]) / 2 + (np.zeros(2) if shift is None else shift) * size
    half = size * scale / 2
    return view_of(scene, pose, np.concatenate([centre - half, centre + half]), size_px)


def as_crops(
    scene: Scene, poses: Sequence[Pose], size_px: int, generator: np.random.Generator
) -> list[Geometry]:
    """A classifier's framing: the box as a detector would cut it, off by the scene's jitter."""
    exact = generator.random(len(poses)) < scene.views.exact_crop_share
    reach = np.where(exact, 0.0, scene.views.crop_jitter)
    shift = generator.uniform(-1, 1, (len(poses), 2)) * reach[:, None]
    scale = 1 + generator.uniform(-1, 1, len(poses)) * reach
    return [
        crop_geometry(scene, pose, size_px, shift=shift[i], scale=float(scale[i]))
        for i, pose in enumerate(poses)
    ]


def as_windows(scale: float) -> Framing:
    """A detector's framing: windows at the scale that it sees the camera's pictures at.

    Args:
        scale: Pixels of the detector's input per sensor pixel.
    """

    def frame(
        scene: Scene, poses: Sequence[Pose], size_px: int, generator: np.random.Generator
    ) -> list[Geometry]:
        side = size_px / scale
        geometries = []
        for pose, place in zip(poses, generator.uniform(0, 1, (len(poses), 2)), strict=True):
            box = carrier_box(scene, pose)
            # The carrier lies anywhere inside; one that is larger sticks out on both sides.
            free = side - (box[2:] - box[:2])
            corner = box[:2] - np.where(free > 0, place, 0.5) * free
            seen = np.concatenate([corner, corner + side])
            geometries.append(view_of(scene, pose, seen, size_px))
        return geometries

    return frame


def _camera(scene: Scene) -> Camera:
    return Camera(scene.camera.focal_px, scene.camera.width_px, scene.camera.height_px)
