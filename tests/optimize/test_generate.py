"""Generation against a known optimum, bit-exact resuming, and what a user can get wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from physadv.artwork.files import load_artwork
from physadv.checks import UsageError, UserError
from physadv.optimize.generate import Recipe, generate
from physadv.optimize.loop import learning_rate
from physadv.optimize.problem import Settings, Weights
from physadv.scene.faces import draw_face
from physadv.victim.catalog import load_victim
from physadv.victim.protocol import ClassifierVictim

NO_TERMS = Weights(nps=0.0, tv=0.0)


def _recipe(settings, **changes):
    return replace(Recipe("green", layout="poster", settings=settings, weights=NO_TERMS), **changes)


def test_free_colours_reach_the_known_optimum(still_scene, colour_victim, tmp_path):
    """Maximising 2 G - R - B within the printable range: G at its top, R and B at their bottom."""
    settings = Settings(steps=80, views=8, size_px=16, kappa=1000.0, held_out_views=8)
    artwork = generate(still_scene, [colour_victim], _recipe(settings), tmp_path / "run")
    inside = artwork.rgba[64:192, 64:192, :3].reshape(-1, 3) / 255
    assert np.allclose(inside.mean(axis=0), [0.05, 0.95, 0.05], atol=0.02)


def test_palette_reaches_its_best_colour(still_scene, colour_victim, tmp_path):
    settings = Settings(steps=160, views=8, size_px=16, kappa=1000.0, held_out_views=8)
    recipe = _recipe(settings, palette="8")
    artwork = generate(still_scene, [colour_victim], recipe, tmp_path / "run")
    palette = np.array(
        [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in artwork.recipe["palette"]]
    )
    scores = palette @ [-1, 2, -1]
    reached = artwork.rgba[64:192, 64:192, :3].reshape(-1, 3) @ np.array([-1, 2, -1])
    second = np.sort(scores)[-2]
    assert reached.mean() > max(0.9 * scores.max(), second)
    used = {tuple(c) for c in artwork.rgba[artwork.mask][:, :3]}
    assert used <= {tuple(c) for c in palette}


def test_resume_is_bit_identical(scene, colour_victim, short, tmp_path):
    recipe = _recipe(short, layout="stickers")
    whole = generate(scene, [colour_victim], recipe, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop_at(stage_wanted, step_wanted):
        def progress(stage, step, steps, figures):
            if (stage, step) == (stage_wanted, step_wanted):
                raise Stop

        return progress

    folder = tmp_path / "parts"
    for number, place in enumerate([("find", 4), ("fit", 4), ("fit", 8), ("fit", 10)]):
        with pytest.raises(Stop):
            generate(
                scene,
                [colour_victim],
                recipe,
                folder,
                resume=number > 0,
                progress=stop_at(*place),
            )
    parts = generate(scene, [colour_victim], recipe, folder, resume=True)
    assert np.array_equal(whole.rgba, parts.rgba)
    assert whole.sha256 == parts.sha256

    def lines(run):
        text = (run / "history.jsonl").read_text()
        entries = [json.loads(line) for line in text.splitlines()]
        return [{k: v for k, v in e.items() if k != "elapsed_s"} for e in entries]

    assert lines(tmp_path / "whole") == lines(folder)


@pytest.mark.slow
def test_resume_after_kill_9_is_bit_identical(tmp_path):
    base = [sys.executable, "-m", "physadv.cli.main", "generate", "stop_sign"]
    base += ["--victim", "gtsrb-cnn", "--layout", "graffiti", "--steps", "40", "--device", "cpu"]
    subprocess.run([*base, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    run = tmp_path / "parts"
    process = subprocess.Popen(
        [*base, "--out", str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (run / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (run / "artwork.png").exists()
    resumed = subprocess.run(
        [*base, "--out", str(run), "--resume"], check=True, capture_output=True, text=True
    )
    assert "artwork covering" in resumed.stdout
    assert load_artwork(run).sha256 == load_artwork(tmp_path / "whole").sha256


def test_seeds_differ_and_repeat(scene, colour_victim, short, tmp_path):
    first = generate(scene, [colour_victim], _recipe(short), tmp_path / "a")
    again = generate(scene, [colour_victim], _recipe(short), tmp_path / "b")
    other = generate(scene, [colour_victim], _recipe(replace(short, seed=1)), tmp_path / "c")
    assert first.sha256 == again.sha256 != other.sha256


def test_two_victims_are_both_logged_and_both_fooled(still_scene, colour_victim, tmp_path):
    second = replace(colour_victim, name="second")
    settings = Settings(steps=40, views=8, size_px=16, held_out_views=8)
    artwork = generate(still_scene, [colour_victim, second], _recipe(settings), tmp_path / "run")
    assert artwork.victims == ("colour", "second")
    last = json.loads((tmp_path / "run" / "history.jsonl").read_text().splitlines()[-1])
    assert {"colour", "second"} <= set(last["terms"])
    assert artwork.recipe["held_out_success"] == 1.0


def test_artwork_stays_inside_its_mask_and_budget(scene, colour_victim, short, tmp_path):
    recipe = _recipe(short, layout="stickers", max_area=0.12)
    artwork = generate(scene, [colour_victim], recipe, tmp_path / "run")
    face = draw_face("us_r1_1", 256)[..., 3] > 127
    assert not (artwork.mask & ~face).any()
    assert 0.05 < artwork.mask.sum() / face.sum() <= 0.12
    assert artwork.recipe["area_share"] == pytest.approx(artwork.mask.sum() / face.sum(), abs=1e-4)


def test_victim_is_bit_identical_after_an_attack(scene, short, tmp_path):
    victim = load_victim("gtsrb-cnn")
    before = {name: value.clone() for name, value in victim.module.state_dict().items()}
    recipe = replace(_recipe(short), target="Speed limit (80km/h)")
    generate(scene, [victim], recipe, tmp_path / "run")
    for name, value in victim.module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not victim.module.training


def test_learning_rate_is_a_cosine():
    settings = Settings(steps=101, learning_rate=0.03, final_learning_rate=0.001)
    assert learning_rate(0, settings) == pytest.approx(0.03)
    assert learning_rate(50, settings) == pytest.approx(0.0155)
    assert learning_rate(100, settings) == pytest.approx(0.001)


def test_wrong_input_is_named(scene, colour_victim, short, tmp_path):
    with pytest.raises(UsageError, match="Known: stop, green, blue"):
        generate(scene, [colour_victim], _recipe(short, target="gren"), tmp_path / "a")
    with pytest.raises(UserError, match="reads the clean sign as"):
        generate(scene, [colour_victim], _recipe(short, target="stop"), tmp_path / "a")
    with pytest.raises(UsageError, match="poster, stickers, graffiti"):
        generate(scene, [colour_victim], _recipe(short, layout="postr"), tmp_path / "a")
    with pytest.raises(UserError, match="palette"):
        generate(scene, [colour_victim], _recipe(short, palette="1"), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_folder_with_another_run_is_refused(scene, colour_victim, short, tmp_path):
    run = tmp_path / "run"
    first = generate(scene, [colour_victim], _recipe(short), run)
    with pytest.raises(UserError, match="already holds another run"):
        generate(scene, [colour_victim], _recipe(short), run)
    with pytest.raises(UserError, match="other values of: target, options"):
        generate(scene, [colour_victim], _recipe(short, target="blue"), run, resume=True)
    assert load_artwork(run).sha256 == first.sha256
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    (tmp_path / "other" / ".notes.tmp.txt").write_text("mine too")
    with pytest.raises(UserError, match="no such file"):
        generate(scene, [colour_victim], _recipe(short), tmp_path / "other", resume=True)
    assert (tmp_path / "other" / "letter.txt").read_text() == "mine"
    assert (tmp_path / "other" / ".notes.tmp.txt").read_text() == "mine too"


def test_resume_of_a_run_killed_before_its_manifest_starts_it(
    scene, colour_victim, short, tmp_path
):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".run.1.tmp.json").write_text("{")
    artwork = generate(scene, [colour_victim], _recipe(short), run, resume=True)
    again = generate(scene, [colour_victim], _recipe(short), tmp_path / "new", resume=True)
    assert artwork.sha256 == again.sha256
    assert not (run / ".run.1.tmp.json").exists()


def test_resume_with_an_edited_mask_is_refused(scene, colour_victim, short, tmp_path):
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><rect {} /></svg>'
    mask = tmp_path / "mask.svg"
    mask.write_text(svg.format('x="2" y="2" width="2" height="2"'))
    recipe = _recipe(short, layout=str(mask))
    generate(scene, [colour_victim], recipe, tmp_path / "run")
    mask.write_text(svg.format('x="4" y="4" width="2" height="2"'))
    with pytest.raises(UserError, match="other values of: options"):
        generate(scene, [colour_victim], recipe, tmp_path / "run", resume=True)


def test_nan_from_a_victim_is_said(scene, colour_victim, short, tmp_path):
    class Broken(torch.nn.Module):
        input_px = 0

        def forward(self, images):
            return images.mean(dim=(2, 3)) * float("nan")

    broken = replace(colour_victim, module=Broken())
    with pytest.raises(UserError, match="not a finite number"):
        generate(scene, [broken], _recipe(short), tmp_path / "run")


class BrokenGradient(torch.nn.Module):
    """Finite logits whose gradient is NaN: the derivative of a square root at 0, times 0."""

    def forward(self, images):
        mean = images.mean(dim=(2, 3))
        return (0 * mean).sqrt() + torch.tensor([1.0, 0.0, 0.0])


def test_a_gradient_that_is_no_number_stops_the_run(scene, short, tmp_path):
    victim = ClassifierVictim("broken", ("stop", "green", "blue"), "", 0, BrokenGradient())
    with pytest.raises(UserError, match="the loss or its gradient is not a finite number"):
        generate(scene, [victim], _recipe(short), tmp_path / "run")
    assert not (tmp_path / "run" / "artwork.png").exists()
