"""Patches in frames: geometry against cv2, blending, and the gradient by finite differences."""

import cv2
import numpy as np
import pytest
import torch

from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.patching import Place, stick_patch
from physadv.imaging.tiles import Tiles, _Paste, paste_tiles, render_tiles


def tiles_at(centres, sides, rolls=None, frame=None) -> Tiles:
    count = len(sides)
    return Tiles(
        torch.zeros(count, dtype=torch.long) if frame is None else torch.tensor(frame),
        torch.tensor(centres).float(),
        torch.tensor(sides).float(),
        torch.deg2rad(torch.tensor(rolls or [0.0] * count).float()),
        torch.eye(3).expand(count, 3, 3),
        torch.zeros(count, 3),
        torch.ones(count, 1, 10, 10),
        torch.zeros(count),
        0,
    )


def smooth_colours(size: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    return torch.stack([x, y, 0.5 + 0.4 * torch.sin(3 * x + 2 * y)])


@pytest.mark.parametrize(("side", "roll"), [(40.0, 0.0), (40.3, 13.0), (77.0, -20.0), (20.0, 45.0)])
def test_geometry_is_that_of_the_judges_renderer(side, roll):
    """The two ways of compositing agree on a smooth patch; they share no code."""
    colours = smooth_colours(64)
    centre = [70.3, 60.8]
    tiles = tiles_at([centre], [side], [roll])
    frames = torch.full((1, 3, 128, 144), 0.25)
    ours = paste_tiles(frames, *render_tiles(colours, tiles), tiles)[0]
    photo = np.full((128, 144, 3), 64, np.uint8)
    eight_bit = (colours.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    place = Place(np.array(centre), side, float(np.deg2rad(roll)))
    theirs = stick_patch(photo, eight_bit, place, NEUTRAL, np.random.default_rng(0))
    gap = np.abs(ours.permute(1, 2, 0).numpy() * 255 - theirs)
    assert gap.mean() < 0.5
    inside = cv2.erode(
        (np.abs(theirs.astype(int) - 64).max(-1) > 3).astype(np.uint8), np.ones((5, 5))
    )
    assert gap[inside > 0].max() < 8


def test_coverage_adds_up_to_the_patchs_area():
    tiles = tiles_at([[50.2, 49.7], [50, 50]], [30.4, 22.0], [17.0, 0.0])
    _, coverage = render_tiles(torch.rand(3, 16, 16), tiles)
    assert coverage.sum(dim=(1, 2, 3)).tolist() == pytest.approx([30.4**2, 22.0**2], rel=0.02)


def test_minified_patches_are_averaged_not_sampled():
    checker = (torch.arange(64)[:, None] + torch.arange(64)[None]) % 2
    tiles = tiles_at([[20.0, 20.0]], [8.0])
    seen, coverage = render_tiles(checker.float().expand(3, 64, 64), tiles)
    assert torch.allclose(seen[coverage.expand_as(seen) > 0.99], torch.tensor(0.5), atol=0.02)


def test_later_patches_lie_over_earlier_ones_and_frames_keep_to_themselves():
    tiles = tiles_at([[20.0, 20], [24.0, 20], [20.0, 20]], [16.0, 16, 16], frame=[0, 0, 1])
    seen, coverage = render_tiles(torch.ones(3, 8, 8), tiles)
    seen = seen * torch.tensor([0.2, 0.6, 0.9])[:, None, None, None]
    image = paste_tiles(torch.zeros(2, 3, 40, 40), seen, coverage, tiles)
    assert float(image[0, 0, 20, 14]) == pytest.approx(0.2)
    assert float(image[0, 0, 20, 24]) == pytest.approx(0.6)
    assert float(image[1, 0, 20, 20]) == pytest.approx(0.9)
    assert float(image[:, :, 0].abs().max()) == 0


def test_gradient_of_pasting_by_finite_differences():
    """Overlapping tiles, and one that hangs over the frame's corner."""
    frames = torch.rand(2, 3, 12, 12, dtype=torch.double)
    seen = torch.rand(3, 3, 5, 5, dtype=torch.double, requires_grad=True)
    coverage = torch.rand(3, 1, 5, 5, dtype=torch.double)
    frame, corners = torch.tensor([0, 0, 1]), torch.tensor([[1, 2], [3, 4], [-2, 9]])
    assert torch.autograd.gradcheck(
        lambda tiles: _Paste.apply(frames, tiles, coverage, frame, corners), (seen,)
    )


def test_a_patch_beyond_the_frame_changes_nothing():
    tiles = tiles_at([[-50.0, 20.0]], [16.0])
    frames = torch.rand(1, 3, 40, 40)
    seen, coverage = render_tiles(torch.rand(3, 8, 8), tiles)
    assert torch.equal(paste_tiles(frames, seen, coverage, tiles), frames)
