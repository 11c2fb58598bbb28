"""What the victim is really shown: paired treatments, the two crops, fresh noise in each draw."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from physadv.artwork.files import Artwork
from physadv.evaluate.grid import evaluate_grid
from physadv.evaluate.judging import jittered_box
from physadv.evaluate.renderer import sign_box
from physadv.scene.pose import Pose
from physadv.scene.schema import Grid
from physadv.types import CROPS, TREATMENTS
from physadv.victim.protocol import ClassifierVictim


class Recorder(nn.Module):
    """Keeps what it is shown; says "stop" only to pictures of one size."""

    input_px = 0

    def __init__(self, height_px: int = 0, width_px: int = 0) -> None:
        super().__init__()
        self.size = (height_px, width_px)
        self.shown: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shown.append(images.clone())
        logits = torch.zeros(len(images), 3)
        logits[:, 0 if tuple(images.shape[-2:]) == self.size else 1] = 9.0
        return logits


def _victim(recorder: Recorder) -> ClassifierVictim:
    return ClassifierVictim("recorder", ("stop", "green", "blue"), "", 0, recorder)


@pytest.fixture
def fixed_grid() -> Grid:
    """One cell from which no draw strays."""
    none = {"kind": "uniform", "low": 0.0, "high": 0.0}
    cells = [{"distance_m": 3.0, "yaw_deg": 20}]
    return Grid.model_validate(
        {"name": "fixed", "cells": cells, "pitch_deg": none, "roll_deg": none}
    )


def _small_sticker() -> Artwork:
    rgba = np.zeros((256, 256, 4), np.uint8)
    rgba[112:144, 112:144] = (10, 200, 10, 255)
    return Artwork(rgba, 762, 762, "us_r1_1", "green", ("x",), {"palette": "rgb"})


@pytest.mark.parametrize("crop", CROPS)
def test_treatments_differ_in_nothing_but_what_is_stuck(scene, fixed_grid, crop):
    """Away from a small sticker, light, noise, blur, file and background are the same bits."""
    recorder = Recorder()
    evaluate_grid(
        _small_sticker(),
        scene,
        fixed_grid,
        _victim(recorder),
        draws=12,
        workers=1,
        crops=[crop],
    )
    draws = [draw for shown in recorder.shown for draw in shown.split(len(TREATMENTS))]
    for shown in draws:
        rows = shown.shape[-2] // 6
        assert len(shown) == len(TREATMENTS)
        assert all(torch.equal(one[:, :rows], shown[0][:, :rows]) for one in shown)
        centre = shown[:, :, shown.shape[-2] // 2, shown.shape[-1] // 2]
        # A jittered crop's centre may miss the sticker.
        assert crop == "jittered" or len({tuple(c.tolist()) for c in centre}) == len(TREATMENTS)
    assert len({shown[0, :, :8, :8].numpy().tobytes() for shown in draws}) == 12


def test_a_crops_trials_do_not_depend_on_the_other(scene, small_grid, green_poster, dominant):
    both = evaluate_grid(green_poster, scene, small_grid, dominant, draws=3)
    for crop in CROPS:
        alone = evaluate_grid(green_poster, scene, small_grid, dominant, draws=3, crops=[crop])
        assert alone == [t for t in both if t.crop == crop]


def test_exact_crops_have_the_signs_size_and_jittered_ones_do_not(
    still_scene, fixed_grid, green_poster
):
    x1, y1, x2, y2 = np.rint(sign_box(still_scene, Pose(3.0, 20))).astype(int)
    recorder = Recorder(y2 - y1, x2 - x1)
    trials = evaluate_grid(
        green_poster, still_scene, fixed_grid, _victim(recorder), draws=20, workers=1
    )
    exact = [t for t in trials if t.crop == "exact"]
    jittered = [t for t in trials if t.crop == "jittered"]
    assert len(exact) == len(jittered) == 20 * len(TREATMENTS)
    assert all(t.verdict == "hit" for t in exact)
    assert sum(t.verdict == "hit" for t in jittered) < len(jittered) / 4


def test_exact_crop_is_filled_by_the_sign(still_scene, fixed_grid, green_poster):
    """A poster of one colour reaches all four edges of its crop, in the middle of each."""
    recorder = Recorder()
    evaluate_grid(green_poster, still_scene, fixed_grid, _victim(recorder), draws=1, workers=1)
    poster = recorder.shown[0][TREATMENTS.index("adversarial")]
    height, width = poster.shape[-2:]
    colour = torch.tensor([10, 200, 10]) / 255
    for row, column in ((2, width // 2), (-3, width // 2), (height // 2, 2), (height // 2, -3)):
        assert torch.allclose(poster[:, row, column], colour, atol=0.02)


def test_jitter_is_ten_percent_of_centre_and_size():
    generator = np.random.default_rng(0)
    box = np.array([100.0, 50, 300, 150])
    drawn = np.array([jittered_box(box, generator) for _ in range(4000)])
    shift = ((drawn[:, :2] + drawn[:, 2:]) / 2 - [200, 100]) / [200, 100]
    scale = (drawn[:, 2:] - drawn[:, :2]) / [200, 100]
    assert np.abs(shift).max() <= 0.1
    assert np.allclose(shift.std(axis=0), 0.1 / np.sqrt(3), rtol=0.05)
    assert np.allclose(scale[:, 0], scale[:, 1])
    assert np.abs(scale - 1).max() <= 0.1
    assert scale[:, 0].std() == pytest.approx(0.1 / np.sqrt(3), rel=0.05)


def test_each_draw_has_its_own_noise_print(still_scene, fixed_grid, green_poster):
    recorder = Recorder()
    evaluate_grid(
        green_poster,
        still_scene,
        fixed_grid,
        _victim(recorder),
        draws=6,
        workers=1,
        crops=["exact"],
    )
    middle = (slice(None), slice(100, 150), slice(100, 150))
    draws = torch.cat(recorder.shown).split(len(TREATMENTS))
    noise = {shown[TREATMENTS.index("noise")][middle].numpy().tobytes() for shown in draws}
    poster = {shown[TREATMENTS.index("adversarial")][middle].numpy().tobytes() for shown in draws}
    assert len(draws) == len(noise) == 6
    assert len(poster) == 1
