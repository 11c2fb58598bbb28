"""The outcome of digital attacks: rates, robust accuracy, norms, pictures, and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from markupsafe import Markup
from PIL import Image
from rich import box
from rich.table import Table

from physadv.data.files import atomic_path
from physadv.report import text
from physadv.report.crossing import Crossing
from physadv.report.html import environment
from physadv.report.pictures import Picture, embed
from physadv.report.rates import Rate, rate_over
from physadv.report.robustness import (
    all_norms,
    norm_histogram,
    number_of,
    robust_rate,
    robustness_curve,
)

_SHOWN_PX = 112
USUAL = frozenset({"succeeded", "failed", "already wrong"})
COLUMNS = (
    *("attack", "eps", "image", "group", "label", "clean_prediction", "clean_top5", "top5"),
    *("status", "success", "success_8bit", "misread", "forwards", "backwards"),
    *("l0", "l1", "l2", "linf"),
)
"""Of ``evaluate_digital``'s samples, what is read here."""
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
        right = pl.col("clean_prediction") == pl.col("label")
        counts = rows["status"].value_counts(sort=True)
        found.append(
            AttackSummary(
                title=text.attack_title(attack, eps),
                attack=str(attack),
                eps=None if eps is None else float(str(eps)),
                success=rate_over(attacked, pl.col("success"), "group"),
                success_8bit=rate_over(attacked, pl.col("success_8bit"), "group"),
                clean=rate_over(numbers, right, "group"),
                clean_top5=rate_over(numbers, pl.col("clean_top5"), "group"),
                after=rate_over(numbers, right & ~pl.col("misread"), "group"),
                after_top5=rate_over(numbers, pl.col("top5"), "group"),
                median_norm=number_of(won[norm].median()) if len(won) else None,
                passes=float(str((rows["forwards"] + rows["backwards"]).mean() or 0.0)),
                statuses=tuple((str(name), int(count)) for name, count in counts.iter_rows()),
            )
        )
    return found


def worst_case(samples: pl.DataFrame, norm: str, eps: float) -> Rate:
    """Images still read rightly under every attack that stays within ``eps``."""
    return robust_rate(samples, norm, eps)


def digital_table(summaries: Sequence[AttackSummary], norm: str) -> Table:
    """The summaries for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("attack", "fooled", "8 bits", "accuracy", f"median\n{norm}", "passes"):
        table.add_column(name, no_wrap=True)
    for one in summaries:
        table.add_row(
            one.title,
            text.in_a_line(one.success),
            *(
                text.percent(rate.value).replace(text.NBSP, " ")
                for rate in (one.success_8bit, one.after)
            ),
            text.NONE if one.median_norm is None else f"{one.median_norm:.4g}",
            f"{one.passes:.0f}",
        )
    return table


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
    histogram, lengths = norm_histogram(samples, norm), all_norms(samples)
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
            lengths=None if lengths is None else Markup(lengths),
            sheets={
                title: specimens(images, samples[list(example_rows[title])], class_names)
                for title, images in examples.items()
            },
            notes={title: told for title, told in notes.items() if told},
            matrices=matrices,
            clustered=samples["group"].n_unique() < samples["image"].n_unique(),
            text=text,
        )
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
