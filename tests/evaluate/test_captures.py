"""Captures: manifests, files of every kind, what is right to read, and wrong requests."""

import io
import json
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from commandline import call_physadv
from PIL import Image

from physadv.checks import UsageError, UserError
from physadv.data.photographs import decode_photograph, photo_files
from physadv.evaluate.capture_plan import CapturePlan
from physadv.evaluate.capture_reading import Wanted, check_classes, read_objects
from physadv.evaluate.shotlist import read_shotlist
from physadv.types import NOTHING, Detections
from physadv.victim.catalog import load_victim
from physadv.victim.chain import ChainVictim
from physadv.victim.detectors import load_detector

call = partial(call_physadv, "evaluate", "captures")

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
VICTIM = """
import torch

class Hue(torch.nn.Module):
    input_px = 16
    class_names = ("red", "green", "blue")

    def forward(self, images):
        return 20 * images.mean(dim=(2, 3))

def make():
    return Hue()
"""


def picture(name: str, seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A flat colour with a little of its own noise, so that no two files are the same."""
    noise = np.random.default_rng(seed).integers(-9, 10, (*size, 3))
    return Image.fromarray((np.array(COLOURS[name]) + noise).clip(0, 255).astype(np.uint8))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Green things, of which the attacked ones are mostly red to look at."""
    (tmp_path / "hue_victim.py").write_text(VICTIM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    seen = {
        "clean": ["green"] * 6,
        "noise": ["green"] * 4 + ["red", "blue"],
        "adversarial": ["red"] * 5 + ["green"],
    }
    for row, (treatment, colours) in enumerate(seen.items()):
        (tmp_path / "photos" / treatment).mkdir(parents=True)
        for n, colour in enumerate(colours):
            shown = picture(colour, 1000 * row + n + 100)
            shown.save(tmp_path / "photos" / treatment / f"{n}.png")
    return tmp_path / "photos"


ASKED = ("--victim", "hue_victim:make", "--device", "cpu")


def test_folders_name_treatments_and_the_table_is_right(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call(photos, *ASKED, "--truth", "green", "--target", "red", "--out", out) == 0
    record = json.loads((out / "run.json").read_text())
    (found,) = record["results"]
    assert {k: (v["k"], v["n"]) for k, v in found["pooled"].items()} == {
        "clean": (0, 6),
        "noise": (1, 6),
        "adversarial": (5, 6),
    }
    right = {name: rates["hit"]["k"] for name, rates in found["outcomes"].items()}
    assert right == {"clean": 6, "noise": 4, "adversarial": 1}
    noise = next(effect for effect in found["effects"] if effect["control"] == "noise")
    assert noise["difference"] == pytest.approx(4 / 6)
    trials = pl.read_parquet(out / "trials.parquet")
    assert set(trials["source"]) == {"capture"}
    assert set(trials["crop"]) == {"whole"}
    assert set(trials["group"]) == {""}


def test_a_manifest_gives_cells_sessions_boxes_and_feet(photos: Path, tmp_path: Path) -> None:
    wide = Image.new("RGB", (80, 40), (30, 30, 220))
    wide.paste(picture("green", 1), (40, 0))
    wide.save(photos / "wide.png")
    (tmp_path / "shots.csv").write_text(
        "file,kind,distance_ft,angle,light,left,top,right,bottom,remark\n"
        "wide.png,attack,10,-30,dusk,40,0,80,40,x\n"
        "wide.png,attack,10,-30,dusk,0,0,40,40,y\n"
        "clean/0.png,clean,20,0,noon,,,,,\n"
        "gone.png,clean,20,0,noon,,,,,\n"
    )
    out = tmp_path / "out"
    words = ["--manifest", tmp_path / "shots.csv", "--column", "treatment=kind", "--by", "light"]
    words += ["--column", "yaw_deg=angle", "--truth", "green", "--out", out]
    assert call(photos, *ASKED, *words) == 0
    trials = pl.read_parquet(out / "trials.parquet")
    listed = trials.filter(pl.col("distance_m").is_not_null())
    rows = listed.select("cell", "verdict", "crop", "treatment").rows()
    assert sorted(rows) == [
        ("3.048 m, -30 deg, dusk", "hit", "exact", "adversarial"),
        ("3.048 m, -30 deg, dusk", "misclassified", "exact", "adversarial"),
        ("6.096 m, 0 deg, noon", "hit", "whole", "clean"),
    ]
    record = json.loads((out / "run.json").read_text())
    assert [entry["file"] for entry in record["skipped"]] == ["gone.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\na.png\n", "no column 'file'"),
        ("file,treatment\na.png,sticker\n", "'sticker'"),
        ("file,distance_m\na.png,minus\n", "'minus'"),
        ("file,distance_m\na.png,-3\n", "'-3'"),
        ("file,distance_m,distance_ft\na.png,3,9\n", "Give one of them"),
        ("file,left,top,right,bottom\na.png,3,9,,\n", "part of a box"),
        ("file,left,top,right,bottom\na.png,3,9,1,20\n", "an empty box"),
        ("file,treatment\na.png,noise\na.png,clean\n", "says something else"),
        ("file,treatment\n,noise\n", "no file name"),
    ],
)
def test_wrong_manifests(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(UserError) as told:
        read_shotlist(tmp_path / "m.csv")
    assert message in str(told.value)


def test_repeated_rows_and_unused_columns_are_said(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("file,lux\na.png,9\na.png,9\n")
    found = read_shotlist(tmp_path / "m.csv")
    assert len(found.shots["a.png"]) == 1
    assert found.notes == ("line 3 repeats an earlier row of a.png", "columns not used: lux")
    with pytest.raises(UsageError):
        read_shotlist(tmp_path / "m.csv", {"yaw_deg": "angle"})


def test_files_that_are_no_photographs_are_skipped_by_name(photos: Path, tmp_path: Path) -> None:
    clean = photos / "clean"
    whole = (clean / "0.png").read_bytes()
    (clean / "empty.jpg").write_bytes(b"")
    (clean / "cut.png").write_bytes(whole[: len(whole) // 2])
    (clean / "<b>text&.jpg").write_text("no picture")
    moving = [picture("green", n) for n in (50, 51)]
    moving[0].save(clean / "moving.webp", save_all=True, append_images=moving[1:])
    picture("green", 60).save(clean / "named_wrongly.jpg", format="PNG")
    header = bytearray(whole)
    header[16:24] = (60000).to_bytes(4, "big") * 2  # a picture of 3.6 gigapixels, it says
    (clean / "giant.png").write_bytes(bytes(header))
    out = tmp_path / "out"
    assert call(photos, *ASKED, "--truth", "green", "--out", out) == 0
    record = json.loads((out / "run.json").read_text())
    skipped = {entry["file"] for entry in record["skipped"]}
    names = {"empty.jpg", "cut.png", "<b>text&.jpg", "moving.webp", "giant.png"}
    assert skipped == {f"clean/{name}" for name in names}
    assert record["photographs"] == 19
    page = (out / "captures.html").read_text()
    assert "<b>text" not in page
    assert "&lt;b&gt;text&amp;.jpg" in page


def test_heic_and_zip(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    stream = io.BytesIO()
    picture("green", 5, (64, 96)).save(stream, format="HEIF", quality=95)
    found = decode_photograph("phone.HEIC", stream.getvalue())
    assert found.rgb.shape == (64, 96, 3)
    assert np.abs(found.rgb.mean(axis=(0, 1)) - COLOURS["green"]).max() < 6
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in photos.rglob("*.png"):
            archive.write(path, path.relative_to(photos).as_posix())
    names = [file.name for file in photo_files(tmp_path / "all.zip")]
    assert names == [file.name for file in photo_files(photos)]
    out = tmp_path / "zipped"
    assert call(tmp_path / "all.zip", *ASKED, "--truth", "green", "--out", out) == 0
    assert len(pl.read_parquet(out / "trials.parquet")) == 18


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "nothing says what is right to read"),
        (["--truth", "purple"], 1, "no such class"),
        (["--truth", "green", "--target", "purple"], 1, "no such class"),
        (["--truth", "green", "--treatment", "sticker"], 2, "sticker"),
        (["--truth", "green", "--by", "light"], 2, "no --manifest"),
        (["--truth", "green", "--same", "a"], 2, "NAME=VALUE"),
        (["--truth", "green", "--camera", "none.json"], 1, "no such file"),
        (["--truth", "green", "--boxes", "none.json"], 1, "no such file"),
    ],
)
def test_wrong_requests(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    message: str,
) -> None:
    assert call(photos, *ASKED, "--out", tmp_path / "out", *words) == code
    assert message in capsys.readouterr().err


def test_a_class_that_a_victim_lacks_is_told_before_any_photograph_is_read(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"clean/{n}.png,green" for n in range(5)] + ["noise/5.png,purple"]
    (tmp_path / "shots.csv").write_text("\n".join(["file,true_class", *rows]) + "\n")
    words = ["--manifest", tmp_path / "shots.csv", "--truth", "green", "--workers", "1"]
    assert call(photos, *ASKED, *words, "--out", tmp_path / "out") == 1
    assert "no such class" in capsys.readouterr().err
    assert not (tmp_path / "out" / "thumbs").exists()


def test_nothing_usable_is_an_error(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flat").mkdir()
    picture("green", 0).save(tmp_path / "flat" / "a.png")
    assert call(tmp_path / "flat", *ASKED, "--truth", "green", "--out", tmp_path / "o") == 1
    assert "its treatment is not clear" in capsys.readouterr().err
    assert call(tmp_path / "nowhere", *ASKED, "--truth", "green", "--out", tmp_path / "o") == 1


class _Told:
    """What a detector would say, to hold the matching of places against."""

    def __init__(self, *found: tuple[float, float, float, float, float, int]) -> None:
        rows = np.array(found, dtype=np.float64).reshape(-1, 6)
        self.found = Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))

    def detect(self, pictures: list[np.ndarray], confidence: float) -> list[Detections]:
        kept = self.found.scores >= confidence
        found = Detections(
            self.found.boxes[kept], self.found.scores[kept], self.found.classes[kept]
        )
        return [found for _ in pictures]


@pytest.mark.realdata
def test_where_a_detector_s_boxes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    victim = load_detector("yolov8n")
    stop, person = victim.first_known(["stop sign"]), victim.first_known(["person"])
    told = _Told((10, 10, 50, 50, 0.9, stop), (100, 100, 150, 200, 0.8, person))
    monkeypatch.setattr(type(victim), "detect", lambda self, *given: told.detect(*given))
    frame = [np.zeros((240, 320, 3), np.uint8)]

    def read(**how: object) -> str:
        wanted = Wanted(("stop sign",), ("person",), **how)  # type: ignore[arg-type]
        (found,) = read_objects(victim, frame, [wanted])
        return f"{found.verdict} {found.predicted}"

    assert read() == "hit stop sign"
    assert read(box=np.array([12.0, 12, 52, 52])) == "hit stop sign"
    assert read(box=np.array([200.0, 12, 252, 52])) == "missed nothing"
    assert read(box=np.array([102.0, 100, 150, 195])) == "target person"
    assert read(point=np.array([30.0, 30])) == "hit stop sign"
    assert read(point=np.array([120.0, 150])) == "target person"
    assert read(point=np.array([300.0, 30])) == "missed nothing"
    either = Wanted(("stop sign",), ("car", "person"), box=np.array([102.0, 100, 150, 195]))
    (found,) = read_objects(victim, frame, [either])
    assert (found.verdict, found.predicted) == ("target", "person")
    nothing = Wanted((NOTHING,), ("person",), point=np.array([120.0, 150]))
    (found,) = read_objects(victim, frame, [nothing])
    assert (found.verdict, found.predicted) == ("target", "person")
    chain = ChainVictim(victim, load_victim("gtsrb-cnn"))
    both = Wanted(("stop sign", "Stop"), box=np.array([12.0, 12, 52, 52]))
    check_classes(chain, both)
    (seen,) = read_objects(chain, frame, [both])
    assert seen.predicted in chain.classifier.class_names
    away = Wanted(("stop sign", "Stop"), box=np.array([200.0, 12, 252, 52]))
    assert read_objects(chain, frame, [away])[0].verdict == "missed"
    with pytest.raises(UserError, match="no such class"):
        check_classes(victim, Wanted(("Stop",)))


@pytest.mark.realdata
def test_real_captures(tmp_path: Path) -> None:
    """Real no-entry signs by cell, and real stop signs in boxes."""
    import os

    data = Path(os.environ["PHYSADV_DATA"]) / "data"
    root, out = data / "noentry_capture_grid", tmp_path / "noentry"
    words = ["--manifest", root / "labels.csv", "--column", "yaw_deg=angle_deg", "--by", "time"]
    words += ["--truth", "No entry", "--treatment", "clean", "--victim", "gtsrb-cnn"]
    assert call(root / "images.zip", *words, "--out", out) == 0
    trials = pl.read_parquet(out / "trials.parquet")
    assert len(trials) == 1132
    assert trials["cell"].n_unique() == 18
    by = trials.with_columns(pl.col("cell").str.contains("morning").alias("day"))
    hits = {day: rows["verdict"].eq("hit").mean() for (day,), rows in by.group_by("day")}
    assert hits[True] > 0.95
    assert hits[False] < hits[True]
    signs, out = data / "stop_signs", tmp_path / "signs"
    words = ["--boxes", signs / "annotations.json", "--truth", "stop sign", "--treatment", "clean"]
    assert call(signs, *words, "--victim", "yolov8n", "--out", out) == 0
    read = pl.read_parquet(out / "trials.parquet")
    assert len(read) == 129  # of 130 boxes; one photograph is there twice
    assert read["verdict"].eq("hit").mean() > 0.6


def test_a_plan_without_runs_says_nothing_of_a_photograph() -> None:
    plan = CapturePlan()
    assert plan.shots_of("a/b.jpg")[0].file == "a/b.jpg"
    assert plan.printed_of(None) is None
