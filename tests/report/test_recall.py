"""Recall by treatment, counted by hand."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from physadv.checks import UserError
from physadv.evaluate.trials import trials_frame
from physadv.report.recall import recall_table, summarise_recall
from physadv.stats.intervals import newcombe
from physadv.types import TREATMENTS, Trial


def trial(treatment: str, photo: int, number: int, score: float, near: float = 0.0) -> Trial:
    return Trial(
        run="run",
        artwork="a" * 64,
        victim="yolo",
        source="objects",
        treatment=treatment,
        verdict="hit" if score >= 0.25 else "missed",
        predicted_class="person",
        true_class="person",
        target_class="nothing",
        score=score,
        near_score=max(score, near),
        cell="100 to 200 px" if number else "0 to 100 px",
        crop="whole",
        group="set",
        frame=number,
        sha256=f"photo{photo}",
    )


@pytest.fixture
def trials():
    """10 photographs with 2 people: the second is hidden by the patch in 6, the first in none."""
    found = []
    for photo in range(10):
        for treatment in TREATMENTS:
            hidden = treatment == "adversarial" and photo < 6
            found.append(trial(treatment, photo, 0, 0.9))
            found.append(trial(treatment, photo, 1, 0.3 if hidden else 0.8, near=0.7))
    return found


def test_counts(trials):
    (summary,) = summarise_recall(trials_frame(trials))
    assert summary.photographs == 10
    at = {c: {t: (r.k, r.n) for t, r in by.items()} for c, by in summary.recall.items()}
    assert at[0.25]["adversarial"] == (20, 20)
    assert at[0.4]["adversarial"] == at[0.5]["adversarial"] == (14, 20)
    assert at[0.4]["noise"] == at[0.4]["clean"] == (20, 20)
    assert (summary.hidden[0.4].k, summary.hidden[0.4].n) == (6, 20)
    gain = summary.attributable[0.4]
    assert gain.value == pytest.approx(0.3)
    assert gain.interval.low < 0.3 < gain.interval.high
    assert summary.near[0.5]["adversarial"].k == 20
    assert list(summary.heights) == ["0 to 100 px", "100 to 200 px"]
    assert summary.heights["100 to 200 px"]["adversarial"].k == 4
    assert "14 of 20 objects" in summary.headline
    assert recall_table(summary).row_count == 7


def test_an_object_judged_twice_is_an_error(trials):
    with pytest.raises(UserError, match="twice"):
        summarise_recall(trials_frame([*trials, trials[0]]))


def test_a_patch_that_hides_everybody_is_not_certain_to(trials):
    """Regression: the bootstrap gave 100 points (100 to 100) where all photographs agreed."""
    won = [t if t.treatment != "adversarial" else replace(t, score=0.0) for t in trials]
    (summary,) = summarise_recall(trials_frame(won))
    gain = summary.attributable[0.4]
    assert gain.value == 1
    assert gain.method == "Newcombe, 10 clusters"
    assert gain.interval.low == pytest.approx(newcombe(10, 10, 0, 10).low)
    console = Console(width=200, file=io.StringIO())
    console.print(recall_table(summary))
    assert "Newcombe" in console.file.getvalue()
