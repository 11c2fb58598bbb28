"""Rates and differences over clusters: where all clusters agree, certainty is not claimed."""

import pytest

from physadv.report.rates import difference_over, pooled_rate
from physadv.stats.intervals import newcombe, wilson


def of(k: int, n: int, clusters: int) -> dict[str, tuple[int, int]]:
    return {f"photo{index}": (k, n) for index in range(clusters)}


@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_rate_that_all_clusters_share_is_not_certain(k):
    """A bootstrap over ten equal clusters has no width; ten trials have Wilson's."""
    rate = pooled_rate(of(k, 2, 10))
    assert rate.interval == wilson(5 * k, 10)
    assert rate.method == "Wilson, 10 clusters"


def test_a_difference_that_all_clusters_share_is_not_certain():
    """Every photograph loses both of its people: 100 points, but of 10 photographs only."""
    found = difference_over(of(2, 2, 10), of(0, 2, 10))
    assert (found.value, found.method) == (1.0, "Newcombe, 10 clusters")
    assert found.interval == newcombe(10, 10, 0, 10)
    assert found.interval.low == pytest.approx(0.607, abs=0.001)
    assert found.interval.high == 1
    nothing = difference_over(of(1, 2, 10), of(1, 2, 10))
    assert nothing.interval == newcombe(5, 10, 5, 10)
    assert nothing.interval.low < 0 < nothing.interval.high


def test_a_difference_of_clusters_that_differ_is_bootstrapped():
    second = {**of(0, 2, 10), "photo3": (1, 2)}
    found = difference_over(of(2, 2, 10), second)
    assert found.value == pytest.approx(0.95)
    assert found.method == "bootstrap over 10 clusters"
    assert found.interval.low < 0.95 <= found.interval.high


def test_few_clusters_have_no_interval_and_other_trials_no_difference():
    few = difference_over(of(2, 2, 7), of(0, 2, 7))
    assert (few.interval, few.method) == (None, "none: 7 clusters")
    with pytest.raises(ValueError, match="different trials"):
        difference_over(of(2, 2, 9), of(1, 2, 10))
