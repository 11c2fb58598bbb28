"""Counted rates with the interval that fits them, and differences between paired treatments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from physadv.stats.intervals import (
    MIN_CLUSTERS,
    Interval,
    clopper_pearson,
    cluster_bootstrap,
    difference_of,
    mcnemar_exact,
    mean_of_rates,
    newcombe,
    paired_difference,
    wilson,
    wilson_share,
)

Cluster = str
Counts = tuple[int, int]


@dataclass(frozen=True)
class Rate:
    """k of n, with its 95 % interval.

    ``interval`` is None where there is nothing to estimate (n = 0) or too few clusters to say.
    ``exact`` is the Clopper-Pearson interval, given beside Wilson's where k is 0 or n.
    """

    k: int
    n: int
    interval: Interval | None = None
    exact: Interval | None = None
    method: str = "Wilson"

    @property
    def value(self) -> float | None:
        """k/n, or None if n is 0."""
        return self.k / self.n if self.n else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; shares from 0 to 1."""
        found = {"k": self.k, "n": self.n, "value": self.value}
        return found | {"interval": _ends(self.interval), "method": self.method}


@dataclass(frozen=True)
class Difference:
    """One share minus another of the same trials, with its 95 % interval and how it was found."""

    value: float
    interval: Interval | None = None
    method: str = "none"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"value": self.value, "interval": _ends(self.interval), "method": self.method}


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


@dataclass(frozen=True)
class Mean:
    """Unweighted mean of the rates of ``cells`` cells, with its 95 % interval."""

    value: float
    interval: Interval
    cells: int


@dataclass(frozen=True)
class Effect:
    """Target success of the artwork minus that of a control: what the artwork itself does.

    ``interval`` treats the two as independent (Newcombe; clusters: bootstrap), ``paired`` uses
    that both were seen on the same draws, ``mcnemar_p`` is exact over ``discordant`` pairs
    (artwork only, control only). ``mean`` and ``mean_interval`` are the difference of the means
    over cells.
    """

    control: str
    value: float
    interval: Interval | None
    paired: Interval | None
    discordant: Counts
    mcnemar_p: float | None
    mean: float | None
    mean_interval: Interval | None


def rate_of(k: int, n: int) -> Rate:
    """A rate of independent trials: Wilson, and Clopper-Pearson beside it at 0 and 100 %."""
    if n == 0:
        return Rate(0, 0, method="none")
    return Rate(k, n, wilson(k, n), clopper_pearson(k, n) if k in (0, n) else None)


def pooled_rate(by_cluster: Mapping[Cluster, Counts]) -> Rate:
    """A rate over clusters of trials.

    Clusters of one trial each are independent trials. Otherwise the interval is a bootstrap over
    clusters, and None below ``MIN_CLUSTERS`` of them. Where all clusters have one share a bootstrap
    has no width, which would claim certainty: there it is Wilson's with each cluster as one trial.
    """
    counts = [count for count in by_cluster.values() if count[1]]
    k, n = sum(count[0] for count in counts), sum(count[1] for count in counts)
    if all(count[1] == 1 for count in counts):
        return rate_of(k, n)
    if len(counts) < MIN_CLUSTERS:
        return Rate(k, n, method=f"none: {len(counts)} clusters")
    if _agree([c[0] for c in counts], [c[1] for c in counts]):
        interval = wilson_share(k / n, len(counts))
        return Rate(k, n, interval, method=f"Wilson, {len(counts)} clusters")
    interval = cluster_bootstrap([c[0] for c in counts], [c[1] for c in counts])
    return Rate(k, n, interval, method=f"bootstrap over {len(counts)} clusters")


def rate_over(rows: pl.DataFrame, hits: pl.Expr, clusters: str) -> Rate:
    """The share of ``rows`` where ``hits`` holds, over the clusters that the column names."""
    return pooled_rate(counts_over(rows, hits, clusters))


def counts_over(rows: pl.DataFrame, hits: pl.Expr, clusters: str) -> dict[Cluster, Counts]:
    """Rows where ``hits`` holds, and rows, of each of the clusters that the column names."""
    counts = rows.group_by(clusters, maintain_order=True).agg(
        hits.sum().alias("k"), pl.len().alias("n")
    )
    return {str(key): (int(k), int(n)) for key, k, n in counts.iter_rows()}


def difference_over(
    first: Mapping[Cluster, Counts], second: Mapping[Cluster, Counts]
) -> Difference:
    """The first rate minus the second, both seen on the same trials of the same clusters.

    The interval is a bootstrap over clusters, and None below ``MIN_CLUSTERS`` of them. Where every
    cluster has one difference a bootstrap has no width: there it is Newcombe's for independent
    rates with each cluster as one trial, which is the wider for leaving the pairing out.

    Raises:
        ValueError: If the clusters or their sizes differ, or there are no trials.
    """
    if {c: n for c, (_, n) in first.items()} != {c: n for c, (_, n) in second.items()}:
        raise ValueError("the two rates are of different trials")
    kept = [cluster for cluster, (_, n) in first.items() if n]
    sizes = [first[cluster][1] for cluster in kept]
    gains = [first[cluster][0] - second[cluster][0] for cluster in kept]
    value = sum(gains) / sum(sizes)
    if len(kept) < MIN_CLUSTERS:
        return Difference(value, method=f"none: {len(kept)} clusters")
    if _agree(gains, sizes):
        shares = [sum(rate[c][0] for c in kept) / sum(sizes) for rate in (first, second)]
        own = [wilson_share(share, len(kept)) for share in shares]
        interval = difference_of(shares[0], own[0], shares[1], own[1])
        return Difference(value, interval, f"Newcombe, {len(kept)} clusters")
    interval = cluster_bootstrap(gains, sizes)
    return Difference(value, interval, f"bootstrap over {len(kept)} clusters")


def _agree(parts: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether all shares are equal, so that drawing clusters anew cannot change their mean."""
    return all(part * sizes[0] == parts[0] * size for part, size in zip(parts, sizes, strict=True))


def mean_over(rates: Sequence[Rate]) -> Mean | None:
    """Unweighted mean of the rates that have trials; None if none has."""
    counts = [(rate.k, rate.n) for rate in rates if rate.n]
    if not counts:
        return None
    value, interval = mean_of_rates(counts)
    return Mean(value, interval, len(counts))


def effect_of(
    control: str,
    pairs: Sequence[tuple[Cluster, bool, bool]],
    artwork_mean: Mean | None,
    control_mean: Mean | None,
) -> Effect | None:
    """Compare the artwork with a control on the draws that saw both.

    Args:
        control: Name of the control treatment.
        pairs: (cluster, success of the artwork, success of the control) of each draw.
        artwork_mean: The artwork's mean over cells.
        control_mean: The control's.

    Returns:
        The effect; None if no draw saw both.
    """
    n = len(pairs)
    if n == 0:
        return None
    both = sum(a and c for _, a, c in pairs)
    first = sum(a and not c for _, a, c in pairs)
    second = sum(c and not a for _, a, c in pairs)
    clusters = {cluster for cluster, _, _ in pairs}
    interval, paired, p_value = None, None, None
    if len(clusters) == n:
        interval = newcombe(both + first, n, both + second, n)
        paired = paired_difference(both, first, second, n - both - first - second)
        p_value = mcnemar_exact(first, second)
    elif len(clusters) >= MIN_CLUSTERS:
        interval = _clustered(pairs)
    mean, mean_interval = None, None
    if artwork_mean is not None and control_mean is not None:
        mean = artwork_mean.value - control_mean.value
        mean_interval = difference_of(
            artwork_mean.value, artwork_mean.interval, control_mean.value, control_mean.interval
        )
    return Effect(
        control,
        (first - second) / n,
        interval,
        paired,
        (first, second),
        p_value,
        mean,
        mean_interval,
    )


def _clustered(pairs: Sequence[tuple[Cluster, bool, bool]]) -> Interval | None:
    """Bootstrap of the mean gain; None where every cluster gains the same and it has no width."""
    gains: dict[Cluster, int] = {}
    sizes: dict[Cluster, int] = {}
    for cluster, artwork, control in pairs:
        gains[cluster] = gains.get(cluster, 0) + int(artwork) - int(control)
        sizes[cluster] = sizes.get(cluster, 0) + 1
    if _agree(list(gains.values()), list(sizes.values())):
        return None
    return cluster_bootstrap(list(gains.values()), list(sizes.values()))
