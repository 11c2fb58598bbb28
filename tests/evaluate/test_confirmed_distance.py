"""Distances at which a sign is confirmed, on rendered drives whose every distance is known."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from physadv.data.boxes import FrameBox, write_boxes
from physadv.data.videowriter import write_video
from physadv.evaluate.approach import Approach, Truth, camera_of, render, truths
from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.drive_by import judge_film
from physadv.evaluate.drive_plan import Car, DrivePlan, FilmCase
from physadv.evaluate.renderer import SignTexture
from physadv.scene.schema import Scene
from physadv.units import KMH_PER_MPS

VICTIM = """
import torch

class RedOrBlue(torch.nn.Module):
    input_px = 8
    class_names = ("stop sign", "go")

    def forward(self, images):
        red, _, blue = images.mean(dim=(2, 3)).unbind(1)
        return 20 * torch.stack([red - blue, blue - red], dim=1)

def make():
    return RedOrBlue()
"""
LEAST, OF = 3, 5
DRIVES = (Approach(30, 26, 9, fps=10, lateral_m=1.5), Approach(10, 26, 22, fps=8, lateral_m=1.5))


def confirmed_by_hand(seen: list[bool]) -> int | None:
    for end in range(len(seen)):
        if sum(seen[max(0, end - OF + 1) : end + 1]) >= LEAST:
            return end
    return None


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "red_or_blue.py").write_text(VICTIM)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("approach", DRIVES, ids=["30 km/h", "10 km/h"])
def test_the_confirmed_distance_is_right_to_one_sampling_step(
    scene: Scene, at: Path, approach: Approach
) -> None:
    """Random verdicts, made by painting the sign over, with distances by its outline."""
    size = {"focal_px": 700, "width_px": 640, "height_px": 360}
    scene = scene.model_copy(update={"camera": scene.camera.model_copy(update=size)})
    seen_as = replace(NEUTRAL, defocus_px=1.0, noise_sd=0.02, gain=np.array([0.9, 0.95, 1.0]))
    known = truths(scene, approach)
    assert known[0].box[3] - known[0].box[1] >= 20
    sign = SignTexture(scene, np.zeros((scene.mask_texels, scene.mask_texels), bool))
    pictures = list(render(scene, approach, sign, None, seen_as, seed=1))
    step_m = approach.speed_kmh / KMH_PER_MPS / approach.fps
    compared = 0
    for seed in range(4):
        red = np.random.default_rng(seed).random(len(known)) < 0.45
        red[[0, -1]] = True  # so that every distance is known
        name = f"adversarial_{seed}.mp4"
        write_video(at / name, _film(known, pictures, red))
        write_boxes(at / "boxes.csv", [(name, [FrameBox(t.frame, t.box) for t in known])])
        case = FilmCase(str(at / name), name, "adversarial", at / "boxes.csv")
        plan = DrivePlan(
            ("red_or_blue:make",),
            ("stop sign",),
            "go",
            camera=camera_of(scene),
            sign_width_mm=762,
            car=Car(LEAST, OF, (approach.speed_kmh,)),
        )
        drive = judge_film(case, plan, at / "out")
        assert [trial.verdict == "hit" for trial in drive.trials] == red.tolist()
        distances = np.array([trial.distance_m for trial in drive.trials])
        along = np.array([truth.along_m for truth in known])
        assert np.abs(distances / along - 1).max() < 0.03
        (record,) = json.loads(json.dumps(drive.records))
        moments = {"first_hit": 0}
        moments["confirmed"] = confirmed_by_hand(red.tolist())
        moments["target_confirmed"] = confirmed_by_hand((~red).tolist())
        for what, sample in moments.items():
            if sample is None:
                assert record[f"{what}_m"] is None
                continue
            assert record[f"{what}_s"] == pytest.approx(known[sample].time_s, abs=1e-4)
            assert abs(record[f"{what}_m"] - along[sample]) <= step_m
            compared += 1
    assert compared >= 10


def _film(
    known: list[Truth], pictures: list[np.ndarray], red: np.ndarray
) -> Iterator[tuple[float, np.ndarray]]:
    for truth, picture, left in zip(known, pictures, red, strict=True):
        shown = picture.copy()
        if not left:
            x1, y1, x2, y2 = np.rint(truth.box).astype(int)
            shown[y1 - 1 : y2 + 1, x1 - 1 : x2 + 1] = (20, 40, 200)
        yield truth.time_s, shown
