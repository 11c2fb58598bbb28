"""Pose geometry against closed forms and cv2."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physadv.checks import UserError
from physadv.scene.pose import (
    Camera,
    Pose,
    bounding_box,
    crop_to_square,
    plane_to_image,
    project,
    texture_to_plane,
)

CAMERA = Camera(1000, 1280, 960)
SQUARE = np.array([[-381, 381], [381, 381], [381, -381], [-381, -381]], dtype=float)


@pytest.mark.parametrize(("distance_m", "width_px"), [(1.524, 500), (6.096, 125), (12.192, 62.5)])
def test_frontal_size_is_focal_times_size_over_distance(distance_m, width_px):
    corners = project(plane_to_image(Pose(distance_m), CAMERA), SQUARE)
    x1, y1, x2, y2 = bounding_box(corners)
    assert x2 - x1 == pytest.approx(width_px)
    assert y2 - y1 == pytest.approx(width_px)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == (640, 480)


def test_directions():
    right_near = project(plane_to_image(Pose(3, yaw_deg=30), CAMERA), SQUARE)
    heights = (
        np.linalg.norm(right_near[1] - right_near[2]),
        np.linalg.norm(right_near[0] - right_near[3]),
    )
    assert heights[0] > heights[1]  # camera on the right: the right edge is nearer
    from_above = project(plane_to_image(Pose(3, pitch_deg=20), CAMERA), SQUARE)
    assert from_above[1, 0] - from_above[0, 0] > from_above[2, 0] - from_above[3, 0]
    rolled = project(plane_to_image(Pose(3, roll_deg=10), CAMERA), SQUARE)
    assert rolled[1, 1] > rolled[0, 1]  # clockwise: the top right corner goes down


@given(
    distance_m=st.floats(1.5, 40),
    yaw_deg=st.floats(-70, 70),
    pitch_deg=st.floats(-20, 20),
    roll_deg=st.floats(-15, 15),
)
def test_homography_equals_opencv_projection(distance_m, yaw_deg, pitch_deg, roll_deg):
    """cv2.projectPoints on the 3-D corners, with the pose built from rotations about the axes."""

    def turn(axis, angle_deg):
        return cv2.Rodrigues(np.deg2rad(angle_deg) * np.array(axis, float))[0]

    # Object to camera: roll about the normal, then the camera's yaw and pitch undone, then the
    # change from y up, z towards the viewer to y down, z away.
    flip = np.diag([1.0, -1.0, -1.0])
    rotation = (
        flip @ turn([1, 0, 0], pitch_deg) @ turn([0, 1, 0], -yaw_deg) @ turn([0, 0, 1], -roll_deg)
    )
    points = np.column_stack([SQUARE / 1000, np.zeros(4)])
    matrix = np.array([[1000, 0, 640], [0, 1000, 480], [0, 0, 1.0]])
    theirs, _ = cv2.projectPoints(
        points, cv2.Rodrigues(rotation)[0], np.array([0, 0, distance_m]), matrix, None
    )
    ours = project(plane_to_image(Pose(distance_m, yaw_deg, pitch_deg, roll_deg), CAMERA), SQUARE)
    assert np.allclose(ours, theirs[:, 0], atol=1e-6)


def test_texture_and_crop_frames():
    to_plane = texture_to_plane(762, 762, 256, 256)
    assert np.allclose(
        project(to_plane, [[0, 0], [256, 256], [128, 128]]), [[-381, 381], [381, -381], [0, 0]]
    )
    assert np.allclose(
        project(crop_to_square([10, 20, 40, 80], 32), [[10, 20], [40, 80]]), [[0, 0], [32, 32]]
    )


@pytest.mark.parametrize("pose", [Pose(0), Pose(-3), Pose(3, yaw_deg=90), Pose(3, pitch_deg=-91)])
def test_impossible_poses_are_refused(pose):
    with pytest.raises(UserError, match="behind the target"):
        plane_to_image(pose, CAMERA)


def test_part_behind_the_camera_is_refused():
    with pytest.raises(UserError, match="behind the camera"):
        project(plane_to_image(Pose(0.3, yaw_deg=80), CAMERA), SQUARE)
