"""A stop sign's outline: drawn at known places, of any size, with anything on its legend."""

import cv2
import numpy as np
import pytest

from physadv.evaluate.signoutline import find_outline
from physadv.scene.faces import draw_face

FACE = draw_face("us_r1_1", 400).astype(np.float64)


def _picture(size, centre, background, *, stretch=1.0, blur=0.7, noise=2.0, stuck=False, seed=0):
    """A sign of ``size`` px about a point (pixel centres at +0.5), averaged over each pixel."""
    generator = np.random.default_rng(seed)
    factor = 8
    canvas = np.empty((160 * factor, 200 * factor, 3))
    canvas[:] = background
    face = FACE.copy()
    if stuck:
        for _ in range(6):
            x, y = generator.integers(60, 260, 2)
            face[y : y + 40, x : x + 80, :3] = generator.choice([15, 235])
    scale = np.array([size * stretch, size]) * factor / 400
    shift = np.asarray(centre) * factor - 200 * scale - 0.5 + 0.5 * scale
    matrix = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]])
    place = cv2.warpAffine(face, matrix, canvas.shape[1::-1], flags=cv2.INTER_LINEAR)
    alpha = place[..., 3:] / 255
    canvas = canvas * (1 - alpha) + place[..., :3] * alpha
    small = cv2.resize(canvas, (200, 160), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), blur) + generator.normal(0, noise, small.shape)
    return small.clip(0, 255).round().astype(np.uint8)


def _found(size, seed, **about):
    generator = np.random.default_rng(seed)
    centre = np.array([100.0, 80.0]) + generator.uniform(-1, 1, 2)
    background = generator.choice([[110, 150, 70], [170, 190, 220], [60, 60, 60], [150, 120, 100]])
    picture = _picture(size, centre, background, seed=seed, **about)
    span = np.array([size * about.get("stretch", 1.0), size])
    truth = np.concatenate([centre - span / 2, centre + span / 2])
    rough = truth + generator.normal(0, 0.04 * size, 4)
    return truth, find_outline(picture, rough)


@pytest.mark.parametrize("stuck", [False, True])
@pytest.mark.parametrize(
    ("size", "worst", "bias"), [(20, 0.05, 0.02), (40, 0.02, 0.01), (110, 0.01, 0.005)]
)
def test_the_height_of_a_sign(size, worst, bias, stuck):
    errors = []
    for seed in range(12):
        truth, found = _found(size, seed, stuck=stuck)
        assert found is not None
        errors.append((found[3] - found[1]) / size - 1)
        assert np.abs(found - truth).max() < max(0.6, 0.02 * size)
    assert np.abs(errors).max() < worst
    assert abs(np.mean(errors)) < bias


def test_a_sign_seen_from_the_side_is_narrower_not_lower():
    for seed in range(5):
        truth, found = _found(60, seed, stretch=0.8)
        assert found is not None
        assert np.abs(found - truth).max() < 0.8


def test_where_there_is_no_sign_nothing_is_found():
    generator = np.random.default_rng(0)
    box = np.array([70.0, 50, 130, 110])
    grey = np.full((160, 200, 3), 130, np.uint8)
    assert find_outline(grey, box) is None
    leaves = generator.integers(0, 256, (160, 200, 3), dtype=np.uint8)
    assert find_outline(leaves, box) is None
    red = grey.copy()
    red[:, :100] = (200, 30, 40)  # a wall's edge is no octagon
    assert find_outline(red, box) is None
    assert find_outline(grey, np.array([-50.0, -50, -40, -40])) is None


def test_the_order_of_colours_matters():
    truth, found = _found(60, 3)
    assert found is not None
    picture = _picture(60, (100.0, 80.0), [60, 60, 60])
    box = np.array([70.0, 50, 130, 110])
    assert find_outline(picture, box) is not None
    assert find_outline(np.ascontiguousarray(picture[..., ::-1]), box) is None
    assert truth.shape == (4,)


@pytest.mark.parametrize("stuck", [False, True])
@pytest.mark.parametrize("size", [20, 26, 40])
def test_shading_blur_and_coarse_colour_make_small_signs_no_smaller(size, stuck):
    """As films show them; under one level of red for all sides, the dark ones lay 1 px too far in.

    Without the model of the rim the mean error at 26 px is -1.0 px.
    """
    errors = []
    for seed in range(8):
        generator = np.random.default_rng(seed)
        centre = np.array([100.0, 80.0]) + generator.uniform(-1, 1, 2)
        background = generator.choice([[60, 60, 60], [170, 190, 220]])
        picture = _picture(size, centre, background, blur=1.4, noise=0, stuck=stuck, seed=seed)
        light = np.interp(np.arange(160), 80 + size / 2 * np.array([-1, 1]), [1.0, 0.6])
        shaded = picture * light[:, None, None] + generator.normal(0, 3.0, picture.shape)
        coded = cv2.cvtColor(shaded.clip(0, 255).round().astype(np.uint8), cv2.COLOR_RGB2YCrCb)
        half = cv2.resize(coded[..., 1:], (100, 80), interpolation=cv2.INTER_AREA)
        coded[..., 1:] = cv2.resize(half, (200, 160), interpolation=cv2.INTER_LINEAR)
        picture = cv2.cvtColor(coded, cv2.COLOR_YCrCb2RGB)
        span = np.array([size, size])
        rough = np.concatenate([centre - span / 2, centre + span / 2])
        found = find_outline(picture, rough + generator.normal(0, 0.04 * size, 4))
        assert found is not None
        errors.append(found[3] - found[1] - size)
    assert abs(np.mean(errors)) < 0.35
    assert np.std(errors) < 0.5


@pytest.mark.parametrize("size", [4, 5, 6, 7, 8, 10])
def test_the_smallest_signs_are_no_fault(size):
    """Boxes of a few pixels begin many films: an outline or none, whatever is in them."""
    for seed in range(6):
        _, found = _found(size, seed)
        assert found is None or (np.isfinite(found).all() and (found[2:] > found[:2]).all())
