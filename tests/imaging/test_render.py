"""The optimiser's renderer against cv2, PIL and its own invariances."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from kornia.enhance import jpeg_codec_differentiable
from PIL import Image

from physadv.imaging.framing import crop_geometry
from physadv.imaging.render import render_views, warp_texture
from physadv.imaging.texture import composite, prepare, texture_side
from physadv.imaging.views import sample_views
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

SIZE = 64


def _views(scene, count=4, **changes):
    views = sample_views(scene, count, SIZE, seed=3, keys=("test",), pool=4)
    return replace(views, **changes)


@pytest.mark.parametrize(
    ("yaw_deg", "pitch_deg", "roll_deg"), [(0, 0, 0), (40, 0, 0), (-60, 12, 5), (10, -15, -6)]
)
def test_warp_matches_opencv_on_a_smooth_texture(still_scene, yaw_deg, pitch_deg, roll_deg):
    side = 96
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    texture = np.stack([x, y, 0.5 + 0.4 * np.sin(4 * x + 3 * y), np.ones_like(x)], axis=-1)
    pose = Pose(4.0, yaw_deg, pitch_deg, roll_deg)
    crop = crop_geometry(still_scene, pose, SIZE)
    views = _views(
        still_scene,
        to_texture=torch.tensor(crop.to_texture)[None].float(),
        boxes=crop.box[None],
    )
    ours = warp_texture(torch.from_numpy(texture).permute(2, 0, 1)[None], views)[0]

    camera = Camera(1000, 1280, 960)
    to_image = plane_to_image(pose, camera)
    box = bounding_box(project(to_image, face_outline_mm(still_scene)))
    width = still_scene.carrier.width_mm
    forward = crop_to_square(box, SIZE) @ to_image @ texture_to_plane(width, width, side, side)
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    at_integers = np.linalg.inv(half) @ forward @ half  # cv2 puts pixel centres at integers
    theirs = cv2.warpPerspective(texture, at_integers, (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    inside = cv2.erode((theirs[..., 3] > 0.999).astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert inside.mean() > 0.5
    difference = np.abs(ours.permute(1, 2, 0).numpy() - theirs)[inside]
    assert difference.max() < 0.02  # cv2 interpolates at 1/32 of a pixel


def test_exact_crop_touches_all_four_sides(still_scene):
    pose = Pose(3.0, 35, 5, 4)
    crop = crop_geometry(still_scene, pose, SIZE)
    to_view = np.linalg.inv(crop.to_texture)
    outline = face_outline_mm(still_scene) / (still_scene.carrier.width_mm / 2) * [1, -1]
    mapped = project(to_view, outline)
    assert np.allclose(bounding_box(mapped), [-1, -1, 1, 1], atol=1e-9)


def test_same_keys_same_views_other_keys_other_views(scene):
    first, again = _views(scene), _views(scene)
    other = sample_views(scene, 4, SIZE, seed=3, keys=("other",), pool=4)
    assert torch.equal(first.to_texture, again.to_texture)
    assert torch.equal(first.noise, again.noise)
    assert not torch.equal(first.to_texture, other.to_texture)


def test_neutral_views_show_the_texture_itself(still_scene):
    views = _views(still_scene, count=1)
    crop = crop_geometry(still_scene, Pose(12.0), SIZE)
    views = replace(
        views, to_texture=torch.tensor(crop.to_texture)[None].float(), boxes=crop.box[None]
    )
    views = replace(views, blurred=views.blurred[:0], kernels=views.kernels[:0])
    texture = torch.full((1, 4, SIZE, SIZE), 1.0)
    texture[:, :3] = torch.tensor([0.2, 0.5, 0.7])[None, :, None, None]
    image = render_views(texture, views, torch.zeros(4, 3, SIZE, SIZE))
    assert torch.allclose(image[0, :, 4:-4, 4:-4], texture[0, :3, 4:-4, 4:-4], atol=1e-5)


def test_gradient_reaches_every_visible_texel(still_scene):
    views = sample_views(still_scene, 32, SIZE, seed=0, keys=("gradient",), pool=4)
    side, texels = still_scene.mask_texels, still_scene.colour_texels
    artwork = torch.full((3, texels, texels), 0.5, requires_grad=True)
    face = torch.zeros(4, side, side)
    face[3] = 1
    mask = torch.ones(1, side, side)
    sheet = prepare(face, mask, SIZE, texels)
    texture = composite(sheet, artwork, views.print_gain, views.print_offset, SIZE)
    weight = torch.rand(32, 3, SIZE, SIZE)
    image = render_views(texture, views, torch.zeros(4, 3, SIZE, SIZE))
    (image * weight).sum().backward()
    centre = artwork.grad[:, 8:-8, 8:-8]
    assert (centre.abs() > 0).all()


def test_gradient_equals_finite_differences(scene):
    views = sample_views(scene, 4, 16, seed=1, keys=("fd",), pool=4)
    views = replace(views, compressed=views.compressed[:0], quality=views.quality[:0])
    double = {
        name: getattr(views, name).double()
        for name in (
            "to_texture",
            "print_gain",
            "print_offset",
            "light",
            "colour",
            "colour_bias",
            "kernels",
            "noise",
        )
    }
    views = replace(views, **double)
    face = torch.rand(4, 32, 32, dtype=torch.float64)
    mask = torch.zeros(1, 32, 32, dtype=torch.float64)
    mask[:, 8:24, 8:24] = 1
    backgrounds = torch.rand(4, 3, 16, 16, dtype=torch.float64) * 0.3
    artwork = (0.4 + 0.2 * torch.rand(3, 8, 8, dtype=torch.float64)).requires_grad_(True)

    def render(colours: torch.Tensor) -> torch.Tensor:
        sheet = prepare(face, mask, 16, 8)
        texture = composite(sheet, colours, views.print_gain, views.print_offset, 16)
        image = render_views(texture, views, backgrounds)
        return image.clamp(0.02, 0.98).mean(dim=(2, 3))

    assert torch.autograd.gradcheck(render, (artwork,), atol=1e-5, fast_mode=True)


def test_composite_leaves_the_face_alone_outside_the_mask():
    face = torch.rand(4, 16, 16)
    mask = torch.zeros(1, 16, 16)
    mask[:, 4:8, 4:8] = 1
    gain, offset = torch.tensor([[1.1, 1, 1], [1, 0.9, 1]]), torch.zeros(2, 3)
    art = torch.full((3, 4, 4), 0.5)
    out = composite(prepare(face, mask, 16, 4), art, gain, offset, 16)
    outside = mask[0] == 0
    for print_ in out:
        assert torch.allclose(print_[:3, outside], (face[:3] * face[3:])[:, outside])
        assert torch.allclose(print_[3, ~outside], torch.ones(16))
    assert out[0, 0, 5, 5] == pytest.approx(0.55)
    assert out[1, 1, 5, 5] == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("texels", "size_px"), [(64, 64), (64, 16), (16, 64), (128, 50), (32, 256)]
)
def test_filtering_before_sticking_equals_filtering_after(texels, size_px):
    """Brute force: stick at full resolution, then average."""
    face = torch.rand(4, 256, 256)
    mask = (torch.rand(1, 256, 256) > 0.5).float()
    art = torch.rand(3, texels, texels)
    gain, offset = torch.ones(1, 3), torch.zeros(1, 3)
    ours = composite(prepare(face, mask, size_px, texels), art, gain, offset, size_px)[0]
    full = art.repeat_interleave(256 // texels, -1).repeat_interleave(256 // texels, -2)
    colour = face[:3] * face[3:] * (1 - mask) + full * mask
    whole = torch.cat([colour, face[3:].maximum(mask)])
    factor = 256 // texture_side(256, size_px)
    truth = torch.nn.functional.avg_pool2d(whole[None], factor)[0]
    assert ours.shape == truth.shape
    assert torch.allclose(ours, truth, atol=1e-5)


@pytest.mark.parametrize(("texels", "colours"), [(240, 48), (240, 60), (192, 48), (160, 32)])
def test_every_size_that_a_scene_allows_can_be_stuck(texels, colours):
    face, mask = torch.rand(4, texels, texels), torch.ones(1, texels, texels)
    gain, offset = torch.ones(1, 3), torch.zeros(1, 3)
    art = torch.full((3, colours, colours), 0.25)
    out = composite(prepare(face, mask, 64, colours), art, gain, offset, 64)
    assert out.shape[-1] >= 64
    assert torch.allclose(out[0, :3], torch.tensor(0.25))


def test_texture_never_drops_below_the_view():
    assert texture_side(256, 64) == 64
    assert texture_side(256, 100) == 128
    assert texture_side(256, 640) == 256


def test_jpeg_stays_close_to_pil():
    generator = np.random.default_rng(0)
    smooth = cv2.resize(
        generator.random((8, 8, 3), np.float32), (64, 64), interpolation=cv2.INTER_CUBIC
    )
    smooth = smooth.clip(0, 1)
    buffer = io.BytesIO()
    Image.fromarray((smooth * 255).round().astype(np.uint8)).save(buffer, "JPEG", quality=70)
    theirs = np.asarray(Image.open(buffer), dtype=np.float32) / 255
    ours = jpeg_codec_differentiable(
        torch.from_numpy(smooth).permute(2, 0, 1)[None], torch.tensor([70.0])
    )
    assert np.abs(ours[0].permute(1, 2, 0).numpy() - theirs).mean() < 0.015
