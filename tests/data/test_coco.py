"""COCO json: what is read, what is clipped, what is skipped and said."""

import json
from dataclasses import replace

import pytest

from physadv.checks import UserError
from physadv.data.coco import read_coco, split_scenes


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_boxes_are_xyxy_and_clipped(red_people):
    rewrite(red_people, lambda c: c["annotations"][0].update(bbox=[-20, -10, 60, 400]))
    photo = read_coco(red_people, ["PERSON"]).photos[0]
    assert photo.boxes.tolist() == [[0, 0, 40, 320]]


def test_what_cannot_be_used_is_named(red_people):
    def change(content):
        content["annotations"][0]["bbox"] = [500, 10, 20, 20]
        content["annotations"][1]["bbox"] = [10, 10, 0, 20]
        content["annotations"][2]["iscrowd"] = 1
        content["annotations"][3]["bbox"] = [float("nan"), 0, 5, 5]
        content["images"][4]["file_name"] = "images/gone.png"
        content["images"][5]["width"] = 225

    rewrite(red_people, change)
    (red_people.parent / "images" / "red006.png").write_bytes(b"nothing")
    found = read_coco(red_people, ["person"])
    assert len(found.photos) == 5
    reasons = dict(found.skipped)
    assert len(reasons) == 7
    assert reasons["images/red005.png"] == "224 x 320 px, annotated as 225 x 320"
    assert reasons["images/red006.png"].startswith("not a readable image")
    assert reasons["images/gone.png"] == "no such file"
    assert reasons["images/red002.png#2"] == "a crowd"
    assert all("no area" in reasons[f"images/red00{n}.png#{n}"] for n in (0, 1, 3))


def test_crowds_are_kept_apart_from_objects(red_people):
    def change(content):
        for number, box in enumerate(([5, 6, 500, 20], [500, 10, 20, 20])):
            crowd = {"id": 50 + number, "image_id": 0, "category_id": 7, "bbox": box, "iscrowd": 1}
            content["annotations"].append(crowd)

    rewrite(red_people, change)
    first, second = read_coco(red_people, ["person"]).photos[:2]
    assert len(first.boxes) == 1
    assert first.crowds.tolist() == [[5, 6, 224, 26]]
    assert second.crowds.shape == (0, 4)


def test_excluded_photographs_are_left_out(red_people):
    photos = read_coco(red_people, ["person"]).photos
    rest = read_coco(red_people, ["person"], exclude=frozenset(p.sha256 for p in photos[:5]))
    assert [p.name for p in rest.photos] == [p.name for p in photos[5:]]
    assert len(rest.skipped) == 5


def test_split_is_disjoint_and_cuts_each_series_once(red_people):
    photos = read_coco(red_people, ["person"]).photos
    first, rest = split_scenes(photos[::-1], 0.5)
    assert [p.name for p in first] == [p.name for p in photos[:6]]
    assert [p.name for p in rest] == [p.name for p in photos[6:]]


def test_wrong_input(red_people, tmp_path):
    with pytest.raises(UserError, match="it has person"):
        read_coco(red_people, ["zebra"])
    rewrite(red_people, lambda c: c.pop("annotations"))
    with pytest.raises(UserError, match="not COCO annotations"):
        read_coco(red_people, ["person"])
    empty = tmp_path / "empty.json"
    empty.write_text(
        json.dumps({"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]})
    )
    with pytest.raises(UserError, match="none can be used"):
        read_coco(empty, ["person"])


def test_series_of_single_names_are_cut_together(red_people):
    photos = read_coco(red_people, ["person"]).photos
    odd = [
        replace(p, name=f"{letter}.png") for p, letter in zip(photos, "abcdefghijkl", strict=True)
    ]
    first, rest = split_scenes(odd, 0.5)
    assert [p.name for p in first] == ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]
    assert len(rest) == 6
    first, rest = split_scenes(odd[:2], 0.9)
    assert (len(first), len(rest)) == (1, 1)


def test_a_photograph_listed_twice_counts_once(red_people):
    def change(content):
        content["images"].append({**content["images"][2], "id": 99})
        content["annotations"].append({**content["annotations"][2], "id": 99, "image_id": 99})

    rewrite(red_people, change)
    found = read_coco(red_people, ["person"])
    assert len(found.photos) == 12
    assert found.skipped == (("images/red002.png", "the same photograph as images/red002.png"),)


def test_a_broken_png_is_named(red_people):
    path = red_people.parent / "images" / "red003.png"
    raw = bytearray(path.read_bytes())
    raw[12:16] = b"IHDX"
    path.write_bytes(bytes(raw))
    found = read_coco(red_people, ["person"])
    assert len(found.photos) == 11
    assert found.skipped[0][1].startswith("not a readable image")


def test_a_folder_in_place_of_the_json(tmp_path):
    with pytest.raises(UserError, match="directory"):
        read_coco(tmp_path, ["person"])
