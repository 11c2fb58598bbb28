"""Finding octagons, matching light, and compositing: on drawn truth and on real photographs."""

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from physadv.checks import UserError
from physadv.data.files import read_image_rgb
from physadv.evaluate.backgrounds import draw_street
from physadv.evaluate.compositing import match_lighting, stick
from physadv.evaluate.octagon import face_to_photo, find_octagon
from physadv.evaluate.photos import evaluate_photos, read_corners
from physadv.scene.faces import draw_face, octagon
from physadv.scene.pose import Camera, Pose, plane_to_image, project, texture_to_plane
from physadv.victim.catalog import load_victim

CAMERA = Camera(500, 640, 480)


def _photo(pose: Pose, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A drawn photograph of a sign, and its true outer corners."""
    face = draw_face("us_r1_1", 512).astype(np.float32)
    to_image = plane_to_image(pose, CAMERA)
    half = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = np.linalg.inv(half) @ to_image @ texture_to_plane(762, 762, 512, 512) @ half
    face[..., :3] *= face[..., 3:] / 255
    warped = cv2.warpPerspective(cv2.GaussianBlur(face, (0, 0), 1.0), matrix, (640, 480))
    street = draw_street(np.random.default_rng(1)).astype(np.float32) * 0.5 + [0, 60, 60]
    photo = warped[..., :3] + street * (1 - warped[..., 3:] / 255)
    corners = project(to_image, (octagon(762) - 381) * [1, -1])
    return (photo * gain).clip(0, 255).astype(np.uint8), corners


@pytest.mark.parametrize("gain", [0.5, 1.0])
@pytest.mark.parametrize(
    "pose", [Pose(1.5), Pose(2.5, 35, 5, 4), Pose(2.0, -50, 0, -8), Pose(4.0, 10, -10, 12)]
)
def test_octagon_is_found_where_it_is(pose, gain):
    photo, truth = _photo(pose, gain)
    found = find_octagon(photo)
    assert found is not None
    assert np.abs(found - truth).max() < 2.0
    assert np.sqrt(np.square(found - truth).mean()) < 1.0


def test_no_octagon_where_there_is_none():
    assert find_octagon(draw_street(np.random.default_rng(0))) is None
    assert find_octagon(np.full((80, 80, 3), 128, np.uint8)) is None
    disc = np.full((200, 200, 3), 90, np.uint8)
    cv2.circle(disc, (100, 100), 5, (200, 20, 30), -1)
    assert find_octagon(disc) is None


def test_both_kinds_of_corners_give_one_homography():
    _, corners = _photo(Pose(2.5, 35, 5, 4))
    from_octagon = face_to_photo(corners)
    square = project(from_octagon, [[0, 0], [1, 0], [1, 1], [0, 1]])
    assert np.allclose(face_to_photo(square), from_octagon, atol=1e-3)


def test_light_on_the_sign_is_recovered():
    for gain in (0.4, 0.8, 1.0):
        photo, corners = _photo(Pose(1.5), gain)
        lighting = match_lighting(photo, corners, draw_face("us_r1_1", 512))
        assert np.allclose(lighting.gain, gain, atol=0.05)
        assert np.allclose(lighting.offset, 0, atol=8)


def test_a_print_of_the_face_itself_changes_nothing():
    photo, corners = _photo(Pose(1.5, 20), 0.7)
    face = draw_face("us_r1_1", 256)
    mask = np.zeros((256, 256), bool)
    mask[60:200, 60:200] = True
    lighting = match_lighting(photo, corners, draw_face("us_r1_1", 512))
    changed = stick(photo, corners, face[..., :3].copy(), mask, lighting).astype(int)
    assert np.abs(changed - photo).mean() < 2.5


def test_corner_files(tmp_path):
    path = tmp_path / "corners.csv"
    path.write_text("file,x1,y1\na.png,0,0,9,0,9,9,0,9\n")
    assert read_corners(path)["a.png"].shape == (4, 2)
    path.write_text("a.png,0,0,9,0\n")
    with pytest.raises(UserError, match=r"row 1: 4 coordinates"):
        read_corners(path)
    path.write_text("a.png,0,zero\n")
    with pytest.raises(UserError, match="row 1"):
        read_corners(path)


def test_photos_without_a_sign_are_reported(scene, green_poster, dominant, tmp_path):
    photo, _ = _photo(Pose(1.5))
    Image.fromarray(photo).save(tmp_path / "sign.png")
    Image.fromarray(draw_street(np.random.default_rng(0))).save(tmp_path / "street.png")
    result = evaluate_photos(green_poster, scene, tmp_path, dominant)
    assert result.skipped == [("street.png", "no octagon found")]
    exact = {t.treatment: t.verdict for t in result.trials if t.crop == "exact"}
    assert exact["clean"] == "hit"
    assert exact["adversarial"] == "target"
    (tmp_path / "sign.png").unlink()
    with pytest.raises(UserError, match="no sign can be used"):
        evaluate_photos(green_poster, scene, tmp_path, dominant)


@pytest.mark.realdata
def test_real_victim_photos_of_rp2(scene, green_poster, tmp_path):
    folder = Path(os.environ["PHYSADV_DATA"]) / "data" / "rp2_victim_set" / "images"
    artwork = replace(green_poster, target="Speed limit (80km/h)")
    result = evaluate_photos(artwork, scene, folder, load_victim("gtsrb-cnn"))
    assert result.skipped == []
    clean = [t for t in result.trials if t.treatment == "clean" and t.crop == "exact"]
    assert len(clean) == 27
    assert all(t.verdict == "hit" for t in clean)
    for path in sorted(folder.glob("*.png")):
        found = find_octagon(read_image_rgb(path))
        # These photographs were cut tightly around the sign.
        assert np.ptp(found[:, 0]) > 0.9 * 256
        assert np.ptp(found[:, 1]) > 0.9 * 256
