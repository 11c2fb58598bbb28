"""Figures from trials: against counts made by hand, and against a slow count in plain Python."""

import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from toy_run import TARGET, grid_trials

from physadv.checks import UserError
from physadv.evaluate.trials import trials_frame
from physadv.report.rates import rate_of
from physadv.report.summary import ARTWORK, VictimSummary, summarise, summary_table
from physadv.stats.intervals import paired_difference, wilson
from physadv.types import TREATMENTS, Trial


def one(trials: list[Trial]) -> VictimSummary:
    (found,) = summarise(trials_frame(trials))
    return found


@pytest.fixture
def summary() -> VictimSummary:
    return one(grid_trials("a" * 64))


def test_cells_by_hand(summary):
    assert [cell.name for cell in summary.cells] == ["2 m, 0 deg", "4 m, 0 deg", "4 m, -30 deg"]
    assert [(c.distance_m, c.yaw_deg) for c in summary.cells] == [(2, 0), (4, 0), (4, -30)]
    clean = [cell.outcomes["clean"].hit for cell in summary.cells]
    assert [(rate.k, rate.n) for rate in clean] == [(40, 40), (39, 40), (20, 40)]
    target = [cell.outcomes[ARTWORK].target for cell in summary.cells]
    assert [(rate.k, rate.n) for rate in target] == [(36, 40), (30, 39), (10, 20)]
    error = [cell.outcomes[ARTWORK].error for cell in summary.cells]
    assert [(rate.k, rate.n) for rate in error] == [(37, 40), (30, 39), (16, 20)]
    assert [cell.clean_fails for cell in summary.cells] == [False, False, True]
    assert clean[0].exact is not None
    assert clean[1].exact is None


def test_pooled_and_means_by_hand(summary):
    pooled = summary.pooled[ARTWORK]
    assert (pooled.target.k, pooled.target.n) == (76, 99)
    assert (pooled.error.k, pooled.error.n) == (83, 99)
    assert (pooled.hit.k, pooled.hit.n) == (16, 120)
    noise = summary.pooled["noise"]
    assert (noise.target.k, noise.target.n) == (2, 99)
    assert (summary.pooled["clean"].hit.k, summary.pooled["clean"].hit.n) == (99, 120)
    limits = proportion_confint(76, 99, method="wilson")
    assert (pooled.target.interval.low, pooled.target.interval.high) == pytest.approx(limits)
    assert summary.means[ARTWORK].value == pytest.approx((36 / 40 + 30 / 39 + 10 / 20) / 3)
    assert summary.means_passing[ARTWORK].value == pytest.approx((36 / 40 + 30 / 39) / 2)
    assert summary.clean_mean.value == pytest.approx((40 + 39 + 20) / 120)
    assert summary.failing_cells == 1


def test_effect_by_hand(summary):
    noise, blank = summary.effects
    assert (noise.control, blank.control) == ("noise", "blank")
    assert noise.value == pytest.approx(74 / 99)
    # The noise print succeeds once where the artwork does and once where it does not.
    assert noise.discordant == (75, 1)
    expected = confint_proportions_2indep(76, 99, 2, 99, method="newcomb", compare="diff")
    assert (noise.interval.low, noise.interval.high) == pytest.approx(expected)
    assert noise.paired == paired_difference(1, 75, 1, 22)
    assert noise.mcnemar_p == pytest.approx(mcnemar([[1, 75], [1, 22]], exact=True).pvalue)
    assert noise.mean == pytest.approx((36 / 40 + 30 / 39 + 10 / 20) / 3 - (2 / 40) / 3)
    assert noise.mean in noise.mean_interval
    assert blank.value == pytest.approx(76 / 99)


def test_headline(summary):
    assert str(summary) == (
        f"toy-cnn reads Stop as {TARGET} in 76 of 99 simulated views (76.8 %, 95 % CI "
        "67.5–84.0 %), against 2.0 % with a noise print of the same shape."
    )


def test_draws_without_a_clean_view_do_not_count():
    trials = grid_trials("a" * 64)
    kept = [t for t in trials if not (t.treatment == "clean" and t.frame < 10)]
    found = one(kept).pooled[ARTWORK]
    assert found.hit.n == 120
    assert found.target.n == 99 - 30
    no_clean = one([t for t in trials if t.treatment != "clean"])
    assert no_clean.pooled[ARTWORK].target == rate_of(0, 0)
    assert no_clean.pooled[ARTWORK].target.value is None
    assert no_clean.effects == ()
    assert all(cell.clean_fails for cell in no_clean.cells)
    assert "no view" in no_clean.headline


def test_row_order_and_other_groups_do_not_matter(summary):
    own = grid_trials("a" * 64)
    other = [replace(t, group="dense", verdict="hit") for t in own]
    shuffled = trials_frame([*other, *own]).sample(fraction=1.0, shuffle=True, seed=1)
    found = {s.group: s for s in summarise(shuffled)}
    assert found["lab"] == summary
    assert found["dense"].pooled[ARTWORK].target.k == 0


def test_order_of_summaries():
    exact = grid_trials("a" * 64)
    trials = [
        *[replace(t, source="photo", group="street") for t in exact],
        *grid_trials("a" * 64, crop="jittered"),
        *[replace(t, crop="detector") for t in exact],
        *[replace(t, victim="a-net") for t in exact],
        *exact,
    ]
    found = [(s.source, s.crop, s.victim) for s in summarise(trials_frame(trials))]
    assert found == [
        ("grid", "exact", "a-net"),
        ("grid", "exact", "toy-cnn"),
        ("grid", "detector", "toy-cnn"),
        ("grid", "jittered", "toy-cnn"),
        ("photo", "exact", "toy-cnn"),
    ]


def test_one_look_twice_is_refused():
    trials = grid_trials("a" * 64)
    with pytest.raises(UserError, match="2 rows for one look"):
        summarise(trials_frame([*trials, trials[5]]))


def photo_trials(photos: int, looks: int, wins: int) -> list[Trial]:
    """``wins`` photographs on which every look with the artwork succeeds."""
    base = replace(grid_trials("a" * 64)[0], source="photo", cell="", group="street")
    return [
        replace(
            base,
            treatment=treatment,
            verdict="target" if treatment == ARTWORK and photo < wins else "hit",
            frame=photo * looks + look,
            sha256=f"{photo:064d}" if treatment == "clean" else f"{photo:064d}"[::-1],
            distance_m=None,
            yaw_deg=None,
        )
        for photo in range(photos)
        for look in range(looks)
        for treatment in ("clean", "noise", ARTWORK)
    ]


def test_single_looks_at_photographs_are_independent_trials():
    found = one(photo_trials(14, 1, 12))
    rate = found.pooled[ARTWORK].target
    assert (rate.k, rate.n, rate.interval) == (12, 14, wilson(12, 14))
    assert "12 of 14 photographs" in found.headline
    assert found.effects[0].mcnemar_p is not None


def test_several_looks_at_a_photograph_are_a_cluster():
    rate = one(photo_trials(14, 5, 10)).pooled[ARTWORK].target
    assert (rate.k, rate.n) == (50, 70)
    width = rate.interval.high - rate.interval.low
    loose = wilson(50, 70)
    assert width > 1.8 * (loose.high - loose.low)
    effect = one(photo_trials(14, 5, 10)).effects[0]
    assert effect.paired is None
    assert effect.mcnemar_p is None
    assert effect.interval.high - effect.interval.low > 1.8 * (loose.high - loose.low)


def test_few_or_unanimous_clusters():
    few = one(photo_trials(7, 5, 4))
    assert few.pooled[ARTWORK].target.interval is None
    assert few.effects[0].interval is None
    unanimous = one(photo_trials(14, 5, 14)).pooled[ARTWORK].target
    assert unanimous.interval == wilson(14, 14)
    assert one(photo_trials(14, 5, 0)).pooled[ARTWORK].target.interval == wilson(0, 14)


verdicts = st.sampled_from(["hit", "target", "misclassified"])
looks = st.dictionaries(
    st.tuples(st.sampled_from(["1 m, 0 deg", "2 m, 5 deg"]), st.integers(0, 5)),
    st.dictionaries(st.sampled_from(TREATMENTS), verdicts, min_size=1),
    min_size=1,
)


@given(looks)
@settings(max_examples=60, deadline=None)
def test_counts_agree_with_plain_loops(drawn):
    base = grid_trials("a" * 64)[0]
    trials = [
        replace(base, cell=cell, frame=frame, treatment=treatment, verdict=verdict)
        for (cell, frame), seen in drawn.items()
        for treatment, verdict in seen.items()
    ]
    found = one(trials)
    for treatment in TREATMENTS:
        seen = [(s.get("clean"), s[treatment]) for s in drawn.values() if treatment in s]
        if not seen:
            assert treatment not in found.pooled
            continue
        outcome = found.pooled[treatment]
        base_count = sum(clean == "hit" for clean, _ in seen)
        assert (outcome.hit.k, outcome.hit.n) == (sum(v == "hit" for _, v in seen), len(seen))
        assert (outcome.target.k, outcome.target.n) == (seen.count(("hit", "target")), base_count)
        assert outcome.error.k == sum(clean == "hit" and v != "hit" for clean, v in seen)
    for effect in found.effects:
        pairs = [
            (s[ARTWORK] == "target", s[effect.control] == "target")
            for s in drawn.values()
            if s.get("clean") == "hit" and ARTWORK in s and effect.control in s
        ]
        assert effect.discordant == (pairs.count((True, False)), pairs.count((False, True)))
        assert effect.value == pytest.approx(sum(a - c for a, c in pairs) / len(pairs))


def test_terminal_table_fits_80_columns_and_says_the_figures():
    trials = grid_trials("a" * 64, victim="gtsrb-resnet")
    trials += [replace(t, victim="[red]odd[/red]") for t in trials]
    stream = io.StringIO()
    Console(file=stream, width=80).print(summary_table(summarise(trials_frame(trials))))
    printed = stream.getvalue()
    for figure in ("76/99  76.8 %", "67.5–84.0 %", "82.5 %", "2.0 %", "+74.7", "[red]odd[/red]"):
        assert figure in printed
    assert max(map(len, printed.splitlines())) <= 80
