"""Signs against detectors: the optimum that can be worked out, mixed victims, wrong requests."""

from dataclasses import replace

import numpy as np
import pytest

from physadv.artwork.parameterization import PRINTABLE_HIGH, PRINTABLE_LOW
from physadv.checks import UsageError, UserError
from physadv.optimize.generate import Recipe, generate
from physadv.optimize.problem import Settings, Weights
from physadv.scene.catalog import load_scene
from physadv.types import NOTHING
from physadv.victim.fitting import Letterboxed

SETTINGS = Settings(
    steps=60,
    learning_rate=0.06,
    windows=4,
    window_px=160,
    held_out_windows=8,
    views=4,
    size_px=16,
    held_out_views=8,
)


@pytest.fixture
def red(red_detector):
    """Finds a "stop sign" where there is much red."""
    return replace(red_detector, class_names=("stop sign", "dog"))


@pytest.fixture
def near():
    """The board near enough for the detector's boxes of 96 x 192 px to be about its size."""
    scene = load_scene("road_board")
    distance = scene.views.distance_m.model_copy(update={"low": 0.7, "high": 0.8})
    views = scene.views.model_copy(update={"distance_m": distance})
    carrier = scene.carrier.model_copy(update={"true_class": ("stop sign",)})
    return scene.model_copy(update={"views": views, "carrier": carrier})


def recipe(**changes):
    plain = Recipe(
        "stop sign", layout="poster", settings=SETTINGS, weights=Weights(nps=0.0, tv=0.0)
    )
    return replace(plain, **changes)


@pytest.mark.parametrize(("goal", "best"), [("hide", PRINTABLE_LOW), ("appear", PRINTABLE_HIGH)])
def test_red_goes_where_the_goal_wants_it(near, red, tmp_path, goal, best):
    artwork = generate(near, [red], recipe(goal=goal), tmp_path / "run")
    middle = artwork.rgba[64:192, 64:192, 0] / 255
    assert abs(np.median(middle) - best) < 0.05
    assert artwork.target == (NOTHING if goal == "hide" else "stop sign")
    assert artwork.recipe["goal"] == goal


def test_a_classifier_and_a_detector_at_once(near, red, colour_victim, tmp_path):
    both = near.model_copy(
        update={"carrier": near.carrier.model_copy(update={"true_class": ("stop", "stop sign")})}
    )
    wanted = recipe(target="green", settings=replace(SETTINGS, steps=20))
    artwork = generate(both, [red, colour_victim], wanted, tmp_path / "run")
    assert artwork.victims == ("colour", "red")
    assert artwork.target == "green"
    middle = artwork.rgba[64:192, 64:192].reshape(-1, 4).mean(axis=0)
    assert middle[1] > middle[0] + 40


def test_wrong_input(near, red, colour_victim, tmp_path):
    with pytest.raises(UserError, match="it is a classifier"):
        generate(near, [colour_victim], recipe(goal="appear"), tmp_path / "a")
    with pytest.raises(UsageError, match="zebra"):
        generate(near, [red], recipe(goal="misread", target="zebra"), tmp_path / "a")
    with pytest.raises(UserError, match="reads the clean sign as"):
        generate(near, [red], recipe(goal="misread"), tmp_path / "a")
    coarse = replace(red, fitting=Letterboxed(320, 64))
    with pytest.raises(UserError, match="windows of 160 px"):
        generate(near, [coarse], recipe(), tmp_path / "a")
    assert not (tmp_path / "a").exists()
