"""GTSRB readers and crops, against torchvision, Pillow and plain slicing."""

import csv
import importlib.util
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import GTSRB

from physadv.checks import UserError
from physadv.data.files import find_external
from physadv.data.gtsrb import GTSRB_CLASSES, crop_box, read_gtsrb


def _picture(seed: int, width: int, height: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def archive(tmp_path):
    columns = "file,class_id,split,track,frame,width,height,roi_x1,roi_y1,roi_x2,roi_y2"
    rows = ["a.png,14,train,14_00000,0,30,28,5,6,24,22", "b.png,5,test_tracks,05_1,0,9,8,1,1,7,6"]
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as stream:
        for name, (width, height) in {"a.png": (30, 28), "b.png": (9, 8)}.items():
            buffer = io.BytesIO()
            Image.fromarray(_picture(len(name), width, height)).save(buffer, "PNG")
            stream.writestr(name, buffer.getvalue())
    (tmp_path / "labels.csv").write_text("\n".join([columns, *rows]) + "\n")
    return tmp_path


def test_archive_gives_pixels_classes_tracks_and_boxes(archive):
    data = read_gtsrb(archive)
    assert [(r.class_id, r.track) for r in data.records] == [(14, "14_00000"), (5, "05_1")]
    first = data.part("train").records[0]
    assert first.roi_xyxy == (5, 6, 25, 23)  # the last pixel belongs to the box
    np.testing.assert_array_equal(data.image(first), _picture(5, 30, 28))
    assert [r.file for r in data.part("test_tracks").records] == ["b.png"]


def test_torchvision_layout_agrees_with_torchvision(tmp_path):
    for class_id in (0, 14):
        folder = tmp_path / "gtsrb" / "GTSRB" / "Training" / f"{class_id:05d}"
        folder.mkdir(parents=True)
        lines = ["Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"]
        for track, frame in ((0, 0), (0, 1), (3, 0)):
            name = f"{track:05d}_{frame:05d}.ppm"
            Image.fromarray(_picture(class_id + track + frame, 31, 29)).save(folder / name)
            lines.append(f"{name};31;29;5;6;26;24;{class_id}")
        (folder / f"GT-{class_id:05d}.csv").write_text("\n".join(lines) + "\n")
    data = read_gtsrb(tmp_path)
    oracle = GTSRB(str(tmp_path), split="train")
    # torchvision numbers the folders that it finds.
    labels = {path: [0, 14][label] for path, label in oracle._samples}
    assert len(data.records) == len(oracle) == 6
    for record in data.records:
        path = next(path for path in labels if path.endswith(record.file))
        assert record.class_id == labels[path]
        np.testing.assert_array_equal(data.image(record), np.asarray(Image.open(path)))
    assert {r.track for r in data.records} == {"00_00000", "00_00003", "14_00000", "14_00003"}
    assert {r.roi_xyxy for r in data.records} == {(5, 6, 27, 25)}


def test_wrong_folders_and_rows_are_named(tmp_path, archive):
    with pytest.raises(UserError, match=r"no gtsrb/GTSRB/Training"):
        read_gtsrb(tmp_path / "nowhere")
    table = archive / "labels.csv"
    table.write_text(table.read_text().replace(",14,train", ",43,train"))
    with pytest.raises(UserError, match="class 43"):
        read_gtsrb(archive)
    table.write_text("file,split\na.png,train\n")
    with pytest.raises(UserError, match="KeyError"):
        read_gtsrb(archive)


def test_a_missing_picture_is_named(archive):
    table = archive / "labels.csv"
    table.write_text(table.read_text().replace("a.png", "gone.png"))
    data = read_gtsrb(archive)
    with pytest.raises(UserError, match=r"gone\.png"):
        data.image(data.records[0])


def test_crop_at_its_own_size_is_a_slice():
    image = _picture(0, 40, 40)
    np.testing.assert_array_equal(crop_box(image, (3, 7, 27, 31), 24), image[7:31, 3:27])
    np.testing.assert_array_equal(crop_box(image, (9, 13, 21, 25), 24, 2.0), image[7:31, 3:27])


def test_crop_enlarges_like_torch():
    image = _picture(1, 20, 30)
    source = torch.from_numpy(image[5:25, 4:16]).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(
        source, (48, 48), mode="bilinear", align_corners=False
    )
    found = crop_box(image, (4, 5, 16, 25), 48)
    # Away from the edge, where the crop sees beyond the box and torch does not.
    inside = slice(4, -4)
    np.testing.assert_allclose(
        found[inside, inside], expected[0].permute(1, 2, 0)[inside, inside], atol=2.5
    )


def test_a_large_box_is_averaged_not_skipped():
    y, x = np.mgrid[:256, :256]
    image = np.repeat((((x + y) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)
    assert np.abs(crop_box(image, (0, 0, 256, 256), 64).astype(int) - 128).max() <= 1


def test_calibration_error_of_a_known_case():
    path = Path(__file__).parents[2] / "scripts" / "gtsrb_card.py"
    spec = importlib.util.spec_from_file_location("gtsrb_card", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Ten answers at 0.8, six right; ten at 0.95, all right: 0.5 * 0.2 + 0.5 * 0.05.
    scores = torch.tensor([[0.8, 0.2]] * 10 + [[0.05, 0.95]] * 10)
    truth = torch.tensor([0] * 6 + [1] * 4 + [1] * 10)
    assert module.calibration_error(scores, truth) == pytest.approx(0.125, abs=1e-6)


@pytest.mark.realdata
def test_real_set_is_split_by_track_and_named_alike():
    folder = find_external("data/gtsrb")
    with (folder / "classes.csv").open(encoding="utf-8", newline="") as stream:
        assert tuple(row["name"] for row in csv.DictReader(stream)) == GTSRB_CLASSES
    data = read_gtsrb(folder)
    train, test = data.part("train"), data.part("test_tracks")
    assert not {r.track for r in train.records} & {r.track for r in test.records}
    assert {r.class_id for r in test.records} == set(range(43))
    for record in test.records[::200]:
        height, width = data.image(record).shape[:2]
        x1, y1, x2, y2 = record.roi_xyxy
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
