"""A rendered drive towards a sign against OpenCV's own projection, and the ranging on it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from physadv.calibrate.pose import distance_from_box, pose_from_octagon
from physadv.checks import UserError
from physadv.evaluate.approach import Approach, camera_of, render, truths
from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.renderer import SignTexture
from physadv.scene.faces import octagon
from physadv.scene.schema import Scene
from physadv.units import MM_PER_M

BARE = np.zeros((256, 256), bool)


@pytest.mark.parametrize("turn_deg", [0.0, 25.0, -40.0])
def test_corners_are_where_opencv_projects_them(scene: Scene, turn_deg: float) -> None:
    approach = Approach(36, 40, 4, lateral_m=2.5, height_m=0.7, turn_deg=turn_deg)
    found = truths(scene, approach)
    flat = (octagon(762) - 381) * [1, -1] / MM_PER_M
    points = np.column_stack([flat, np.zeros(8)])
    camera = scene.camera
    matrix = np.array(
        [
            [camera.focal_px, 0, camera.width_px / 2],
            [0, camera.focal_px, camera.height_px / 2],
            [0, 0, 1],
        ]
    )
    turn = np.deg2rad(turn_deg)
    # The sign's axes in the camera's: half a turn about x faces the camera, then about y (down).
    about_y, _ = cv2.Rodrigues(np.array([0.0, turn, 0.0]))
    about_x = np.diag([1.0, -1.0, -1.0])
    for truth in (found[0], found[len(found) // 2], found[-1]):
        depth = 40 - 10 * truth.frame / 30  # 36 km/h is 10 m/s
        shift = np.array([2.5, -0.7, depth])
        expected, _ = cv2.projectPoints(
            points, cv2.Rodrigues(about_y @ about_x)[0], shift, matrix, np.zeros(5)
        )
        assert np.allclose(truth.outline, expected[:, 0], atol=1e-6)
        assert truth.distance_m == pytest.approx(np.linalg.norm(shift))
        assert truth.along_m == pytest.approx(depth)
        assert truth.time_s == pytest.approx(truth.frame / 30)
        assert np.allclose(truth.box, [*expected[:, 0].min(axis=0), *expected[:, 0].max(axis=0)])


def test_a_face_turned_to_the_road_is_seen_wider_from_it(scene: Scene) -> None:
    """The camera passes on the sign's left: a face that turns towards it is seen less obliquely."""
    towards, away = (
        truths(scene, Approach(start_m=12, end_m=8, lateral_m=4, turn_deg=turn))[0].outline
        for turn in (20, -20)
    )
    assert np.ptp(towards[:, 0]) > np.ptp(away[:, 0])


def test_distances_from_truth_boxes_and_outlines(scene: Scene) -> None:
    camera = camera_of(scene)
    for truth in truths(scene, Approach()):
        if truth.box[3] - truth.box[1] < 20:
            continue
        by_box = distance_from_box(truth.box, 762, camera).distance_m
        assert by_box == pytest.approx(truth.distance_m, rel=0.03)
        by_corners = pose_from_octagon(truth.outline, 762, camera).distance_m
        assert by_corners == pytest.approx(truth.distance_m, rel=1e-4)


def test_the_frame_shows_the_sign_at_its_box(scene: Scene) -> None:
    approach = Approach(start_m=9, end_m=8, shutter_s=0)
    sign = SignTexture(scene, BARE)
    truth = truths(scene, approach)
    frames = list(render(scene, approach, sign, None, NEUTRAL))
    assert len(frames) == len(truth)
    for one, frame in zip(truth[::2], frames[::2], strict=True):
        height, width = frame.shape[:2]
        assert (width, height) == (scene.camera.width_px, scene.camera.height_px)
        red = (frame[..., 0] > 140) & (frame[..., 1] < 70) & (frame[..., 2] < 90)
        rows, columns = np.nonzero(red)
        border = 0.75 / 30 * (one.box[2] - one.box[0])
        edges = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        inner = one.box + border * np.array([1, 1, -1, -1])
        assert np.abs(edges - inner).max() < 1.5


def test_noise_is_new_in_each_frame_and_the_same_again(scene: Scene) -> None:
    approach = Approach(start_m=9, end_m=8.5, speed_kmh=1e-3 * 3.6, fps=1, shutter_s=0)
    short = replace(approach, end_m=8.9985)
    sign = SignTexture(scene, BARE)
    noisy = replace(NEUTRAL, noise_sd=0.02)
    first, again = (list(render(scene, short, sign, None, noisy, seed=3)) for _ in range(2))
    assert len(first) == 2
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert (first[0] != first[1]).mean() > 0.5


@pytest.mark.parametrize("width", [320, 5000])
def test_a_photograph_is_behind_the_sign(scene: Scene, width: int) -> None:
    """Left half blue, right half green, however large the photograph is."""
    approach = Approach(start_m=9, end_m=8, fps=5, shutter_s=0)
    photo = np.zeros((width * 3 // 4, width, 3), np.uint8)
    photo[:, : width // 2], photo[:, width // 2 :] = (20, 60, 200), (30, 180, 40)
    sign = SignTexture(scene, BARE)
    for frame in render(scene, approach, sign, None, NEUTRAL, street=photo):
        middle = scene.camera.width_px // 2
        # The sign and its pole are right of the middle.
        assert np.abs(frame[:, : middle - 30].astype(int) - (20, 60, 200)).max() <= 1
        assert np.abs(frame[:200, middle + 30 :].astype(int) - (30, 180, 40)).max() <= 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"speed_kmh": 0}, "speed"),
        ({"end_m": 80}, "does not come nearer"),
        ({"fps": 0}, "frame rate"),
        ({"shutter_s": 0.2}, "shutter"),
        ({"turn_deg": 90}, "turn"),
    ],
)
def test_impossible_drives(settings: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Approach(**settings)


def test_a_sign_that_is_not_seen(scene: Scene) -> None:
    with pytest.raises(UserError, match="the frame misses it"):
        truths(scene, Approach(start_m=10, lateral_m=40))
    with pytest.raises(UserError, match="px in its first frame"):
        truths(scene, Approach(start_m=900))
