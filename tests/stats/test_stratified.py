"""Differences over strata against statsmodels, closed forms and simulation."""

import math

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from physadv.stats.stratified import effective_size, stratified_difference

FIRST = [(9, 12), (4, 10), (14, 15), (3, 20)]
SECOND = [(5, 11), (2, 14), (9, 13), (1, 18)]


def test_test_is_cochran_mantel_haenszel_s() -> None:
    tables = [
        np.array([[k1, n1 - k1], [k2, n2 - k2]], dtype=float)
        for (k1, n1), (k2, n2) in zip(FIRST, SECOND, strict=True)
    ]
    found = stratified_difference(FIRST, SECOND)
    assert found is not None
    expected = StratifiedTable(tables).test_null_odds(correction=False).pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-9)
    weights = [n1 * n2 / (n1 + n2) for (_, n1), (_, n2) in zip(FIRST, SECOND, strict=True)]
    gains = [a / n - b / m for (a, n), (b, m) in zip(FIRST, SECOND, strict=True)]
    assert found.difference == pytest.approx(np.average(gains, weights=weights))
    assert found.difference in found.interval


def test_one_large_stratum_is_the_difference_of_two_rates() -> None:
    found = stratified_difference([(3000, 10000)], [(2000, 10000)])
    assert found is not None
    sd = math.sqrt(0.3 * 0.7 / 10000 + 0.2 * 0.8 / 10000)
    assert found.difference == pytest.approx(0.1)
    assert found.interval.low == pytest.approx(0.1 - 1.96 * sd, abs=2e-4)
    assert found.interval.high == pytest.approx(0.1 + 1.96 * sd, abs=2e-4)


def test_exchanging_the_treatments_exchanges_the_signs() -> None:
    one, other = stratified_difference(FIRST, SECOND), stratified_difference(SECOND, FIRST)
    assert one is not None
    assert other is not None
    assert one.difference == pytest.approx(-other.difference)
    assert (one.interval.low, one.interval.high) == pytest.approx(
        (-other.interval.high, -other.interval.low)
    )
    assert one.p_value == pytest.approx(other.p_value)


@pytest.mark.parametrize(("cells", "n"), [(3, 20), (15, 4)])
def test_interval_covers_at_the_nominal_rate(cells: int, n: int) -> None:
    generator = np.random.default_rng(5)
    base = generator.uniform(0.1, 0.5, cells)
    covered = 0
    for _ in range(600):
        first = [(int(generator.binomial(n, p + 0.3)), n) for p in base]
        second = [(int(generator.binomial(n, p)), n) for p in base]
        found = stratified_difference(first, second)
        assert found is not None
        covered += 0.3 in found.interval
    assert 0.92 <= covered / 600 <= 0.985


def test_strata_without_one_treatment_say_nothing() -> None:
    assert stratified_difference([(3, 4), (0, 0)], [(0, 0), (2, 5)]) is None
    with_gap = stratified_difference([*FIRST, (5, 5)], [*SECOND, (0, 0)])
    assert with_gap == stratified_difference(FIRST, SECOND)
    same = stratified_difference([(4, 4)], [(5, 5)])
    assert same is not None
    assert same.p_value is None
    assert 0.0 in same.interval


def test_effective_size_lies_between_clusters_and_trials() -> None:
    alike = {str(i): (10 * (i % 2), 10) for i in range(12)}
    assert effective_size(alike) == pytest.approx(12)  # all of a session agree
    single = {str(i): (i % 2, 1) for i in range(40)}
    assert effective_size(single) == 40
    even = {str(i): (5, 10) for i in range(12)}
    assert effective_size(even) == pytest.approx(120)  # no session differs from another
    assert effective_size({"a": (0, 30), "b": (0, 30)}) == 2
    assert effective_size({}) == 0


def test_effective_size_follows_the_design_effect() -> None:
    generator = np.random.default_rng(2)
    rho, m = 0.3, 8
    a = (1 - rho) / rho
    rates = generator.beta(a / 2, a / 2, 4000)  # beta-binomial: this rho, mean one half
    clusters = {str(i): (int(generator.binomial(m, p)), m) for i, p in enumerate(rates)}
    expected = 4000 * m / (1 + (m - 1) * rho)
    assert effective_size(clusters) == pytest.approx(expected, rel=0.05)
