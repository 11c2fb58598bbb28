"""Intervals against published values, statsmodels and scipy, and against their own coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from physadv.checks import UserError
from physadv.stats.intervals import (
    Interval,
    clopper_pearson,
    cluster_bootstrap,
    mcnemar_exact,
    mean_of_rates,
    newcombe,
    paired_difference,
    wilson,
    wilson_share,
)

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def limits(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_single_proportions_agree_with_statsmodels_and_scipy(count, confidence):
    k, n = count
    assert limits(wilson(k, n, confidence)) == pytest.approx(
        proportion_confint(k, n, 1 - confidence, method="wilson"), abs=1e-12
    )
    exact = binomtest(k, n).proportion_ci(confidence, method="exact")
    assert limits(clopper_pearson(k, n, confidence)) == pytest.approx(exact, abs=1e-12)


@given(counts)
@settings(max_examples=20, deadline=None)
def test_a_share_of_whole_counts_is_wilson(count):
    k, n = count
    assert limits(wilson_share(k / n, n)) == pytest.approx(limits(wilson(k, n)), abs=1e-12)


@pytest.mark.parametrize(("share", "size"), [(-0.1, 5), (1.1, 5), (0.5, 0), (float("nan"), 5)])
def test_impossible_shares_are_refused(share, size):
    with pytest.raises(UserError, match="outside the allowed range"):
        wilson_share(share, size)


@given(counts)
@settings(max_examples=60, deadline=None)
def test_single_proportions_are_sane(count):
    k, n = count
    for method in (wilson, clopper_pearson):
        own, other = method(k, n), method(n - k, n)
        assert limits(own) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-12)
        assert 0 <= own.low <= k / n <= own.high <= 1
        if k < n:
            more = method(k + 1, n)
            assert more.low > own.low
            assert more.high > own.high
        wider = method(k, n, 0.99)
        assert wider.low <= own.low
        assert wider.high >= own.high


@pytest.mark.parametrize(("n", "low"), [(5, 47.8), (10, 69.2), (20, 83.2), (30, 88.4)])
def test_all_successes_as_in_the_protocol(n, low):
    found = clopper_pearson(n, n)
    assert round(100 * found.low, 1) == low
    assert found.high == 1.0


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(12, 15, 54.8, 93.0), (10, 15, 41.7, 84.8), (27, 40, 52.0, 79.9)]
)
def test_rp2_in_wilson_terms(k, n, low, high):
    assert [round(100 * x, 1) for x in limits(wilson(k, n))] == [low, high]


def test_newcombe_published_example():
    # Newcombe 1998, Statistics in Medicine 17:873-890, table II, example (a), method 10.
    assert limits(newcombe(56, 70, 48, 80)) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(counts, counts)
@settings(max_examples=60, deadline=None)
def test_newcombe_agrees_with_statsmodels_and_is_antisymmetric(first, second):
    own = newcombe(*first, *second)
    expected = confint_proportions_2indep(*first, *second, method="newcomb", compare="diff")
    assert limits(own) == pytest.approx(expected, abs=1e-10)
    swapped = newcombe(*second, *first)
    assert limits(own) == pytest.approx((-swapped.high, -swapped.low), abs=1e-12)


def test_paired_published_example():
    # Newcombe 1998, Statistics in Medicine 17:2635-2650, method 10.
    assert limits(paired_difference(36, 12, 2, 0)) == pytest.approx((0.0569, 0.3404), abs=5e-5)


@given(counts)
@settings(max_examples=40, deadline=None)
def test_paired_without_correlation_is_the_independent_interval(count):
    k, n = count
    own = paired_difference(0, k, 0, n - k)
    assert limits(own) == pytest.approx(limits(newcombe(k, n, 0, n)), abs=1e-12)


@given(st.tuples(*[st.integers(0, 60)] * 4).filter(lambda table: sum(table) > 0))
@settings(max_examples=100, deadline=None)
def test_paired_is_antisymmetric_and_contains_the_difference(table):
    e, f, g, h = table
    own, swapped = paired_difference(e, f, g, h), paired_difference(e, g, f, h)
    assert limits(own) == pytest.approx((-swapped.high, -swapped.low), abs=1e-12)
    complement = paired_difference(h, f, g, e)
    assert limits(own) == pytest.approx(limits(complement), abs=1e-12)
    assert own.low - 1e-12 <= (f - g) / sum(table) <= own.high + 1e-12


def test_paired_uses_the_pairing():
    agreeing = paired_difference(45, 5, 0, 50)
    independent = newcombe(50, 100, 45, 100)
    assert agreeing.high - agreeing.low < 0.6 * (independent.high - independent.low)


@pytest.mark.parametrize("probabilities", [(0.3, 0.3, 0.1, 0.3), (0.02, 0.9, 0.0, 0.08)])
def test_paired_covers(probabilities):
    tables = np.random.default_rng(3).multinomial(60, probabilities, size=1500)
    truth = probabilities[1] - probabilities[2]
    covered = np.mean([truth in paired_difference(*map(int, table)) for table in tables])
    assert 0.93 < covered < 0.985


@given(st.integers(0, 300), st.integers(0, 300))
@settings(max_examples=80, deadline=None)
def test_mcnemar_agrees_with_statsmodels_and_binomtest(b, c):
    own = mcnemar_exact(b, c)
    assert own == pytest.approx(mcnemar([[0, b], [c, 0]], exact=True).pvalue, abs=1e-12)
    if b + c:
        assert own == pytest.approx(binomtest(b, b + c, 0.5).pvalue, abs=1e-12)
    assert own == mcnemar_exact(c, b)


@given(counts, st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_mean_of_equal_strata_is_the_pooled_wilson(count, strata):
    k, n = count
    mean, interval = mean_of_rates([count] * strata)
    assert mean == pytest.approx(k / n)
    pooled = wilson(k * strata, n * strata)
    assert limits(interval) == pytest.approx(limits(pooled), abs=1e-9)


@given(st.lists(counts, min_size=1, max_size=15))
@settings(max_examples=80, deadline=None)
def test_mean_is_unweighted_contained_and_symmetric(strata):
    mean, interval = mean_of_rates(strata)
    assert mean == pytest.approx(np.mean([k / n for k, n in strata]))
    assert interval.low <= mean <= interval.high
    other, mirrored = mean_of_rates([(n - k, n) for k, n in strata])
    assert mean + other == pytest.approx(1)
    assert limits(interval) == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-9)


@pytest.mark.parametrize(
    ("rates", "n"),
    [
        ([0.98] * 15, 200),
        (list(np.linspace(0.6, 1, 15)), 40),
        ([0.01] * 15, 60),
        ([0.9] * 14 + [0.1], 40),
        ([1.0] * 14 + [0.5], 40),
    ],
)
def test_mean_covers(rates, n):
    drawn = np.random.default_rng(5).binomial(n, rates, size=(1500, len(rates)))
    truth = float(np.mean(rates))
    covered = np.mean([truth in mean_of_rates([(int(k), n) for k in row])[1] for row in drawn])
    assert 0.915 < covered < 0.985


def test_bootstrap_of_single_trials_matches_the_binomial():
    successes = [1] * 70 + [0] * 30
    found = cluster_bootstrap(successes, [1] * 100, draws=20000)
    expected = binom.ppf([0.025, 0.975], 100, 0.7) / 100
    assert limits(found) == pytest.approx(expected, abs=0.011)


def test_bootstrap_over_clusters_is_wider_than_over_trials():
    clustered = cluster_bootstrap([10] * 7 + [0] * 3, [10] * 10)
    loose = cluster_bootstrap([1] * 70 + [0] * 30, [1] * 100)
    ratio = (clustered.high - clustered.low) / (loose.high - loose.low)
    assert ratio == pytest.approx(np.sqrt(10), rel=0.1)


def test_bootstrap_is_seeded_and_weighs_clusters_by_size():
    sizes = [1, 50, 3, 8, 20, 5, 9, 2]
    hits = [0, 50, 0, 4, 18, 0, 1, 2]
    assert cluster_bootstrap(hits, sizes, seed=4) == cluster_bootstrap(hits, sizes, seed=4)
    assert cluster_bootstrap(hits, sizes, seed=4) != cluster_bootstrap(hits, sizes, seed=5)
    assert sum(hits) / sum(sizes) in cluster_bootstrap(hits, sizes)


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson(1, 0),
        lambda: wilson(-1, 5),
        lambda: wilson(6, 5),
        lambda: clopper_pearson(6, 5),
        lambda: clopper_pearson(2.5, 5),
        lambda: wilson(1, 5, 1.0),
        lambda: newcombe(1, 2, 3, 2),
        lambda: paired_difference(0, 0, 0, 0),
        lambda: paired_difference(3, -1, 0, 0),
        lambda: mcnemar_exact(-1, 2),
        lambda: mean_of_rates([]),
        lambda: mean_of_rates([(1, 2), (0, 0)]),
        lambda: cluster_bootstrap([1], [1]),
        lambda: cluster_bootstrap([1, 2], [1]),
        lambda: cluster_bootstrap([1, 0], [1, 0]),
        lambda: cluster_bootstrap([1, 0], [1, 1], draws=100),
    ],
)
def test_impossible_counts_are_refused(call):
    with pytest.raises(UserError):
        call()
