"""Sub-pixel place of what is stuck, order of the colour steps, light on photographs."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from physadv.evaluate.compositing import Lighting, match_lighting, stick
from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.renderer import SignTexture, View, paint, region_of
from physadv.scene.faces import draw_face, face_outline_mm, octagon
from physadv.scene.pose import Camera, Pose, plane_to_image, project

CAMERA = Camera(500, 640, 480)


def _oracle(to_pixels, side_mm, rgba, shape, samples):
    """Average of samples x samples point look-ups a pixel in sharp texels, black outside."""
    offsets = (np.arange(samples) + 0.5) / samples
    x, y = np.meshgrid(
        (np.arange(shape[1])[:, None] + offsets).ravel(),
        (np.arange(shape[0])[:, None] + offsets).ravel(),
    )
    plane = np.linalg.inv(to_pixels) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    u = (plane[0] / plane[2] / side_mm + 0.5) * 256
    v = (0.5 - plane[1] / plane[2] / side_mm) * 256
    inside = (u >= 0) & (u < 256) & (v >= 0) & (v < 256)
    texels = rgba[v[inside].astype(int), u[inside].astype(int)].astype(float)
    seen = np.zeros((x.size, 3))
    seen[inside] = texels[:, :3] * (texels[:, 3:] > 0)
    return seen.reshape(shape[0], samples, shape[1], samples, 3).mean(axis=(1, 3))


def _shift_px(ours, truth):
    """How far (x, y) ``ours`` lies from ``truth``: least squares on the truth's gradient."""
    inside = cv2.erode((truth.sum(axis=-1) > 0).astype(np.uint8), np.ones((7, 7))).astype(bool)
    down, right = np.gradient(truth, axis=(0, 1))
    slopes = np.stack([right[inside].ravel(), down[inside].ravel()], axis=1)
    return -np.linalg.lstsq(slopes, (ours - truth)[inside].ravel(), rcond=None)[0]


@pytest.mark.parametrize(
    ("distance_m", "yaw_deg"), [(2.0, 45), (2.2, -60), (3.048, 30), (12.192, 0)]
)
def test_rendered_artwork_is_in_place_to_a_twentieth_of_a_pixel(
    scene, checker, distance_m, yaw_deg
):
    region = region_of(scene, Pose(distance_m, yaw_deg, 4, -3))
    black = np.zeros((region.height_px, region.width_px, 3), np.uint8)
    view = View.of(scene, region, SignTexture(scene, checker.mask), black, NEUTRAL)
    ours = paint(view, checker.rgba[..., :3].copy()).astype(float)
    truth = _oracle(region.to_region, scene.carrier.width_mm, checker.rgba, ours.shape[:2], 4)
    assert np.abs(_shift_px(ours, truth)).max() < 0.05


@pytest.mark.parametrize(
    ("pose", "samples"), [(Pose(1.5, 20, 3, 4), 4), (Pose(5.0, -30), 10), (Pose(9.0), 10)]
)
def test_print_on_a_photograph_is_in_place_and_area_averaged(checker, pose, samples):
    """Where texels are smaller than pixels the oracle itself needs many samples."""
    to_image = plane_to_image(pose, CAMERA)
    corners = project(to_image, (octagon(762) - 381) * [1, -1])
    plain = Lighting(np.ones(3), np.zeros(3), np.zeros(2), np.zeros(2))
    black = np.zeros((480, 640, 3), np.uint8)
    ours = stick(black, corners, checker.rgba[..., :3], checker.mask, plain).astype(float)
    truth = _oracle(to_image, 762, checker.rgba, (480, 640), samples)
    inside = cv2.erode((truth.sum(axis=-1) > 0).astype(np.uint8), np.ones((7, 7))).astype(bool)
    assert np.abs(_shift_px(ours, truth)).max() < 0.05
    assert np.abs(ours - truth)[inside].mean() < 0.2 * truth[inside].std()


def test_light_comes_before_saturation(scene, green_poster):
    def middle(**changes):
        region = region_of(scene, Pose(3.0))
        black = np.zeros((region.height_px, region.width_px, 3), np.uint8)
        conditions = replace(NEUTRAL, **changes)
        view = View.of(scene, region, SignTexture(scene, green_poster.mask), black, conditions)
        seen = paint(view, green_poster.rgba[..., :3].copy())
        return seen[seen.shape[0] // 2, seen.shape[1] // 2].astype(float)

    plain, gain = middle(), np.array([1.0, 0.5, 0.8])
    lit = plain * gain
    luma = lit @ [0.299, 0.587, 0.114]
    assert np.allclose(middle(gain=gain, saturation=0.4), 0.4 * lit + 0.6 * luma, atol=1)


def _sign_photo(gain, haze, slope_x):
    """The drawn face as a photograph would have it, under known light."""
    to_image = plane_to_image(Pose(1.5), CAMERA)
    corners = project(to_image, (octagon(762) - 381) * [1, -1])
    face = draw_face("us_r1_1", 256)
    pixels = _oracle(to_image, 762, face, (480, 640), 4)
    x = np.arange(640) + 0.5 - 320
    lit = pixels * gain * (1 + slope_x * x)[None, :, None] + haze
    return np.rint(lit.clip(0, 255)).astype(np.uint8), corners


@pytest.mark.parametrize("haze", [0, 25])
def test_haze_is_told_from_gain(haze):
    photo, corners = _sign_photo(np.array([0.7, 0.6, 0.5]), haze, 0.0)
    lighting = match_lighting(photo, corners, draw_face("us_r1_1", 512))
    assert np.allclose(lighting.gain, [0.7, 0.6, 0.5], atol=0.03)
    assert np.allclose(lighting.offset, haze, atol=4)


def test_light_that_falls_off_is_followed():
    photo, corners = _sign_photo(np.full(3, 0.7), 0, 0.002)
    lighting = match_lighting(photo, corners, draw_face("us_r1_1", 512))
    assert lighting.slope == pytest.approx([0.002, 0], abs=4e-4)
    grey = lighting.apply(np.full((480, 640, 3), 128, np.float32))[240]
    assert grey[400, 1] / grey[240, 1] == pytest.approx(1.16 / 0.84, rel=0.05)


def test_outline_fills_the_carriers_width(scene):
    assert np.allclose(np.ptp(face_outline_mm(scene), axis=0), scene.carrier.width_mm)
