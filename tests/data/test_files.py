"""Atomic files, environment variable, photographs, seeding."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from physadv.checks import UserError
from physadv.data.files import (
    atomic_path,
    external_folder,
    find_external,
    read_image_rgb,
    read_json,
    write_json,
)
from physadv.data.photos import list_photos, split_photos
from physadv.seeding import generator_for, seed_for


def test_atomic_write_keeps_the_old_file_when_interrupted(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text(str(1 / 0))
    assert read_json(path) == {"x": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["a.json"]


def test_unwritable_folder_is_one_clear_message():
    with pytest.raises(UserError, match="unchanged"), atomic_path(Path("/dev/full/a")) as temporary:
        temporary.write_text("x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_disk_without_space_is_said(tmp_path):
    with pytest.raises(UserError, match="No space left"), atomic_path(tmp_path / "a") as temporary:
        _write_to_full_disk(temporary)


def _write_to_full_disk(path):
    path.symlink_to("/dev/full")
    path.write_text("x")


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match=r"a\.json: not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(UserError, match="no such file"):
        read_json(tmp_path / "b.json")


def test_external_data_is_found_or_explained(tmp_path, monkeypatch):
    monkeypatch.delenv("PHYSADV_DATA", raising=False)
    assert external_folder() is None
    with pytest.raises(UserError, match="PHYSADV_DATA is not set"):
        find_external("weights/x")
    monkeypatch.setenv("PHYSADV_DATA", str(tmp_path))
    with pytest.raises(UserError, match="not found under"):
        find_external("weights/x")
    monkeypatch.setenv("PHYSADV_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="no such folder"):
        external_folder()


def test_exif_orientation_is_applied(tmp_path):
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise to view
    image.save(tmp_path / "a.png", exif=exif)
    assert read_image_rgb(tmp_path / "a.png").shape == (4, 2, 3)
    (tmp_path / "b.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match="not a readable image"):
        read_image_rgb(tmp_path / "b.png")


def test_photo_halves_are_disjoint_and_follow_content(tmp_path):
    generator = np.random.default_rng(0)
    for index in range(24):
        Image.fromarray(generator.integers(0, 255, (4, 4, 3), np.uint8)).save(
            tmp_path / f"{index}.png"
        )
    ours, theirs = split_photos(tmp_path, "optimise"), split_photos(tmp_path, "judge")
    assert not set(ours) & set(theirs)
    assert len(ours) + len(theirs) == len(list_photos(tmp_path)) == 24
    copy = tmp_path / "copy.png"
    copy.write_bytes(ours[0].read_bytes())
    assert copy in split_photos(tmp_path, "optimise")
    with pytest.raises(UserError, match="no image file"):
        list_photos(
            tmp_path.joinpath("empty") if tmp_path.joinpath("empty").mkdir() else tmp_path / "empty"
        )


def test_keyed_generators_are_independent_of_order():
    first = generator_for(0, "a", 1).random(4)
    generator_for(0, "b").random(100)
    assert np.array_equal(first, generator_for(0, "a", 1).random(4))
    keys = [(0, "a", 1), (0, "a", "1"), (0, "a1"), (1, "a", 1), (0, 1, "a")]
    assert len({seed_for(*key) for key in keys}) == len(keys)
