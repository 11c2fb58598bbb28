"""A film of a printed board: its markers tell treatment, place and distance."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest
from commandline import call_physadv
from photography import level_camera, photograph

from physadv.artwork.files import Artwork, save_artwork
from physadv.calibrate.camera import CameraCalibration, save_camera
from physadv.data.videowriter import write_video
from physadv.evaluate.trials import load_trials
from physadv.export.prints import print_run

call = partial(call_physadv, "evaluate", "drive-by")

CAMERA = CameraCalibration(
    900.0, 898.0, 482.0, 358.0, (-0.08, 0.02, 0.001, -0.001, 0.0), 960, 720, 0.3, "board"
)


VICTIM = """
import torch

class Same(torch.nn.Module):
    input_px = 8
    class_names = ("stop sign", "go")

    def forward(self, images):
        return torch.tensor([[1.0, 0.0]]).repeat(len(images), 1)

def make():
    return Same()
"""


@pytest.fixture(scope="module")
def marked(tmp_path_factory) -> tuple[Path, list[float]]:
    """A film of a printed board with markers, and how far along the camera's axis it is."""
    root = tmp_path_factory.mktemp("marked")
    run = root / "run"
    colours = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    rgba = np.dstack([colours, np.full((20, 20), 255, np.uint8)])
    artwork = Artwork(rgba, 160, 160, "board", "go", ("v",), {"colour_texels": 20})
    save_artwork(artwork, run)
    scene = {"carrier": {"face": "board", "true_class": ["stop sign"]}}
    (run / "run.json").write_text(json.dumps({"scene": scene}))
    prints = print_run(
        artwork, run, run / "print.pdf", width_mm=160, treatments=("noise",), fiducials=True
    )
    ((path, summary),) = prints.pdfs.items()
    document = pdfium.PdfDocument(path)
    page = document[summary.overview_pages].render(scale=300 / 72, rev_byteorder=True)
    pixels = page.to_numpy()[..., :3].copy()
    document.close()
    (placed,) = summary.sheets[0].placements
    box, art, per_mm = placed.target, summary.board.artwork, 300 / 25.4
    rows = slice(round(box.top * per_mm), round(box.bottom * per_mm))
    cols = slice(round(box.left * per_mm), round(box.right * per_mm))
    middle = (
        art.left + art.width / 2 + box.left - cols.start / per_mm,
        art.top + art.height / 2 + box.top - rows.start / per_mm,
    )
    frames, depths = [], []
    background = np.full((720, 960, 3), 140, np.uint8)
    for index in range(14):
        distance = 2.0 - 0.1 * index
        rotation, shift = level_camera(distance, 12.0, 2.0, pan_deg=4.0, tilt_deg=1.0)
        picture = photograph(
            pixels[rows, cols], per_mm, middle, CAMERA, rotation, shift, background=background
        )
        frames.append((index / 5, picture))
        depths.append(float(shift[2]))
    write_video(root / "drive.mp4", iter(frames), crf=10)
    save_camera(CAMERA, root / "camera.json")
    (root / "same_victim.py").write_text(VICTIM)
    return root, depths


def test_markers_tell_treatment_place_and_distance(marked, tmp_path, monkeypatch, capsys):
    root, depths = marked
    monkeypatch.syspath_prepend(str(root))
    words = ("--victim", "same_victim:make", "--run", root / "run", "--every", 1)
    words = (*words, "--camera", root / "camera.json")
    out = tmp_path / "out"
    assert call(root / "drive.mp4", *words, "--out", out) == 0
    trials = load_trials(out / "trials.parquet")
    assert trials["treatment"].unique().to_list() == ["noise"]
    assert trials["pose_source"].unique().to_list() == ["fiducial"]
    assert trials.height >= 12
    found = trials["distance_m"].to_numpy()
    known = np.array(depths)[trials["frame"].to_numpy()]
    assert np.abs(found / known - 1).max() < 0.02
    capsys.readouterr()
    # A name that contradicts the markers is not guessed about.
    other = tmp_path / "clean.mp4"
    other.write_bytes((root / "drive.mp4").read_bytes())
    assert call(other, *words, "--out", tmp_path / "other") == 1
    assert "its markers say noise" in capsys.readouterr().err
