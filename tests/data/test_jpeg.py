"""JPEG by libjpeg-turbo against Pillow: the same pixels, the same way up, nothing filled in."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from physadv.checks import UserError
from physadv.data.files import decode_image_rgb, read_image_rgb
from physadv.data.jpeg import decode_whole_jpeg, turned


def stored(size: tuple[int, int], seed: int = 0, **how: object) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((size[1] * 3, size[0] * 3), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "JPEG", **how)
    return stream.getvalue()


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("quality", [40, 95])
def test_pixels_are_pillow_s(subsampling: int, progressive: bool, quality: int) -> None:
    data = stored((21, 17), subsampling=subsampling, progressive=progressive, quality=quality)
    found = decode_whole_jpeg(data)
    assert found is not None
    np.testing.assert_array_equal(found, np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_pillow_s(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = stored((9, 14), exif=exif.tobytes())
    found, _ = decode_image_rgb(data, "a.jpg")
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(found, expected)
    assert found.flags.c_contiguous
    plain = decode_whole_jpeg(data)
    assert plain is not None
    np.testing.assert_array_equal(turned(plain, orientation), expected)


def test_a_thumbnail_s_end_is_not_the_picture_s() -> None:
    """A truncated picture with a whole one in its header is refused, not filled with grey."""
    thumbnail = stored((4, 4))
    segment = b"Exif\0\0" + thumbnail
    whole = stored((40, 40))
    header = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    data = whole[:2] + header + whole[2:]
    assert decode_whole_jpeg(data) is not None
    cut = data[: len(data) - 900]
    assert decode_whole_jpeg(cut) is None
    with pytest.raises(UserError, match="truncated"):
        decode_image_rgb(cut, "cut.jpg")


@pytest.mark.realdata
def test_real_photographs_are_read_as_pillow_reads_them() -> None:
    folder = Path(os.environ["PHYSADV_DATA"]) / "data"
    paths = [
        *sorted((folder / "coco_subset").rglob("*.jpg"))[:25],
        *sorted((folder / "printed_sticker_captures").rglob("*.jpg"))[:10],
        *sorted((folder / "stop_signs").rglob("*.jpg"))[:25],
        *sorted((folder / "calibration").rglob("*.jpg"))[:10],
    ]
    assert len(paths) >= 50
    for path in paths:
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        np.testing.assert_array_equal(read_image_rgb(path), expected, err_msg=path.name)
