"""Palettes and the assumed printer."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from scipy.cluster.vq import kmeans2

from physadv.artwork.palette import (
    PRINTABLE_30,
    chart_colours,
    palette_for,
    printed_colours,
)
from physadv.checks import UsageError, UserError


def test_two_colours_are_solid_black_and_bare_paper() -> None:
    black, white = palette_for(2)
    assert 0.1 < black.min() <= black.max() < 0.2
    assert 0.88 < white.min() <= white.max() < 0.97


def test_lightness_agrees_with_littlecms() -> None:
    """Black is L* 16, paper L* 93 b* -3 (ISO 12647-2), as another implementation reads sRGB."""
    pixels = np.round(palette_for(2).numpy() * 255).astype(np.uint8)[None]
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), transform))[0]
    assert lab[:, 0] / 255 * 100 == pytest.approx([16, 93], abs=0.7)
    assert lab[1].astype(np.int8)[1:] == pytest.approx([0, -3], abs=1)


def test_grey_ramp_is_monotonic_and_nearly_neutral() -> None:
    ramp = printed_colours(np.linspace(0, 1, 17)[:, None].repeat(3, axis=1))
    assert np.all(np.diff(ramp, axis=0) > 0)
    assert np.ptp(ramp, axis=1).max() < 0.04


def test_solid_inks_have_their_hue() -> None:
    device = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    cyan, magenta, yellow, red, green, blue = printed_colours(device)
    assert cyan.argmin() == 0
    assert magenta.argmin() == 1
    assert yellow.argmin() == 2
    assert (red.argmax(), green.argmax(), blue.argmax()) == (0, 1, 2)


def test_palettes_are_nested_distinct_and_hold_in_8_bits() -> None:
    full = palette_for(32)
    assert full.shape == (32, 3)
    assert full.dtype == torch.float32
    for count in range(2, 33):
        assert torch.equal(palette_for(count), full[:count])
    assert torch.equal((full * 255).round() / 255, full)
    distances = torch.cdist(full, full) + torch.eye(32) * 9
    assert distances.min() > 0.1
    assert full.min() >= 0
    assert full.max() <= 1


def test_farthest_point_order() -> None:
    """Each colour is, among the chart's, the farthest from all those before it."""
    chart, full = chart_colours(), palette_for(32).numpy()
    for count in range(2, 32):
        gaps = np.linalg.norm(chart[:, None] - full[:count], axis=2).min(axis=1)
        own = np.linalg.norm(full[count] - full[:count], axis=1).min()
        assert own == pytest.approx(gaps.max(), abs=0.01)


def test_text_and_number_mean_the_same() -> None:
    assert torch.equal(palette_for("8"), palette_for(8))
    assert palette_for(None) is None


def test_callers_cannot_spoil_the_palette() -> None:
    palette_for(4).zero_()
    assert palette_for(4).sum() > 0


@pytest.mark.parametrize("spec", [1, 33, "0", "-3"])
def test_out_of_range(spec: int | str) -> None:
    with pytest.raises(UserError, match=r"\[2, 32\]"):
        palette_for(spec)


@pytest.mark.parametrize("spec", ["cmyk", "", "2.5"])
def test_not_a_number(spec: str) -> None:
    with pytest.raises(UsageError, match="rgb, grey"):
        palette_for(spec)


def test_printable_30_are_k_means_centres() -> None:
    centres = PRINTABLE_30.double().numpy()
    again, labels = kmeans2(chart_colours(), centres, iter=1, minit="matrix")
    assert again == pytest.approx(centres, abs=1e-6)
    assert len(np.unique(labels)) == 30
