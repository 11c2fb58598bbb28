"""From the detection store to average precision and the best confidence, counted by hand."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from physadv.evaluate.detections import Judgement
from physadv.evaluate.trials import trials_frame
from physadv.report.curves import recall_plot
from physadv.report.precision import summarise_precision
from physadv.report.recall import CURVE, MAX_F1, precision_table, summarise_recall
from physadv.types import TREATMENTS, Detections, Trial

JUDGEMENT = Judgement("yolo", "art", "set")
PERSON, LOW, ELSEWHERE = [10.0, 10, 60, 110], [80.0, 60, 95, 95], [150.0, 10, 200, 110]
PHOTOS = [f"photo{n:02d}" for n in range(12)]


def seen(*rows: tuple[list[float], float, int]) -> Detections:
    return Detections(
        np.array([row[0] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float64),
        np.array([row[2] for row in rows], np.int64),
    )


def trial(photo: str, treatment: str, score: float) -> Trial:
    return Trial(
        run="run",
        artwork="art",
        victim="yolo",
        source="objects",
        treatment=treatment,  # type: ignore[arg-type]
        verdict="hit" if score >= 0.25 else "missed",
        predicted_class="person",
        true_class="person",
        target_class="nothing",
        score=score,
        near_score=score,
        cell="100 to 200 px",
        group="set",
        sha256=photo,
    )


def score_of(number: int, treatment: str) -> float:
    """Clean, blank and noise: all found, above 0.6; patch: every second one, at 0.5."""
    if treatment == "adversarial":
        return 0.5 if number % 2 else 0.0
    return 0.6 + 0.01 * number


@pytest.fixture
def trials() -> pl.DataFrame:
    return trials_frame(
        [trial(p, t, score_of(n, t)) for n, p in enumerate(PHOTOS) for t in TREATMENTS]
    )


@pytest.fixture
def detections() -> pl.DataFrame:
    """One person and one too low a photograph; the low one is reported too, and another elsewhere.

    The false one has confidence 0.55 on the clean photographs, below every right one.
    """
    rows = []
    for number, photo in enumerate(PHOTOS):
        rows.append(JUDGEMENT.annotated(photo, "person", np.array([PERSON]), np.array([LOW])))
        found = {}
        for treatment in TREATMENTS:
            score = score_of(number, treatment)
            own = [(PERSON, score, 0)] if score else []
            found[treatment] = seen(*own, (LOW, 0.95, 0), (ELSEWHERE, 0.55, 0), (PERSON, 0.99, 1))
        rows.append(JUDGEMENT.detected(photo, 0, found, ("person", "kite")))
    return pl.concat(rows)


def test_average_precision_by_hand(trials, detections):
    found = summarise_precision(trials, detections, "person")
    assert found.annotated["clean"].value == pytest.approx(1.0)
    assert found.annotated["clean"].objects == 12
    # With the patch 12 false ones at 0.55 come first, then 6 right ones at 0.5: precision is
    # highest at the end, 6/18, up to recall 0.5: 51 of the 101 recalls.
    assert found.annotated["adversarial"].value == pytest.approx(51 / 101 / 3, abs=1e-6)
    interval = found.annotated["adversarial"].interval
    assert interval.low < 51 / 101 / 3 < interval.high
    # The false one is confident on the clean photograph as well, without a patch: ignored there.
    assert found.detected["clean"].value == pytest.approx(1.0)
    assert found.detected["adversarial"].value == pytest.approx(51 / 101, abs=1e-6)
    assert found.detected["adversarial"].objects == 12


def test_clean_detections_leave_out_whom_the_detector_does_not_find(trials, detections):
    """Thys' reference: a weak detector gets an easy denominator, so both are told."""
    lost = (pl.col("sha256") == PHOTOS[0]) & (pl.col("score") == 0.6)
    found = summarise_precision(trials, detections.filter(~lost.fill_null(False)), "person")
    assert found.detected["clean"].objects == 11
    assert found.detected["clean"].value == pytest.approx(1.0)
    assert found.annotated["clean"].objects == 12
    assert found.annotated["clean"].value < 0.95


def test_best_confidence_is_chosen_on_the_other_half(trials, detections):
    """Best on the clean photographs 1, 3, ... is 0.61, the weakest right one; on 0, 2, ... 0.60."""
    found = summarise_precision(trials, detections, "person")
    assert found.best_confidence == {
        photo: pytest.approx(0.60 if number % 2 else 0.61) for number, photo in enumerate(PHOTOS)
    }
    (summary,) = summarise_recall(trials, detections)
    assert summary.confidences == (0.25, 0.4, 0.5, MAX_F1)
    assert summary.best == pytest.approx((0.60, 0.61))
    assert summary.label(MAX_F1) == "max F1 (0.60, 0.61)"
    # Photograph 0 has 0.60 and is judged at 0.61: the one that is not found clean.
    assert (summary.recall[MAX_F1]["clean"].k, summary.recall[MAX_F1]["clean"].n) == (11, 12)
    assert summary.recall[MAX_F1]["adversarial"].k == 0
    assert summary.hidden[MAX_F1].n == 11


def test_the_curve_meets_the_table(trials, detections):
    (summary,) = summarise_recall(trials, detections)
    for confidence in (0.25, 0.4, 0.5):
        place = CURVE.index(confidence)
        for treatment in TREATMENTS:
            rate = summary.recall[confidence][treatment]
            assert summary.curve[treatment][place] == pytest.approx(rate.value)
    assert list(summary.curve["noise"]) == sorted(summary.curve["noise"], reverse=True)
    drawn = recall_plot(summary, (0.25, 0.4))
    assert drawn.startswith("<svg")
    assert "noise print" in drawn


@pytest.mark.parametrize("fault", ["photograph", "object", "draw", "artwork", "none"])
def test_detections_of_another_judgement_are_not_used(trials, detections, fault):
    changed = {
        "photograph": detections.filter(pl.col("sha256") != PHOTOS[3]),
        "object": pl.concat([detections, detections.head(1)]),
        "draw": detections.with_columns(draw=pl.col("draw") + 1),
        "artwork": detections.with_columns(artwork=pl.lit("other")),
        "none": detections.head(0),
    }[fault]
    assert summarise_precision(trials, changed, "person") is None
    (summary,) = summarise_recall(trials, changed)
    assert precision_table(summary) is None
    assert MAX_F1 not in summary.confidences


def test_a_detector_that_finds_nobody_has_no_best_confidence(trials, detections):
    blind = trials.with_columns(score=pl.lit(0.0), near_score=pl.lit(0.0))
    annotated = detections.filter(pl.col("kind") != "detection")
    (summary,) = summarise_recall(blind, annotated)
    assert summary.confidences == (0.25, 0.4, 0.5)
    assert summary.precision.annotated["clean"].value == 0
    assert summary.precision.detected["clean"].value is None
    assert precision_table(summary).row_count == 4


def test_every_draw_is_an_image_of_its_own(trials, detections):
    """Twice the same draw: the same figures of twice as many objects."""
    again = detections.filter(pl.col("kind") == "detection").with_columns(draw=pl.lit(1, pl.Int64))
    second = trials.with_columns(frame=pl.lit(1_000_000, pl.Int64))
    once = summarise_precision(trials, detections, "person")
    twice = summarise_precision(
        pl.concat([trials, second]), pl.concat([detections, again]), "person"
    )
    for treatment in TREATMENTS:
        one, two = once.annotated[treatment], twice.annotated[treatment]
        assert two.value == pytest.approx(one.value, abs=1e-6)
        assert two.objects == 2 * one.objects
    assert replace(twice, annotated={}, detected={}) == replace(once, annotated={}, detected={})
