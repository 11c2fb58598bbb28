"""Parameterizations: what is printed, what the gradient follows, and a linear problem's optimum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from physadv.artwork.palette import palette_for
from physadv.artwork.parameterization import (
    FreeRgb,
    Greyscale,
    PaletteChoice,
    Parameterization,
    straight_through,
    upsample,
)
from physadv.seeding import generator_for

C = 8
KINDS: dict[str, Parameterization] = {
    "rgb": FreeRgb(C),
    "grey": Greyscale(C),
    "two": PaletteChoice(palette_for(2), C),
    "seven": PaletteChoice(palette_for(7), C),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def _start(kind: Parameterization, seed: int = 0) -> torch.Tensor:
    return kind.initial(generator_for(seed, "test"))


@every_kind
def test_shapes_range_and_reproducibility(kind: Parameterization) -> None:
    raw = _start(kind)
    assert raw.dtype == torch.float32
    assert torch.equal(raw, _start(kind))
    assert not torch.equal(raw, _start(kind, 1))
    for colours in (kind.colours(raw), kind.hard(raw)):
        assert colours.shape == (3, C, C)
        assert colours.dtype == torch.float32
        assert 0 <= colours.min() <= colours.max() <= 1


@every_kind
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0, 10))
def test_forward_is_what_is_printed(kind: Parameterization, seed: int, scale: float) -> None:
    raw = _start(kind) + scale * torch.from_numpy(
        np.random.default_rng(seed).normal(size=_start(kind).shape).astype(np.float32)
    )
    hard = kind.hard(raw)
    assert torch.equal(kind.colours(raw), hard)
    assert torch.equal(kind.colours(raw, hardness=5.0), hard)
    assert torch.equal((hard * 255).round() / 255, hard)


@every_kind
def test_gradient_reaches_every_parameter(kind: Parameterization) -> None:
    raw = _start(kind).requires_grad_(True)
    weights = torch.from_numpy(np.random.default_rng(0).normal(size=(3, C, C))).float()
    (kind.colours(raw) * weights).sum().backward()
    assert raw.grad is not None
    assert bool((raw.grad != 0).all())
    assert not kind.hard(raw).requires_grad


@every_kind
def test_project_keeps_the_range_and_changes_nothing_inside(kind: Parameterization) -> None:
    raw = _start(kind)
    kind.project_(raw)
    again = raw.clone()
    kind.project_(again)
    assert torch.allclose(raw, again, atol=1e-6)
    wild = raw * 100 - 40
    wild.requires_grad_(True)
    printed = kind.hard(wild)
    kind.project_(wild)
    assert wild.requires_grad
    assert wild.detach().abs().max() <= 4
    if not isinstance(kind, PaletteChoice):
        assert torch.equal(kind.hard(wild), printed)
        assert kind.low <= wild.min() <= wild.max() <= kind.high


def test_projection_keeps_the_chosen_colour() -> None:
    kind = PaletteChoice(palette_for(5), C)
    raw = _start(kind) * 30
    before = kind.hard(raw)
    kind.project_(raw)
    assert torch.equal(kind.hard(raw), before)


def test_rgb_starts_grey() -> None:
    raw = FreeRgb(64).initial(generator_for(0, "start"))
    assert float(raw.mean()) == pytest.approx(0.5, abs=2e-3)
    assert float(raw.std()) == pytest.approx(0.02, abs=1e-3)


def test_printed_rgb_is_within_half_a_level_of_its_parameters() -> None:
    kind = FreeRgb(C)
    raw = torch.from_numpy(np.random.default_rng(0).uniform(0.05, 0.95, (3, C, C))).float()
    assert (kind.hard(raw) - raw).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("count", [2, 3, 16, 32])
def test_palette_prints_palette_colours_only(count: int) -> None:
    palette = palette_for(count)
    kind = PaletteChoice(palette, 32)
    texels = kind.hard(_start(kind)).flatten(1).T
    known = {tuple(colour) for colour in palette.tolist()}
    assert {tuple(texel) for texel in texels.tolist()} == known


def test_grey_has_equal_channels() -> None:
    colours = KINDS["grey"].colours(_start(KINDS["grey"]))
    assert torch.equal(colours[0], colours[1])
    assert torch.equal(colours[0], colours[2])


def test_palette_gradient_is_that_of_the_softmax_mixture() -> None:
    kind = PaletteChoice(palette_for(3), C)
    raw = _start(kind).requires_grad_(True)
    weights = torch.from_numpy(np.random.default_rng(1).normal(size=(3, C, C))).float()
    for hardness in (None, 4.0):
        (got,) = torch.autograd.grad((kind.colours(raw, hardness) * weights).sum(), raw)
        shares = ((hardness or 1.0) * raw).softmax(dim=0)
        mixed = (shares[:, None] * palette_for(3)[:, :, None, None]).sum(dim=0)
        (expected,) = torch.autograd.grad((mixed * weights).sum(), raw)
        assert torch.allclose(got, expected, atol=1e-6)


@every_kind
def test_adam_finds_the_optimum_of_a_linear_loss(kind: Parameterization) -> None:
    """Minimise <w, colours>: the best colour of each texel is known in closed form."""
    weights = torch.from_numpy(np.random.default_rng(2).normal(size=(3, C, C))).float()
    raw = _start(kind).requires_grad_(True)
    adam = torch.optim.Adam([raw], lr=0.03)
    for _ in range(250 if isinstance(kind, PaletteChoice) else 60):
        adam.zero_grad()
        (kind.colours(raw) * weights).sum().backward()
        adam.step()
        kind.project_(raw)
    if isinstance(kind, PaletteChoice):
        best = torch.einsum("kc,cij->kij", kind.palette, weights).amin(dim=0).sum()
    elif isinstance(kind, Greyscale):
        total = weights.sum(dim=0)
        best = torch.where(total > 0, kind.low * total, kind.high * total).sum()
    else:
        best = torch.where(weights > 0, kind.low * weights, kind.high * weights).sum()
    got = (kind.hard(raw) * weights).sum()
    assert float(got) == pytest.approx(float(best), abs=0.01 * abs(float(best)))


def test_a_settled_texel_can_turn_back() -> None:
    """The bound on the logits keeps a palette's choice reversible within some steps."""
    kind = PaletteChoice(palette_for(2), 2)
    raw = _start(kind).requires_grad_(True)
    adam = torch.optim.Adam([raw], lr=0.03)
    for step in range(750):
        adam.zero_grad()
        sign = 1.0 if step < 500 else -1.0
        (sign * kind.colours(raw)).sum().backward()
        adam.step()
        kind.project_(raw)
        if step == 499:
            assert kind.hard(raw).max() < 0.2
    assert kind.hard(raw).min() > 0.8


def test_straight_through_keeps_every_bit() -> None:
    rng = np.random.default_rng(0)
    forward, backward = (torch.from_numpy(rng.normal(size=1000)).float() for _ in range(2))
    assert torch.equal(straight_through(forward, backward), forward)


def test_upsample_makes_hard_squares() -> None:
    colours = torch.from_numpy(np.random.default_rng(0).random((2, 3, 4, 4)))
    expected = np.kron(colours.numpy(), np.ones((1, 1, 3, 3)))
    assert np.array_equal(upsample(colours, 12).numpy(), expected)
    with pytest.raises(ValueError, match="multiple"):
        upsample(colours, 10)


def test_wrong_arguments() -> None:
    for make in (
        lambda: FreeRgb(0),
        lambda: Greyscale(4, 0.9, 0.1),
        lambda: FreeRgb(4, -0.1, 1.0),
        lambda: PaletteChoice(torch.zeros(1, 3), 4),
        lambda: PaletteChoice(torch.zeros(2, 4), 4),
        lambda: PaletteChoice(torch.zeros(2, 3), 4, hardness=0.0),
    ):
        with pytest.raises(ValueError, match=r"need|must"):
            make()
