"""The transfer matrix: figures are the reports' own, and unlike looks are marked."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_run import TARGET, grid_trials

from physadv.artwork.files import Artwork, save_artwork
from physadv.checks import UserError
from physadv.evaluate.trials import load_trials, save_trials
from physadv.report.matrix import (
    OTHER_LOOKS,
    TRAINED,
    footnotes,
    matrix_records,
    matrix_table,
    write_matrix,
)
from physadv.report.recall import summarise_recall
from physadv.report.summary import summarise
from physadv.report.transfer import transfer_matrices
from physadv.types import TREATMENTS, Trial

Make = Callable[..., Path]


def artwork(colour: int, victims: tuple[str, ...], target: str = "nothing") -> Artwork:
    rgba = np.full((16, 16, 4), (colour, 40, 60, 255), np.uint8)
    return Artwork(rgba, 400.0, 400.0, "none", target, victims, {"layout": "patch"})


def person_trials(sha256: str, victim: str, hidden: int, photos: int = 10, seed: int = 0):
    """One person a photograph; the patch hides the first ``hidden`` of them."""
    return [
        Trial(
            run="r",
            artwork=sha256,
            victim=victim,
            source="objects",
            treatment=treatment,
            verdict="hit",
            predicted_class="person",
            true_class="person",
            target_class="nothing",
            score=0.1 if treatment == "adversarial" and n < hidden else 0.8 + 0.03 * seed,
            near_score=0.9,
            cell="100 to 200 px",
            crop="whole",
            group="street",
            sha256=f"photo{n}",
        )
        for n in range(photos)
        for treatment in TREATMENTS
    ]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def run(name: str, colour: int, hidden: dict[str, int], **how: int) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        made = artwork(colour, ("yolo-n",))
        save_artwork(made, folder)
        for victim, count in hidden.items():
            trials = person_trials(made.sha256, victim, count, **how)
            save_trials(folder / "trials.parquet", trials)
        return folder

    return run


def test_figures_are_those_of_the_runs(make):
    runs = [make("weak", 10, {"yolo-n": 6, "yolo-s": 1}), make("strong", 20, {"yolo-n": 10})]
    (matrix,) = transfer_matrices(runs)
    assert matrix.victims == ("yolo-n", "yolo-s")
    assert [row.run for row in matrix.rows] == ["weak", "strong"]
    counts = {key: (cell.artwork.k, cell.artwork.n) for key, cell in matrix.cells.items()}
    assert counts == {
        ("weak", "yolo-n"): (4, 10),
        ("weak", "yolo-s"): (9, 10),
        ("strong", "yolo-n"): (0, 10),
    }
    (own, _) = summarise_recall(load_trials(runs[0] / "trials.parquet"))
    cell = matrix.cells["weak", "yolo-n"]
    assert (cell.artwork, cell.noise, cell.clean) == tuple(
        own.recall[0.4][name] for name in ("adversarial", "noise", "clean")
    )
    assert cell.gain == own.attributable[0.4]
    trained = {victim for (_, victim), cell in matrix.cells.items() if cell.trained}
    assert trained == {"yolo-n"}
    assert all(cell.same_looks for cell in matrix.cells.values())
    assert matrix_table(matrix).row_count == 2


def test_classifiers_give_targeted_success_and_the_gain_over_noise(tmp_path):
    runs = []
    for number, victim in enumerate(("toy-cnn", "other-cnn")):
        folder = tmp_path / f"sign{number}"
        folder.mkdir()
        made = artwork(number, ("toy-cnn",), TARGET)
        save_artwork(made, folder)
        save_trials(folder / "trials.parquet", grid_trials(made.sha256, victim=victim))
        runs.append(folder)
    (matrix,) = transfer_matrices(runs)
    cell = matrix.cells["sign0", "toy-cnn"]
    assert (cell.artwork.k, cell.artwork.n) == (76, 99)
    assert (cell.noise.k, cell.noise.n) == (2, 99)
    assert (cell.clean.k, cell.clean.n) == (99, 120)
    assert cell.gain.value == pytest.approx(74 / 99)
    (own,) = summarise(load_trials(runs[0] / "trials.parquet"))
    assert cell.gain.interval == own.effects[0].paired
    assert ("sign0", "other-cnn") not in matrix.cells
    assert not matrix.detectors


@pytest.mark.parametrize("how", [{"photos": 11}, {"seed": 1}])
def test_other_photographs_or_draws_are_marked(make, how):
    runs = [make("one", 10, {"yolo-n": 6}), make("two", 20, {"yolo-n": 6}, **how)]
    (matrix,) = transfer_matrices(runs)
    assert [cell.same_looks for cell in matrix.cells.values()] == [True, False]
    assert any(note.startswith(OTHER_LOOKS) for note in footnotes(matrix))
    records = matrix_records([matrix])
    assert [row["cells"]["yolo-n"]["same_looks"] for row in records[0]["rows"]] == [True, False]


def test_another_set_of_photographs_is_another_matrix(make):
    first, second = make("one", 10, {"yolo-n": 6}), make("two", 20, {"yolo-n": 6})
    made = artwork(20, ("yolo-n",))
    elsewhere = [replace(t, group="beach") for t in person_trials(made.sha256, "yolo-n", 2)]
    save_trials(second / "trials.parquet", elsewhere)
    street, beach = transfer_matrices([first, second])
    assert (street.group, [row.run for row in street.rows]) == ("street", ["one", "two"])
    assert (beach.group, [row.run for row in beach.rows]) == ("beach", ["two"])


def test_page_and_json(make, tmp_path):
    runs = [make("<b>weak", 10, {"yolo-n": 6}), make("two", 20, {"yolo-n": 0, "yolo-s": 1})]
    found = transfer_matrices(runs)
    write_matrix(tmp_path / "m.html", found)
    page = (tmp_path / "m.html").read_text()
    assert "<b>weak" not in page
    assert "&lt;b&gt;weak" in page
    assert page.count('<td class="cell') == 3
    assert page.count('<td class="cell trained"') == 2
    assert "Person still found at confidence 0.4, on street" in page
    assert not any(word in page for word in ("http://", "https://", "<script", "<link"))
    assert TRAINED in page
    assert OTHER_LOOKS not in page
    cell = json.loads(json.dumps(matrix_records(found)))[0]["rows"][0]["cells"]["yolo-n"]
    assert cell["artwork"]["k"] == 4
    assert cell["artwork"]["interval"][0] < 0.4 < cell["artwork"]["interval"][1]
    assert cell["trained"]


def test_wrong_runs_are_one_clear_error(make, tmp_path):
    one = make("one", 10, {"yolo-n": 6})
    with pytest.raises(UserError, match="given twice"):
        transfer_matrices([one, tmp_path / "one" / ".." / "one"])
    with pytest.raises(UserError, match="no such file"):
        transfer_matrices([tmp_path / "none"])
    save_artwork(artwork(99, ("yolo-n",)), one)
    with pytest.raises(UserError, match="no trial of the artwork"):
        transfer_matrices([one])


def test_runs_of_one_name_are_told_apart(make, tmp_path):
    runs = [make("a/run", 10, {"yolo-n": 6}), make("b/run", 20, {"yolo-n": 5})]
    (matrix,) = transfer_matrices(runs)
    assert [row.run for row in matrix.rows] == [str(run.resolve()) for run in runs]
