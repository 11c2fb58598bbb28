"""CIELAB against OpenCV, CIEDE2000 against the pairs published with it."""

import cv2
import numpy as np
import pytest

from physadv.artwork.colour import delta_e_2000, srgb_to_lab

# Sharma, Wu & Dalal 2005, table 1: L a b, L a b, difference.
PAIRS = (
    ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
    ((50, 3.1571, -77.2803), (50, 0, -82.7485), 2.8615),
    ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
    ((50, 0, 0), (50, -1, 2), 2.3669),
    ((50, 2.5, 0), (50, 0, -2.5), 4.3065),
    ((50, 2.5, 0), (73, 25, -18), 27.1492),
    ((50, 2.5, 0), (61, -5, 29), 22.8977),
    ((50, 2.5, 0), (56, -27, -3), 31.9030),
    ((50, 2.5, 0), (58, 24, 15), 19.4535),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
)


def test_published_differences() -> None:
    one, other, wanted = (np.array(column) for column in zip(*PAIRS, strict=True))
    np.testing.assert_allclose(delta_e_2000(one, other), wanted, atol=5e-5)
    np.testing.assert_allclose(delta_e_2000(other, one), wanted, atol=5e-5)


def test_lab_agrees_with_opencv() -> None:
    rgb = np.random.default_rng(0).random((64, 3)).astype(np.float32)
    theirs = cv2.cvtColor(rgb[None], cv2.COLOR_RGB2Lab)[0]
    np.testing.assert_allclose(srgb_to_lab(rgb), theirs, atol=0.4)  # OpenCV interpolates in a table
    assert srgb_to_lab(np.array([255, 255, 255], np.uint8)) == pytest.approx([100, 0, 0], abs=1e-6)
