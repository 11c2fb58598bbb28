"""RAW photographs: a DNG file written here byte by byte, developed by LibRaw."""

import struct

import numpy as np
import numpy.typing as npt
import pytest

from physadv.checks import UserError
from physadv.data.photographs import decode_photograph

pytest.importorskip("rawpy")

# IEC 61966-2-1: linear sRGB from XYZ (D65). A camera whose colours are those of sRGB.
XYZ_TO_SRGB = (
    (3.2406, -1.5372, -0.4986),
    (-0.9689, 1.8758, 0.0415),
    (0.0557, -0.2040, 1.0570),
)
BLACK, WHITE = 256, 4095
# Linear light of the four quarters: top left, top right, bottom left, bottom right.
LIGHT = np.array([[0.5, 0.1, 0.1], [0.1, 0.4, 0.1], [0.1, 0.15, 0.6], [0.3, 0.3, 0.3]])


def dng(light: npt.NDArray[np.float64], orientation: int = 1, neutral: tuple = (1, 1, 1)) -> bytes:
    """A DNG of [H,W,3] linear light in [0,1] behind an RGGB filter, 12 bits, not compressed.

    References:
        Adobe, Digital Negative Specification 1.4; TIFF 6.0.
    """
    height, width = light.shape[:2]
    channel = np.array([[0, 1], [1, 2]])[np.ix_(np.arange(height) % 2, np.arange(width) % 2)]
    seen = np.take_along_axis(light * neutral, channel[..., None], axis=2)[..., 0]
    sensor = np.round(BLACK + seen * (WHITE - BLACK)).astype("<u2").tobytes()
    matrix = [(round(value * 10000), 10000) for row in XYZ_TO_SRGB for value in row]
    entries = [
        (254, "L", [0]),  # the main picture
        (256, "L", [width]),
        (257, "L", [height]),
        (258, "H", [16]),
        (259, "H", [1]),
        (262, "H", [32803]),  # colour filter array
        (271, "s", b"Test\0"),
        (272, "s", b"Camera\0"),
        (273, "L", [0]),  # where the sensor's values are, filled in below
        (274, "H", [orientation]),
        (277, "H", [1]),
        (278, "L", [height]),
        (279, "L", [len(sensor)]),
        (33421, "H", [2, 2]),
        (33422, "B", [0, 1, 1, 2]),
        (50706, "B", [1, 4, 0, 0]),
        (50708, "s", b"Test Camera\0"),
        (50714, "H", [BLACK]),
        (50717, "L", [WHITE]),
        (50721, "r", matrix),
        (50728, "R", [(round(value * 10000), 10000) for value in neutral]),
        (50778, "H", [21]),  # D65
    ]
    kinds = {"B": 1, "s": 2, "H": 3, "L": 4, "R": 5, "r": 10}
    begin = 8 + 2 + 12 * len(entries) + 4
    extra = bytearray()
    table = bytearray()
    packed = []
    for tag, kind, values in entries:
        code = {"s": "", "R": "II", "r": "ii"}.get(kind, kind.replace("L", "I"))
        data = (
            bytes(values)
            if kind == "s"
            else b"".join(
                struct.pack("<" + code, *(v if isinstance(v, tuple) else (v,))) for v in values
            )
        )
        packed.append((tag, kinds[kind], len(values), data))
    pixels = begin + sum(len(data) + len(data) % 2 for *_, data in packed if len(data) > 4)
    for tag, kind_number, count, data in packed:
        if tag == 273:
            data = struct.pack("<I", pixels)
        if len(data) > 4:
            value = struct.pack("<I", begin + len(extra))
            extra += data + b"\0" * (len(data) % 2)
        else:
            value = data.ljust(4, b"\0")
        table += struct.pack("<HHI", tag, kind_number, count) + value
    head = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(entries))
    return head + bytes(table) + struct.pack("<I", 0) + bytes(extra) + sensor


def quarters() -> npt.NDArray[np.float64]:
    return LIGHT.reshape(2, 2, 3).repeat(60, axis=0).repeat(80, axis=1)


def srgb(light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def middles(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """[2,2,3] the colour in the middle of each quarter."""
    height, width = rgb.shape[:2]
    rows, columns = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return np.array(
        [[rgb[y - 4 : y + 4, x - 4 : x + 4].mean(axis=(0, 1)) for x in columns] for y in rows]
    )


def test_colours_are_those_that_the_sensor_saw() -> None:
    photograph = decode_photograph("a.DNG", dng(quarters()))
    assert photograph.rgb.shape == (120, 160, 3)
    assert photograph.rgb.dtype == np.uint8
    assert photograph.quarter_turns == 0
    np.testing.assert_allclose(middles(photograph.rgb), srgb(LIGHT).reshape(2, 2, 3), atol=2)


def test_brightness_does_not_depend_on_what_else_is_seen() -> None:
    dim = decode_photograph("a.dng", dng(0.5 * quarters())).rgb
    np.testing.assert_allclose(middles(dim), srgb(0.5 * LIGHT).reshape(2, 2, 3), atol=2)
    for spot in (0.8, 0.95):
        scene = 0.5 * quarters()
        scene[:8, :8] = spot
        lit = decode_photograph("a.dng", dng(scene)).rgb
        np.testing.assert_allclose(middles(lit), srgb(0.5 * LIGHT).reshape(2, 2, 3), atol=2)


def test_the_camera_s_white_balance_is_used() -> None:
    """A sensor that sees half as much red and says so gives the same colours."""
    rgb = decode_photograph("a.dng", dng(quarters(), neutral=(0.5, 1, 0.8))).rgb
    np.testing.assert_allclose(middles(rgb), srgb(LIGHT).reshape(2, 2, 3), atol=3)


@pytest.mark.parametrize(("orientation", "turns"), [(3, 2), (6, 1), (8, 3)])
def test_a_turned_camera(orientation: int, turns: int) -> None:
    photograph = decode_photograph("a.dng", dng(quarters(), orientation))
    assert photograph.quarter_turns == turns
    expected = np.rot90(srgb(LIGHT).reshape(2, 2, 3), -turns)
    np.testing.assert_allclose(middles(photograph.rgb), expected, atol=2)
    assert photograph.rgb.shape[:2] == ((120, 160) if turns == 2 else (160, 120))


@pytest.mark.parametrize("data", [b"II*\0" + b"\0" * 200, b"not a photograph at all" * 20])
def test_what_is_no_raw_file(data: bytes) -> None:
    with pytest.raises(UserError, match="not a RAW file"):
        decode_photograph("a.dng", data)


def test_half_a_raw_file() -> None:
    whole = dng(quarters())
    with pytest.raises(UserError, match=r"a\.dng"):
        decode_photograph("a.dng", whole[: len(whole) // 2])
