"""The judge's renderer against brute force, against the optimiser's, and condition by condition."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from physadv.artwork.files import Artwork
from physadv.evaluate.conditions import NEUTRAL, Shadow, sample_conditions
from physadv.evaluate.renderer import (
    SignTexture,
    View,
    cut_crop,
    motion_kernel,
    paint,
    region_of,
)
from physadv.imaging.framing import crop_geometry
from physadv.imaging.render import render_views
from physadv.imaging.texture import composite, prepare
from physadv.imaging.views import sample_views
from physadv.scene.faces import draw_face, face_outline_mm
from physadv.scene.pose import Pose, bounding_box, project


def _view(scene, pose, artwork, conditions=NEUTRAL, behind=0, margin=0.1):
    region = region_of(scene, pose, margin)
    ground = np.full((region.height_px, region.width_px, 3), behind, np.uint8)
    return View.of(scene, region, SignTexture(scene, artwork.mask), ground, conditions)


def _brute_force(view, artwork, scene, samples=8):
    """Average of samples x samples point look-ups a pixel in the sharp artwork, black outside."""
    height, width = view.region.height_px, view.region.width_px
    offsets = (np.arange(samples) + 0.5) / samples
    x, y = np.meshgrid(
        (np.arange(width)[:, None] + offsets).ravel(),
        (np.arange(height)[:, None] + offsets).ravel(),
    )
    plane = np.linalg.inv(view.region.to_region) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    side = scene.carrier.width_mm
    u = (plane[0] / plane[2] / side + 0.5) * 256
    v = (0.5 - plane[1] / plane[2] / side) * 256
    inside = (u >= 0) & (u < 256) & (v >= 0) & (v < 256)
    seen = np.zeros((x.size, 3))
    rgba = artwork.rgba[v[inside].astype(int), u[inside].astype(int)].astype(float)
    seen[inside] = rgba[:, :3] * (rgba[:, 3:] > 0)
    return seen.reshape(height, samples, width, samples, 3).mean(axis=(1, 3))


@pytest.mark.parametrize(
    ("distance_m", "yaw_deg"), [(1.524, 0), (3.048, 30), (6.096, 15), (12.192, 0), (2.0, 60)]
)
def test_sharp_texels_are_area_averaged(scene, checker, distance_m, yaw_deg):
    view = _view(scene, Pose(distance_m, yaw_deg, 4, -3), checker)
    ours = paint(view, checker.rgba[..., :3].copy()).astype(float)
    truth = _brute_force(view, checker, scene)
    centre = cv2.erode((truth.sum(axis=-1) > 0).astype(np.uint8), np.ones((7, 7))).astype(bool)
    difference = np.abs(ours - truth)[centre]
    # Bilinear warping blurs texel edges by up to a pixel; texels are 8 px wide at 1.5 m, 1 at 12 m.
    contrast = truth[centre].std()
    assert difference.mean() < 0.35 * contrast
    assert abs((ours - truth)[centre].mean()) < 1.0
    assert np.corrcoef(ours[centre].ravel(), truth[centre].ravel())[0, 1] > 0.9


def test_sign_lands_where_the_geometry_says(scene, green_poster):
    for pose in (Pose(1.7), Pose(3.0, 40, 5, 4), Pose(9.0, -30)):
        view = _view(scene, pose, green_poster)
        image = paint(view, np.full((256, 256, 3), 255, np.uint8)).astype(float).mean(axis=-1)
        outline = project(view.region.to_region, face_outline_mm(scene))
        assert np.allclose(bounding_box(outline), view.region.box)
        # The sum of coverage is the octagon's area; its centroid the octagon's.
        area = cv2.contourArea(outline.astype(np.float32))
        assert image.sum() / 255 == pytest.approx(area, rel=0.02)
        moments = cv2.moments(outline.astype(np.float32))
        y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]] + 0.5
        centroid = (image * x).sum() / image.sum(), (image * y).sum() / image.sum()
        expected = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
        assert np.allclose(centroid, expected, atol=0.25)


@pytest.mark.parametrize(("distance_m", "yaw_deg"), [(3.0, 0), (6.0, 40), (12.0, -20)])
def test_the_two_renderers_agree_on_a_smooth_texture(still_scene, distance_m, yaw_deg):
    """Kornia's crop of 64 px against OpenCV's full-resolution region, cut and resized."""
    y, x = np.mgrid[0:64, 0:64] / 64
    waves = [0.5 + 0.35 * np.sin(5 * x + 2 * y), 0.2 + 0.6 * x, 0.5 + 0.3 * np.cos(4 * y)]
    colours = np.rint(255 * np.stack(waves, -1)).astype(np.uint8)
    alpha = (draw_face("us_r1_1", 256)[..., 3] > 127).astype(np.uint8) * 255
    artwork = Artwork(
        np.dstack([colours.repeat(4, 0).repeat(4, 1), alpha]), 762, 762, "us_r1_1", "x", ("x",)
    )
    pose = Pose(distance_m, yaw_deg, 3, 2)
    view = _view(still_scene, pose, artwork, behind=0)
    judged = cut_crop(paint(view, artwork.rgba[..., :3].copy()), view.region.box)
    judged = cv2.resize(judged, (64, 64), interpolation=cv2.INTER_AREA).astype(float) / 255

    views = sample_views(still_scene, 1, 64, seed=0, keys=("pair",), pool=1)
    geometry = crop_geometry(still_scene, pose, 64)
    views = replace(
        views, to_texture=torch.tensor(geometry.to_texture)[None].float(), boxes=geometry.box[None]
    )
    views = replace(views, blurred=views.blurred[:0], kernels=views.kernels[:0])
    face = torch.from_numpy(draw_face("us_r1_1", 256).copy()).permute(2, 0, 1).float() / 255
    mask = torch.from_numpy(alpha)[None].float() / 255
    prints = views.print_gain, views.print_offset
    shown = torch.from_numpy(colours).permute(2, 0, 1).float() / 255
    texture = composite(prepare(face, mask, 64, 64), shown, *prints, 64)
    optimised = render_views(texture, views, torch.zeros(1, 3, 64, 64))
    optimised = optimised[0].permute(1, 2, 0).numpy()
    inner = (slice(12, -12), slice(12, -12))
    difference = np.abs(judged - optimised)[inner]
    assert difference.mean() < 0.012
    assert difference.max() < 0.06  # the crop's box is rounded to whole sensor pixels


def test_exposure_saturation_contrast_offset(scene, green_poster):
    pose = Pose(3.0)
    plain = paint(_view(scene, pose, green_poster), None).astype(float)
    middle = tuple(s // 2 for s in plain.shape[:2])
    value = plain[middle[0], 20 + plain.shape[1] // 8]
    row, column = middle[0], 20 + plain.shape[1] // 8

    def under(**changes):
        conditions = replace(NEUTRAL, **changes)
        return paint(_view(scene, pose, green_poster, conditions), None).astype(float)[row, column]

    assert np.allclose(under(gain=np.full(3, 0.5)), value * 0.5, atol=1)
    assert np.allclose(under(gain=np.array([1, 2, 1.0])), value * [1, 2, 1], atol=1.5)
    assert np.ptp(under(saturation=0.0)) <= 1
    assert under(saturation=0.0)[0] == pytest.approx(value @ [0.299, 0.587, 0.114], abs=1)
    assert np.allclose(under(contrast=0.8), 127.5 + 0.8 * (value - 127.5), atol=1)
    assert np.allclose(under(offset=0.1), (value + 25.5).clip(0, 255), atol=1)
    assert np.allclose(under(offset=-1.0), 0)


def test_noise_has_the_asked_spread_and_is_shared_by_key(scene, green_poster):
    pose, grey = Pose(1.6), np.full((256, 256, 3), 128, np.uint8)
    quiet = paint(_view(scene, pose, green_poster), grey).astype(float)
    noisy = replace(NEUTRAL, noise_sd=0.04, noise_key=7)
    first = paint(_view(scene, pose, green_poster, noisy), grey).astype(float)
    again = paint(_view(scene, pose, green_poster, noisy), grey).astype(float)
    other = paint(_view(scene, pose, green_poster, replace(noisy, noise_key=99)), grey)
    inside = (slice(100, -100), slice(100, -100))
    assert (first - quiet)[inside].std() / 255 == pytest.approx(0.04, rel=0.03)
    assert abs((first - quiet)[inside].mean()) < 0.3
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_shadow_leaves_the_asked_light(scene, green_poster):
    shadow = Shadow(angle_rad=0.0, edge=0.0, softness=0.01, remaining_light=0.5)
    grey = np.full((256, 256, 3), 200, np.uint8)
    conditions = replace(NEUTRAL, shadow=shadow)
    image = paint(_view(scene, Pose(3.0), green_poster, conditions), grey).astype(float)
    height, width = image.shape[:2]
    dark, bright = image[height // 2, width // 4, 0], image[height // 2, 3 * width // 4, 0]
    assert bright == pytest.approx(200, abs=1)
    assert dark == pytest.approx(200 * 0.5 ** (1 / 2.2), abs=1.5)


def test_jpeg_is_opencvs_own(scene, checker):
    view = _view(scene, Pose(4.0), checker)
    plain = paint(view, checker.rgba[..., :3].copy())
    coded = paint(
        replace(view, conditions=replace(NEUTRAL, jpeg_quality=50)), checker.rgba[..., :3]
    )
    _, data = cv2.imencode(".jpg", plain[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])
    assert np.array_equal(coded, cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])


@pytest.mark.parametrize(("length_px", "angle_rad"), [(1.5, 0.3), (5, 0), (7, 1.2)])
def test_motion_kernel_is_a_line(length_px, angle_rad):
    kernel = motion_kernel(length_px, angle_rad)
    assert kernel.sum() == pytest.approx(1)
    half = len(kernel) // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    assert (kernel * x).sum() == pytest.approx(0, abs=1e-5)
    along = x * np.cos(angle_rad) + y * np.sin(angle_rad)
    # Variance of a line of that length, plus a third of a pixel at most from splatting.
    assert (kernel * along**2).sum() == pytest.approx(length_px**2 / 12, abs=1 / 3)


def test_printer_acts_on_the_artwork_alone(scene, green_poster):
    half = replace_mask(green_poster)
    conditions = replace(NEUTRAL, print_gain=np.array([1, 0.5, 1]), print_offset=np.full(3, 0.1))
    plain = paint(_view(scene, Pose(3.0), half), half.rgba[..., :3].copy()).astype(float)
    printed = paint(_view(scene, Pose(3.0), half, conditions), half.rgba[..., :3].copy())
    height, width = plain.shape[:2]
    stuck, bare = (height // 2, width // 4), (height // 4, 5 * width // 8)
    assert np.allclose(printed[stuck], plain[stuck] * [1, 0.5, 1] + 25.5, atol=1.5)
    assert np.allclose(printed[bare], plain[bare], atol=1)


def replace_mask(artwork):
    """The artwork's left half only."""
    rgba = artwork.rgba.copy()
    rgba[:, 128:] = 0
    return Artwork(rgba, 762, 762, "us_r1_1", "green", ("x",))


def test_sampled_conditions_follow_the_ranges(scene):
    drawn = [sample_conditions(scene.judge, np.random.default_rng(i)) for i in range(600)]
    assert np.mean([c.jpeg_quality is not None for c in drawn]) == pytest.approx(0.7, abs=0.06)
    assert np.mean([c.shadow is not None for c in drawn]) == pytest.approx(0.3, abs=0.06)
    noise = np.array([c.noise_sd for c in drawn])
    assert noise.min() >= 0
    assert noise.max() <= 0.05
    stops = np.log2([np.exp(np.log(c.gain).mean()) for c in drawn]) * 2.2
    assert np.abs(stops).max() < 1.6
    assert np.std(stops) > 0.4
