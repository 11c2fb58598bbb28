"""evaluate drive-by as a user types it: on drawn films whose every answer is known."""

import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from commandline import call_physadv

from physadv.checks import UserError
from physadv.data.boxes import FrameBox, read_boxes, write_boxes
from physadv.data.files import find_external
from physadv.data.video import open_video
from physadv.data.videowriter import write_video
from physadv.evaluate.capture_plan import Printed
from physadv.evaluate.drive_by import judge_film
from physadv.evaluate.drive_film import annotated_path
from physadv.evaluate.drive_plan import DrivePlan, FilmCase
from physadv.evaluate.matching import overlaps
from physadv.evaluate.trials import load_trials

call = partial(call_physadv, "evaluate", "drive-by")

FPS, FRAMES, SIZE = 10, 60, (240, 320)
VICTIM = """
import os
import torch

class Blue(torch.nn.Module):
    '''Reads a stop sign in a red crop and the target in a blue one; counts what it is shown.'''
    input_px = 8
    class_names = ("stop sign", "go")

    def forward(self, images):
        if (path := os.environ.get("SHOWN")):
            with open(path, "a") as stream:
                stream.write("x" * len(images))
        red, _, blue = images.mean(dim=(2, 3)).unbind(1)
        return 20 * torch.stack([red - blue, blue - red], dim=1)

def make():
    return Blue()
"""


def _box(index: int) -> np.ndarray:
    """A sign of 0.6 m that comes from 24 m to 6 m, for a focal length of 400 px."""
    height = 400 * 0.6 / (24 - 0.3 * index)
    middle = np.array([160 + height, 120.0])
    return np.concatenate([middle - height / 2, middle + height / 2])


def _film(path: Path, fooled: set[int]) -> None:
    frames = []
    for index in range(FRAMES):
        picture = np.full((*SIZE, 3), 120, np.uint8)
        left, top, right, bottom = np.rint(_box(index)).astype(int)
        picture[top:bottom, left:right] = (30, 30, 220) if index in fooled else (220, 30, 30)
        frames.append((index / FPS, picture))
    write_video(path, iter(frames), crf=4)


@pytest.fixture(scope="module")
def drives(tmp_path_factory) -> Path:
    """Films of a sign that is read wrongly in known frames, their boxes, a victim."""
    folder = tmp_path_factory.mktemp("drives")
    fooled = {"clean": set(), "noise": {10, 11, 30}, "adversarial": set(range(48))}
    rows = []
    for name, wrong in fooled.items():
        _film(folder / f"{name}.mp4", wrong)
        rows.append((f"{name}.mp4", [FrameBox(n, _box(n)) for n in range(FRAMES)]))
    write_boxes(folder / "boxes.csv", rows)
    (folder / "blue_victim.py").write_text(VICTIM)
    return folder


@pytest.fixture
def at_drives(drives, monkeypatch) -> Path:
    monkeypatch.chdir(drives)
    monkeypatch.syspath_prepend(str(drives))
    # Worker processes find the victim as a user's shell would let them.
    paths = [str(drives), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return drives


COMMON = (
    *("--victim", "blue_victim:make", "--truth", "stop sign", "--target", "go"),
    *("--boxes", "boxes.csv", "--every", 2, "--object-height-mm", 600, "--fov-deg", 43.6028),
)
FILMS = ("clean.mp4", "noise.mp4", "adversarial.mp4")


def test_every_figure_is_the_one_that_was_drawn(at_drives, tmp_path, capsys):
    out = tmp_path / "out"
    assert call(*FILMS, *COMMON, "--speed-kmh", 10.8, "--speed-kmh", 30, "--out", out) == 0
    written = json.loads((out / "run.json").read_text())
    films = {film["film"]: film for film in written["films"]}
    adversarial = films["adversarial.mp4"]
    assert (adversarial["samples"], adversarial["target"], adversarial["hit"]) == (30, 24, 6)
    # Looks at frames 0, 2, .. 58; the first right one is 48, the third in five is 52.
    assert adversarial["first_hit_s"] == pytest.approx(4.8)
    assert adversarial["first_hit_m"] == pytest.approx(24 - 0.3 * 48, rel=0.01)
    assert adversarial["confirmed_m"] == pytest.approx(24 - 0.3 * 52, rel=0.01)
    assert adversarial["target_confirmed_s"] == pytest.approx(0.4)
    assert adversarial["longest_missed_s"] == pytest.approx(4.8)
    slow, fast = adversarial["speeds"]
    # 3 m/s, as driven: braking point 3 + 9 / 8 m. 30 km/h: 17 m, in which it still read "go".
    assert slow["braking_m"] == pytest.approx(4.125)
    assert slow["in_time"] is True
    assert slow["looks"] == 30
    assert fast["in_time"] is False
    noise = films["noise.mp4"]
    assert (noise["hit"], noise["target"]) == (28, 2)  # frames 10 and 30; 11 is not looked at
    assert [one["in_time"] for one in films["clean.mp4"]["speeds"]] == [True, True]
    trials = load_trials(out / "trials.parquet")
    assert trials.height == 90
    row = trials.filter((pl.col("group") == "noise.mp4") & (pl.col("frame") == 30)).row(
        0, named=True
    )
    assert (row["verdict"], row["treatment"], row["source"]) == ("target", "noise", "video")
    assert row["distance_m"] == pytest.approx(15.0, rel=0.01)
    told = capsys.readouterr().out
    assert "24/30" in told
    assert str(out / "drive_by.html") in told
    page = (out / "drive_by.html").read_text()
    assert "adversarial" in page
    assert "24/30" in page
    table = pl.read_csv(out / "films.csv")
    # At 30 km/h the noise print is known in time or not, by when the first look falls.
    assert table["in_time_at_30_kmh"].to_list() == [True, None, False]


def test_nothing_is_looked_at_twice_and_processes_make_no_difference(
    at_drives, tmp_path, monkeypatch
):
    shown = tmp_path / "shown"
    monkeypatch.setenv("SHOWN", str(shown))
    first, second = tmp_path / "one", tmp_path / "two"
    assert call("clean.mp4", *COMMON, "--out", first) == 0
    once = len(shown.read_text())
    assert once in (30, 31)  # a victim is tried once when it is loaded
    assert call(*FILMS, *COMMON, "--out", first, "--annotate") == 0
    assert len(shown.read_text()) == once + 60
    assert call(*FILMS, *COMMON, "--out", first) == 0
    assert len(shown.read_text()) == once + 60
    assert call(*FILMS, *COMMON, "--out", second, "--workers", 2) == 0
    assert once + 150 <= len(shown.read_text()) <= once + 152
    assert load_trials(first / "trials.parquet").equals(load_trials(second / "trials.parquet"))
    (path,) = (first / "annotated").glob("adversarial_blue_victim_make_*.mp4")
    drawn = open_video(path)
    frames = list(drawn.frames())
    assert [frame.time_s for frame in frames] == pytest.approx([0.2 * n for n in range(30)])
    assert frames[0].rgb.shape == (*SIZE, 3)


def test_what_was_judged_before_a_fault_is_kept_and_said(at_drives, tmp_path, capsys):
    data = bytearray((at_drives / "adversarial.mp4").read_bytes())
    begin = data.index(b"mdat") + 4
    middle = begin + 4 * (len(data) - begin) // 5
    data[middle : middle + 300] = bytes(300)
    (at_drives / "adversarial_damaged.mp4").write_bytes(data)
    text = (at_drives / "boxes.csv").read_text()
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(text.replace("adversarial.mp4", "adversarial_damaged.mp4"))
    words = [boxes if word == "boxes.csv" else word for word in COMMON]
    out = tmp_path / "out"
    assert call("adversarial_damaged.mp4", *words, "--out", out) == 0
    told = capsys.readouterr().out
    assert "as far as it can be read: damaged after frame" in told
    film = json.loads((out / "run.json").read_text())["films"][0]
    assert "damaged" in film["fault"]
    assert 0 < film["samples"] < 30


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["absent_clean.mp4", *COMMON], 1, "no such file"),
        (["clean.mp4", *COMMON, "--boxes", "absent.csv"], 1, "absent.csv"),
        (["clean.mp4", *COMMON[:6], "--finder", "nosuch"], 2, "nosuch"),
        (["clean.mp4", *COMMON, "--finder", "yolov8n"], 2, "boxes say"),
        (["clean.mp4", *COMMON, "--fps", 0], 1, "fps"),
        (["clean.mp4", *COMMON, "--confirm", "5"], 2, "3/5"),
        (["clean.mp4", *COMMON, "--confirm", "5/3"], 1, "M/N"),
        (["clean.mp4", *COMMON, "--follow", "best"], 2, "largest"),
        (["clean.mp4", *COMMON[:8], "--object-height-mm", 600], 2, "--fov-deg"),
        (["clean.mp4", *COMMON[:8], "--fov-deg", 60], 2, "--object-height-mm"),
        (["clean.mp4", *COMMON, "--treatment", "nice"], 2, "adversarial"),
        (["clean.mp4", "clean.mp4", *COMMON], 1, "given twice"),
        (["clean.mp4", *COMMON[:2], "--truth", "yield", *COMMON[4:]], 1, "no such class"),
        (["clean.mp4", *COMMON[:4], "--target", "gp", *COMMON[6:]], 1, "--target 'gp'"),
        (["clean.mp4", *COMMON, "--treatment", "noise"], 1, "says clean"),
        (["clean.mp4", *COMMON, "--log-start-s", 3], 2, "--speed-log"),
        (["clean.mp4", "--victim", "blue_victim:make", "--boxes", "boxes.csv"], 2, "--truth"),
        (["clean.mp4", *COMMON, "--speed-log", "boxes.csv"], 1, "time_s"),
        (["clean.mp4", *COMMON, "--distance-at", "soon"], 2, "TIME=METRES"),
        (["camera:0", *COMMON, "--treatment", "clean"], 2, "DETECTOR+CLASSIFIER"),
        ([*COMMON], 2, "--manifest"),
        ([*COMMON, "--manifest", "absent.csv"], 2, "one or the other"),
    ],
)
def test_mistakes_are_told_in_one_line(at_drives, tmp_path, capsys, monkeypatch, words, code, told):
    monkeypatch.delenv("PHYSADV_DATA", raising=False)
    assert call(*words, "--out", tmp_path / "out") == code
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert told in error


def test_boxes_of_another_film_and_an_unwritable_folder(at_drives, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert call("clean.mp4", *COMMON, "--out", tmp_path / "file") == 1
    assert "output folder" in capsys.readouterr().err
    wide = tmp_path / "wide.csv"
    write_boxes(wide, [("clean.mp4", [FrameBox(0, np.array([0.0, 0, 900, 90]))])])
    words = [wide if word == "boxes.csv" else word for word in COMMON]
    assert call("clean.mp4", *words, "--out", tmp_path / "out") == 1
    assert "320 x 240" in capsys.readouterr().err
    late = tmp_path / "late.csv"
    write_boxes(late, [("clean.mp4", [FrameBox(n, _box(5)) for n in range(200)])])
    words = [late if word == "boxes.csv" else word for word in COMMON]
    assert call("clean.mp4", *words, "--out", tmp_path / "out") == 1
    assert "60 frames" in capsys.readouterr().err
    assert not (tmp_path / "out" / "looks").exists()  # told before the film is looked at


def test_a_speed_log_gives_distances(at_drives, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("time_s,speed_kmh\n99,10.8\n110,10.8\n")
    words = COMMON[:10]
    log_words = ("--speed-log", log, "--log-start-s", 100)
    out = tmp_path / "out"
    assert call("clean.mp4", *words, *log_words, "--distance-at", "1=21", "--out", out) == 0
    found = load_trials(out / "trials.parquet")["distance_m"].to_numpy()
    assert found == pytest.approx([24 - 0.6 * n for n in range(30)], abs=1e-6)
    # Without a known moment, what is seen says where the sign is.
    again = tmp_path / "again"
    assert call("clean.mp4", *COMMON, *log_words, "--out", again) == 0
    found = load_trials(again / "trials.parquet")
    assert found["pose_source"].unique().to_list() == ["speed log"]
    expected = [24 - 0.6 * n for n in range(30)]
    assert found["distance_m"].to_numpy() == pytest.approx(expected, abs=0.1)


@pytest.mark.realdata
def test_a_real_sign_is_followed(tmp_path):
    video = find_external("data/videos/driveby_stop_sign_A.mp4")
    given = read_boxes(find_external("data/videos/stop_sign_boxes.csv"), video.name)
    words = ("--victim", "yolov8n", "--truth", "stop sign", "--treatment", "clean")
    out = tmp_path / "out"
    assert call(video, *words, "--every", 4, "--out", out, "--json") == 0
    written = json.loads((out / "run.json").read_text())
    (film,) = written["films"]
    assert film["track"]["finder"] == "yolov8n"
    assert [film["track"][name] for name in ("samples", "of", "sighted")] == [49, 49, 49]
    assert film["hit"] >= 48
    (log,) = (out / "looks").glob("*.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    good = 0
    for frame, _, rows in lines[1:-1]:
        signs = np.array([row[:4] for row in rows if row[5] == 11])
        good += bool((overlaps(given[frame].box, signs) >= 0.7).any())
    assert good >= 0.95 * 49


@pytest.mark.realdata
def test_scores_of_a_real_network_are_the_same_bits_however_many_look(tmp_path):
    """One network thread or three in this process, or two processes: logs of the same bytes."""
    film = find_external("data/videos/driveby_stop_sign_A.mp4")
    other = find_external("data/videos/dashcam_highway_short.mp4")
    words = ("--victim", "yolov8n", "--truth", "stop sign", "--treatment", "clean", "--fps", 1)
    seen, trials = [], []
    for name, threads, workers in (("one", 1, 1), ("three", 3, 1), ("processes", 2, 2)):
        torch.set_num_threads(threads)
        films = (film, other) if workers > 1 else (film,)
        assert call(*films, *words, "--workers", workers, "--out", tmp_path / name) == 0
        found = load_trials(tmp_path / name / "trials.parquet")
        trials.append(found.filter(pl.col("group") == film.name))
        logs = (tmp_path / name / "looks").glob("*.jsonl")
        seen.append({log.name: log.read_bytes() for log in logs})
    assert len(trials[0]) >= 6
    assert trials[0].equals(trials[1])
    assert trials[0].equals(trials[2])
    (name,) = seen[0]
    assert seen[0][name] == seen[1][name] == seen[2][name]


@pytest.mark.realdata
def test_a_film_without_the_object_is_counted_as_never_confirmed(at_drives, tmp_path, capsys):
    out = tmp_path / "out"
    words = ("--victim", "yolov8n", "--truth", "stop sign", "--every", 30)
    assert call("clean.mp4", "noise.mp4", *words, "--out", out) == 0
    written = json.loads((out / "run.json").read_text())
    assert [film["confirmed_s"] for film in written["films"]] == [None, None]
    assert [film["track"]["of"] for film in written["films"]] == [2, 2]
    found = written["results"][0]["treatments"]
    assert found["clean"]["never_confirmed"]["k"] == 1
    assert found["clean"]["not_read"]["n"] == 0
    assert "never found" in (out / "drive_by.html").read_text()


def test_one_film_that_fails_does_not_cost_the_others(at_drives, tmp_path, capsys):
    (at_drives / "blank.mp4").write_bytes(b"no film")
    out = tmp_path / "out"
    assert call("clean.mp4", "blank.mp4", *COMMON, "--out", out, "--json") == 0
    written = json.loads(capsys.readouterr().out)
    assert [film["film"] for film in written["films"]] == ["clean.mp4"]
    assert "not a video" in written["skipped"][0]["reason"]
    assert len(written["films"][0]["sha256"]) == 64


def test_a_film_that_cannot_be_drawn_costs_no_other(at_drives, tmp_path, capsys):
    out = tmp_path / "out"
    in_its_place = annotated_path(out, "clean.mp4", "blue_victim:make")
    in_its_place.mkdir(parents=True)
    assert call("clean.mp4", "noise.mp4", *COMMON, "--annotate", "--out", out) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "clean.mp4 was judged, but not drawn: write" in told
    written = json.loads((out / "run.json").read_text())
    assert [film["film"] for film in written["films"]] == ["clean.mp4", "noise.mp4"]
    (lost,) = written["not_drawn"]
    assert lost["film"] == "clean.mp4"
    assert "not a regular file" in lost["reason"]
    drawn = annotated_path(out, "noise.mp4", "blue_victim:make")
    assert len(list(open_video(drawn).frames())) == 30


def test_a_runs_target_that_no_victim_knows_is_said_and_a_typed_one_refused(at_drives, tmp_path):
    """A run against a classifier may be shown to a detector: it can miss the sign all the same."""
    printed = Printed("run", "0" * 64, ("stop sign",), "Speed limit (80km/h)", False, True)
    case = FilmCase("clean.mp4", "clean.mp4", "clean", Path("boxes.csv"))
    plan = DrivePlan(("blue_victim:make",), ("stop sign",), printed.target, printed, every=20)
    drive = judge_film(case, plan, tmp_path)
    assert [trial.verdict for trial in drive.trials] == ["hit"] * 3
    (record,) = drive.records
    assert any("no victim has a class 'Speed limit (80km/h)'" in note for note in record["notes"])
    with pytest.raises(UserError, match="no victim has a class of that name"):
        judge_film(case, replace(plan, printed=None), tmp_path)
    with pytest.raises(UserError, match="no victim has a class of that name"):
        judge_film(case, replace(plan, target="yield"), tmp_path)
