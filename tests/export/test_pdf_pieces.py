"""Pieces of a mask against OpenCV and brute force."""

import cv2
import numpy as np
import pytest

from physadv.export.paper import Box
from physadv.export.pieces import Piece, extend_colours, find_pieces, outline, rectangles


def random_mask(seed: int, share: float) -> np.ndarray:
    mask = np.random.default_rng(seed).random((24, 30)) < share
    mask[0, 0] = True
    return mask


@pytest.mark.parametrize("share", [0.05, 0.3, 0.7, 1.0])
def test_pieces_are_opencvs_components(share: float) -> None:
    mask = random_mask(1, share)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    pieces = find_pieces(mask, 300.0, 120.0)
    assert [piece.number for piece in pieces] == list(range(1, count))
    found = {(p.box.left / 10, p.box.top / 5, p.box.width / 10, p.box.height / 5) for p in pieces}
    assert sorted(np.round(list(found), 6).tolist()) == sorted(stats[1:, :4].astype(float).tolist())
    assert sum(piece.mask.sum() for piece in pieces) == mask.sum()


def whole(mask: np.ndarray) -> Piece:
    """The mask as one piece of 2 x 3 mm texels, connected or not."""
    return Piece(1, 0, 0, mask, Box(0, 0, 2.0 * mask.shape[1], 3.0 * mask.shape[0]))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_rectangles_cover_the_mask_once(share: float) -> None:
    mask = random_mask(2, share)
    painted = np.zeros(mask.shape, dtype=int)
    for box in rectangles(whole(mask)):
        rows = slice(round(box.top / 3), round(box.bottom / 3))
        painted[rows, round(box.left / 2) : round(box.right / 2)] += 1
    np.testing.assert_array_equal(painted, mask.astype(int))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_outline_is_every_edge_between_mask_and_rest(share: float) -> None:
    mask = np.pad(random_mask(3, share), 1)
    drawn = sum(abs(x1 - x0) + abs(y1 - y0) for x0, y0, x1, y1 in outline(whole(mask)))
    expected = 0.0
    for row, col in np.argwhere(mask):
        expected += 2.0 * ((not mask[row - 1, col]) + (not mask[row + 1, col]))
        expected += 3.0 * ((not mask[row, col - 1]) + (not mask[row, col + 1]))
    assert drawn == pytest.approx(expected)


def test_extended_colours_are_the_nearest_texels() -> None:
    mask = np.zeros((9, 8), dtype=bool)
    mask[2:5, 3:6], mask[5, 5] = True, True
    piece = find_pieces(mask, 16.0, 27.0)[0]
    rgb = np.random.default_rng(4).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    colours, box = extend_colours(rgb, piece, 5.0)
    assert (box.left, box.top) == pytest.approx((piece.box.left - 6, piece.box.top - 6))
    own = np.argwhere(mask)
    for row, col in np.ndindex(colours.shape[:2]):
        y, x = box.top / 3 + row, box.left / 2 + col
        distance = np.hypot((own[:, 0] - y) * 3, (own[:, 1] - x) * 2)
        nearest = own[np.isclose(distance, distance.min())]
        assert any((colours[row, col] == rgb[r, c]).all() for r, c in nearest)
