"""evaluate digital: a victim whose robust accuracy is known at every budget, and wrong requests."""

import json
import sys

import numpy as np
import polars as pl
import pytest
from PIL import Image

from physadv.cli.main import main

MARGINS = (2, 5, 9, 14, 20)  # 8-bit steps by which each picture's red is above the border
FACTORY = """
import torch

class Red(torch.nn.Module):
    input_px = 16

    def forward(self, images):
        red = 100 * (images[:, 0].mean(dim=(1, 2)) - 100 / 255)
        return torch.stack([-red, red], dim=1)

def make():
    return Red()
"""


def call(*words):
    before = sys.argv
    sys.argv = ["physadv", "evaluate", "digital", *map(str, words)]
    try:
        main()
    except SystemExit as exit_:
        return int(exit_.code or 0)
    finally:
        sys.argv = before
    return 0


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


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--attack", "fgsm"], 2, "no budget"),
        (["--attack", "zzz", "--eps", "0.1"], 2, "attack 'zzz'"),
        (["--attack", "momentum", "--eps", "0.1", "--norm", "l2"], 2, "linf"),
        (["--attack", "fgsm", "--eps", "-1"], 1, "eps"),
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
