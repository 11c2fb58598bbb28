"""A patch against a detector that can be solved by hand, and resuming it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from physadv.artwork.files import Artwork, load_artwork
from physadv.artwork.parameterization import PRINTABLE_LOW
from physadv.checks import UserError
from physadv.data.coco import read_coco
from physadv.evaluate.objects import evaluate_objects
from physadv.optimize.objects import HideSettings
from physadv.optimize.patches import PatchRecipe, make_patch
from physadv.scene.catalog import load_object_scene
from physadv.types import TREATMENTS
from physadv.victim.fitting import Letterboxed

SETTINGS = HideSettings(
    steps=40, crops=4, learning_rate=0.05, checkpoint_every=10, held_out_every=20, half=False
)


@pytest.fixture
def scene():
    return load_object_scene("person_thys").resized(0.4)


@pytest.fixture
def people(red_people):
    return read_coco(red_people, ["person"])


def test_the_patch_is_the_one_that_can_be_worked_out(scene, people, red_detector, tmp_path):
    """The detector likes red, so the best patch has the least red that can be printed."""
    recipe = PatchRecipe(share=0.5, settings=replace(SETTINGS, nps=0.0, tv=0.0))
    artwork = make_patch(scene, [red_detector], [people], recipe, tmp_path / "run")
    red = artwork.rgba[..., 0]
    assert np.median(red) == round(255 * PRINTABLE_LOW)
    assert (red < 40).mean() > 0.95
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    seen = frozenset(manifest["options"]["photographs"])
    assert seen == {photo.sha256 for photo in people.photos[:6]}
    rest = [photo for photo in people.photos if photo.sha256 not in seen]
    result = evaluate_objects(artwork, scene, rest, red_detector, group="red")
    found = {
        t: [trial.score for trial in result.trials if trial.treatment == t] for t in TREATMENTS
    }
    assert [len(scores) for scores in found.values()] == [6] * 4
    assert min(found["clean"]) > 0.95
    assert np.mean(found["adversarial"]) < np.mean(found["blank"]) < np.mean(found["clean"])


def test_resume_is_bit_identical(scene, people, red_detector, tmp_path):
    recipe = PatchRecipe(share=0.5, settings=SETTINGS)
    whole = make_patch(scene, [red_detector], [people], recipe, tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill(stage, step, steps, figures):
        if step == 30:
            raise Killed

    with pytest.raises(Killed):
        make_patch(scene, [red_detector], [people], recipe, tmp_path / "cut", progress=kill)
    assert not (tmp_path / "cut" / "artwork.png").exists()
    again = make_patch(scene, [red_detector], [people], recipe, tmp_path / "cut", resume=True)
    assert again.sha256 == whole.sha256
    assert load_artwork(tmp_path / "cut").sha256 == whole.sha256


def test_wrong_input(scene, people, red_detector, tmp_path):
    recipe = PatchRecipe(settings=SETTINGS)
    with pytest.raises(UserError, match="given twice"):
        make_patch(scene, [red_detector] * 2, [people], recipe, tmp_path / "a")
    smaller = replace(red_detector, name="smaller", fitting=Letterboxed(160))
    with pytest.raises(UserError, match="different sizes"):
        make_patch(scene, [red_detector, smaller], [people], recipe, tmp_path / "a")
    high = scene.model_copy(update={"least_height": 0.9})
    with pytest.raises(UserError, match="none is at least 90%"):
        make_patch(high, [red_detector], [people], recipe, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    make_patch(
        scene,
        [red_detector],
        [people],
        replace(recipe, settings=replace(SETTINGS, steps=1)),
        tmp_path / "b",
    )
    with pytest.raises(UserError, match="another run"):
        make_patch(scene, [red_detector], [people], recipe, tmp_path / "b")


@pytest.mark.parametrize("rule", ["mean", "max", "random"])
def test_two_victims_under_every_rule(scene, people, red_detector, tmp_path, rule):
    twin = replace(red_detector, name="twin")
    settings = replace(SETTINGS, nps=0.0, tv=0.0, ensemble=rule)
    recipe = PatchRecipe(share=0.5, settings=settings)
    artwork = make_patch(scene, [red_detector, twin], [people], recipe, tmp_path / "run")
    assert np.median(artwork.rgba[..., 0]) == round(255 * PRINTABLE_LOW)
    history = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    asked = [set(json.loads(line)["terms"]) - {"nps", "tv"} for line in history]
    assert all(len(names) == (1 if rule == "random" else 2) for names in asked)


def test_a_patch_starts_from_another_and_inherits_what_it_has_seen(
    scene, people, red_detector, tmp_path
):
    first = PatchRecipe(share=0.5, settings=SETTINGS)
    made = make_patch(scene, [red_detector], [people], first, tmp_path / "first")
    later = PatchRecipe(
        share=0.25,
        start=str(tmp_path / "first"),
        settings=replace(SETTINGS, steps=1, learning_rate=1e-6, final_learning_rate=1e-6),
    )
    again = make_patch(scene, [red_detector], [people], later, tmp_path / "second")
    assert np.abs(again.rgba.astype(int) - made.rgba).max() <= 1
    seen = [
        json.loads((tmp_path / name / "run.json").read_text())["options"]["photographs"]
        for name in ("first", "second")
    ]
    assert seen[0] == seen[1]
    with pytest.raises(UserError, match="palette"):
        make_patch(
            scene, [red_detector], [people], replace(later, palette="grey"), tmp_path / "third"
        )
    assert not (tmp_path / "third").exists()


def test_a_judgement_of_odd_photographs(scene, red_people, red_detector, tmp_path):
    """16 bits, grey, transparent and single-pixel photographs are judged like all others."""
    folder = red_people.parent / "images"
    one = np.asarray(Image.open(folder / "red000.png"))
    Image.fromarray(one[..., 0].astype(np.uint16) * 257).save(folder / "red000.png")
    Image.fromarray(one[..., 0]).save(folder / "red001.png")
    Image.fromarray(np.dstack([one, np.full(one.shape[:2], 90, np.uint8)])).save(
        folder / "red002.png"
    )
    Image.new("RGB", (1, 1), (200, 10, 10)).save(folder / "red003.png")
    content = json.loads(red_people.read_text())
    content["images"][3].update(width=1, height=1)
    content["annotations"][3]["bbox"] = [0, 0, 1, 1]
    red_people.write_text(json.dumps(content))
    photos = read_coco(red_people, ["person"]).photos
    assert len(photos) == 12
    green = Artwork(
        np.full((64, 64, 4), (0, 200, 0, 255), np.uint8), 400, 400, "patch:x", "nothing", ("red",)
    )
    result = evaluate_objects(green, scene, photos, red_detector, group="odd")
    assert len(result.trials) == 12 * len(TREATMENTS)
    assert not result.skipped
