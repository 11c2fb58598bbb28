"""The judge of detectors, on photographs and a detector that can be worked out by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.data.coco import AnnotatedPhoto, read_coco
from physadv.evaluate.matching import overlaps
from physadv.evaluate.objects import evaluate_objects, looks_at
from physadv.evaluate.trials import DRAW_STRIDE
from physadv.scene.catalog import load_object_scene
from physadv.scene.objects import ObjectScene


@pytest.fixture
def object_scene() -> ObjectScene:
    return load_object_scene("person_thys").resized(0.4)


@pytest.fixture
def people(red_people: Path) -> tuple[AnnotatedPhoto, ...]:
    return read_coco(red_people, ["person"]).photos


@pytest.fixture
def cyan() -> Artwork:
    """The patch that a detector of red likes least."""
    rgba = np.full((64, 64, 4), (0, 255, 255, 255), np.uint8)
    return Artwork(rgba, 400.0, 400.0, "none", "nothing", ("red",), {"layout": "patch"})


def test_a_photograph_given_twice_is_refused_before_the_work(
    cyan, object_scene, people, red_detector
):
    twin = replace(people[2], name="copy of it.png")
    with pytest.raises(UserError, match=r"copy of it\.png and images/red002\.png are the same"):
        evaluate_objects(cyan, object_scene, [*people, twin], red_detector, group="red")


def test_as_many_looks_as_were_promised(cyan, object_scene, people, red_detector):
    result = evaluate_objects(
        cyan, object_scene, people[:3], red_detector, group="red", draws=2, seed=3
    )
    assert len(result.trials) == 2 * looks_at(object_scene, people[:3]) == 2 * 4 * 3


def test_what_was_seen_is_what_the_trials_say(cyan, object_scene, people, red_detector, tmp_path):
    """The strongest detection of a person with IoU >= 0.5 in the store is the Trial's score."""
    crowd = np.array([[0.0, 0, 20, 20]])
    photos = [replace(people[0], crowds=crowd), *people[1:3]]
    result = evaluate_objects(
        cyan, object_scene, photos, red_detector, group="red", draws=2, gallery_folder=tmp_path
    )
    rows = result.detections
    assert rows.filter(pl.col("kind") == "object").height == 3
    ignored = rows.filter(pl.col("kind") == "ignored")
    assert ignored.select("x1", "y1", "x2", "y2").rows() == [(0.0, 0.0, 20.0, 20.0)]
    assert set(rows["draw"].drop_nulls()) == {0, 1}
    for trial in result.trials:
        photo = next(p for p in photos if p.sha256 == trial.sha256)
        draw, number = divmod(trial.frame, DRAW_STRIDE)
        own = rows.filter(
            (pl.col("sha256") == trial.sha256)
            & (pl.col("draw") == draw)
            & (pl.col("treatment") == trial.treatment)
            & (pl.col("class_name") == "person")
        )
        overlap = overlaps(photo.boxes[number], own.select("x1", "y1", "x2", "y2").to_numpy())
        assert max(own["score"].to_numpy()[overlap >= 0.5], default=0.0) == trial.score
    listing = json.loads((tmp_path / "gallery.json").read_text())
    assert sum(listing["photographs"].values()) == 3
    told = {
        (entry["photo"], treatment): [look["score"] for look in looks]
        for entry in listing["shown"]
        for treatment, looks in entry["objects"].items()
    }
    first = [t for t in result.trials if t.frame < DRAW_STRIDE]
    assert told == {
        (next(p.name for p in photos if p.sha256 == t.sha256), t.treatment): [t.score]
        for t in first
    }


def test_objects_too_low_to_be_judged_are_ignored_not_false(
    cyan, object_scene, people, red_detector
):
    low = np.vstack([people[0].boxes, [[0.0, 0, 30, 40]]])
    photo = replace(people[0], boxes=low, labels=(*people[0].labels, "low"))
    result = evaluate_objects(cyan, object_scene, [photo], red_detector, group="red")
    assert result.skipped == [("low", "lower than the scene's least_height")]
    kinds = dict(result.detections.group_by("kind").len().rows())
    assert (kinds["object"], kinds["ignored"]) == (1, 1)
