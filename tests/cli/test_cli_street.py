"""print and calibrate, as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest
from commandline import call_physadv as call
from PIL import Image

from physadv.artwork.files import Artwork, save_artwork
from physadv.calibrate.camera import load_camera
from physadv.data.files import find_external
from physadv.export.sheetfile import load_layouts


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    """A run folder that holds a square patch."""
    rgba = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    save_artwork(Artwork(rgba, 150, 150, "patch:x", "nothing", ("v",)), tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def stickers(tmp_path: Path) -> Path:
    """A run folder that holds two stickers for a sign."""
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[4:10, 4:10] = rgba[20:28, 10:25] = 255
    save_artwork(Artwork(rgba, 762, 762, "us_r1_1", "stop", ("v",)), tmp_path / "signs")
    return tmp_path / "signs"


def test_print_puts_markers_round_a_patch(patch: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("print", patch, "--treatment", "all") == 0
    said = capsys.readouterr().out
    assert "Four markers of 45 mm" in said
    files = {path.name for path in patch.glob("*.pdf")}
    assert files == {"print.pdf", "print-blank.pdf", "print-noise.pdf"}
    (layout,) = load_layouts([patch])
    assert (layout.kind, layout.run) == ("board", "run")


def test_print_without_markers_says_how_to_get_them(
    patch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("print", patch, "--width-mm", "189") == 0
    assert "--fiducials adds them" in capsys.readouterr().out
    assert call("print", patch, "--no-fiducials") == 0
    assert "Four markers" not in capsys.readouterr().out
    assert not (patch / "sheet.json").exists()
    assert call("print", patch, "--width-mm", "189", "--fiducials", "--page", "400x500") == 0
    assert "Four markers" in capsys.readouterr().out


def test_print_makes_cards_for_stickers(stickers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("print", stickers, "--fiducials") == 0
    assert "card for each treatment" in capsys.readouterr().out
    assert (stickers / "print-cards.pdf").exists()
    assert [layout.kind for layout in load_layouts([stickers])] == ["card"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--treatment", "wet"], 2, "adversarial, blank, noise, all"),
        (["--page", "20x30"], 1, "not between"),
        (["--page", "a9"], 2, "like 610x914"),
        (["--proof", "none.icc"], 1, "ICC profile"),
    ],
)
def test_print_refuses(
    patch: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("print", patch, *words) == code
    assert said in capsys.readouterr().err
    assert not list(patch.glob("*.pdf"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--board", "aruco", "--size", "4x5"], 2, "no --marker-mm"),
        (["--board", "tartan", "--size", "4x5"], 2, "charuco, chessboard, aruco"),
        (["--board", "chessboard", "--size", "nine"], 2, "not columns x rows"),
        (["--board", "chessboard", "--size", "9x6"], 1, "0 of 1 pictures show the board"),
    ],
)
def test_calibrate_refuses(
    tmp_path: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (64, 48), 128).save(tmp_path / "a.png")
    out = tmp_path / "camera.json"
    assert call("calibrate", "camera", tmp_path, *words, "--out", out) == code
    assert said in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.realdata
def test_calibrate_camera_writes_the_camera_and_the_coverage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = find_external("data/calibration/aruco_board")
    out = tmp_path / "camera.json"
    words = ["--board", "aruco", "--size", "4x5", "--dictionary", "DICT_6X6_1000"]
    measures = ["--square-mm", "42.5", "--marker-mm", "37.5"]
    assert call("calibrate", "camera", folder, *words, *measures, "--out", out) == 0
    said = capsys.readouterr().out
    assert "left out: not a readable image" not in said
    assert "95 %" in said
    camera = load_camera(out)
    assert (camera.width_px, camera.height_px, camera.source) == (640, 480, "board")
    content = json.loads(out.read_text())
    assert len(content["pictures"]) == 28
    with Image.open(tmp_path / "camera.coverage.png") as picture:
        assert picture.size == (1200, 900)
