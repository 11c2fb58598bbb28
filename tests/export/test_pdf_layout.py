"""Tiling and packing, without drawing."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physadv.export.layout import Plan, plan_sheets, split
from physadv.export.paper import PAGES_MM, Box, artwork_area
from physadv.export.pieces import Piece, find_pieces


@given(st.floats(0.1, 5000), st.floats(30, 400), st.floats(0, 15))
def test_split_covers_with_the_fewest_equal_parts(
    length: float, capacity: float, overlap: float
) -> None:
    parts = split(length, capacity, overlap)
    assert parts[0][0] == 0
    assert sum(parts[-1]) == pytest.approx(length)
    for (start, size), (following, _) in itertools.pairwise(parts):
        assert start + size - following == pytest.approx(overlap, abs=1e-6)
    assert all(size <= capacity + 1e-5 for _, size in parts)
    fewer = len(parts) - 1
    assert fewer * capacity - (fewer - 1) * overlap < length or len(parts) == 1


def test_stop_sign_poster_takes_15_sheets_of_a4_and_6_of_a3() -> None:
    pieces = find_pieces(np.ones((256, 256), dtype=bool), 762, 762)
    assert len(plan_sheets(pieces, "a4").sheets) == 15
    assert len(plan_sheets(pieces, "a3").sheets) == 6


@st.composite
def masks(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    mask = np.zeros((40, 40), dtype=bool)
    for _ in range(draw(st.integers(1, 8))):
        row, col = rng.integers(0, 36, 2)
        height, width = rng.integers(1, 20, 2)
        mask[row : row + height, col : col + width] = True
    return mask


@settings(max_examples=40, deadline=None)
@given(masks(), st.floats(20, 2000), st.sampled_from(sorted(PAGES_MM)))
def test_every_piece_is_whole_exact_and_apart(mask: np.ndarray, width_mm: float, page: str) -> None:
    pieces = find_pieces(mask, width_mm, width_mm)
    plan = plan_sheets(pieces, page)
    area = artwork_area(page, plan.landscape)
    for sheet in plan.sheets:
        for placed in sheet.placements:
            assert placed.source.width == pytest.approx(placed.target.width)
            assert placed.source.height == pytest.approx(placed.target.height)
            assert _inside(placed.target, area)
        kept = [placed.target.grown(7, 7, 7, 7) for placed in sheet.placements]
        kept += [placed.note for placed in sheet.placements if placed.note is not None]
        for one, other in itertools.combinations(kept, 2):
            assert not _overlap(one, other)
    for piece in pieces:
        assert _ink_covered(piece, plan)


def _inside(inner: Box, outer: Box) -> bool:
    slack = 1e-5
    return (
        inner.left >= outer.left - slack
        and inner.top >= outer.top - slack
        and inner.right <= outer.right + slack
        and inner.bottom <= outer.bottom + slack
    )


def _overlap(one: Box, other: Box) -> bool:
    slack = 1e-6
    return (
        one.left < other.right - slack
        and other.left < one.right - slack
        and one.top < other.bottom - slack
        and other.top < one.bottom - slack
    )


def _ink_covered(piece: Piece, plan: Plan) -> bool:
    """Whether the centre of every texel of the piece lies on some sheet."""
    texel_w, texel_h = piece.texel_mm
    row, col = np.nonzero(piece.mask)
    x, y = piece.box.left + (col + 0.5) * texel_w, piece.box.top + (row + 0.5) * texel_h
    covered = np.zeros(len(row), dtype=bool)
    for sheet in plan.sheets:
        for placed in sheet.placements:
            box = placed.source
            if placed.piece == piece.number:
                covered |= (x > box.left) & (x < box.right) & (y > box.top) & (y < box.bottom)
    return bool(covered.all())


def test_many_small_pieces_share_sheets() -> None:
    mask = np.zeros((100, 100), dtype=bool)
    mask[5:95:10, 5:95:10] = True
    plan = plan_sheets(find_pieces(mask, 500, 500), "a4")
    assert sum(len(sheet.placements) for sheet in plan.sheets) == 81
    assert len(plan.sheets) <= 81 / 9
