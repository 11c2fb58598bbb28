"""The soft proof, with printers whose profile is written here by hand."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.export.proof import soft_proof, write_proof

# sRGB's primaries, adapted to the profile connection space (D50).
PRIMARIES = np.array([[0.4360, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7141]])


def profile_file(path: Path, pale: float) -> Path:
    """A matrix profile (ICC.1:2010, v2) whose primaries lie ``pale`` of the way to white."""
    white = np.array([0.9642, 1.0, 0.8249])
    primaries = (1 - pale) * PRIMARIES + pale * white / 3

    def xyz(values: np.ndarray) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 79
    tags = {b"desc": text + b"\0" * (-len(text) % 4), b"wtpt": xyz(white)}
    for name, values in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags[name + b"XYZ"], tags[name + b"TRC"] = xyz(values), curve
    table, content, offset = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(content), len(data))
        content += data
    size = offset + len(content)
    header = struct.pack(">I4sI4s4s4s", size, b"none", 0x02400000, b"prtr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    header += struct.pack(">3i", 63190, 65536, 54061) + b"\0" * 48
    path.write_bytes(header + struct.pack(">I", len(tags)) + table + content)
    return path


def artwork() -> Artwork:
    rgba = np.full((4, 4, 4), 255, np.uint8)
    rgba[0, :, :3] = 255, 0, 0
    rgba[1, :, :3] = 128, 128, 128
    rgba[2, :, :3] = 0, 255, 0
    rgba[3, :, 3] = 0
    return Artwork(rgba, 100, 100, "patch", "nothing", ())


def test_a_pale_printer_loses_saturated_colours_only(tmp_path: Path) -> None:
    proof = soft_proof(artwork(), profile_file(tmp_path / "pale.icc", 0.4))
    red, grey, green, bare = proof.delta_e.mean(axis=1)
    assert red > 10
    assert green > 5
    assert grey < 1.5
    assert bare == 0
    assert proof.rgb[0, 0, 1] > 60, "red turns pale"
    assert proof.visible_share == pytest.approx(2 / 3)
    assert proof.mean == pytest.approx((red + grey + green) / 3)
    write_proof(artwork(), proof, tmp_path / "proof.png")
    with Image.open(tmp_path / "proof.png") as image:
        assert image.width > 3 * image.height / 2


def test_a_printer_that_is_srgb_loses_nothing(tmp_path: Path) -> None:
    proof = soft_proof(artwork(), profile_file(tmp_path / "same.icc", 0.0))
    assert proof.delta_e.max() < 2.0
    assert proof.visible_share == 0


def test_files_that_are_no_profile(tmp_path: Path) -> None:
    (tmp_path / "text.icc").write_text("hello")
    for name in ("text.icc", "none.icc"):
        with pytest.raises(UserError, match="Give the ICC profile"):
            soft_proof(artwork(), tmp_path / name)
