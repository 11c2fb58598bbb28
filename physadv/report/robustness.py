"""Robust accuracy over the budget, and how large changes are, as plots."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes

from physadv.report.rates import Rate, rate_over
from physadv.report.svg import FAINT, INK, new_figure, style, svg_text
from physadv.report.text import attack_title

_HUES = (
    *("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"),
    *("#7f3800", "#003f63", "#005a42", "#7a3f61", "#8a6000", "#2f6f94", "#a0a0a0"),
)
_MARKERS = "osD^v<>"
_DASHES = ("-", "--", ":", "-.")
_BAND: dict[str, Any] = {
    "color": "#d6d6d6",
    "lw": 9,
    "solid_joinstyle": "miter",
    "solid_capstyle": "butt",
    "label": "worst case",
}
_NAMES = {
    "linf": "largest change of a pixel value (linf)",
    "l2": "length of the change (l2)",
    "l1": "sum of the changes (l1)",
    "l0": "pixels changed (l0)",
}
_SLACK, _LEAST_SLACK = 1e-5, 1e-7  # float32 on a budget, of pixels near 1


def robust_rate(rows: pl.DataFrame, norm: str, eps: float) -> Rate:
    """Of all images, those read rightly in every clean look that no row fools within ``eps``.

    Each attack looks at the clean image itself, and a random model may answer each time anew. A
    look is a change of length 0: it counts within every budget, those below 0 included.
    """
    lost = (pl.col("misread") & _fits(pl.col(norm), pl.lit(eps))).any()
    images = _by_image(rows, (_right().all() & ~lost).alias("stays"))
    return rate_over(images, pl.col("stays"), "group")


def _by_image(rows: pl.DataFrame, *columns: pl.Expr) -> pl.DataFrame:
    """A row for each image that is a number in some look."""
    number = pl.col("status") != "not a number"
    grouped = rows.group_by("image", maintain_order=True)
    return grouped.agg(pl.col("group").first(), number.any().alias("number"), *columns).filter(
        "number"
    )


def _right() -> pl.Expr:
    return pl.col("clean_prediction") == pl.col("label")


def _fits(length: pl.Expr, eps: pl.Expr) -> pl.Expr:
    return length <= eps * (1 + _SLACK) + _LEAST_SLACK


def keeps_budgets(rows: pl.DataFrame, norm: str) -> bool:
    """Whether every row has a budget in this norm: what some noise takes for eps is none."""
    inside = rows.select(_fits(pl.col(norm), pl.col("eps")).all()).item()
    return bool(inside) and not rows["eps"].has_nulls()


def robustness_curve(samples: pl.DataFrame, norm: str) -> str:
    """Accuracy against budget: steps for each attack, over those of the worst case.

    An ``<svg>`` element; a caption follows where attacks saw different clean predictions.
    """
    hues = _hues(samples)
    lengths = samples.filter("misread")[norm].append(samples["eps"].drop_nulls())
    end = 1.04 * (number_of(lengths.max() or 0) or 1.0)
    with style("robustness"):
        figure = new_figure(680, 360)
        axes: Axes = figure.add_subplot()
        if len(hues) > 1:
            _draw_steps(axes, *_steps(samples, norm), end, **_BAND)
        for number, (attack, hue) in enumerate(hues.items()):
            rows = samples.filter(pl.col("attack") == attack)
            look: dict[str, Any] = {"color": hue, "lw": 1.4, "label": attack}
            if keeps_budgets(rows, norm):
                marker = _MARKERS[number % len(_MARKERS)]
                _draw_budgets(axes, rows, norm, end, marker=marker, ms=5, zorder=3, **look)
            else:
                _draw_steps(axes, *_steps(rows, norm), end, **look)
        axes.set(xlabel=_NAMES[norm], ylabel="read rightly, %", ylim=(-2, 102), xlim=(0, end))
        axes.legend(frameon=False, fontsize=9)
        drawn = svg_text(figure, f"Accuracy under attack against the {norm} budget")
    return drawn + _disagreement(samples)


def _draw_budgets(axes: Axes, rows: pl.DataFrame, norm: str, end: float, **look: Any) -> None:
    """A mark with its interval at each budget tried; the line keeps to the least so far.

    What is read rightly within a budget is a bound for every larger one.
    """
    budgets = rows["eps"].unique().sort().to_list()
    rates = [_at(rows, eps) for eps in budgets]
    shares = [_percent(rate) for rate in (robust_rate(rows, norm, -1), *rates)]
    mark = {name: look.pop(name) for name in ("marker", "ms")}
    _draw_steps(axes, [0.0, *budgets], np.minimum.accumulate(shares).tolist(), end, **look)
    axes.plot(budgets, shares[1:], ls="none", color=look["color"], zorder=3, **mark)
    low, high = zip(*(_limits(rate) for rate in rates), strict=True)
    bars = [np.subtract(shares[1:], low), np.subtract(high, shares[1:])]
    axes.errorbar(budgets, shares[1:], bars, fmt="none", ecolor=look["color"], elinewidth=1)


def _draw_steps(
    axes: Axes, places: Sequence[float], shares: Sequence[float], end: float, **look: Any
) -> None:
    axes.step([*places, end], [*shares, shares[-1]], where="post", **look)


def _disagreement(samples: pl.DataFrame) -> str:
    looks = samples.group_by("image").agg(pl.col("clean_prediction").n_unique())
    differ = int((looks["clean_prediction"] > 1).sum())
    if not differ:
        return ""
    return (
        f"<figcaption>The attacks saw different clean predictions of {differ} of {len(looks)} "
        "images, as of a random model: the clean accuracy above is the first attack's, and the "
        "worst case takes an image as read rightly only where every clean look was right."
        "</figcaption>"
    )


def _hues(samples: pl.DataFrame) -> dict[str, str]:
    """One colour an attack, the same in every figure of a page."""
    attacks = samples["attack"].unique(maintain_order=True).to_list()
    return {attack: _HUES[number % len(_HUES)] for number, attack in enumerate(attacks)}


def _at(rows: pl.DataFrame, eps: float) -> Rate:
    return robust_rate(rows.filter(pl.col("eps") == eps), "linf", np.inf)


def _percent(rate: Rate) -> float:
    return 100 * (rate.value or 0.0)


def _limits(rate: Rate) -> tuple[float, float]:
    if rate.interval is None:
        return 0.0, 100.0
    return 100 * rate.interval.low, 100 * rate.interval.high


def _steps(rows: pl.DataFrame, norm: str) -> tuple[list[float], list[float]]:
    """Accuracy falls by one image at each image's smallest change that fools.

    A change that is longer than a budget by no more than float32's slack falls on the budget.
    """
    images = _by_image(
        rows, _right().all().alias("right"), pl.col(norm).filter("misread").min().alias("least")
    )
    right = images.filter("right")
    least = pl.col("least")
    for eps in rows["eps"].drop_nulls().unique():
        over = (least > eps) & _fits(least, pl.lit(eps))
        right = right.with_columns(pl.when(over).then(eps).otherwise(least).alias("least"))
    places = right["least"].drop_nulls().sort().to_list()
    left = len(right) - np.arange(len(places) + 1)
    return [0.0, *places], (100 * left / max(len(images), 1)).tolist()


def norm_histogram(samples: pl.DataFrame, norm: str) -> str | None:
    """How large the successful changes of the attacks without a budget are."""
    free = samples.filter(pl.col("eps").is_null() & pl.col("success"))
    attacks = free["attack"].unique(maintain_order=True).to_list()
    if not attacks:
        return None
    hues = _hues(samples)
    with style("norms"):
        figure = new_figure(680, 260)
        axes: Axes = figure.add_subplot()
        top = number_of(free[norm].quantile(0.99)) or 1.0
        for attack in attacks:
            values = free.filter(pl.col("attack") == attack)[norm].to_numpy()
            hue = hues[attack]
            axes.hist(values, bins=40, range=(0, top), histtype="step", color=hue, label=attack)
            axes.axvline(float(np.median(values)), color=hue, lw=0.8, ls="--")
        axes.set(xlabel=_NAMES[norm], ylabel="images")
        axes.legend(frameon=False, fontsize=9)
        axes.tick_params(colors=FAINT, labelcolor=INK)
        return svg_text(figure, f"Histogram of {norm} lengths; dashed: medians")


def all_norms(samples: pl.DataFrame) -> str | None:
    """How large every attack's successful changes are, in each of the four norms."""
    won = samples.filter("success")
    if not len(won):
        return None
    looks = _task_looks(samples, _hues(samples))
    with style("all norms"):
        figure = new_figure(680, 420)
        for axes, norm in zip(figure.subplots(2, 2).flat, _NAMES, strict=True):
            top = number_of(won[norm].max()) or 1.0
            for (attack, eps), look in looks.items():
                chosen = pl.col("attack") == attack, pl.col("eps").eq_missing(pl.lit(eps))
                values = won.filter(*chosen)[norm].to_numpy()
                axes.hist(values, bins=40, range=(0, top), histtype="step", **look)
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


def _task_looks(
    samples: pl.DataFrame, hues: Mapping[str, str]
) -> dict[tuple[str, float | None], dict[str, Any]]:
    """A colour an attack and a dash for each of its budgets, of tasks that found something."""
    looks: dict[tuple[str, float | None], dict[str, Any]] = {}
    for attack, hue in hues.items():
        rows = samples.filter(pl.col("attack") == attack)
        budgets = rows["eps"].unique(maintain_order=True).to_list()
        won = set(rows.filter("success")["eps"])
        looks |= {
            (attack, eps): {
                "color": hue,
                "ls": _DASHES[number % len(_DASHES)],
                "label": attack_title(attack, eps),
            }
            for number, eps in enumerate(budgets)
            if eps in won
        }
    return looks


def number_of(value: object) -> float:
    """A figure that polars calls any Python value."""
    return float(str(value))
