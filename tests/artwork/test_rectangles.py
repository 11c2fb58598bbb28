"""Sticker placement against brute force, and its constraints."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physadv.artwork.rectangles import Rectangle, fit_rectangles, rectangles_mask
from physadv.checks import UserError
from physadv.scene.faces import draw_face


def _brute_force(heat: np.ndarray, budget: int, count: int, least: int) -> float:
    n = len(heat)
    spans = [(a, b) for a in range(n) for b in range(a + least, n + 1)]
    shapes = [(x, y) for x in spans for y in spans if (x[1] - x[0]) * (y[1] - y[0]) <= budget]
    masks = np.zeros((len(shapes), n * n), dtype=np.int64)
    for i, (x, y) in enumerate(shapes):
        mask = np.zeros((n, n), dtype=np.int64)
        mask[y[0] : y[1], x[0] : x[1]] = 1
        masks[i] = mask.ravel()
    heats, areas = masks @ heat.ravel(), masks.sum(axis=1)
    overlaps = masks @ masks.T
    best = heats.max()
    if count >= 2:
        pairs = heats[:, None] + heats[None]
        fits = (overlaps == 0) & (areas[:, None] + areas[None] <= budget)
        best = max(best, np.where(fits, pairs, 0).max())
    return float(best)


@pytest.mark.parametrize("seed", range(24))
def test_close_to_the_optimum_of_two_rectangles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heat = rng.random((6, 6)) ** rng.choice([1, 3, 8])
    budget, least = int(rng.integers(4, 16)), int(rng.integers(1, 3))
    best = _brute_force(heat, budget, 2, least)
    found = fit_rectangles(
        heat,
        np.ones((6, 6), dtype=bool),
        max_area_share=budget / 36,
        count=2,
        min_side_px=least,
        grid_px=1,
    )
    got = float((heat * rectangles_mask(found, 6)).sum())
    assert 0.9 * best <= got <= best + 1e-9


def test_mean_gap_to_the_optimum_is_small() -> None:
    ratios = []
    for seed in range(100, 130):
        heat = np.random.default_rng(seed).random((6, 6)) ** 3
        found = fit_rectangles(
            heat, np.ones((6, 6), bool), max_area_share=0.3, count=2, min_side_px=1, grid_px=1
        )
        got = float((heat * rectangles_mask(found, 6)).sum())
        ratios.append(got / _brute_force(heat, 10, 2, 1))
    assert np.mean(ratios) > 0.99


def test_finds_planted_stickers_exactly() -> None:
    face = draw_face("us_r1_1", 256)[..., 3] > 127
    planted = [
        Rectangle(40, 100, 72, 160),
        Rectangle(80, 24, 140, 48),
        Rectangle(120, 200, 160, 232),
        Rectangle(180, 88, 220, 144),
    ]
    mask = rectangles_mask(planted, 256)
    share = mask.sum() / face.sum()
    found = fit_rectangles(mask.astype(float), face, max_area_share=share + 0.001, count=4)
    assert found == planted


def test_scale_of_the_heat_does_not_matter() -> None:
    face = draw_face("us_r1_1", 128)[..., 3] > 127
    heat = np.random.default_rng(0).random((128, 128)) ** 4
    first = fit_rectangles(heat, face, max_area_share=0.2, count=3)
    assert first == fit_rectangles(heat * 1e-3, face, max_area_share=0.2, count=3)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 6),
    share=st.floats(0.05, 1.0),
    grid=st.sampled_from([1, 2, 4]),
    sparse=st.booleans(),
)
def test_constraints_hold(seed: int, count: int, share: float, grid: int, sparse: bool) -> None:
    rng = np.random.default_rng(seed)
    face = draw_face("us_r1_1", 32)[..., 3] > 127
    heat = rng.random((32, 32)) * (rng.random((32, 32)) < 0.05 if sparse else 1)
    found = fit_rectangles(
        heat, face, max_area_share=share, count=count, min_side_px=4, grid_px=grid
    )
    mask = rectangles_mask(found, 32)
    assert 1 <= len(found) <= count
    assert found == sorted(found)
    assert not np.any(mask & ~face)
    assert mask.sum() == sum(r.area_px for r in found)  # no overlap
    assert mask.sum() <= share * face.sum()
    for r in found:
        edges = (r.left_px, r.top_px, r.right_px, r.bottom_px)
        assert all(edge % grid == 0 for edge in edges)
        assert r.right_px - r.left_px >= 4
        assert r.bottom_px - r.top_px >= 4


def test_more_area_never_covers_less() -> None:
    face = draw_face("us_r1_1", 64)[..., 3] > 127
    heat = np.random.default_rng(3).random((64, 64)) ** 2
    covered = [
        (heat * rectangles_mask(fit_rectangles(heat, face, max_area_share=s, count=4), 64)).sum()
        for s in (0.08, 0.12, 0.16, 0.2, 0.25)
    ]
    assert np.all(np.diff(covered) > 0)


def test_rectangles_never_overlap_pairwise_even_when_the_heat_is_one_spot() -> None:
    heat = np.zeros((64, 64))
    heat[30:34, 30:34] = 1
    found = fit_rectangles(heat, np.ones((64, 64), bool), max_area_share=0.3, count=4)
    for a, b in combinations(found, 2):
        assert not np.any(rectangles_mask([a], 64) & rectangles_mask([b], 64))
    assert (heat * rectangles_mask(found, 64)).sum() == heat.sum()


def test_no_heat_at_all_still_gives_a_legal_answer() -> None:
    found = fit_rectangles(np.zeros((64, 64)), np.ones((64, 64), bool), max_area_share=0.2)
    assert 1 <= len(found) <= 4


@pytest.mark.parametrize(
    ("face", "share"), [(np.ones((64, 64), bool), 0.01), (np.eye(64, dtype=bool), 1.0)]
)
def test_nothing_fits(face: np.ndarray, share: float) -> None:
    with pytest.raises(UserError, match="16 x 16"):
        fit_rectangles(np.ones((64, 64)), face, max_area_share=share)


def test_large_grids_stay_bounded() -> None:
    heat = np.zeros((512, 512))
    heat[100:180, 200:280] = 1
    found = fit_rectangles(
        heat, np.ones((512, 512), bool), max_area_share=0.1, min_side_px=8, grid_px=2
    )
    assert (heat * rectangles_mask(found, 512)).sum() == heat.sum()


def test_wrong_arguments() -> None:
    ones, face = np.ones((8, 8)), np.ones((8, 8), bool)
    with pytest.raises(UserError, match="max_area"):
        fit_rectangles(ones, face, max_area_share=0.0)
    with pytest.raises(UserError, match="stickers"):
        fit_rectangles(ones, face, max_area_share=0.5, count=0)
    with pytest.raises(ValueError, match="grid"):
        fit_rectangles(ones, face, max_area_share=0.5, grid_px=3)
    with pytest.raises(ValueError, match="finite"):
        fit_rectangles(-ones, face, max_area_share=0.5)
