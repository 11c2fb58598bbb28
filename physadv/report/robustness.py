"""Robust accuracy over the budget, and how large changes are, as plots."""

from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from physadv.report.rates import Rate, rate_over
from physadv.report.svg import FAINT, INK, new_figure, style, svg_text

_HUES = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444")
_MARKERS = "osD^v<>"
_NAMES = {
    "linf": "largest change of a pixel value (linf)",
    "l2": "length of the change (l2)",
    "l1": "sum of the changes (l1)",
    "l0": "pixels changed (l0)",
}
_SLACK, _LEAST_SLACK = 1e-5, 1e-7  # float32 on a budget, of pixels near 1


def robust_rate(rows: pl.DataFrame, norm: str, eps: float) -> Rate:
    """Of all images, those read rightly that no row fools within ``eps``."""
    numbers = rows.filter(pl.col("status") != "not a number")
    right = pl.col("clean_prediction") == pl.col("label")
    lost = right & pl.col("misread") & _fits(norm, pl.lit(eps))
    images = numbers.group_by("image", maintain_order=True).agg(
        pl.col("group").first(), (right.any() & ~lost.any()).alias("stays")
    )
    return rate_over(images, pl.col("stays"), "group")


def _fits(norm: str, eps: pl.Expr) -> pl.Expr:
    return pl.col(norm) <= eps * (1 + _SLACK) + _LEAST_SLACK


def _keeps_budgets(rows: pl.DataFrame, norm: str) -> bool:
    """Whether every row has a budget in this norm: what some noise takes for eps is none."""
    inside = rows.select(_fits(norm, pl.col("eps")).all()).item()
    return bool(inside) and not rows["eps"].has_nulls()


def robustness_curve(samples: pl.DataFrame, norm: str) -> str:
    """Accuracy against budget, a line for each attack and one for the worst case."""
    attacks = samples["attack"].unique(maintain_order=True).to_list()
    with style("robustness"):
        figure = new_figure(680, 360)
        axes: Axes = figure.add_subplot()
        for number, attack in enumerate(attacks):
            rows = samples.filter(pl.col("attack") == attack)
            hue = _HUES[number % len(_HUES)]
            if _keeps_budgets(rows, norm):
                budgets = rows["eps"].unique().sort().to_list()
                points = [(0.0, robust_rate(rows, norm, -1)), *((e, _at(rows, e)) for e in budgets)]
                shares = [100 * (rate.value or 0) for _, rate in points]
                low, high = zip(*(_limits(rate) for _, rate in points), strict=True)
                places = [e for e, _ in points]
                bars = [np.subtract(shares, low), np.subtract(high, shares)]
                marker = _MARKERS[number % len(_MARKERS)]
                axes.errorbar(
                    places, shares, bars, color=hue, marker=marker, ms=4, lw=1.2, label=attack
                )
            else:
                places, shares = _steps(rows, norm)
                axes.step(places, shares, where="post", color=hue, lw=1.2, label=attack)
        if len(attacks) > 1:
            _draw_worst_case(axes, samples, norm)
        axes.set(xlabel=_NAMES[norm], ylabel="read rightly, %", ylim=(0, 101), xlim=(0, None))
        axes.legend(frameon=False, fontsize=9)
        return svg_text(figure, f"Accuracy under attack against the {norm} budget")


def _draw_worst_case(axes: Axes, samples: pl.DataFrame, norm: str) -> None:
    """Joined between budgets as the attacks are; at every change where one keeps to none."""
    look: dict[str, Any] = {"color": INK, "lw": 2, "ls": ":", "label": "worst case"}
    if not _keeps_budgets(samples, norm):
        axes.step(*_steps(samples, norm), where="post", **look)
        return
    places = [0.0, *samples["eps"].unique().sort()]
    rates = [robust_rate(samples, norm, eps or -1) for eps in places]
    axes.plot(places, [100 * (rate.value or 0) for rate in rates], **look)


def _at(rows: pl.DataFrame, eps: float) -> Rate:
    return robust_rate(rows.filter(pl.col("eps") == eps), "linf", np.inf)


def _limits(rate: Rate) -> tuple[float, float]:
    if rate.interval is None:
        return 0.0, 100.0
    return 100 * rate.interval.low, 100 * rate.interval.high


def _steps(rows: pl.DataFrame, norm: str) -> tuple[list[float], list[float]]:
    """Accuracy falls by one image at each image's smallest change."""
    numbers = rows.filter(pl.col("status") != "not a number")
    n = numbers["image"].n_unique()
    right_rows = numbers.filter(pl.col("clean_prediction") == pl.col("label"))
    right = right_rows["image"].n_unique()
    least = right_rows.filter("misread").group_by("image").agg(pl.col(norm).min())[norm].sort()
    left = right - np.arange(len(least) + 1)
    return [0.0, *least.to_list()], (100 * left / max(n, 1)).tolist()


def norm_histogram(samples: pl.DataFrame, norm: str) -> str | None:
    """How large the successful changes of the attacks without a budget are."""
    free = samples.filter(pl.col("eps").is_null() & pl.col("success"))
    attacks = free["attack"].unique(maintain_order=True).to_list()
    if not attacks:
        return None
    with style("norms"):
        figure = new_figure(680, 260)
        axes: Axes = figure.add_subplot()
        top = number_of(free[norm].quantile(0.99)) or 1.0
        for number, attack in enumerate(attacks):
            values = free.filter(pl.col("attack") == attack)[norm].to_numpy()
            hue = _HUES[number % len(_HUES)]
            axes.hist(values, bins=40, range=(0, top), histtype="step", color=hue, label=attack)
            axes.axvline(float(np.median(values)), color=hue, lw=0.8, ls="--")
        axes.set(xlabel=_NAMES[norm], ylabel="images")
        axes.legend(frameon=False, fontsize=9)
        axes.tick_params(colors=FAINT, labelcolor=INK)
        return svg_text(figure, f"Histogram of {norm} lengths; dashed: medians")


def all_norms(samples: pl.DataFrame) -> str | None:
    """How large every attack's successful changes are, in each of the four norms."""
    won = samples.filter("success")
    tasks = won.select("attack", "eps").unique(maintain_order=True).rows()
    if not tasks:
        return None
    with style("all norms"):
        figure = new_figure(680, 420)
        for axes, norm in zip(figure.subplots(2, 2).flat, _NAMES, strict=True):
            top = number_of(won[norm].max()) or 1.0
            for number, (attack, eps) in enumerate(tasks):
                chosen = pl.col("eps").is_null() if eps is None else pl.col("eps") == eps
                values = won.filter((pl.col("attack") == attack) & chosen)[norm].to_numpy()
                axes.hist(
                    values,
                    bins=40,
                    range=(0, top),
                    histtype="step",
                    color=_HUES[number % len(_HUES)],
                    ls="-" if number < len(_HUES) else "--",
                    label=attack if eps is None else f"{attack} {eps:g}",
                )
            axes.set(xlabel=_NAMES[norm], ylabel="images")
            axes.tick_params(colors=FAINT, labelcolor=INK, labelsize=9)
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(),
            frameon=False,
            fontsize=9,
            loc="outside lower center",
            ncols=4,
        )
        return svg_text(figure, "Histograms of the lengths of successful changes in four norms")


def number_of(value: object) -> float:
    """A figure that polars calls any Python value."""
    return float(str(value))
