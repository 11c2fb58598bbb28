"""The drawn faces against their published geometry."""

import numpy as np
import pytest

from physadv.checks import UsageError
from physadv.scene.faces import FACES, draw_face, octagon


@pytest.mark.parametrize("name", ["us_r1_1", "vienna_b2a"])
def test_face_is_a_red_octagon_with_white_border_and_legend(name):
    face = draw_face(name, 600)
    alpha = face[..., 3] / 255
    # A regular octagon covers 2 (sqrt 2 - 1) of its square; rounded corners take a little off.
    assert alpha.mean() == pytest.approx(2 * (np.sqrt(2) - 1), abs=0.012)
    red = (face[..., 0] > 150) & (face[..., 1] < 60)
    white = face[..., :3].min(axis=-1) > 200
    assert red[alpha == 1].mean() > 0.6
    assert red[300, 40]  # between border and legend
    border = FACES[name].border * 600
    assert white[300, 1]  # at the left edge
    assert white[300, : round(border) - 1].all()
    letters = white[100:500, 100:500]
    rows = np.flatnonzero(letters.any(axis=1))
    assert (rows[-1] - rows[0] + 1) / 600 == pytest.approx(FACES[name].letter_height, abs=0.01)


def test_face_is_mirror_symmetric_apart_from_the_legend():
    alpha = draw_face("us_r1_1", 400)[..., 3].astype(int)
    assert np.abs(alpha - alpha[:, ::-1]).max() <= 64  # one of four subpixels on an edge
    assert np.abs(alpha - alpha.T).max() <= 64


def test_octagon_is_regular():
    corners = octagon(2.0)
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    assert np.allclose(sides, sides[0])
    assert corners.min() == 0
    assert corners.max() == 2


def test_unknown_face_lists_the_known():
    with pytest.raises(UsageError, match="us_r1_1"):
        draw_face("us_r1_2", 100)


def test_a_board_fills_its_square():
    face = draw_face("board", 40)
    assert (face == face[0, 0]).all()
    assert face[0, 0, 3] == 255
    assert set(FACES) == {"us_r1_1", "vienna_b2a", "board"}
