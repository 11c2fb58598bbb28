"""Digital attacks in figures: counts worked out by hand on eight rows an attack."""

import re

import numpy as np
import polars as pl
import pytest
from matplotlib.colors import to_hex

from physadv.report.crossing import crossing_table, crossings
from physadv.report.digital import summarise_digital, worst_case, write_digital
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


@pytest.fixture
def drawn(monkeypatch):
    """What the first axes of the figure made last hold."""
    figures = []
    monkeypatch.setattr(
        "physadv.report.robustness.svg_text", lambda figure, title: figures.append(figure) or ""
    )
    return lambda kind="lines": list(getattr(figures[-1].axes[0], kind))


def test_noise_that_passes_its_eps_is_drawn_where_it_is(drawn):
    robustness_curve(rows("noise", 0.05, [0.4, 0.3, None, None, None, None]), "linf")
    (line,) = drawn()
    assert line.get_xdata().tolist()[:-1] == [0.0, 0.3, 0.4]


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


def read_at(line, x: float) -> float:
    """The height of a drawn line at x, as its style joins the points."""
    places, shares = line.get_data()
    if line.get_drawstyle() == "default":
        return float(np.interp(x, places, shares))
    return float(shares[np.searchsorted(places, x, side="right") - 1])


def with_noise(samples: pl.DataFrame) -> pl.DataFrame:
    noise = samples.filter(pl.col("attack") == "fgsm").with_columns(attack=pl.lit("noise"))
    return pl.concat([samples.drop_nulls("eps"), noise])


def of_a_random_model(samples: pl.DataFrame) -> pl.DataFrame:
    """The last attack saw image 5 wrongly before it changed anything, and image 6 rightly."""
    last = pl.col("attack") == samples["attack"][-1]
    for image, seen, status in ((5, 1, "already wrong"), (6, 0, "failed")):
        here = last & (pl.col("image") == image)
        samples = samples.with_columns(
            pl.when(here).then(seen).otherwise("clean_prediction").alias("clean_prediction"),
            pl.when(here).then(pl.lit(status)).otherwise("status").alias("status"),
        )
    return samples


@pytest.mark.parametrize("change", [lambda samples: samples, with_noise, of_a_random_model])
def test_the_worst_case_is_drawn_below_every_attack(samples, change, drawn):
    samples = change(samples)
    robustness_curve(samples, "linf")
    lines = drawn()
    (worst,) = (line for line in lines if line.get_label() == "worst case")
    attacks = [line for line in lines if line is not worst and line.get_linestyle() != "None"]
    assert len(attacks) == 2
    end = max(line.get_xdata().max() for line in attacks)
    for x in [*np.linspace(0, end, 400), *(x for line in lines for x in line.get_xdata())]:
        assert read_at(worst, x) <= min(read_at(line, x) for line in attacks) + 1e-9
    assert worst.get_ydata()[0] == pytest.approx(100 * worst_case(samples, "linf", -1).value)
    for eps in (0.0, 0.1, 0.2):
        share = 100 * worst_case(samples, "linf", eps).value
        assert read_at(worst, eps + 1e-9) == pytest.approx(share)


def test_an_attack_is_a_step_with_a_mark_at_each_budget(samples, drawn):
    robustness_curve(samples, "linf")
    *_, marks = (line for line in drawn() if line.get_linestyle() == "None")
    lines = {line.get_label(): line for line in drawn() if line is not marks}
    fgsm, free = lines["fgsm"], lines["deepfool"]
    assert {line.get_drawstyle() for line in lines.values()} == {"steps-post"}
    assert marks.get_xdata().tolist() == [0.1, 0.2]
    assert [7 * read_at(fgsm, x) / 100 for x in (0, 0.09, 0.1, 0.19, 0.2, 0.3)] == pytest.approx(
        [6, 6, 5, 5, 4, 4]
    )
    assert [7 * read_at(free, x) / 100 for x in (0, 0.05, 0.16, 0.36)] == pytest.approx(
        [6, 5, 4, 2]
    )
    assert list(lines).index("worst case") == 0
    assert lines["worst case"].get_linewidth() > 3 * fgsm.get_linewidth()


def test_a_budget_that_fools_fewer_raises_its_mark_and_not_the_line(drawn):
    more, fewer = [0.1] * 4 + [None] * 2, [0.2] * 2 + [None] * 4
    robustness_curve(pl.concat([rows("fgsm", 0.1, more), rows("fgsm", 0.2, fewer)]), "linf")
    line, marks = drawn()
    assert [7 * read_at(line, x) / 100 for x in (0.05, 0.15, 0.21)] == pytest.approx([6, 2, 2])
    assert (7 * marks.get_ydata() / 100).tolist() == pytest.approx([2, 4])


def test_an_attack_has_one_colour_in_all_figures(samples, drawn):
    robustness_curve(samples, "linf")
    colours = {line.get_label(): to_hex(line.get_color()) for line in drawn()}
    norm_histogram(samples, "l2")
    free = {one.get_label(): to_hex(one.get_edgecolor()) for one in drawn("patches")}
    assert free == {"deepfool": colours["deepfool"]}
    all_norms(samples)
    lengths = {one.get_label(): to_hex(one.get_edgecolor()) for one in drawn("patches")}
    assert lengths == {
        "fgsm 0.1": colours["fgsm"],
        "fgsm 0.2": colours["fgsm"],
        "deepfool": colours["deepfool"],
    }
    assert len({one.get_linestyle() for one in drawn("patches")[:2]}) == 2


def test_a_random_model_must_read_an_image_rightly_in_every_clean_look(samples):
    shaken = of_a_random_model(samples)
    # Of 0 to 6 the last look misses 5 and the others 6; fgsm takes 0 and 1, deepfool 0 to 3.
    at = [worst_case(shaken, "linf", eps).k for eps in (-1, 0, 0.1, 0.2, 0.3, 1)]
    assert at == [5, 5, 4, 3, 2, 1]
    for one in summarise_digital(shaken, "linf"):
        assert worst_case(shaken, "linf", 1).k <= one.after.k
    told = robustness_curve(shaken, "linf")
    assert "different clean predictions of 2 of 8 images" in told
    assert "different clean predictions" not in robustness_curve(samples, "linf")


def test_a_look_without_a_number_is_not_one_that_is_right(samples):
    here = (pl.col("attack") == "fgsm") & (pl.col("image") == 4)
    shaken = samples.with_columns(
        pl.when(here).then(-1).otherwise("clean_prediction").alias("clean_prediction"),
        pl.when(here).then(pl.lit("not a number")).otherwise("status").alias("status"),
    )
    rate = worst_case(shaken, "linf", 0)
    assert (rate.k, rate.n) == (5, 7)


@pytest.fixture
def page(tmp_path):
    """The page of some samples, as text."""
    facts = {"victim": "<m>", "weights": "0" * 64, "data": "d", "images": 8, "target": ""}
    facts |= {"seed": 0, "version": "1", "command": "physadv", "transfer_to": {}}

    def write(samples: pl.DataFrame) -> str:
        write_digital(tmp_path / "page.html", samples, {}, {}, {}, facts, ["0", "1"], "linf")
        return (tmp_path / "page.html").read_text()

    return write


def test_the_page_explains_what_it_shows(samples, page):
    told = page(samples)
    assert "the label is among the five classes" in told
    assert told.count("Clopper") == 1  # after 8 bits fgsm 0.1 fools 0 of 6
    assert "too few objects" not in told
    within = samples.with_columns(top5=pl.col("image") > 0)
    assert "Clopper" not in page(within.filter(pl.col("eps") == 0.2))
    halves = [[0.2] * 3 + [None] * 3, [None] * 3 + [0.2] * 3]
    split = pl.concat([rows(name, 0.2, half) for name, half in zip("ab", halves, strict=True)])
    told = page(split.with_columns(top5=pl.col("image") > 0))
    assert told.count("Clopper") == 1  # only together do they leave 0 of 7
    assert told.index("grey band") < told.index("Clopper")


def test_the_page_says_that_objects_are_too_few_for_intervals(samples, page):
    paired = samples.with_columns(group=(pl.col("image") // 2).cast(pl.String))
    told = page(paired)
    assert "none where there are too few objects for one" in told
    assert "Clopper" not in told


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
