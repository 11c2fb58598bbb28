"""The grid's bookkeeping with a victim whose answers are known."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import noise_colours, stuck_colours
from physadv.checks import UsageError, UserError
from physadv.evaluate.examples import write_views
from physadv.evaluate.grid import evaluate_grid
from physadv.scene.schema import Grid
from physadv.types import TREATMENTS


def poster(colour, **recipe):
    """A face of one colour."""
    rgba = np.full((256, 256, 4), 255, np.uint8)
    rgba[..., :3] = colour
    return Artwork(rgba, 762, 762, "us_r1_1", "green", ("x",), recipe)


def test_known_victim_known_verdicts(still_scene, small_grid, green_poster, dominant):
    trials = evaluate_grid(green_poster, still_scene, small_grid, dominant, draws=4)
    assert len(trials) == 2 * 4 * 2 * len(TREATMENTS)
    verdicts = {
        treatment: {t.verdict for t in trials if t.treatment == treatment and t.crop == "exact"}
        for treatment in TREATMENTS
    }
    assert verdicts["clean"] == {"hit"}
    assert verdicts["adversarial"] == {"target"}
    for one in trials:
        assert one.true_class == "stop"
        assert one.target_class == "green"
        assert (one.verdict == "hit") == (one.predicted_class == "stop")
        assert (one.verdict == "target") == (one.predicted_class == "green")
        assert 1 / 3 <= one.score <= 1


def test_trials_do_not_depend_on_workers_or_other_cells(scene, small_grid, green_poster, dominant):
    one = evaluate_grid(green_poster, scene, small_grid, dominant, draws=5, workers=1)
    three = evaluate_grid(green_poster, scene, small_grid, dominant, draws=5, workers=3)
    assert one == three
    last = Grid.model_validate({**small_grid.model_dump(), "cells": [small_grid.cells[1]]})
    alone = evaluate_grid(green_poster, scene, last, dominant, draws=5)
    assert alone == [t for t in one if t.cell == last.cells[0].name]


def test_treatments_are_paired(scene, small_grid, green_poster, dominant):
    """An artwork of nothing but the face's own pixels would be the clean sign: same draws."""
    trials = evaluate_grid(
        green_poster, scene, small_grid, dominant, draws=3, treatments=("clean", "adversarial")
    )
    by_draw = Counter((t.cell, t.frame, t.crop, t.pitch_deg, t.roll_deg) for t in trials)
    assert set(by_draw.values()) == {2}


def test_seeds_and_draws_differ(scene, small_grid, green_poster, dominant):
    first = evaluate_grid(green_poster, scene, small_grid, dominant, draws=3, seed=0)
    second = evaluate_grid(green_poster, scene, small_grid, dominant, draws=3, seed=1)
    assert len({t.pitch_deg for t in first}) == 6
    assert not {t.pitch_deg for t in first} & {t.pitch_deg for t in second}


def test_noise_is_made_of_what_may_be_printed():
    generator = np.random.default_rng(0)
    palette = ["#282828", "#e9ebf1"]
    noise = noise_colours(poster((0, 0, 0), palette=palette), 64, generator)
    assert {tuple(c) for c in noise.reshape(-1, 3)} == {(40, 40, 40), (233, 235, 241)}
    squares = noise.reshape(64, 4, 64, 4, 3)
    assert (squares == squares[:, :1, :, :1]).all()
    grey = noise_colours(poster((0, 0, 0), palette="grey"), 64, generator)
    assert (grey == grey[..., :1]).all()
    free = noise_colours(poster((0, 0, 0), palette="rgb"), 64, generator)
    assert free.reshape(-1, 3).mean() == pytest.approx(127.5, abs=3)


def test_treatment_colours(green_poster):
    generator = np.random.default_rng(0)
    assert stuck_colours("clean", green_poster, 64, generator) is None
    assert (stuck_colours("blank", green_poster, 64, generator) == 128).all()
    shown = stuck_colours("adversarial", green_poster, 64, generator)
    assert np.array_equal(shown, green_poster.rgba[..., :3])


def test_examples_are_written(scene, green_poster, dominant, tmp_path):
    write_views(green_poster, scene, dominant, tmp_path / "views")
    entries = json.loads((tmp_path / "views" / "views.json").read_text())
    assert {e["treatment"] for e in entries} == set(TREATMENTS)
    assert len({e["distance_m"] for e in entries}) == 5
    for entry in entries:
        with Image.open(tmp_path / "views" / entry["file"]) as image:
            assert min(image.size) > 20


def test_wrong_input(scene, small_grid, green_poster, dominant):
    def grid_of(**cell):
        return Grid.model_validate(
            {**small_grid.model_dump(), "yaw_jitter_deg": 0, "cells": [cell]}
        )

    with pytest.raises(UserError, match=r"cell 0\.3 m, 0 deg: the sign .* does not fit"):
        evaluate_grid(green_poster, scene, grid_of(distance_m=0.3), dominant, draws=1)
    with pytest.raises(UserError, match="behind the camera"):
        evaluate_grid(green_poster, scene, grid_of(distance_m=0.3, yaw_deg=84), dominant, draws=1)
    with pytest.raises(UserError, match=r"cell 300 m, 0 deg: the sign is 2\.5"):
        evaluate_grid(green_poster, scene, grid_of(distance_m=300), dominant, draws=1)
    with pytest.raises(UserError, match="draws = 0"):
        evaluate_grid(green_poster, scene, small_grid, dominant, draws=0)
    stranger = replace(green_poster, target="purple")
    with pytest.raises(UsageError, match="Known: stop, green, blue"):
        evaluate_grid(stranger, scene, small_grid, dominant, draws=1)
