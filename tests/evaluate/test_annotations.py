"""Annotations of photographs: what is wrong is said, nothing is guessed or dropped."""

import json

import numpy as np
import pytest
from PIL import Image

from physadv.checks import UserError
from physadv.evaluate.annotations import read_coco_boxes, read_corners
from physadv.evaluate.photos import evaluate_photos

SQUARE = "0,0,9,0,9,9,0,9"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png,0,0,0,9,9,9,9,0\n", "row 1: its corners enclose -81 px² clockwise"),
        ("a.png,5,5,5,5,5,5,5,5\n", "enclose 0 px²"),
        ("a.png,0,0,9,nan,9,9,0,9\n", "row 1: a coordinate is not finite"),
        (f"a.png,{SQUARE}\na.png,{SQUARE}\n", r"row 2: a\.png is listed twice"),
    ],
)
def test_corners_that_cannot_be_meant(tmp_path, text, message):
    path = tmp_path / "corners.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_corners(path)


def test_corners_that_are_no_text(tmp_path):
    path = tmp_path / "corners.csv"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match="not CSV text"):
        read_corners(path)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"images": []},
        {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"id": 1, "image_id": 1}]},
        {"images": [], "annotations": [{"id": 1, "image_id": 9, "bbox": [1, 1, 5, 5]}]},
        {
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [{"id": 1, "image_id": 1, "bbox": [1, 1, 5]}],
        },
    ],
)
def test_boxes_that_are_not_coco(tmp_path, content):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="not COCO boxes"):
        read_coco_boxes(path)


def test_a_box_outside_its_photograph_is_a_reason(tmp_path, scene, green_poster, dominant):
    Image.fromarray(np.full((40, 40, 3), 90, np.uint8)).save(tmp_path / "a.png")
    boxes = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 7, "image_id": 1, "bbox": [900, 900, 50, 50]}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(boxes))
    with pytest.raises(UserError, match="outside the photograph"):
        evaluate_photos(green_poster, scene, tmp_path, dominant)
