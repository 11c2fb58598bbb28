"""The commands as a user types them: what they print, their exit codes, their files."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from commandline import call_physadv as call
from safetensors.torch import save_file

from physadv.checks import UserError
from physadv.cli.evaluate import check_replacing
from physadv.cli.lazy import COMMANDS, load_command
from physadv.cli.objects import group_names
from physadv.evaluate.trials import save_trials
from physadv.scene.catalog import scenes_folder
from physadv.types import Trial

FAST = ["--steps", "2", "--device", "cpu", "--layout", "poster"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder made by the real command, judged on a grid of two cells."""
    folder = tmp_path_factory.mktemp("cli")
    assert (
        call("generate", "stop_sign", "--victim", "gtsrb-cnn", *FAST, "--out", folder / "run") == 0
    )
    grid = yaml.safe_load((scenes_folder() / "grids" / "rp2_lab.yaml").read_text())
    (folder / "grid.yaml").write_text(yaml.safe_dump({**grid, "cells": grid["cells"][8:10]}))
    judge = ["--grid", folder / "grid.yaml", "--victim", "gtsrb-cnn", "--draws", "2"]
    assert call("evaluate", "grid", folder / "run", *judge) == 0
    return folder / "run"


def test_the_list_of_commands_says_what_they_say_and_waits_for_nothing():
    for name, known in COMMANDS.items():
        first = load_command(name).help.split("\n\n")[0]
        assert " ".join(first.split()) == known.help
    code = (
        "import sys; sys.argv = ['physadv', '--help']\n"
        "from physadv.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "assert not {'torch', 'scipy', 'cv2', 'polars'} & set(sys.modules)"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert all(f" {name} " in listed.stdout for name in COMMANDS)


def test_every_command_has_help(capsys):
    words_of = [[name] for name in COMMANDS]
    for words in [*words_of, ["evaluate", "grid"], ["evaluate", "photos"], ["evaluate", "objects"]]:
        assert call(*words, "--help") == 0
        assert "Usage: physadv " + " ".join(words) in capsys.readouterr().out


def test_version(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out.strip() == importlib.metadata.version("physadv")


def test_the_run_folder_is_complete(run, capsys):
    assert call("print", run, "--width-mm", "300", "--page", "a3") == 0
    assert call("report", run) == 0
    names = {path.name for path in run.iterdir()}
    assert {"run.json", "artwork.png", "artwork.json", "history.jsonl"} <= names
    assert {
        "checkpoint.safetensors",
        "trials.parquet",
        "print.pdf",
        "report.html",
        "views",
    } <= names
    assert not [name for name in names if ".tmp" in name]


def test_inventories(capsys):
    for command, word in (("victims", "gtsrb-resnet"), ("scenes", "rp2_lab"), ("doctor", "kornia")):
        assert call(command) == 0
        assert word in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["generate", "stop_sign", "--victim", "gtsrb-cmn"], 2, "Did you mean 'gtsrb-cnn'"),
        (["generate", "stop_sing", "--victim", "gtsrb-cnn"], 2, "Did you mean 'stop_sign'"),
        (["generate", "stop_sign", "--victim", "gtsrb-cnn", "--target", "99"], 2, "Speed limit"),
        (["generate", "stop_sign", "--victim", "gtsrb-cnn", "--layout", "x"], 2, "graffiti"),
        (
            ["generate", "stop_sign", "--victim", "gtsrb-cnn", "--layout", "x.svg"],
            1,
            "no such file",
        ),
        (["generate", "stop_sign", "--victim", "gtsrb-cnn", "--palette", "99"], 1, "[2, 32]"),
        (["generate", "stop_sign", "--victim", "gtsrb-cnn", "--max-area", "2"], 1, "(0, 1]"),
        (["generate", "stop_sign", "--victim", "gtsrb-cnn", "--device", "tpu"], 2, "cpu"),
        (["generate", "stop_sign", "--victim", "no_module:make"], 2, "no_module"),
        (["generate", "stop_sign"], 2, "--victim"),
        (["print", "nowhere"], 1, "no such file"),
        (["report", "nowhere"], 1, "nowhere"),
        (["evaluate", "grid", "nowhere", "--victim", "gtsrb-cnn"], 1, "no such file"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_wrong_input_is_one_clear_message(words, code, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(*words) == code
    text = capsys.readouterr().err
    assert message in " ".join(text.split())
    assert "Traceback" not in text
    assert not (tmp_path / "runs").exists()


def test_wrong_options_of_a_good_run(run, capsys, tmp_path):
    assert call("print", run, "--width-mm", "762", "--page", "a9") == 2
    assert "a4" in capsys.readouterr().err
    assert call("evaluate", "grid", run, "--grid", "moon", "--victim", "gtsrb-cnn") == 2
    assert "rp2_lab" in capsys.readouterr().err
    assert call("evaluate", "photos", run, tmp_path, "--victim", "gtsrb-cnn") == 1
    assert "no image file" in capsys.readouterr().err
    again = ["generate", "stop_sign", "--victim", "gtsrb-cnn", *FAST, "--out", run]
    assert call(*again) == 1
    assert "already holds another run" in capsys.readouterr().err
    assert call(*again, "--seed", "5", "--resume") == 1
    assert "seed" in capsys.readouterr().err


def test_your_own_victim(run, capsys, tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    class_names = ('Stop', 'Speed limit (80km/h)', 'other')\n"
        "    def forward(self, images):\n"
        "        return images.mean(dim=(2, 3)) * 9\n"
        "def make():\n"
        "    return Net()\n"
    )
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "mine"
    assert call("generate", "stop_sign", "--victim", "my_models:make", *FAST, "--out", out) == 0
    assert (out / "artwork.png").exists()


def test_ctrl_c_prints_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupt(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("physadv.cli.make.generate_artwork", interrupt)
    words = ["generate", "stop_sign", "--victim", "gtsrb-cnn", "--out", str(tmp_path / "r")]
    assert call(*words) == 1
    assert f"--out {tmp_path / 'r'} --resume" in " ".join(capsys.readouterr().err.split())


def test_a_pickle_is_refused(tmp_path):
    from physadv.checks import UserError
    from physadv.victim.gtsrb import GtsrbCnn
    from physadv.victim.weights import load_weights

    torch.save(GtsrbCnn().state_dict(), tmp_path / "w.pt")
    with pytest.raises(UserError, match="pickle"):
        load_weights(GtsrbCnn(), tmp_path / "w.pt")
    save_file({"x": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match="do not fit"):
        load_weights(GtsrbCnn(), tmp_path / "w.safetensors")


def test_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "physadv.cli.main", "scenes"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "stop_sign" in done.stdout


def test_a_smaller_judgement_does_not_replace_a_larger_one(run, capsys):
    words = ["evaluate", "grid", run, "--grid", run.parent / "grid.yaml", "--victim", "gtsrb-cnn"]
    assert call(*words, "--draws", "1") == 1
    assert "would be lost" in capsys.readouterr().err
    assert call(*words, "--draws", "1", "--replace") == 0
    assert call(*words, "--draws", "2") == 0


def test_a_victim_that_gives_nan_is_not_judged(run, capsys, tmp_path, monkeypatch):
    (tmp_path / "nan_models.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    class_names = ('Stop', 'Speed limit (80km/h)')\n"
        "    def forward(self, images):\n"
        "        return images.mean(dim=(2, 3))[:, :2] * float('nan')\n"
    )
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", "grid", run, "--grid", run.parent / "grid.yaml", "--draws", "1"]
    assert call(*words, "--victim", "nan_models:Net") == 1
    assert "not all finite" in " ".join(capsys.readouterr().err.split())


def test_an_artwork_is_not_judged_on_another_sign(run, capsys):
    words = ["evaluate", "grid", run, "--scene", "stop_sign_vienna", "--victim", "gtsrb-cnn"]
    assert call(*words) == 1
    assert "made for us_r1_1, 762 mm" in " ".join(capsys.readouterr().err.split())


def test_a_patch_from_photographs_to_report(red_people, tmp_path, capsys):
    """An untrained detector finds nobody; what counts is that every step runs and says so."""
    run = tmp_path / "patch"
    data = ["--data", red_people]
    words = ["patch", "person_thys", "--victim", "yolov8n.yaml", *data, "--steps", "2"]
    assert call(*words, "--device", "cpu", "--out", run) == 0
    assert "Judge it: physadv evaluate objects" in capsys.readouterr().out
    assert call("evaluate", "objects", run, "--victim", "yolov8n.yaml", *data) == 0
    printed = capsys.readouterr().out
    assert printed.count("the artwork was optimised on it") == 7
    assert "0/5" in printed
    assert "AP at IoU 0.5, person" in printed
    judge = ["evaluate", "objects", run, "--victim", "yolov8n.yaml"]
    fewer = json.loads(red_people.read_text())
    fewer["images"] = fewer["images"][:-1]
    whole = red_people.read_text()
    red_people.write_text(json.dumps(fewer))
    assert call(*judge, *data) == 1
    assert "would be lost" in capsys.readouterr().err
    red_people.write_text(whole)
    assert call(*judge, *data, *data) == 1
    assert "would be called 'people'" in capsys.readouterr().err
    assert call("report", run) == 0
    page = (run / "report.html").read_text()
    assert "Person hidden from detectors" in page
    assert "0/5" in page
    assert page.count("<img") == 1 + 3 * 4
    capsys.readouterr()
    files = [tmp_path / "matrix.html", tmp_path / "matrix.json"]
    assert call("matrix", run, "--out", files[0], "--json", files[1]) == 0
    assert "noise 0 %, clean 0 %" in capsys.readouterr().out
    assert json.loads(files[1].read_text())["matrices"][0]["victims"] == ["yolov8n.yaml"]
    assert call("matrix", run, run) == 1
    assert "given twice" in capsys.readouterr().err
    assert call("print", run) == 0
    capsys.readouterr()
    assert call("evaluate", "grid", run, "--victim", "gtsrb-cnn") == 1
    assert "physadv evaluate objects" in capsys.readouterr().err
    assert call("evaluate", "objects", run, "--victim", "yolov99", *data) == 2
    assert "there is none of that name" in capsys.readouterr().err
    assert call(*words, "--out", run) == 1
    assert "another run" in capsys.readouterr().err


def test_every_set_of_photographs_has_a_name_of_its_own(tmp_path):
    usual, other = tmp_path / "a" / "annotations.json", tmp_path / "a" / "val.json"
    assert group_names([usual, other, tmp_path / "b" / "annotations.json"]) == ["a", "a-val", "b"]
    for twice in ([usual, usual], [usual, tmp_path / "x" / "a" / "annotations.json"]):
        with pytest.raises(UserError, match="would be called 'a'"):
            group_names(twice)


def test_a_judgement_of_other_photographs_is_not_replaced(tmp_path):
    trial = Trial(
        run="r",
        artwork="a" * 64,
        victim="v",
        source="objects",
        treatment="clean",
        verdict="hit",
        predicted_class="person",
        true_class="person",
        target_class="nothing",
        score=0.9,
        group="set",
        sha256="one",
    )
    save_trials(tmp_path / "trials.parquet", [trial])
    for photographs in ({"two"}, {"two", "three"}):
        with pytest.raises(UserError, match="1 other photographs"):
            check_replacing(tmp_path, "objects", "v", "set", 9, False, frozenset(photographs))
    check_replacing(tmp_path, "objects", "v", "set", 9, False, frozenset({"one", "two"}))
    check_replacing(tmp_path, "objects", "v", "set", 9, True, frozenset({"two"}))
    check_replacing(tmp_path, "objects", "w", "set", 9, False, frozenset({"two"}))
    with pytest.raises(UserError, match="would be lost"):
        check_replacing(tmp_path, "objects", "v", "set", 0, False)


def test_photographs_that_do_not_fit_are_one_clear_message(red_people, tmp_path, capsys):
    words = ["patch", "person_thys", "--victim", "yolov8n.yaml", "--out", tmp_path / "run"]
    assert call(*words, "--data", tmp_path / "none.json") == 1
    assert "none.json" in capsys.readouterr().err
    red_people.write_text(red_people.read_text().replace('"person"', '"sheep"'))
    assert call(*words, "--data", red_people) == 1
    assert "it has sheep" in capsys.readouterr().err
    assert call("patch", "stop_sign", *words[2:], "--data", red_people) == 2
    assert "person_thys" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
