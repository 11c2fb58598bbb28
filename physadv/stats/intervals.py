"""Intervals and tests for counted outcomes: k successes in n trials, alone and compared.

Every function takes counts and returns plain floats or an :class:`Interval`; proportions and
differences are shares (0 to 1, -1 to 1), never per cent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binom, norm

from physadv.checks import UserError, check_range
from physadv.seeding import generator_for

MIN_CLUSTERS = 8
"""Below this many clusters a pooled bootstrap interval is too short to be shown."""


@dataclass(frozen=True)
class Interval:
    """A closed confidence interval."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def wilson(k: int, n: int, confidence: float = 0.95) -> Interval:
    """Score interval for a proportion, without continuity correction.

    Args:
        k: Successes, 0 to n.
        n: Trials, at least 1.
        confidence: Coverage, above 0 and below 1.

    Raises:
        UserError: If the counts are not 0 <= k <= n with n >= 1.

    References:
        Wilson, Probable inference, the law of succession, and statistical inference, JASA 22,
        1927.
    """
    _check_counts(k, n)
    return _score_limits(k / n, n, _z(confidence))


def clopper_pearson(k: int, n: int, confidence: float = 0.95) -> Interval:
    """Exact (conservative) interval for a proportion.

    Args:
        k: Successes, 0 to n.
        n: Trials, at least 1.
        confidence: Coverage, above 0 and below 1.

    Raises:
        UserError: If the counts are not 0 <= k <= n with n >= 1.

    References:
        Clopper & Pearson, The use of confidence or fiducial limits illustrated in the case of
        the binomial, Biometrika 26, 1934.
    """
    _check_counts(k, n)
    tail = (1 - _confidence(confidence)) / 2
    low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))
    return Interval(low, high)


def wilson_share(share: float, size: float, confidence: float = 0.95) -> Interval:
    """Wilson's interval for a share seen on ``size`` effective trials, neither a whole count.

    Args:
        share: 0 to 1.
        size: Effective trials, above 0.
        confidence: Coverage, above 0 and below 1.

    Raises:
        UserError: If a value is out of range.
    """
    check_range("share", share, 0.0, 1.0)
    check_range("effective trials", size, 0.0, math.inf, low_open=True)
    return _score_limits(share, size, _z(confidence))


def newcombe(k1: int, n1: int, k2: int, n2: int, confidence: float = 0.95) -> Interval:
    """Interval for p1 - p2, two independent proportions: Wilson limits combined (method 10).

    Raises:
        UserError: If either pair of counts is not 0 <= k <= n with n >= 1.

    References:
        Newcombe, Interval estimation for the difference between independent proportions:
        comparison of eleven methods, Statistics in Medicine 17:873-890, 1998.
    """
    first, second = wilson(k1, n1, confidence), wilson(k2, n2, confidence)
    return difference_of(k1 / n1, first, k2 / n2, second)


def difference_of(p1: float, first: Interval, p2: float, second: Interval) -> Interval:
    """Interval for p1 - p2 from independent estimates and their own intervals (MOVER).

    With Wilson intervals of two counts this is Newcombe's method 10.

    References:
        Zou & Donner, Construction of confidence limits about effect measures, Statistics in
        Medicine 27:1693-1702, 2008.
    """
    below = math.hypot(p1 - first.low, second.high - p2)
    above = math.hypot(first.high - p1, p2 - second.low)
    return Interval(max(-1.0, p1 - p2 - below), min(1.0, p1 - p2 + above))


def paired_difference(
    both: int, first_only: int, second_only: int, neither: int, confidence: float = 0.95
) -> Interval:
    """Interval for p1 - p2 where both outcomes were seen on the same n subjects (method 10).

    Args:
        both: Subjects with a success under the first and under the second condition.
        first_only: Success under the first only.
        second_only: Success under the second only.
        neither: No success under either.
        confidence: Coverage, above 0 and below 1.

    Raises:
        UserError: If a count is negative or all are 0.

    References:
        Newcombe, Improved confidence intervals for the difference between binomial proportions
        based on paired data, Statistics in Medicine 17:2635-2650, 1998, method 10.
    """
    e, f, g, h = both, first_only, second_only, neither
    n = e + f + g + h
    for count in (e, f, g, h):
        _check_counts(count, n)
    p1, p2 = (e + f) / n, (e + g) / n
    first, second = wilson(e + f, n, confidence), wilson(e + g, n, confidence)
    phi = _paired_phi(e, f, g, h)
    below = _correlated(p1 - first.low, second.high - p2, phi)
    above = _correlated(first.high - p1, p2 - second.low, phi)
    return Interval(max(-1.0, p1 - p2 - below), min(1.0, p1 - p2 + above))


def mcnemar_exact(b: int, c: int) -> float:
    """Two-sided exact p-value that the two kinds of discordant pair are equally likely.

    Args:
        b: Pairs with a success under the first condition only.
        c: Pairs with a success under the second condition only.

    Returns:
        The p-value; 1.0 if there is no discordant pair.

    Raises:
        UserError: If a count is negative.

    References:
        McNemar, Note on the sampling error of the difference between correlated proportions or
        percentages, Psychometrika 12, 1947.
    """
    if b < 0 or c < 0:
        raise UserError(f"discordant pairs {b}, {c}", "a negative count", "Give counts from 0 up.")
    if b + c == 0:
        return 1.0
    return min(1.0, 2.0 * float(binom.cdf(min(b, c), b + c, 0.5)))


def mean_of_rates(
    counts: Sequence[tuple[int, int]], confidence: float = 0.95
) -> tuple[float, Interval]:
    """Unweighted mean of independent proportions, with Wilson's interval at its effective size.

    The effective size is the number of trials at which a single proportion would have the mean's
    variance. Each stratum's variance is taken after one trial at the overall mean is added to
    it, so that a stratum without a failure does not count as certain. For strata of one size and
    one rate this is exactly the Wilson interval of the pooled counts.

    Args:
        counts: (k, n) of each stratum, at least one.
        confidence: Coverage, above 0 and below 1.

    Returns:
        The mean of k/n over the strata, and its interval.

    Raises:
        UserError: If there is no stratum or a pair of counts is impossible.

    References:
        Kott & Carr, Developing an estimation strategy for a pesticide data program, Journal of
        Official Statistics 13, 1997 (Wilson's interval at an effective sample size).
    """
    if not counts:
        raise UserError("mean of rates", "no strata", "Give at least one pair (k, n).")
    for k, n in counts:
        _check_counts(k, n)
    strata = len(counts)
    mean = math.fsum(k / n for k, n in counts) / strata
    if mean in (0.0, 1.0):
        size = strata**2 / math.fsum(1 / n for _, n in counts)
    else:
        smooth = [((k + mean) / (n + 1), n) for k, n in counts]
        variance = math.fsum(p * (1 - p) / n for p, n in smooth) / strata**2
        size = mean * (1 - mean) / variance
    return mean, _score_limits(mean, size, _z(confidence))


def cluster_bootstrap(
    successes: Sequence[float],
    totals: Sequence[float],
    *,
    draws: int = 4000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval for sum(successes) / sum(totals), whole clusters drawn with replacement.

    For a difference of two conditions seen on the same clusters, give the difference of the
    successes.

    Args:
        successes: Successes of each cluster (a video, a photograph, a session).
        totals: Trials of each cluster, each above 0.
        draws: Bootstrap samples, at least 2000.
        seed: Same seed, same interval.
        confidence: Coverage, above 0 and below 1.

    Raises:
        UserError: If there are fewer than 2 clusters, the lengths differ, a total is not
            positive, or ``draws`` is below 2000.
    """
    check_range("draws", draws, 2000, 1_000_000)
    tail = (1 - _confidence(confidence)) / 2
    k, n = np.asarray(successes, np.float64), np.asarray(totals, np.float64)
    if k.ndim != 1 or k.shape != n.shape or len(k) < 2 or not (n > 0).all():
        raise UserError(
            f"cluster bootstrap of {len(k)} successes and {len(n)} totals",
            "not two lists of equal length, at least 2, with totals above 0",
            "Give one success count and one total for each cluster.",
        )
    generator = generator_for(seed, "cluster bootstrap")
    weights = generator.multinomial(len(k), np.full(len(k), 1 / len(k)), size=draws)
    low, high = np.quantile((weights @ k) / (weights @ n), [tail, 1 - tail])
    return Interval(float(low), float(high))


def _score_limits(share: float, size: float, z: float) -> Interval:
    centre = (share * size + z * z / 2) / (size + z * z)
    half = z / (size + z * z) * math.sqrt(share * (1 - share) * size + z * z / 4)
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return Interval(low, high)


def _correlated(a: float, b: float, phi: float) -> float:
    return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))


def _paired_phi(e: int, f: int, g: int, h: int) -> float:
    """Phi of the 2x2 table, shrunk towards 0 as method 10 asks when it is positive."""
    margins = (e + f) * (g + h) * (e + g) * (f + h)
    if margins == 0:
        return 0.0
    cross = e * h - f * g
    if cross > 0:
        cross_shrunk = max(cross - (e + f + g + h) / 2, 0.0)
        return cross_shrunk / math.sqrt(margins)
    return cross / math.sqrt(margins)


def _check_counts(k: int, n: int) -> None:
    if n < 1 or not 0 <= k <= n or int(k) != k or int(n) != n:
        raise UserError(
            f"a proportion of {k} in {n}",
            "not a count of successes in a count of trials",
            "Give whole numbers with 0 <= k <= n and n >= 1.",
        )


def _confidence(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UserError(
            f"confidence {confidence:g}", "not between 0 and 1", "Give a share such as 0.95."
        )
    return confidence


def _z(confidence: float) -> float:
    return float(norm.ppf((1 + _confidence(confidence)) / 2))
