"""Artwork optimised through a printer's profile."""

import json
from dataclasses import replace

import numpy as np
import pytest

from physadv.artwork.palette import PRINTABLE_30
from physadv.artwork.printer import PrinterProfile
from physadv.checks import UsageError, UserError
from physadv.data.coco import read_coco
from physadv.optimize.generate import Recipe, generate
from physadv.optimize.objects import HideSettings
from physadv.optimize.patches import PatchRecipe, make_patch
from physadv.optimize.problem import Settings, Weights
from physadv.scene.catalog import load_object_scene

COLOURS = tuple(tuple(float(v) for v in row) for row in PRINTABLE_30)


def exchanging(order, residual_sd=0.0):
    """A printer that gives channel ``order[i]`` of what it is sent as channel i."""
    matrix = np.zeros((4, 3))
    matrix[list(order), range(3)] = 1.0
    rows = tuple(tuple(row) for row in matrix.tolist())
    return PrinterProfile("affine", (rows,), COLOURS, (residual_sd,) * 3, 0.0)


def guessing(scene, printer_sd):
    """The scene with a guess of how much prints differ."""
    imaging = scene.imaging.model_copy(update={"printer_sd": printer_sd})
    return scene.model_copy(update={"imaging": imaging})


def test_a_printer_that_changes_nothing_changes_nothing(scene, colour_victim, short, tmp_path):
    scene = guessing(scene, 0.0)
    recipe = Recipe("green", layout="stickers", settings=short)
    plain = generate(scene, [colour_victim], recipe, tmp_path / "plain")
    same = replace(recipe, printer=exchanging((0, 1, 2)))
    assert generate(scene, [colour_victim], same, tmp_path / "same").sha256 == plain.sha256


def test_what_the_profile_did_not_explain_is_noise(scene, colour_victim, short, tmp_path):
    """The scene's own guess of the printer is not used beside it."""

    def made(name, residual_sd, printer_sd):
        recipe = Recipe(
            "green", layout="poster", settings=short, printer=exchanging((0, 1, 2), residual_sd)
        )
        return generate(
            guessing(scene, printer_sd), [colour_victim], recipe, tmp_path / name
        ).sha256

    plain = made("plain", 0.0, 0.0)
    assert made("guessed", 0.0, 0.3) == plain
    assert made("measured", 0.1, 0.0) != plain


def test_what_is_best_on_paper_is_sent(still_scene, colour_victim, tmp_path):
    """The victim wants green, and this printer makes green of what is sent as red."""
    settings = Settings(steps=80, views=8, size_px=16, kappa=1000.0, held_out_views=8)
    recipe = Recipe(
        "green",
        layout="poster",
        printer=exchanging((2, 0, 1)),
        settings=settings,
        weights=Weights(nps=0.0, tv=0.0),
    )
    artwork = generate(still_scene, [colour_victim], recipe, tmp_path / "run")
    inside = artwork.rgba[64:192, 64:192, :3].reshape(-1, 3) / 255
    assert np.allclose(inside.mean(axis=0), [0.95, 0.05, 0.05], atol=0.02)


def test_patches_for_detectors_likewise(red_people, red_detector, tmp_path):
    """The detector likes red, which this printer makes of blue: little blue is sent."""
    settings = HideSettings(steps=40, crops=4, learning_rate=0.05, half=False, nps=0.0, tv=0.0)
    scene = load_object_scene("person_thys").resized(0.4)
    recipe = PatchRecipe(share=0.5, printer=exchanging((2, 1, 0)), settings=settings)
    people = read_coco(red_people, ["person"])
    artwork = make_patch(scene, [red_detector], [people], recipe, tmp_path / "run")
    assert (artwork.rgba[..., 2] < 40).mean() > 0.95
    assert (artwork.rgba[..., 0] > 40).mean() > 0.5


def test_the_run_records_it_and_is_not_resumed_with_another(scene, colour_victim, short, tmp_path):
    recipe = Recipe("green", layout="poster", settings=short, printer=exchanging((0, 1, 2)))
    generate(scene, [colour_victim], recipe, tmp_path / "run")
    recorded = json.loads((tmp_path / "run" / "run.json").read_text())["options"]["printer"]
    assert recorded["kind"] == "affine"
    generate(scene, [colour_victim], recipe, tmp_path / "run", resume=True)
    for printer in (None, exchanging((1, 0, 2))):
        other = replace(recipe, printer=printer)
        with pytest.raises(UserError, match="other values of: options"):
            generate(scene, [colour_victim], other, tmp_path / "run", resume=True)


def test_paper_s_colours_are_not_printed_twice(scene, colour_victim, short, tmp_path):
    recipe = Recipe("green", palette="4", settings=short, printer=exchanging((0, 1, 2)))
    with pytest.raises(UsageError, match="already those of paper"):
        generate(scene, [colour_victim], recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
