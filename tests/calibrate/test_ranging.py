"""Poses against the projections of scene.pose, a plain geometric oracle and real boards."""

import json
import math
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physadv.calibrate.boards import Board, BoardView, find_board
from physadv.calibrate.camera import CameraCalibration, camera_from_fov
from physadv.calibrate.fiducials import FoundSheet
from physadv.calibrate.intrinsics import read_stored_grey
from physadv.calibrate.pose import (
    PoseEstimate,
    contradiction,
    distance_from_box,
    pose_from_board,
    pose_from_manifest,
    pose_from_octagon,
    pose_from_points,
    pose_from_sheet,
)
from physadv.checks import UserError
from physadv.data.files import find_external
from physadv.data.photos import list_photos
from physadv.export.sheetfile import SheetLayout
from physadv.scene.faces import octagon
from physadv.scene.pose import Camera, Pose, plane_to_image, project

Array = npt.NDArray[np.float64]

LAYOUT = SheetLayout("board", "r", "cd" * 32, 400, 400, 80, (320, 520))
PINHOLE = Camera(3000.0, 4000, 3000)
CAMERA = CameraCalibration(
    3000.0, 3000.0, 2000.0, 1500.0, (0.0,) * 5, 4000, 3000, 0.3, "board", 0.0
)
BENT = replace(CAMERA, distortion=(-0.15, 0.06, 0.001, -0.002, 0.01))
PLANE = np.concatenate([LAYOUT.corners_mm(corner) for corner in range(4)])
POSES = st.builds(
    Pose,
    st.floats(1.0, 20.0),
    st.floats(-65, 65),
    st.floats(-40, 40),
    st.one_of(st.floats(-179, 179), st.sampled_from([-90.0, 0.0, 90.0, 180.0])),
)


def found(
    pixels: Array, mirrored: bool = False, corners: tuple[int, ...] = (0, 1, 2, 3)
) -> FoundSheet:
    quads = {corner: pixels[4 * corner : 4 * corner + 4] for corner in corners}
    return FoundSheet("noise", LAYOUT.code, quads, mirrored, LAYOUT, 0)


@settings(max_examples=60, deadline=None)
@given(POSES)
def test_pose_of_a_perfect_sheet_is_that_of_scene_pose(pose: Pose) -> None:
    pixels = project(plane_to_image(pose, PINHOLE), PLANE)
    estimate = pose_from_sheet(found(pixels), CAMERA)
    assert estimate.distance_m == pytest.approx(pose.distance_m, rel=1e-5)
    assert estimate.yaw_deg == pytest.approx(pose.yaw_deg, abs=1e-3)
    assert estimate.pitch_deg == pytest.approx(pose.pitch_deg, abs=1e-3)
    assert estimate.roll_deg is not None
    assert (estimate.roll_deg - pose.roll_deg + 180) % 360 == pytest.approx(180, abs=1e-3)
    assert estimate.reprojection_px is not None
    assert estimate.reprojection_px < 1e-3
    flipped = np.stack([4000 - pixels[:, 0], pixels[:, 1]], axis=1)
    mirrored = pose_from_sheet(found(flipped, mirrored=True), CAMERA)
    assert mirrored.yaw_deg == pytest.approx(pose.yaw_deg, abs=1e-3)


def standing(place_m: Array, pan: float, tilt: float) -> tuple[Array, Array]:
    """Rotation and shift of a level camera at ``place_m`` that looks off the target.

    ``pan`` and ``tilt`` in degrees turn it away from the target's middle.
    """
    forward = -place_m / np.linalg.norm(place_m)
    heading = math.atan2(forward[0], -forward[2]) + math.radians(pan)
    climb = math.asin(forward[1]) + math.radians(tilt)
    z = np.array(
        [math.sin(heading) * math.cos(climb), math.sin(climb), -math.cos(heading) * math.cos(climb)]
    )
    x = np.array([math.cos(heading), 0.0, math.sin(heading)])
    rotation = np.stack([x, np.cross(z, x), z])
    return rotation, -rotation @ place_m


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1.5, 12),
    st.floats(-60, 60),
    st.floats(-25, 25),
    st.floats(-22, 22),
    st.floats(-16, 16),
)
def test_anywhere_in_the_picture_through_a_bent_lens(
    distance_m: float, yaw: float, pitch: float, pan: float, tilt: float
) -> None:
    """The camera's place alone gives distance, yaw and pitch of an upright sheet."""
    y, p = math.radians(yaw), math.radians(pitch)
    way = np.array([math.sin(y) * math.cos(p), math.sin(p), math.cos(y) * math.cos(p)])
    rotation, shift = standing(distance_m * way, pan, tilt)
    pixels = BENT.project(np.c_[PLANE / 1000, np.zeros(len(PLANE))], rotation, shift)
    estimate = pose_from_points(PLANE, pixels, BENT, "fiducial")
    assert estimate.distance_m == pytest.approx(distance_m, rel=1e-4)
    assert estimate.yaw_deg == pytest.approx(yaw, abs=0.01)
    assert estimate.pitch_deg == pytest.approx(pitch, abs=0.01)
    assert estimate.roll_deg == pytest.approx(0, abs=0.01)
    np.testing.assert_allclose(
        np.array(estimate.camera_m), distance_m * way, atol=1e-3 * distance_m
    )


def noisy(pose: Pose, generator: np.random.Generator, sd_px: float) -> PoseEstimate:
    pixels = project(plane_to_image(pose, PINHOLE), PLANE)
    return pose_from_sheet(found(pixels + generator.normal(0, sd_px, pixels.shape)), CAMERA)


def test_stated_errors_are_the_errors_made() -> None:
    """Of 300 noisy sheets, 68 % lie within the stated one-sigma distance error."""
    generator = np.random.default_rng(2)
    within, clear = [], 0
    for _ in range(300):
        pose = Pose(generator.uniform(2, 8), generator.uniform(25, 60), generator.uniform(-20, 20))
        estimate = noisy(pose, generator, 0.4)
        within.append(abs(estimate.distance_m - pose.distance_m) <= estimate.distance_sd_m)
        assert abs(estimate.distance_m / pose.distance_m - 1) < 0.02
        assert estimate.yaw_deg is not None
        assert estimate.angle_sd_deg is not None
        if not estimate.ambiguous:
            clear += 1
            assert abs(estimate.yaw_deg - pose.yaw_deg) < max(2.0, 4 * estimate.angle_sd_deg)
    assert 0.60 < np.mean(within) < 0.76  # 68 % +- 3 sigma of 300 draws
    assert clear > 250


def test_a_small_far_sheet_seen_almost_frontally_is_ambiguous() -> None:
    """Its two poses mirror each other; the flag says so and one of them is right."""
    generator = np.random.default_rng(4)
    flagged = 0
    for _ in range(40):
        estimate = noisy(Pose(30.0, 12.0), generator, 0.4)
        flagged += estimate.ambiguous
        assert estimate.yaw_deg is not None
        if estimate.ambiguous:
            assert estimate.other_deg is not None
        assert abs(estimate.distance_m / 30 - 1) < 0.03
    assert flagged > 30
    near = [noisy(Pose(2.0, 40.0), generator, 0.2) for _ in range(10)]
    assert not any(estimate.ambiguous for estimate in near)


def test_two_markers_measure_less_well_and_say_so() -> None:
    pixels = project(plane_to_image(Pose(4.0, 20.0), PINHOLE), PLANE)
    generator = np.random.default_rng(7)
    pixels = pixels + generator.normal(0, 0.3, pixels.shape)
    whole = pose_from_sheet(found(pixels), CAMERA)
    part = pose_from_sheet(found(pixels, corners=(0, 1)), CAMERA)
    lone = pose_from_sheet(found(pixels, corners=(2,)), CAMERA)
    assert whole.distance_sd_m < min(part.distance_sd_m, lone.distance_sd_m)
    for estimate in (whole, part, lone):
        assert abs(estimate.distance_m - 4.0) < 5 * estimate.distance_sd_m
    loose = pose_from_sheet(found(pixels), replace(CAMERA, focal_sd=0.04))
    assert loose.distance_sd_m == pytest.approx(math.hypot(whole.distance_sd_m, 0.16), rel=1e-3)


def test_sign_outline_gives_the_same_pose() -> None:
    pose = Pose(6.0, -35.0, 8.0, 4.0)
    plane = (octagon(762.0) - 381.0) * [1, -1]
    pixels = project(plane_to_image(pose, PINHOLE), plane)
    estimate = pose_from_octagon(pixels, 762.0, CAMERA)
    assert estimate.source == "sign"
    assert [estimate.distance_m, estimate.yaw_deg, estimate.pitch_deg] == pytest.approx(
        [6.0, -35.0, 8.0], abs=1e-3
    )
    # Half the width, half the distance.
    assert pose_from_octagon(pixels, 381.0, CAMERA).distance_m == pytest.approx(3.0, abs=1e-3)


def test_impossible_views_and_unknown_sheets_are_errors() -> None:
    pixels = project(plane_to_image(Pose(3.0, 10.0), PINHOLE), PLANE)
    flipped = np.stack([4000 - pixels[:, 0], pixels[:, 1]], axis=1)
    with pytest.raises(UserError, match="no camera position"):
        pose_from_points(PLANE, flipped, CAMERA, "fiducial")
    unknown = replace(found(pixels), layout=None)
    with pytest.raises(UserError, match="run folder that printed it"):
        pose_from_sheet(unknown, CAMERA)
    assert pose_from_sheet(unknown, CAMERA, LAYOUT).distance_m == pytest.approx(3.0, abs=1e-3)


def test_box_gives_a_coarse_distance() -> None:
    camera = camera_from_fov(60.0, 1920, 1080)
    height_px = camera.fy * 1.7 / 8.0
    box = [900, 300, 1000, 300 + height_px]
    estimate = distance_from_box(box, 1700.0, camera, height_sd_mm=70.0)
    ray = np.array(
        [(950 - camera.cx) / camera.fx, (300 + height_px / 2 - camera.cy) / camera.fy, 1]
    )
    assert estimate.distance_m == pytest.approx(8.0 * np.linalg.norm(ray), rel=1e-6)
    assert 0.04 < estimate.distance_sd_m / estimate.distance_m < 0.08
    assert estimate.yaw_deg is None
    with pytest.raises(UserError, match="edge cuts the object"):
        distance_from_box([900, 300, 1000, 1080], 1700.0, camera)
    with pytest.raises(UserError, match="empty box"):
        distance_from_box([900, 300, 800, 500], 1700.0, camera)


def test_manifest_and_its_contradictions() -> None:
    estimate = pose_from_manifest(5.0, 30.0)
    assert (estimate.source, estimate.distance_sd_m) == ("manifest", 0.05)
    for wrong in ({"distance_m": 0.0}, {"distance_m": 5.0, "yaw_deg": 90.0}):
        with pytest.raises(UserError):
            pose_from_manifest(**wrong)
    assert not contradiction(5.0, 5.9)
    assert "feet" in contradiction(3.05, 10.0)
    assert "inches" in contradiction(1.5, 60.0)
    assert "centimetres" in contradiction(2.0, 205.0)
    assert contradiction(2.0, 3.0) == "stated 3 m but measured 2.00 m"


GRID = Board("aruco", 4, 5, 42.5, 37.5, "6x6_1000")


@pytest.mark.realdata
def test_real_grid_agrees_with_the_reference_camera() -> None:
    """Against OpenCV's own chain: its corners, the reference K, iterative solvePnP."""
    folder = find_external("data/calibration/aruco_board")
    reference = json.loads((folder / "calibration.json").read_text())
    matrix, distortion = np.array(reference["K"]), np.array(reference["dist"])
    camera = CameraCalibration(
        matrix[0, 0],
        matrix[1, 1],
        matrix[0, 2] + 0.5,
        matrix[1, 2] + 0.5,
        tuple(distortion),
        640,
        480,
        reference["rms_px"],
        "board",
    )
    raw = replace(GRID, corners="opencv")
    paths = list_photos(folder)
    assert len(paths) == 28
    for path in paths:
        grey = read_stored_grey(path)
        view, plain = find_board(grey, GRID), find_board(grey, raw)
        assert isinstance(view, BoardView)
        assert isinstance(plain, BoardView)
        estimate = pose_from_board(view, GRID, camera)
        assert estimate.reprojection_px is not None
        assert estimate.reprojection_px <= 1.0
        _, _, shift = cv2.solvePnP(
            plain.object_mm - GRID.centre_mm, plain.image_px - 0.5, matrix, distortion
        )
        assert estimate.distance_m == pytest.approx(np.linalg.norm(shift) / 1000, rel=0.02)
        assert estimate.distance_sd_m < 0.01 * estimate.distance_m
