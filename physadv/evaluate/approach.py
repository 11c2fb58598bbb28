"""A drive towards a sign whose every distance is known: geometry, rendering, truth."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from physadv.calibrate.camera import CameraCalibration
from physadv.checks import UserError, check_range
from physadv.evaluate.backgrounds import draw_street
from physadv.evaluate.conditions import Conditions
from physadv.evaluate.renderer import Region, SignTexture, View, paint
from physadv.scene.faces import face_outline_mm
from physadv.scene.pose import bounding_box, project
from physadv.scene.schema import Scene
from physadv.seeding import generator_for
from physadv.units import KMH_PER_MPS, MM_PER_M, deg_to_rad

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_POLE_MM = 60.0
_POLE_COLOUR = (150, 150, 145)
_EYE_HEIGHT_M = 1.3  # of a camera behind a windscreen
_ZOOM = 0.6  # by which the scenery grows over the drive; it is far away
_SUBPIXEL_BITS = 8
_LEAST_SIGN_PX = 4.0


@dataclass(frozen=True)
class Approach:
    """A straight drive past a sign at constant speed, by a level camera that looks along the road.

    ``start_m`` and ``end_m`` are along the road, to the sign's plane. The sign's middle is
    ``lateral_m`` to the right of the camera and ``height_m`` above it; ``turn_deg`` > 0 turns its
    face towards the camera's side of the road. ``shutter_s`` is the exposure of a frame.
    """

    speed_kmh: float = 30.0
    start_m: float = 75.0
    end_m: float = 5.0
    fps: float = 30.0
    lateral_m: float = 3.0
    height_m: float = 0.9
    turn_deg: float = 0.0
    shutter_s: float = 1 / 500

    def __post_init__(self) -> None:
        check_range("speed", self.speed_kmh, 0, 400, "km/h", low_open=True)
        check_range("start", self.start_m, 0, 1000, "m", low_open=True)
        check_range("end", self.end_m, 0, 1000, "m", low_open=True)
        check_range("frame rate", self.fps, 1, 1000, "frames/s")
        check_range("lateral offset", self.lateral_m, -100, 100, "m")
        check_range("height", self.height_m, -20, 20, "m")
        check_range("turn", self.turn_deg, -80, 80, "degrees")
        check_range("shutter", self.shutter_s, 0, 1 / self.fps, "s")
        if self.end_m >= self.start_m:
            raise UserError(
                f"a drive from {self.start_m:g} m to {self.end_m:g} m",
                "it does not come nearer",
                "Give an end below the start.",
            )


@dataclass(frozen=True)
class Truth:
    """What is known of one rendered frame.

    ``distance_m`` is from the camera to the sign's middle, ``along_m`` how far the sign's plane is
    along the road; ``box`` [4] xyxy and ``outline`` [K,2] are the sign's in pixels (8 corners of an
    octagon in the order of ``faces.octagon``), pixel centres at +0.5; ``to_image`` [3,3] maps the
    sign's plane in mm to pixels.
    """

    frame: int
    time_s: float
    distance_m: float
    along_m: float
    box: Array
    outline: Array
    to_image: Array


def depth_m(approach: Approach, time_s: float) -> float:
    """How far the sign's plane is along the road."""
    return approach.start_m - approach.speed_kmh / KMH_PER_MPS * time_s


def sign_to_image(scene: Scene, approach: Approach, time_s: float) -> Array:
    """[3,3] homography from the sign's plane (mm, x right, y up) to pixels at a moment.

    References:
        Hartley & Zisserman, Multiple View Geometry, 2nd ed., eq. 8.1 (points on a plane).
    """
    camera = scene.camera
    intrinsics = np.array(
        [
            [camera.focal_px, 0.0, camera.width_px / 2],
            [0.0, camera.focal_px, camera.height_px / 2],
            [0.0, 0.0, 1.0],
        ]
    )
    turn = deg_to_rad(approach.turn_deg)
    # Columns: the sign's right, its up, and its middle, in the camera's x right, y down, z ahead.
    right = np.array([math.cos(turn), 0.0, -math.sin(turn)]) / MM_PER_M
    up = np.array([0.0, -1.0, 0.0]) / MM_PER_M
    middle = np.array([approach.lateral_m, -approach.height_m, depth_m(approach, time_s)])
    return np.asarray(intrinsics @ np.column_stack([right, up, middle]))


def truths(scene: Scene, approach: Approach) -> list[Truth]:
    """Every frame of the drive, until its end or until the frame no longer shows the sign whole.

    Raises:
        UserError: If the first frame does not show the whole sign, at least 4 px high.
    """
    camera = scene.camera
    found: list[Truth] = []
    middle = np.array([approach.lateral_m, approach.height_m])
    frame = 0
    while (depth := depth_m(approach, time_s := frame / approach.fps)) >= approach.end_m:
        # Where a turned sign reaches behind the camera it has left the picture long before.
        if depth <= scene.carrier.width_mm / MM_PER_M:
            break
        to_image = sign_to_image(scene, approach, time_s)
        outline = project(to_image, face_outline_mm(scene))
        box = bounding_box(outline)
        if (box[:2] < 0).any() or (box[2:] > [camera.width_px, camera.height_px]).any():
            break
        distance = float(np.linalg.norm([*middle, depth]))
        found.append(Truth(frame, time_s, distance, depth, box, outline, to_image))
        frame += 1
    if not found or np.ptp(found[0].outline, axis=0).min() < _LEAST_SIGN_PX:
        size = np.ptp(found[0].outline, axis=0).min() if found else 0.0
        raise UserError(
            f"a drive that starts {approach.start_m:g} m before the sign",
            f"the sign is {size:.1f} px in its first frame" if found else "the frame misses it",
            "Start nearer, move the sign, or give the scene's camera another focal length.",
        )
    return found


def camera_of(scene: Scene) -> CameraCalibration:
    """The calibration of the scene's camera, exact."""
    camera = scene.camera
    return CameraCalibration(
        camera.focal_px,
        camera.focal_px,
        camera.width_px / 2,
        camera.height_px / 2,
        (0.0,) * 5,
        camera.width_px,
        camera.height_px,
        None,
        "fov",
        0.0,
        f"rendered from the scene {scene.name}",
    )


def render(
    scene: Scene,
    approach: Approach,
    sign: SignTexture,
    colours: Picture | None,
    conditions: Conditions,
    *,
    street: Picture | None = None,
    seed: int = 0,
) -> Iterator[Picture]:
    """The drive's frames, [H,W,3] uint8 RGB each, one by one.

    Light, optics and printer are those of ``conditions`` throughout; the noise is new in every
    frame, the motion blur that of the sign's middle during the exposure, and no frame is a JPEG.

    Args:
        scene: Face, camera and carrier.
        approach: The drive.
        sign: The scene's face with the artwork's mask.
        colours: [T,T,3] uint8 of what is stuck, None for the clean sign.
        conditions: One draw of light, optics, sensor and printer.
        street: [H,W,3] uint8 RGB photograph of what is behind the sign; None draws something.
        seed: Seed of scenery and noise.

    Raises:
        UserError: As ``truths``.
    """
    if street is None:
        street = draw_street(generator_for(seed, "approach street"))
    street = _no_finer(street, scene)
    whole = truths(scene, approach)
    noise = generator_for(seed, "approach noise").integers(1 << 31, size=len(whole))
    for truth in whole:
        moved = _moved_px(scene, approach, truth.time_s)
        seen = replace(
            conditions,
            noise_key=int(noise[truth.frame]),
            motion_px=float(np.hypot(*moved)),
            motion_angle_rad=float(np.arctan2(moved[1], moved[0])),
            jpeg_quality=None,
        )
        region = Region(
            0, 0, scene.camera.width_px, scene.camera.height_px, truth.box, truth.to_image
        )
        behind = _scenery(street, scene, approach, truth)
        yield paint(View.of(scene, region, sign, behind, seen), colours)


def _moved_px(scene: Scene, approach: Approach, time_s: float) -> Array:
    """How far the sign's middle moves in the image during the exposure."""
    ends = [
        project(sign_to_image(scene, approach, time_s + sign * approach.shutter_s / 2), [[0.0, 0]])
        for sign in (-1, 1)
    ]
    return ends[1][0] - ends[0][0]


def _no_finer(street: Picture, scene: Scene) -> Picture:
    """The street without detail that the camera cannot resolve, which would flicker."""
    size = np.array([scene.camera.width_px, scene.camera.height_px]) * (1 + _ZOOM)
    scale = float((size / street.shape[1::-1]).max())
    if scale >= 1:
        return street
    small = [round(side * scale) for side in street.shape[1::-1]]
    return np.asarray(cv2.resize(street, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _scenery(street: Picture, scene: Scene, approach: Approach, truth: Truth) -> Picture:
    """The street, which grows about the vanishing point, and the sign's pole before it."""
    camera = scene.camera
    gone = 1 - truth.along_m / approach.start_m
    size = np.array([camera.width_px, camera.height_px], np.float64)
    drawn = np.array(street.shape[1::-1], np.float64)
    scale = (size / drawn).max() * (1 + _ZOOM * gone)
    matrix = np.column_stack([np.eye(2) * scale, (size - scale * drawn) / 2 + (scale - 1) / 2])
    behind = cv2.warpAffine(
        street, matrix, (camera.width_px, camera.height_px), borderMode=cv2.BORDER_REPLICATE
    )
    foot = -(approach.height_m + _EYE_HEIGHT_M) * MM_PER_M
    half = _POLE_MM / 2
    pole = np.array([[-half, 0.0], [half, 0.0], [half, foot], [-half, foot]])
    corners = (project(truth.to_image, pole) - 0.5) * (1 << _SUBPIXEL_BITS)
    cv2.fillConvexPoly(
        behind, np.rint(corners).astype(np.int32), _POLE_COLOUR, cv2.LINE_AA, _SUBPIXEL_BITS
    )
    return np.asarray(behind, dtype=np.uint8)
