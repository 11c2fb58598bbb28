"""The outcome of digital attacks: rates, robust accuracy, norms, pictures, and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from markupsafe import Markup
from matplotlib.axes import Axes
from PIL import Image
from rich import box
from rich.table import Table

from physadv.data.files import atomic_path
from physadv.report import text
from physadv.report.crossing import Crossing
from physadv.report.html import environment
from physadv.report.pictures import Picture, embed
from physadv.report.rates import Rate, rate_of
from physadv.report.svg import FAINT, INK, new_figure, style, svg_text

_HUES = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444")
_MARKERS = "osD^v<>"
_NAMES = {
    "linf": "largest change of a pixel value (linf)",
    "l2": "length of the change (l2)",
    "l1": "sum of the changes (l1)",
    "l0": "pixels changed (l0)",
}
_SHOWN_PX = 112
USUAL = frozenset({"succeeded", "failed", "already wrong"})
_SLACK = 1e-5  # float32 on a budget
Examples = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class AttackSummary:
    """One attack at one budget. Accuracies count over all images that are numbers."""

    title: str
    attack: str
    eps: float | None
    success: Rate
    success_8bit: Rate
    clean: Rate
    clean_top5: Rate
    after: Rate
    after_top5: Rate
    median_norm: float | None
    passes: float
    statuses: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Specimen:
    """One attacked image: as it was, the change enlarged around grey, and as it is."""

    clean: Picture
    change: Picture
    adversarial: Picture
    factor: float
    before: str
    after: str


def summarise_digital(samples: pl.DataFrame, norm: str) -> list[AttackSummary]:
    """One summary for each attack and budget, in the order in which they ran."""
    found = []
    for (attack, eps), rows in samples.group_by("attack", "eps", maintain_order=True):
        numbers = rows.filter(pl.col("status") != "not a number")
        attacked = numbers.filter(pl.col("status") != "already wrong")
        won = attacked.filter("success")
        n = len(numbers)
        right = numbers["clean_prediction"] == numbers["label"]
        counts = rows["status"].value_counts(sort=True)
        found.append(
            AttackSummary(
                title=str(attack) if eps is None else f"{attack} {eps:g}",
                attack=str(attack),
                eps=None if eps is None else float(str(eps)),
                success=rate_of(len(won), len(attacked)),
                success_8bit=rate_of(int(attacked["success_8bit"].sum()), len(attacked)),
                clean=rate_of(int(right.sum()), n),
                clean_top5=rate_of(int(numbers["clean_top5"].sum()), n),
                after=rate_of(int(right.sum()) - len(won), n),
                after_top5=rate_of(int(numbers["top5"].sum()), n),
                median_norm=_number(won[norm].median()) if len(won) else None,
                passes=float(str((rows["forwards"] + rows["backwards"]).mean() or 0.0)),
                statuses=tuple((str(name), int(count)) for name, count in counts.iter_rows()),
            )
        )
    return found


def worst_case(samples: pl.DataFrame, norm: str, eps: float) -> Rate:
    """Images still read rightly under every attack that stays within ``eps``."""
    return _robust(samples, norm, eps)


def _robust(rows: pl.DataFrame, norm: str, eps: float) -> Rate:
    """Of all images, those read rightly that no row fools within ``eps``."""
    numbers = rows.filter(pl.col("status") != "not a number")
    right = numbers.filter(pl.col("clean_prediction") == pl.col("label"))
    lost = right.filter(pl.col("success") & (pl.col(norm) <= eps * (1 + _SLACK) + 1e-9))
    k = right["image"].n_unique() - lost["image"].n_unique()
    return rate_of(k, numbers["image"].n_unique())


def digital_table(summaries: Sequence[AttackSummary], norm: str) -> Table:
    """The summaries for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("attack", "fooled", "8 bits", "accuracy", f"median\n{norm}", "passes"):
        table.add_column(name, no_wrap=True)
    for one in summaries:
        table.add_row(
            one.title,
            _plain(one.success),
            *(
                text.percent(rate.value).replace(text.NBSP, " ")
                for rate in (one.success_8bit, one.after)
            ),
            text.NONE if one.median_norm is None else f"{one.median_norm:.4g}",
            f"{one.passes:.0f}",
        )
    return table


def _plain(rate: Rate) -> str:
    limits = f" ({text.bare(rate.interval)})" if rate.interval else ""
    return f"{text.percent(rate.value)} {text.counts(rate)}{limits}".replace(text.NBSP, " ")


def robustness_curve(samples: pl.DataFrame, norm: str) -> str:
    """Accuracy against budget, a line for each attack and one for the worst case."""
    attacks = samples["attack"].unique(maintain_order=True).to_list()
    with style("robustness"):
        figure = new_figure(680, 360)
        axes: Axes = figure.add_subplot()
        for number, attack in enumerate(attacks):
            rows = samples.filter(pl.col("attack") == attack)
            hue = _HUES[number % len(_HUES)]
            budgets = rows["eps"].drop_nulls().unique().sort().to_list()
            if budgets:
                points = [(0.0, _robust(rows, norm, -1)), *((e, _at(rows, e)) for e in budgets)]
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
            places, shares = _steps(samples, norm)
            axes.step(places, shares, where="post", color=INK, lw=2, ls=":", label="worst case")
        axes.set(xlabel=_NAMES[norm], ylabel="read rightly, %", ylim=(0, 101), xlim=(0, None))
        axes.legend(frameon=False, fontsize=9)
        return svg_text(figure, f"Accuracy under attack against the {norm} budget")


def _at(rows: pl.DataFrame, eps: float) -> Rate:
    return _robust(rows.filter(pl.col("eps") == eps), "linf", np.inf)


def _limits(rate: Rate) -> tuple[float, float]:
    if rate.interval is None:
        return 0.0, 100.0
    return 100 * rate.interval.low, 100 * rate.interval.high


def _steps(rows: pl.DataFrame, norm: str) -> tuple[list[float], list[float]]:
    """Accuracy falls by one image at each image's smallest change."""
    numbers = rows.filter(pl.col("status") != "not a number")
    n = numbers["image"].n_unique()
    right = numbers.filter(pl.col("clean_prediction") == pl.col("label"))["image"].n_unique()
    least = numbers.filter("success").group_by("image").agg(pl.col(norm).min())[norm].sort()
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
        top = _number(free[norm].quantile(0.99)) or 1.0
        for number, attack in enumerate(attacks):
            values = free.filter(pl.col("attack") == attack)[norm].to_numpy()
            hue = _HUES[number % len(_HUES)]
            axes.hist(values, bins=40, range=(0, top), histtype="step", color=hue, label=attack)
            axes.axvline(float(np.median(values)), color=hue, lw=0.8, ls="--")
        axes.set(xlabel=_NAMES[norm], ylabel="images")
        axes.legend(frameon=False, fontsize=9)
        axes.tick_params(colors=FAINT, labelcolor=INK)
        return svg_text(figure, f"Histogram of {norm} lengths; dashed: medians")


def specimens(
    examples: npt.NDArray[np.float32], rows: pl.DataFrame, class_names: Sequence[str]
) -> list[Specimen]:
    """Pictures of [n,2,C,H,W] clean and adversarial images; ``rows`` are their n samples."""
    found = []
    for (clean, adversarial), row in zip(examples, rows.iter_rows(named=True), strict=True):
        change = adversarial - clean
        peak = float(np.abs(change).max())
        factor = 0.5 / peak if peak > 0 else 1.0
        found.append(
            Specimen(
                _picture(clean),
                _picture(0.5 + factor * change),
                _picture(adversarial),
                factor,
                _named(class_names, row["clean_prediction"], row["clean_confidence"]),
                _named(class_names, row["prediction"], row["confidence"]),
            )
        )
    return found


def _named(class_names: Sequence[str], index: int, confidence: float) -> str:
    name = class_names[index] if 0 <= index < len(class_names) else str(index)
    return f"{name}, {text.percent(confidence)}"


def _picture(image: npt.NDArray[np.float32]) -> Picture:
    pixels = np.clip(np.rint(255 * image), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    shown = Image.fromarray(np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels)
    factor = max(1, round(_SHOWN_PX / shown.width))
    size = (shown.width * factor, shown.height * factor)
    return embed(shown.resize(size, Image.Resampling.NEAREST))


def write_digital(
    path: Path,
    samples: pl.DataFrame,
    examples: Examples,
    example_rows: Mapping[str, Sequence[int]],
    notes: Mapping[str, Sequence[str]],
    facts: Mapping[str, Any],
    class_names: Sequence[str],
    norm: str,
    matrices: Sequence[Crossing] = (),
) -> None:
    """Write one self-contained page.

    Raises:
        UserError: If it cannot be written.
    """
    summaries = summarise_digital(samples, norm)
    histogram = norm_histogram(samples, norm)
    budgets = samples["eps"].drop_nulls().unique().sort().to_list()
    page = (
        environment()
        .get_template("digital.html.j2")
        .render(
            facts=facts,
            norm=norm,
            summaries=summaries,
            worst=[(eps, worst_case(samples, norm, eps)) for eps in budgets],
            curve=Markup(robustness_curve(samples, norm)),
            histogram=None if histogram is None else Markup(histogram),
            sheets={
                title: specimens(images, samples[list(example_rows[title])], class_names)
                for title, images in examples.items()
            },
            notes={title: told for title, told in notes.items() if told},
            matrices=matrices,
            text=text,
        )
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _number(value: object) -> float:
    return float(str(value))
