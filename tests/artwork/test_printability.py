"""Printability terms against loops in NumPy, gradients against finite differences."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from physadv.artwork.palette import palette_for
from physadv.artwork.printability import (
    non_printability_score,
    perceptibility,
    total_variation,
)

PALETTE = palette_for(6).double()


def _image(seed: int, size: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((3, size, size)))


def _mask(seed: int, size: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).random((size, size)) < 0.6)


def test_nps_is_the_mean_of_the_least_distance() -> None:
    image, mask = _image(0), _mask(1)
    expected = np.mean(
        [
            min(np.linalg.norm(image[:, r, c].numpy() - p) for p in PALETTE.numpy())
            for r in range(6)
            for c in range(6)
            if mask[r, c]
        ]
    )
    assert float(non_printability_score(image, PALETTE, mask)) == pytest.approx(expected, abs=2e-3)
    flat = non_printability_score(image[:, mask].T, PALETTE)
    assert float(flat) == pytest.approx(float(non_printability_score(image, PALETTE, mask)))


def test_nps_of_palette_colours_is_zero() -> None:
    assert float(non_printability_score(PALETTE, PALETTE)) == pytest.approx(0, abs=1e-12)


def test_nps_is_not_the_product() -> None:
    """One texel far from every colour must not be hidden by thirty factors below one."""
    far = torch.tensor([[0.5, 0.5, 0.5]], dtype=torch.float64)
    many = PALETTE.repeat(5, 1)
    assert float(non_printability_score(far, many)) == pytest.approx(
        float(non_printability_score(far, PALETTE))
    )


def test_tv_is_the_mean_over_pairs_inside_the_mask() -> None:
    image, mask = _image(2), _mask(3)
    pairs = []
    for r in range(6):
        for c in range(6):
            for r2, c2 in ((r + 1, c), (r, c + 1)):
                if r2 < 6 and c2 < 6 and mask[r, c] and mask[r2, c2]:
                    pairs.append(np.linalg.norm((image[:, r, c] - image[:, r2, c2]).numpy()))
    assert float(total_variation(image, mask)) == pytest.approx(np.mean(pairs), abs=2e-3)


def test_tv_of_a_constant_and_of_a_step() -> None:
    image = torch.full((3, 4, 4), 0.3, dtype=torch.float64)
    full = torch.ones(4, 4, dtype=torch.bool)
    assert float(total_variation(image, full)) == 0
    image[:, :, 2:] = 0.8
    # 4 of the 24 pairs differ, by 0.5 in each channel.
    assert float(total_variation(image, full)) == pytest.approx(0.5 * 3**0.5 / 6, abs=1e-3)


def test_tv_ignores_what_is_outside_the_mask() -> None:
    image, mask = _image(4), _mask(5)
    changed = torch.where(mask, image, torch.zeros_like(image))
    assert torch.equal(total_variation(image, mask), total_variation(changed, mask))


def test_perceptibility_is_a_mean_norm() -> None:
    delta, mask = _image(6) - 0.5, _mask(7)
    inside = delta.numpy()[:, mask.numpy()]
    assert float(perceptibility(delta, mask, 1)) == pytest.approx(np.abs(inside).mean())
    rms = np.sqrt(np.square(inside).mean())
    assert float(perceptibility(delta, mask, 2)) == pytest.approx(rms, abs=2e-3)
    assert float(perceptibility(delta * 0, mask, 2)) == 0


def test_terms_do_not_depend_on_resolution() -> None:
    image, mask = _image(8), _mask(9)
    large = image.repeat_interleave(2, 1).repeat_interleave(2, 2)
    large_mask = mask.repeat_interleave(2, 0).repeat_interleave(2, 1)
    for p in (1, 2):
        assert torch.allclose(perceptibility(image, mask, p), perceptibility(large, large_mask, p))
    assert torch.allclose(
        non_printability_score(image, PALETTE, mask),
        non_printability_score(large, PALETTE, large_mask),
    )


def test_gradients() -> None:
    mask = _mask(10, 4)
    image = _image(11, 4).requires_grad_(True)
    assert gradcheck(lambda x: non_printability_score(x, PALETTE, mask), image)
    assert gradcheck(lambda x: total_variation(x, mask), image)
    assert gradcheck(lambda x: perceptibility(x - 0.5, mask, 1), image)
    assert gradcheck(lambda x: perceptibility(x - 0.5, mask, 2), image)


@pytest.mark.parametrize(
    "term",
    [
        lambda x, m: non_printability_score(x, torch.full((1, 3), 0.5), m),
        total_variation,
        lambda x, m: perceptibility(x - 0.5, m, 1),
        lambda x, m: perceptibility(x - 0.5, m, 2),
    ],
)
def test_gradient_is_finite_at_zero_and_for_an_empty_mask(term) -> None:
    for mask in (torch.ones(4, 4, dtype=torch.bool), torch.zeros(4, 4, dtype=torch.bool)):
        image = torch.full((3, 4, 4), 0.5, requires_grad=True)
        value = term(image, mask)
        value.backward()
        assert float(value.detach()) == pytest.approx(0, abs=1e-7)
        assert float(image.grad.abs().max()) < 1e-6


def test_wrong_shapes() -> None:
    image, mask = torch.zeros(3, 4, 4), torch.ones(5, 4)
    for call in (
        lambda: total_variation(image, mask),
        lambda: perceptibility(image, mask),
        lambda: perceptibility(image, mask[:4], 3),
        lambda: non_printability_score(torch.zeros(4, 2), PALETTE),
        lambda: non_printability_score(torch.zeros(4, 3), PALETTE, mask),
        lambda: non_printability_score(image, torch.zeros(0, 3)),
    ):
        with pytest.raises(ValueError, match=r"need|fit"):
            call()
