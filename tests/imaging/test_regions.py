"""Imaging the carrier's surroundings alone must show and teach what imaging the whole does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from physadv.imaging import render
from physadv.imaging.framing import as_windows
from physadv.imaging.optics import KERNEL
from physadv.imaging.regions import Region, insert, regions_of
from physadv.imaging.render import render_views
from physadv.imaging.views import sample_views

SIZE = 320


@pytest.fixture
def views(scene):
    return sample_views(scene, 8, SIZE, seed=5, keys=("regions",), pool=4, framing=as_windows(0.5))


def _whole(views):
    """The renderer without regions: each view is one."""
    everywhere = tuple((0, 0) for _ in range(len(views)))
    return [Region(tuple(range(len(views))), everywhere, SIZE)]


def test_the_carrier_and_its_blur_lie_inside(views):
    regions = regions_of(views)
    assert sorted(n for region in regions for n in region.chosen) == list(range(len(views)))
    assert min(region.side for region in regions) < SIZE
    for region in regions:
        for n, (x, y) in zip(region.chosen, region.corners, strict=True):
            assert 0 <= x <= SIZE - region.side
            assert 0 <= y <= SIZE - region.side
            assert (x % 16, y % 16) == (0, 0)
            shown = np.clip(views.boxes[n], 0, SIZE)
            left, top, right, bottom = shown + [-1, -1, 1, 1] * np.array(KERNEL // 2)
            assert max(left, 0) >= x
            assert max(top, 0) >= y
            assert min(right, SIZE) <= x + region.side
            assert min(bottom, SIZE) <= y + region.side


@pytest.mark.parametrize("jpeg", [False, True])
def test_pictures_and_gradients_are_those_of_whole_views(views, monkeypatch, jpeg):
    """Around the carrier; elsewhere too in views that are neither blurred nor compressed."""
    if not jpeg:
        views = replace(views, compressed=views.compressed[:0], quality=views.quality[:0])
    generator = torch.Generator().manual_seed(0)
    pool = torch.rand(4, 3, SIZE, SIZE, generator=generator)
    texture = torch.rand(4, 4, 64, 64, generator=generator)
    texture[:, 3] = 1
    texture[:, :, :4], texture[:, :, -4:] = 0, 0
    weight = torch.zeros(len(views), 3, SIZE, SIZE)
    for n, (x0, y0, x1, y1) in enumerate(views.boxes.round().astype(int).tolist()):
        weight[n, :, y0:y1, x0:x1] = torch.rand(3, y1 - y0, x1 - x0, generator=generator)
    found = []
    for regions in (regions_of, _whole):
        monkeypatch.setattr(render, "regions_of", regions)
        colours = texture.clone().requires_grad_(True)
        images = render_views(colours, views, pool)
        (images * weight).sum().backward()
        found.append((images.detach(), colours.grad))
    (images, gradient), (expected, whole_gradient) = found
    shown = weight > 0
    assert torch.allclose(images[shown], expected[shown], atol=2e-4)
    scale = whole_gradient.abs().max()
    assert (gradient - whole_gradient).abs().max() < 1e-3 * scale
    touched = {*views.blurred.tolist(), *views.compressed.tolist()}
    plain = [n for n in range(len(views)) if n not in touched]
    assert plain or jpeg
    assert torch.allclose(images[plain], expected[plain], atol=2e-4)


def test_inserted_squares_alone_carry_gradient():
    regions = [Region((1,), ((16, 0),), 64), Region((0, 2), ((0, 0), (32, 48)), 128)]
    parts = [torch.rand(len(r.chosen), 3, r.side, r.side, requires_grad=True) for r in regions]
    images = insert(torch.zeros(3, 3, 192, 192), regions, parts)
    weight = torch.rand(images.shape)
    (images * weight).sum().backward()
    for region, part in zip(regions, parts, strict=True):
        assert torch.equal(region.cut(images.detach()), part.detach())
        assert torch.equal(part.grad, region.cut(weight))
    covered = sum(part.numel() for part in parts)
    assert (images.detach() != 0).sum() <= covered
