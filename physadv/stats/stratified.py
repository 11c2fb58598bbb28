"""Two treatments compared over strata, such as the cells of a grid: one test, one difference."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import chi2, norm

from physadv.stats.intervals import Interval

Counts = tuple[int, int]


@dataclass(frozen=True)
class Stratified:
    """A difference of success rates adjusted for strata.

    ``difference`` is Mantel and Haenszel's weighted mean of the strata's differences, with its
    95 % interval; ``p_value`` Cochran, Mantel and Haenszel's test that no stratum has one, None
    where no stratum can tell. ``strata`` is how many held both treatments.
    """

    difference: float
    interval: Interval
    p_value: float | None
    strata: int


def stratified_difference(
    first: Sequence[Counts], second: Sequence[Counts], confidence: float = 0.95
) -> Stratified | None:
    """Compare two treatments over strata that both were seen in.

    Args:
        first: (successes, trials) of the one treatment in each stratum.
        second: Those of the other, in the same order; strata without trials of both say nothing.
        confidence: Coverage of the interval.

    Returns:
        The first rate minus the second; None if no stratum has trials of both.

    References:
        Mantel & Haenszel, Statistical aspects of the analysis of data from retrospective studies
        of disease, JNCI 22, 1959 (the test, without continuity correction). Sato, On the variance
        estimator for the Mantel-Haenszel risk difference, Biometrics 45, 1989. Klingenberg, A new
        and improved confidence interval for the Mantel-Haenszel risk difference, Statistics in
        Medicine 33, 2014, eq. 5 (the interval, for few large strata and for many small ones).
    """
    strata = [
        (k1, n1, k2, n2)
        for (k1, n1), (k2, n2) in zip(first, second, strict=True)
        if n1 > 0 and n2 > 0
    ]
    if not strata:
        return None
    weights = [n1 * n2 / (n1 + n2) for _, n1, _, n2 in strata]
    total = sum(weights)
    difference = sum((k1 * n2 - k2 * n1) / (n1 + n2) for k1, n1, k2, n2 in strata) / total
    p_term, q_term = 0.0, 0.0
    for k1, n1, k2, n2 in strata:
        n = n1 + n2
        p_term += (n1**2 * k2 - n2**2 * k1 + n1 * n2 * (n2 - n1) / 2) / n**2
        q_term += (k1 * (n2 - k2) + k2 * (n1 - k1)) / (2 * n)
    # The limits are the differences d at which (difference - d)^2 = z^2 Var(d), Sato's variance
    # being linear in d: unlike difference +- z sd they are not too narrow in small strata.
    z2 = float(norm.ppf((1 + confidence) / 2)) ** 2
    middle = difference + z2 * p_term / (2 * total**2)
    half = math.sqrt(max(0.0, middle**2 - difference**2 + z2 * q_term / total**2))
    interval = Interval(max(-1.0, middle - half), min(1.0, middle + half))
    return Stratified(difference, interval, _cmh(strata), len(strata))


def _cmh(strata: Sequence[tuple[int, int, int, int]]) -> float | None:
    excess, variance = 0.0, 0.0
    for k1, n1, k2, n2 in strata:
        n, k = n1 + n2, k1 + k2
        if n < 2:
            continue
        excess += k1 - n1 * k / n
        variance += n1 * n2 * k * (n - k) / (n**2 * (n - 1))
    return float(chi2.sf(excess**2 / variance, 1)) if variance > 0 else None


def effective_size(by_cluster: Mapping[str, Counts]) -> float:
    """How many independent trials the trials of clusters are worth.

    n / (1 + (m - 1) rho), with rho the intraclass correlation by analysis of variance (0 where it
    is negative) and m the mean size, weighted as there. Between the number of clusters and n.

    References:
        Donner & Koval, The estimation of intraclass correlation in the analysis of family data,
        Biometrics 36, 1980; Kish, Survey Sampling, 1965 (the design effect).
    """
    counts = [(k, n) for k, n in by_cluster.values() if n]
    n, groups = sum(size for _, size in counts), len(counts)
    if groups == n or groups == 0:
        return float(n)
    share = sum(k for k, _ in counts) / n
    if share in (0.0, 1.0) or groups == 1:
        # Nothing varies, or nothing can be compared: trials may be worth no more than clusters.
        return float(groups)
    between = sum(size * (k / size - share) ** 2 for k, size in counts) / (groups - 1)
    within = sum(k * (size - k) / size for k, size in counts) / (n - groups)
    usual = (n - sum(size**2 for _, size in counts) / n) / (groups - 1)
    rho = (between - within) / (between + (usual - 1) * within)
    mean_size = sum(size**2 for _, size in counts) / n
    return max(float(groups), n / (1 + (mean_size - 1) * min(1.0, max(0.0, rho))))
