"""Digital attacks in figures: counts worked out by hand on eight rows an attack."""

import re

import polars as pl
import pytest

from physadv.report.crossing import crossing_table, crossings
from physadv.report.digital import summarise_digital, worst_case
from physadv.report.robustness import all_norms, norm_histogram, robustness_curve
from physadv.stats.intervals import wilson


def rows(attack: str, eps: float | None, won: list[float | None]) -> pl.DataFrame:
    """Six images that are read rightly, one that is not, one that is no number; ``won`` are the
    lengths of the changes that fool, None where none does."""
    count = len(won)
    status = ["failed" if one is None else "succeeded" for one in won]
    nothing = [0.0 if one is None else one for one in won] + [0.0, 0.0]
    return pl.DataFrame(
        {
            "attack": [attack] * (count + 2),
            "eps": pl.Series([eps] * (count + 2), dtype=pl.Float64),
            "image": range(count + 2),
            "group": [str(n) for n in range(count + 2)],
            "label": [0] * (count + 2),
            "clean_prediction": [0] * count + [1, -1],
            "clean_confidence": [0.9] * (count + 2),
            "clean_top5": [True] * (count + 1) + [False],
            "prediction": [0 if one is None else 1 for one in won] + [1, -1],
            "confidence": [0.8] * (count + 2),
            "top5": [True] * (count + 1) + [False],
            "status": [*status, "already wrong", "not a number"],
            "success": [one is not None for one in won] + [False, False],
            "misread": [one is not None for one in won] + [False, False],
            "success_8bit": [one is not None and one > 0.1 for one in won] + [False, False],
            **{norm: nothing for norm in ("l0", "l1", "l2", "linf")},
            "forwards": [3] * (count + 2),
            "backwards": [1] * (count + 2),
        }
    )


@pytest.fixture
def samples() -> pl.DataFrame:
    return pl.concat(
        [
            rows("fgsm", 0.1, [0.1, None, None, None, None, None]),
            rows("fgsm", 0.2, [0.2, 0.2, None, None, None, None]),
            rows("deepfool", None, [0.05, 0.15, 0.25, 0.35, None, None]),
        ]
    )


def test_counts(samples):
    one, two, free = summarise_digital(samples, "linf")
    assert (one.title, two.title, free.title) == ("fgsm 0.1", "fgsm 0.2", "deepfool")
    assert (one.success.k, one.success.n, one.after.k, one.after.n) == (1, 6, 5, 7)
    assert (one.clean.k, one.clean.n, one.clean_top5.k) == (6, 7, 7)
    assert (two.success.k, two.success_8bit.k, two.after.k) == (2, 2, 4)
    assert (free.success.k, free.success_8bit.k, free.after.k) == (4, 3, 2)
    assert free.median_norm == pytest.approx(0.2)
    assert two.success.interval == wilson(2, 6)
    assert dict(one.statuses)["not a number"] == 1


def test_the_worst_case_joins_every_attack_within_the_budget(samples):
    at = {eps: worst_case(samples, "linf", eps) for eps in (0.0, 0.1, 0.2, 0.3, 1.0)}
    # Images lost: none; 0; 0 and 1; 0 to 2; 0 to 3. The seventh was wrong before.
    assert [at[eps].k for eps in at] == [6, 5, 4, 3, 2]
    assert {rate.n for rate in at.values()} == {7}


@pytest.mark.parametrize("eps", [0.5 / 255, 0.001])
def test_a_change_on_a_small_budget_is_within_it(eps):
    # 32-bit pixels near 1 lie 6e-8 apart: what was moved by eps has moved by that much more.
    samples = rows("fgsm", eps, [eps + 3e-8, eps, None, None, None, None])
    (one,) = summarise_digital(samples, "linf")
    assert worst_case(samples, "linf", eps) == one.after


def test_images_of_one_object_widen_intervals(samples):
    many = rows("fgsm", 0.1, [0.1] * 30 + [None] * 30)
    tracks = [str(n // 5) for n in range(60)] + ["12", "13"]
    clustered = many.with_columns(group=pl.Series(tracks))
    (alone,), (together,) = (summarise_digital(one, "linf") for one in (many, clustered))
    for name in ("success", "success_8bit", "after"):
        single, joint = getattr(alone, name), getattr(together, name)
        assert (single.k, single.n) == (joint.k, joint.n)
        if 0 < single.k < single.n:
            width = joint.interval.high - joint.interval.low
            assert width > 1.5 * (single.interval.high - single.interval.low)
    worst = worst_case(clustered, "linf", 0.1)
    assert worst == together.after
    assert "bootstrap over" in worst.method


def test_noise_that_passes_its_eps_is_drawn_where_it_is(monkeypatch):
    samples = rows("noise", 0.05, [0.4, 0.3, None, None, None, None])
    drawn = []
    monkeypatch.setattr(
        "physadv.report.robustness.svg_text",
        lambda figure, title: drawn.extend(figure.axes[0].lines) or "",
    )
    robustness_curve(samples, "linf")
    assert drawn[0].get_xdata().tolist() == [0.0, 0.3, 0.4]


def test_plots_name_every_attack_and_what_they_show(samples):
    curve = robustness_curve(samples, "linf")
    for name in ("fgsm", "deepfool", "worst case", "read rightly"):
        assert name in curve
    histogram, lengths = norm_histogram(samples, "l2"), all_norms(samples)
    assert histogram is not None
    assert lengths is not None
    assert "deepfool" in histogram
    assert "fgsm" not in re.sub(r'aria-label="[^"]*"', "", histogram)
    for name in ("fgsm 0.1", "fgsm 0.2", "deepfool", "l0", "l1", "l2", "linf"):
        assert name in lengths
    nothing = rows("fgsm", 0.1, [None] * 6)
    assert norm_histogram(nothing, "linf") is None
    assert all_norms(nothing) is None


@pytest.mark.parametrize("budgets_only", [True, False])
def test_the_worst_case_is_drawn_below_every_attack(samples, budgets_only, monkeypatch):
    drawn = {}

    def read(figure, title):
        drawn.update({line.get_label(): line for line in figure.axes[0].lines})
        return ""

    monkeypatch.setattr("physadv.report.robustness.svg_text", read)
    if budgets_only:
        noise = samples.filter(pl.col("attack") == "fgsm").with_columns(attack=pl.lit("noise"))
        samples = pl.concat([samples.drop_nulls("eps"), noise])
    robustness_curve(samples, "linf")
    worst = drawn["worst case"]
    assert worst.get_drawstyle() == ("default" if budgets_only else "steps-post")
    at = dict(zip(*worst.get_data(), strict=True))
    for eps in (0.0, 0.1, 0.2):
        share = 100 * worst_case(samples, "linf", eps).value
        assert at[max(place for place in at if place <= eps + 1e-9)] == pytest.approx(share)


def test_a_matrix_has_a_cell_for_every_pair():
    transfers = pl.DataFrame(
        {
            "attack": ["pgd"] * 8,
            "eps": [0.1] * 8,
            "made_on": ["a"] * 4 + ["b"] * 4,
            "judged_by": ["a", "a", "b", "b"] * 2,
            "image": [0, 3] * 4,
            "group": ["0", "3"] * 4,
            "fooled": [True, True, False, True, False, False, True, True],
            "fooled_8bit": [True, False, False, False, False, False, True, True],
        }
    )
    (found,) = crossings(transfers, ["a", "b"])
    assert found.title == "pgd 0.1"
    assert [[(rate.k, rate.n) for rate in line] for line in found.cells] == [
        [(2, 2), (1, 2)],
        [(0, 2), (2, 2)],
    ]
    assert [[rate.k for rate in line] for line in found.cells_8bit] == [[1, 0], [0, 2]]
    assert crossing_table(found).row_count == 2
