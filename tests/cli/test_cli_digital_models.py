"""evaluate digital on users' own networks and sets: what they must be, and what is said of them."""

import json
import os
from functools import partial

import numpy as np
import polars as pl
import pytest
import torch
from commandline import call_physadv
from PIL import Image

from physadv.cli.digital import number
from physadv.evaluate.digital_plan import plan_attacks
from physadv.victim.weights import module_sha256

SIDE = 12
FACTORY = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, channels, side, outputs):
        super().__init__()
        torch.manual_seed(0)
        self.input_px = side
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(4 * (side - 2) ** 2, outputs),
        )

    def forward(self, images):
        return self.layers(images)


class Red(nn.Module):
    input_px = 12

    def __init__(self, change=lambda x: x, noise=0.0):
        super().__init__()
        self.change, self.noise = change, noise
        self.scale = nn.Parameter(torch.tensor(20.0))

    def forward(self, images):
        red = self.scale * (self.change(images)[:, 0].mean(dim=(1, 2)) - 0.5)
        red = red + self.noise * torch.randn_like(red)
        return torch.stack([-red, red], dim=1)


def digits():
    return Net(1, 28, 10)


def small():
    return Net(3, 12, 2)


def many():
    return Net(1, 28, 12)


def red():
    return Red()


def random():
    return Red(noise=1.0)


def steps():
    return Red(change=lambda x: (8 * x).round() / 8)


def halved():
    return Red().to(torch.bfloat16)


def tupled():
    net = Net(3, 12, 2)
    net.layers = nn.Sequential(net.layers)
    net.forward = lambda images: (net.layers(images), images)
    return net


def odd_size():
    net = Net(3, 12, 2)
    net.input_px = (12, 12)
    return net


def swapped():
    net = Red()
    net.class_names = ["n01443537", "n01440764"]
    return net


def inverted():
    return Red(change=lambda x: 1 - x)
"""

call = partial(call_physadv, "evaluate", "digital")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Dark and bright pictures, a folder each."""
    (tmp_path / "own_models.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    levels = np.random.default_rng(0).integers(90, 166, 24)
    for n, level in enumerate(levels):
        folder = tmp_path / "data" / ("bright" if level > 127 else "a_dark")
        folder.mkdir(parents=True, exist_ok=True)
        picture = np.full((SIDE, SIDE, 3), level, np.uint8)
        Image.fromarray(picture).save(folder / f"{n}.png")
    return tmp_path / "data"


def run(tmp_path, name, data, *words, out="out"):
    victim = ["--victim", f"own_models:{name}", "--data", data, "--device", "cpu"]
    return call(*victim, "--out", tmp_path / out, *words)


FGSM = ("--attack", "fgsm", "--eps", "8/255")


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "code"), [("digits", 0), ("many", 1), ("small", 1)])
def test_a_grey_network_of_fixed_size_is_shown_digits_as_they_are(
    data, tmp_path, capsys, name, code
):
    mnist = f"{os.environ['PHYSADV_DATA']}/data/mnist"
    assert run(tmp_path, name, mnist, *FGSM, "--count", "20") == code
    said = capsys.readouterr()
    expected = {"digits": "", "many": "12 classes, the set has 10", "small": "[B,1,28,28]"}[name]
    assert expected in said.err


def test_a_network_of_fixed_size_is_shown_photographs_of_that_size(data, tmp_path):
    assert run(tmp_path, "small", data, *FGSM) == 0
    samples = pl.read_parquet(tmp_path / "out" / "digital.parquet")
    assert len(samples) == 24


def test_settings_are_recorded_and_read(data, tmp_path):
    words = ["--attack", "pgd", "--attack", "ddn", "--eps", "8/255", "--steps", "7"]
    assert run(tmp_path, "red", data, *words) == 0
    pgd, ddn = json.loads((tmp_path / "out" / "run.json").read_text())["attacks"]
    assert pgd["attack"] == f"pgd {8 / 255:g}"
    told = pgd["settings"]
    assert (told["steps"], told["norm"], told["eps"]) == (7, "linf", 8 / 255)
    assert (told["step_size"], told["restarts"]) == (None, 1)
    assert ddn["settings"]["steps"] == 7
    assert any("keeps l2 small" in note for note in ddn["notes"])
    assert not any("keeps" in note for note in pgd["notes"])
    page = (tmp_path / "out" / "digital.html").read_text()
    assert "norm linf, steps 7, step_size default" in page


def test_options_that_reach_an_attack_by_another_name():
    (hop,) = plan_attacks(["hop-skip-jump"], [], "linf", {"steps": 3})
    assert hop.settings["iterations"] == 3
    (square,) = plan_attacks(["square"], [0.1], "linf", {"queries": 50})
    assert square.settings["queries"] == 50


def test_a_random_network_draws_the_same_for_one_seed(data, tmp_path):
    rows = []
    for out, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        torch.manual_seed(len(rows))
        assert run(tmp_path, "random", data, *FGSM, "--seed", seed, out=out) == 0
        rows.append(pl.read_parquet(tmp_path / out / "digital.parquet"))
    assert rows[0].equals(rows[1])
    assert not rows[0].equals(rows[2])


def test_without_a_gradient_nothing_is_said_of_robustness(data, tmp_path, capsys):
    assert run(tmp_path, "steps", data, *FGSM) == 0
    assert "says nothing about robustness" in " ".join(capsys.readouterr().out.split())
    # Images that are read wrongly are not attacked: that f6 is flat there says nothing.
    first = next((data / "bright").iterdir())
    first.rename(data / "a_dark" / "wrong.png")
    assert run(tmp_path, "red", data, "--attack", "carlini-wagner", "--steps", "9", out="cw") == 0
    assert "nothing about robustness" not in capsys.readouterr().out


def test_a_network_in_another_precision_and_one_that_reads_nothing(data, tmp_path, capsys):
    assert run(tmp_path, "halved", data, *FGSM) == 0
    assert "as guessing among" not in capsys.readouterr().out
    assert run(tmp_path, "inverted", data, *FGSM, out="other") == 0
    assert "as guessing among" in " ".join(capsys.readouterr().out.split())
    record = json.loads((tmp_path / "other" / "run.json").read_text())
    assert len(record["warnings"]) == 1


def test_a_checksum_is_of_the_bytes_whatever_their_type():
    net = torch.nn.Linear(3, 2)
    kinds = [torch.float32, torch.bfloat16, torch.float16]
    assert len({module_sha256(net.to(kind)) for kind in kinds}) == 3


def test_folders_by_wordnet_count_only_if_all_classes_are_there(data, tmp_path, capsys):
    for name, identity in (("a_dark", "n01440764"), ("bright", "n01443537")):
        (data / name).rename(data / identity)
    assert run(tmp_path, "red", data, *FGSM) == 0
    (data / "n01484850").mkdir()
    assert run(tmp_path, "red", data, *FGSM, out="other") == 1
    assert "labels.csv of file,class_index" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("line", ["a.png,-1", "a.png", ",1", "a.png,x"])
def test_a_line_of_labels_that_says_nothing_is_named(data, tmp_path, capsys, line):
    (data / "labels.csv").write_text(f"file,class_index\nbright/0.png,1\n{line}\n")
    assert run(tmp_path, "red", data, *FGSM) == 1
    assert "line 3 of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words", "code", "message"),
    [
        ("tupled", FGSM, 1, "it returns a tuple"),
        ("odd_size", FGSM, 1, "its input_px is (12, 12)"),
        ("red", ("--attack", "fgsm", "--eps", "1e400"), 1, "eps"),
        ("red", ("--attack", "fgsm", "--eps", "8/0"), 2, "Give e.g. 0.03 or 8/255"),
        ("red", ("--attack", "fgsm", "--eps", "a"), 2, "Give e.g. 0.03 or 8/255"),
        ("red", (*FGSM, "--learn-from", "20"), 2, "no use to fgsm"),
        ("red", ("--attack", "pgd", "--eps", "0.1", "--step-size", "0"), 2, "lead nowhere"),
        ("red", (*FGSM, "--queries", "20"), 2, "no use to fgsm"),
    ],
)
def test_wrong_requests(data, tmp_path, capsys, name, words, code, message):
    assert run(tmp_path, name, data, *words) == code
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_results_do_not_go_to_a_file(data, tmp_path, capsys):
    (tmp_path / "out").write_text("x")
    assert run(tmp_path, "red", data, *FGSM) == 1
    assert "it is not a folder" in capsys.readouterr().err


def test_a_list_of_wordnet_s_numbers_is_numbered_by_itself(data, tmp_path):
    rows = [
        f"{path.relative_to(data)},{int(path.parent.name == 'bright')}" for path in data.glob("*/*")
    ]
    names = {"0": "n01440764", "1": "n01443537"}
    text = "\n".join(["file,class_index,name", *(f"{row},{names[row[-1]]}" for row in rows)])
    (data / "labels.csv").write_text(text, encoding="utf-8-sig")  # as spreadsheets save it
    assert run(tmp_path, "small", data, *FGSM) == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["images"] == 24
    (data / "labels.csv").write_bytes(text.encode() + "\nä.png,1,n01443537".encode("latin-1"))
    assert run(tmp_path, "small", data, *FGSM, out="other") == 1


def test_names_by_wordnet_are_checked_where_the_victim_has_such(data, tmp_path, capsys):
    for name, identity in (("a_dark", "n01440764"), ("bright", "n01443537")):
        (data / name).rename(data / identity)
    assert run(tmp_path, "swapped", data, *FGSM) == 1
    assert "n01443537" in capsys.readouterr().err


def test_a_substitute_tells_what_it_learns_by():
    (task,) = plan_attacks(["substitute"], [0.1], "linf")
    assert task.settings["diversity"] == 0.5
    assert task.settings["learning_rounds"] == 6
    assert task.options["diversity"] == 0.5


def test_numbers_are_decimals_or_fractions():
    assert [number(text) for text in ("0.03", "8/255", "1e-3", " 2 ")] == [0.03, 8 / 255, 1e-3, 2.0]
    assert number("1e99999999") == np.inf
