"""evaluate digital: a victim whose robust accuracy is known at every budget, and wrong requests."""

import json
import linecache
import sys
from functools import partial

import numpy as np
import polars as pl
import pytest
from commandline import call_physadv
from PIL import Image

from physadv.digital.catalog import ATTACKS
from physadv.evaluate.digital_plan import plan_attacks
from physadv.report.digital import summarise_digital, worst_case

MARGINS = (2, 5, 9, 14, 20)  # 8-bit steps by which each picture's red is above the border
FACTORY = """
import torch

class Red(torch.nn.Module):
    input_px = 16
    border = 100

    def forward(self, images):
        red = 100 * (images[:, 0].mean(dim=(1, 2)) - self.border / 255)
        return torch.stack([-red, red], dim=1)

def make():
    return Red()

def make_lower():
    lower = Red()
    lower.border = 98
    return lower

def make_opposite():
    class Opposite(Red):
        def forward(self, images):
            return -super().forward(images)

    return Opposite()
"""


call = partial(call_physadv, "evaluate", "digital")


@pytest.fixture
def reds(tmp_path, monkeypatch):
    """Two class folders: below and above the border; one picture is on the wrong side."""
    (tmp_path / "red_victim.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    data = tmp_path / "data"
    for name in ("a_low", "b_high"):
        (data / name).mkdir(parents=True)
    for margin in MARGINS:
        high = np.full((16, 16, 3), 100 + margin, np.uint8)
        Image.fromarray(high).save(data / "b_high" / f"{margin:02d}.png")
    Image.fromarray(np.full((16, 16, 3), 130, np.uint8)).save(data / "a_low" / "wrong.png")
    return data


def test_accuracy_at_every_budget_is_the_known_one(reds, tmp_path, capsys):
    out = tmp_path / "out"
    budgets = (3, 10, 30)
    words = [word for steps in budgets for word in ("--eps", steps / 255)]
    attacks = ["--attack", "fgsm", "--attack", "deepfool"]
    victim = ["--victim", "red_victim:make", "--data", reds, "--out", out]
    assert call(*victim, *attacks, *words, "--device", "cpu") == 0
    record = json.loads((out / "run.json").read_text())
    told = {entry["attack"]: entry for entry in record["attacks"]}
    for steps in budgets:
        entry = told[f"fgsm {steps / 255:g}"]
        expected = sum(margin < steps for margin in MARGINS)
        assert (entry["success"]["k"], entry["success"]["n"]) == (expected, len(MARGINS))
        assert (entry["accuracy"]["k"], entry["accuracy"]["n"]) == (5 - expected, 6)
        assert entry["statuses"]["already wrong"] == 1
    assert told["deepfool"]["success_8bit"]["k"] == 5
    samples = pl.read_parquet(out / "digital.parquet")
    least = samples.filter((pl.col("attack") == "deepfool") & pl.col("success"))["linf"].sort()
    # After rounding to 8 bits the border is crossed by the next whole step at the latest.
    assert (least.to_numpy() * 255 >= np.array(MARGINS) - 1e-3).all()
    assert (least.to_numpy() * 255 <= np.array(MARGINS) + 1.01).all()
    page = (out / "digital.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "worst case within linf 0.117647: read rightly 0/6" in capsys.readouterr().out


def test_transfer_is_the_known_one(reds, tmp_path, capsys):
    """A whole step of eps is made against either victim; their borders are two grey levels apart.

    Of the five pictures that both read, 2, 5, 9, 14 and 20 levels above the one border, those fool
    a victim that are nearer to its own border than eps.
    """
    out = tmp_path / "out"
    words = ["--attack", "fgsm", "--eps", 3 / 255, "--eps", 10 / 255, "--device", "cpu"]
    victims = ["--victim", "red_victim:make", "--transfer-to", "red_victim:make_lower"]
    assert call(*victims, "--data", reds, "--out", out, *words) == 0
    told = json.loads((out / "run.json").read_text())["transfers"]
    counted = {
        (one["attack"], one["made_on"][-5:], one["judged_by"][-5:]): one["fooled"] for one in told
    }
    assert all(rate["n"] == 5 for rate in counted.values())
    for eps, made_on, judged_by, expected in (
        (3, ":make", ":make", 1),
        (3, ":make", "lower", 0),
        (3, "lower", ":make", 1),
        (3, "lower", "lower", 0),
        (10, ":make", ":make", 3),
        (10, ":make", "lower", 2),
        (10, "lower", ":make", 3),
        (10, "lower", "lower", 2),
    ):
        assert counted[f"fgsm {eps / 255:g}", made_on, judged_by]["k"] == expected
    rows = pl.read_parquet(out / "transfers.parquet")
    assert len(rows) == 2 * 2 * 2 * 5
    assert "fools red_victim:make_lower" in capsys.readouterr().out
    assert "Fools red_victim:make_lower" in (out / "digital.html").read_text()


def test_what_is_learnt_of_other_images_fools_those_attacked(reds, tmp_path, capsys):
    """One shift of the red for all: ten levels are enough for every picture nearer than that."""
    out = tmp_path / "out"
    words = ["--victim", "red_victim:make", "--data", reds, "--learn-from", "3", "--seed", "2"]
    attacks = ["--attack", "universal", "--attack", "substitute", "--eps", 10 / 255]
    assert call(*words, *attacks, "--out", out, "--device", "cpu") == 0
    record = json.loads((out / "run.json").read_text())
    assert (record["images"], record["learnt_from"]) == (3, 3)
    samples = pl.read_parquet(out / "digital.parquet")
    told = capsys.readouterr().out
    assert "universal 0.0392157: learnt on 3 other images" in told
    assert "red_victim:make was asked for 96 labels first, beginning with 3 other images" in told
    tried = samples.filter(pl.col("status") != "already wrong")
    rows = tried.filter(pl.col("attack") == "universal")
    moved = tried.filter(pl.col("attack") == "substitute")
    assert moved["linf"].to_numpy() == pytest.approx(10 / 255, abs=1e-6)
    assert len(rows) == len(moved) >= 2
    with np.load(out / "examples.npz") as kept:
        clean, made = kept["universal 0.0392157"][:, 0], kept["universal 0.0392157"][:, 1]
    assert np.ptp(made - clean, axis=0).max() < 1e-6
    assert rows["success"].sum() == len(clean) >= 1


def test_options_reach_the_attacks_that_have_them():
    tasks = plan_attacks(
        ["pgd", "apgd", "carlini-wagner", "pgd"],
        [0.2, 0.1],
        "l2",
        {"restarts": 3, "loss": "dlr", "objective": "f2", "step_size": 0.5, "steps": None},
        seed=4,
    )
    assert [task.title for task in tasks] == [
        "pgd 0.1",
        "pgd 0.2",
        "apgd 0.1",
        "apgd 0.2",
        "carlini-wagner",
    ]
    assert tasks[0].options == {
        "restarts": 3,
        "loss": "dlr",
        "step_size": 0.5,
        "seed": 4,
        "norm": "l2",
        "eps": 0.1,
    }
    assert tasks[2].options.keys() == {"restarts", "loss", "seed", "norm", "eps"}
    assert tasks[4].options == {"objective": "f2", "step_size": 0.5}


def test_another_victim_does_not_go_on_with_what_was_interrupted(
    reds, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    words = ["--victim", "red_victim:make", "--data", reds, "--out", out, "--device", "cpu"]
    attacks = ["--attack", "fgsm", "--attack", "ddn", "--eps", 10 / 255]
    monkeypatch.setattr("physadv.evaluate.digital_lessons.ATTACKS", {**ATTACKS, "ddn": _interrupt})
    assert call(*words, *attacks) == 1
    assert "the same command goes on" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "red_victim.py").write_text(FACTORY.replace("border = 100", "border = 102"))
    del sys.modules["red_victim"]
    linecache.clearcache()
    assert call(*words, *attacks) == 1
    assert "another evaluation was interrupted there" in capsys.readouterr().err
    (tmp_path / "red_victim.py").write_text(FACTORY)
    del sys.modules["red_victim"]
    linecache.clearcache()
    assert call(*words, *attacks) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "digital.html",
        "digital.parquet",
        "examples.npz",
        "run.json",
    ]


def _interrupt(*_, **__):
    raise KeyboardInterrupt


def test_transfer_to_a_victim_that_reads_nothing_says_so(reds, tmp_path, capsys):
    out = tmp_path / "out"
    victims = ["--victim", "red_victim:make", "--transfer-to", "red_victim:make_opposite"]
    assert call(*victims, "--data", reds, "--out", out, "--attack", "fgsm", "--eps", 0.1) == 0
    assert "no image is read as labelled by every victim" in capsys.readouterr().out
    assert "No image is read as labelled" in (out / "digital.html").read_text()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--attack", "fgsm"], 2, "no budget"),
        (["--attack", "zzz", "--eps", "0.1"], 2, "attack 'zzz'"),
        (["--attack", "momentum", "--eps", "0.1", "--norm", "l2"], 2, "linf"),
        (["--attack", "fgsm", "--eps", "-1"], 1, "eps"),
        (["--attack", "fgsm", "--eps", "2"], 1, "eps"),
        (["--attack", "pgd", "--eps", "0.1", "--loss", "targeted-dlr"], 2, "cross-entropy"),
        (["--attack", "carlini-wagner", "--objective", "f8"], 2, "f7"),
        (["--attack", "noise", "--eps", "0.1", "--noise-kind", "pink"], 2, "salt-and-pepper"),
        (["--attack", "fgsm", "--eps", "0.1", "--restarts", "2"], 2, "no use to fgsm"),
        (["--attack", "universal", "--eps", "0.1", "--learn-from", "6"], 1, "6 images were read"),
        (["--attack", "fgsm", "--eps", "0.1", "--transfer-to", "zzz"], 2, "victim 'zzz'"),
        (["--attack", "fgsm", "--eps", "0.1", "--transfer-to", "red_victim:make"], 2, "twice"),
        (["--attack", "fgsm", "--eps", "0.1", "--transfer-to", "gtsrb-cnn"], 1, "of these classes"),
    ],
)
def test_wrong_requests(reds, tmp_path, capsys, words, code, message):
    victim = ["--victim", "red_victim:make", "--data", reds, "--out", tmp_path / "out"]
    assert call(*victim, *words) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_results_are_never_written_over(reds, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept.txt").write_text("x")
    attack = ["--attack", "fgsm", "--eps", "0.1"]
    assert call("--victim", "red_victim:make", "--data", reds, "--out", out, *attack) == 1
    assert "it is not empty" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["kept.txt"]


def test_a_victim_of_other_classes_is_refused(reds, tmp_path, capsys):
    attack = ["--attack", "fgsm", "--eps", "0.1", "--out", tmp_path / "out"]
    assert call("--victim", "gtsrb-cnn", "--data", reds, *attack) == 1
    assert "Give a victim of these classes" in capsys.readouterr().err


@pytest.mark.realdata
def test_mnist_and_gtsrb(tmp_path):
    import os

    data = os.environ["PHYSADV_DATA"]
    for victim, name in (("mnist-lenet", "mnist"), ("gtsrb-cnn", "gtsrb")):
        out = tmp_path / name
        words = ["--victim", victim, "--data", f"{data}/data/{name}", "--out", out]
        assert call(*words, "--attack", "pgd", "--eps", "0", "--eps", "0.3", "--count", "24") == 0
        still, far = json.loads((out / "run.json").read_text())["attacks"]
        assert still["success"]["k"] == 0
        assert still["accuracy"]["k"] >= 22
        assert far["success"]["k"] >= 20


@pytest.mark.realdata
def test_a_detector_misses_people_in_pictures_that_are_kept(tmp_path, capsys):
    import os

    data = f"{os.environ['PHYSADV_DATA']}/data/persons_pennfudan/annotations.json"
    out = tmp_path / "out"
    words = ["--victim", "yolov8n", "--data", data, "--out", out, "--count", "1", "--steps", "6"]
    assert call(*words, "--attack", "pgd", "--attack", "noise", "--eps", 8 / 255) == 0
    record = json.loads((out / "run.json").read_text())
    found = {
        (one["shown"].split()[0], one["confidence"]): one["found"] for one in record["sightings"]
    }
    assert found["clean", 0.5]["k"] == found["noise", 0.5]["k"] == found["clean", 0.5]["n"]
    assert found["pgd", 0.5]["k"] < found["clean", 0.5]["k"]
    assert len(list((out / "pictures").iterdir())) == 2
    assert "found" in capsys.readouterr().out


def test_a_target_is_the_only_success_and_its_own_images_are_left_out(reds, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["--victim", "red_victim:make", "--data", reds, "--target", "0", "--device", "cpu"]
    assert call(*words, "--attack", "fgsm", "--eps", 10 / 255, "--out", out) == 0
    record = json.loads((out / "run.json").read_text())
    assert record["images"] == 5
    assert record["attacks"][0]["success"]["k"] == sum(margin < 10 for margin in MARGINS)
    assert "to be read as" in (out / "digital.html").read_text()
    for more in (["--attack", "deepfool"], ["--attack", "ddn", "--transfer-to", "red_victim:make"]):
        assert call(*words, *more, "--out", tmp_path / "other") == 2
        assert "target" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_third_class_is_no_success_and_is_not_read_rightly_either():
    samples = pl.DataFrame(
        {
            "attack": ["pgd"] * 3,
            "eps": [0.1] * 3,
            "image": [0, 1, 2],
            "group": ["0", "1", "2"],
            "label": [0, 0, 0],
            "clean_prediction": [0, 0, 0],
            "clean_top5": [True] * 3,
            "top5": [True] * 3,
            "prediction": [0, 1, 2],  # the target is 2
            "success": [False, False, True],
            "misread": [False, True, True],
            "success_8bit": [False, False, True],
            "status": ["failed", "failed", "succeeded"],
            "linf": [0.1] * 3,
            "forwards": [1] * 3,
            "backwards": [1] * 3,
        }
    )
    (summary,) = summarise_digital(samples, "linf")
    assert (summary.success.k, summary.after.k) == (1, 1)
    assert worst_case(samples, "linf", 0.1).k == 1
    assert worst_case(samples, "linf", 0.05).k == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "x.json", "--attack", "pgd", "--eps", "0.1", "--loss", "dlr"], "classifiers"),
        (["--data", "x.json", "--attack", "deepfool"], "pgd, noise"),
        (["--data", "x.json", "--attack", "pgd"], "no budget"),
        (["--data", "x.json", "--attack", "pgd", "--eps", "0.1", "--norm", "l2"], "linf"),
        (["--data", "x.json", "--attack", "pgd", "--eps", "0.1", "--transfer-to", "y"], "linf"),
    ],
)
def test_wrong_requests_to_detectors(tmp_path, capsys, words, message):
    assert call("--victim", "yolov8n", *words, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_beside_each_other_in_one_table(reds, tmp_path):
    runs = [tmp_path / "one", tmp_path / "two"]
    attack = ["--data", reds, "--attack", "fgsm", "--eps", 10 / 255, "--device", "cpu"]
    assert call("--victim", "red_victim:make", *attack, "--out", runs[0]) == 0
    both = ["--victim", "red_victim:make", "--transfer-to", "red_victim:make_lower"]
    assert call(*both, *attack, "--attack", "deepfool", "--out", runs[1]) == 0
    files = [tmp_path / "m.html", tmp_path / "m.json"]
    assert call_physadv("matrix", *runs, "--out", files[0], "--json", files[1]) == 0
    found = json.loads(files[1].read_text())
    assert found["matrices"] == []
    assert found["warnings"] == []
    (table,) = found["digital"]
    rows = {(row["run"], row["attack"], row["made_on"]): row["cells"] for row in table["rows"]}
    name, lower = table["victims"]
    eps = f"fgsm {10 / 255:g} linf (cross-entropy)"
    assert list(rows) == [
        ("one", eps, name),
        ("two", eps, name),
        ("two", eps, lower),
        ("two", "deepfool (50 steps)", name),
        ("two", "deepfool (50 steps)", lower),
    ]
    counts = {
        key: {victim: (cell["rate"]["k"], cell["rate"]["n"]) for victim, cell in cells.items()}
        for key, cells in rows.items()
    }
    # Ten steps: reds up to 9 above 100 cross that border, up to 7 cross the one at 98.
    assert counts["one", eps, name] == {name: (3, 5)}
    assert counts["two", eps, name] == {name: (3, 5), lower: (2, 5)}
    assert rows["one", eps, name][name]["clean"]["k"] == 5
    assert counts["two", "deepfool (50 steps)", lower] == {name: (5, 5), lower: (5, 5)}
    assert call_physadv("matrix", runs[0], runs[0]) == 1
