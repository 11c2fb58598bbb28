"""Detectors: how many objects are still found, by treatment and confidence, from Trials alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
from rich import box
from rich.table import Table

from physadv.checks import UserError
from physadv.report import text
from physadv.report.rates import Difference, Rate, difference_over, pooled_rate
from physadv.types import TREATMENTS

SOURCE = "objects"
CONFIDENCES = (0.25, 0.4, 0.5)
"""Deployed default of ultralytics; Thys et al. 2019; Armory and T-SEA."""

_BOTH = {"noise", "adversarial"}
_BY = ("victim", "artwork", "group", "true_class")
_CONTROLS = (("noise", "with a noise print"), ("clean", "without"))


@dataclass(frozen=True)
class RecallSummary:
    """One detector looking at one patch on one set of photographs.

    ``recall`` gives, by confidence and treatment, the objects found (a detection of the true
    class with IoU >= 0.5 at or above the confidence) of all. ``hidden`` is the share of objects
    found when clean that are not found with the patch, ``attributable`` recall with the noise
    print minus recall with the patch and its interval; both at the confidence of the key.
    ``near`` repeats recall with any overlap from 0.1 counting as found, ``heights`` recall at 0.4
    by height of the object in the victim's input.
    """

    victim: str
    artwork: str
    group: str
    true_class: str
    photographs: int
    recall: Mapping[float, Mapping[str, Rate]]
    hidden: Mapping[float, Rate]
    attributable: Mapping[float, Difference]
    near: Mapping[float, Mapping[str, Rate]]
    heights: Mapping[str, Mapping[str, Rate]]

    @property
    def treatments(self) -> tuple[str, ...]:
        """Treatments that were judged, in the order clean, blank, noise, adversarial."""
        return tuple(self.recall[CONFIDENCES[0]])

    @property
    def headline(self) -> str:
        """One sentence with the figure at confidence 0.4, its interval and the control."""
        rates = self.recall[0.4]
        if "adversarial" not in rates:
            return f"{self.victim}: not judged with the patch."
        patch = rates["adversarial"]
        limits = f", 95 % CI {text.interval(patch.interval)}" if patch.interval else ""
        sentence = (
            f"{self.victim} still finds {patch.k:,} of {patch.n:,} objects "
            f"({text.percent(patch.value)}{limits}) at confidence 0.4 with the patch"
        )
        others = [f"{text.percent(rates[t].value)} {how}" for t, how in _CONTROLS if t in rates]
        return f"{sentence}, against {' and '.join(others)}." if others else f"{sentence}."


def summarise_recall(trials: pl.DataFrame) -> list[RecallSummary]:
    """Summaries of the ``objects`` trials of a store, in the order of their appearance.

    Raises:
        UserError: If an object occurs twice with the same treatment and draw.
    """
    objects = trials.filter(pl.col("source") == SOURCE)
    found = []
    for key, part in objects.group_by(_BY, maintain_order=True):
        index = ["sha256", "frame", "cell"]
        if part.select(*index, "treatment").is_duplicated().any():
            raise UserError(
                "summarise trials", "an object occurs twice in a treatment", "Judge it again."
            )
        wide = part.pivot("treatment", index=index, values="score")
        near = part.pivot("treatment", index=index, values="near_score")
        victim, artwork, group, true_class = (str(value) for value in key)
        treatments = [t for t in TREATMENTS if t in wide.columns]
        found.append(
            RecallSummary(
                victim,
                artwork,
                group,
                true_class,
                wide["sha256"].n_unique(),
                {c: {t: _recall(wide, t, c) for t in treatments} for c in CONFIDENCES},
                {c: _hidden(wide, c) for c in CONFIDENCES},
                {c: _attributable(wide, c) for c in CONFIDENCES if set(treatments) >= _BOTH},
                {c: {t: _recall(near, t, c) for t in treatments} for c in CONFIDENCES},
                {
                    str(cell): {t: _recall(rows, t, 0.4) for t in treatments}
                    for (cell,), rows in sorted(
                        wide.group_by(["cell"]), key=lambda item: _first_number(str(item[0][0]))
                    )
                },
            )
        )
    return found


def _first_number(cell: str) -> int:
    return int(cell.split()[0])


def _counts(wide: pl.DataFrame, success: pl.Expr) -> dict[str, tuple[int, int]]:
    """Successes and objects by photograph."""
    rows = wide.group_by("sha256", maintain_order=True).agg(
        success.cast(pl.Int64).sum().alias("k"), pl.len().alias("n")
    )
    return {sha: (k, n) for sha, k, n in rows.iter_rows()}


def _recall(wide: pl.DataFrame, treatment: str, confidence: float) -> Rate:
    seen = wide.filter(pl.col(treatment).is_not_null())
    return pooled_rate(_counts(seen, pl.col(treatment) >= confidence))


def _hidden(wide: pl.DataFrame, confidence: float) -> Rate:
    if not {"clean", "adversarial"} <= set(wide.columns):
        return Rate(0, 0, method="none")
    found = wide.filter(pl.col("clean") >= confidence)
    return pooled_rate(_counts(found, pl.col("adversarial") < confidence))


def _attributable(wide: pl.DataFrame, confidence: float) -> Difference:
    """Recall with noise minus recall with the patch, on the objects that were seen with both."""
    both = wide.filter(pl.col("noise").is_not_null() & pl.col("adversarial").is_not_null())
    return difference_over(
        _counts(both, pl.col("noise") >= confidence),
        _counts(both, pl.col("adversarial") >= confidence),
    )


def recall_table(summary: RecallSummary) -> Table:
    """One summary for a terminal: recall by treatment at every confidence."""
    title = f"{summary.victim} on {summary.group}: {summary.true_class} found"
    table = Table("", *(f"at {c:g}" for c in CONFIDENCES), box=box.SIMPLE_HEAD, title=title)
    for treatment in summary.treatments:
        rates = (cell_of(summary.recall[c][treatment]) for c in CONFIDENCES)
        table.add_row(treatment, *rates)
    hidden = (cell_of(summary.hidden[c]) for c in CONFIDENCES)
    table.add_row("hidden, of those found clean", *hidden)
    if summary.attributable:
        table.add_row(
            "noise minus patch", *(_difference(summary.attributable[c]) for c in CONFIDENCES)
        )
    if "adversarial" in summary.treatments:
        near = (cell_of(summary.near[c]["adversarial"]) for c in CONFIDENCES)
        table.add_row("patch, any overlap from 0.1", *near)
    return table


def _difference(gain: Difference) -> str:
    limits = f" ({text.points_interval(gain.interval)})" if gain.interval else ""
    by_hand = ", Newcombe" if gain.method.startswith("Newcombe") else ""
    return f"{text.points(gain.value)} points{limits}{by_hand}"


def cell_of(rate: Rate) -> str:
    """``k/n share (interval)``."""
    if rate.n == 0:
        return "none"
    limits = f" ({text.interval(rate.interval)})" if rate.interval else ""
    return f"{rate.k}/{rate.n} {text.percent(rate.value)}{limits}"
