"""The judge of detectors, on photographs and a detector that can be worked out by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.data.coco import AnnotatedPhoto, read_coco
from physadv.evaluate.objects import evaluate_objects, looks_at
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
