"""Pictures of every kind that users have: the pixels must be what a viewer shows."""

import cv2
import numpy as np
import pytest
from PIL import Image

from physadv.checks import UserError
from physadv.data.files import read_image_rgb

RAMP = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
EIGHT = (RAMP >> 8).astype(np.uint8)


def test_16_bit_grey_is_scaled_not_clipped(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "g.png")
    Image.fromarray(RAMP).save(tmp_path / "g.tif")
    for name in ("g.png", "g.tif"):
        assert np.array_equal(read_image_rgb(tmp_path / name), np.dstack([EIGHT] * 3))


def test_16_bit_colour(tmp_path):
    bgr = np.dstack([RAMP, RAMP[::-1], RAMP[:, ::-1]])
    cv2.imwrite(str(tmp_path / "c.png"), bgr)
    read = read_image_rgb(tmp_path / "c.png").astype(int)
    assert np.abs(read - (bgr[..., ::-1] >> 8)).max() <= 1


def test_grey_palette_and_bits(tmp_path):
    Image.fromarray(EIGHT).save(tmp_path / "grey.png")
    Image.fromarray(EIGHT).convert("P").save(tmp_path / "palette.png")
    assert np.array_equal(read_image_rgb(tmp_path / "grey.png"), np.dstack([EIGHT] * 3))
    assert np.array_equal(read_image_rgb(tmp_path / "palette.png"), np.dstack([EIGHT] * 3))
    Image.new("1", (3, 2), 1).save(tmp_path / "bits.png")
    assert (read_image_rgb(tmp_path / "bits.png") == 255).all()


def test_cmyk_keeps_its_colours(tmp_path):
    Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK").save(tmp_path / "c.jpg", quality=98)
    assert np.abs(read_image_rgb(tmp_path / "c.jpg").astype(int) - (200, 40, 90)).max() <= 4


def test_what_is_transparent_is_white(tmp_path):
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:, :2, 3] = 255
    rgba[:, 2:4, 3] = 128
    Image.fromarray(rgba).save(tmp_path / "a.png")
    read = read_image_rgb(tmp_path / "a.png")
    assert read[0, 0].tolist() == [200, 0, 0]
    assert np.abs(read[0, 2].astype(int) - (227, 127, 127)).max() <= 1
    assert read[0, 5].tolist() == [255, 255, 255]


def test_one_pixel_and_100_megapixels(tmp_path):
    Image.new("RGB", (1, 1), (9, 8, 7)).save(tmp_path / "one.png")
    assert read_image_rgb(tmp_path / "one.png").tolist() == [[[9, 8, 7]]]
    Image.new("L", (10_000, 10_000), 60).save(tmp_path / "large.png", compress_level=1)
    assert read_image_rgb(tmp_path / "large.png").shape == (10_000, 10_000, 3)


def test_what_has_no_agreed_meaning_is_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(UserError, match="32-bit"):
        read_image_rgb(tmp_path / "f.tif")
    Image.new("L", (16_000, 16_000)).save(tmp_path / "bomb.png", compress_level=1)
    with pytest.raises(UserError, match="not a readable image"):
        read_image_rgb(tmp_path / "bomb.png")
