"""Detectors: how many objects are still found, by treatment and confidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from rich import box
from rich.table import Table

from physadv.checks import UserError
from physadv.evaluate.detections import DETECTIONS_NAME, load_detections
from physadv.evaluate.trials import TRIALS_NAME, load_trials
from physadv.report import text
from physadv.report.precision import Precision, PrecisionSummary, summarise_precision
from physadv.report.rates import Difference, Rate, counts_over, difference_over, rate_over
from physadv.types import TREATMENTS

SOURCE = "objects"
Confidence = float | str

CONFIDENCES = (0.25, 0.4, 0.5)
"""Deployed default of ultralytics; Thys et al. 2019; Armory and T-SEA."""
MAX_F1 = "max F1"
"""The confidence of the highest F1 on clean photographs; see PrecisionSummary.best_confidence."""
CURVE = tuple(float(value) for value in np.linspace(0.01, 0.99, 99).round(2))

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
    by height of the object in the victim's input, ``curve`` the share found at each of ``CURVE``.
    ``precision`` is None where the run does not hold the detections that the Trials came from.
    """

    victim: str
    artwork: str
    group: str
    true_class: str
    photographs: int
    recall: Mapping[Confidence, Mapping[str, Rate]]
    hidden: Mapping[Confidence, Rate]
    attributable: Mapping[Confidence, Difference]
    near: Mapping[Confidence, Mapping[str, Rate]]
    heights: Mapping[str, Mapping[str, Rate]]
    curve: Mapping[str, tuple[float, ...]]
    precision: PrecisionSummary | None

    @property
    def treatments(self) -> tuple[str, ...]:
        """Treatments that were judged, in the order clean, blank, noise, adversarial."""
        return tuple(self.recall[CONFIDENCES[0]])

    @property
    def confidences(self) -> tuple[Confidence, ...]:
        """Confidences of the table, in its order."""
        return tuple(self.recall)

    @property
    def best(self) -> tuple[float, ...]:
        """The confidences behind ``MAX_F1``: one for each half of the photographs."""
        return () if self.precision is None else tuple(sorted(set(self._best.values())))

    @property
    def _best(self) -> Mapping[str, float]:
        return {} if self.precision is None else self.precision.best_confidence

    def label(self, confidence: Confidence) -> str:
        """``0.4``, or ``max F1 (0.38, 0.41)``."""
        if confidence != MAX_F1:
            return f"{confidence:g}"
        return f"{MAX_F1} ({', '.join(f'{value:.2f}' for value in self.best)})"

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


def recall_of(run: Path) -> list[RecallSummary]:
    """Summaries of what a run folder holds; none before it was judged.

    Raises:
        UserError: If one of its stores cannot be read.
    """
    if not (run / TRIALS_NAME).exists():
        return []
    seen = run / DETECTIONS_NAME
    return summarise_recall(
        load_trials(run / TRIALS_NAME), load_detections(seen) if seen.exists() else None
    )


def summarise_recall(
    trials: pl.DataFrame, detections: pl.DataFrame | None = None
) -> list[RecallSummary]:
    """Summaries of the ``objects`` trials of a store, in the order of their appearance.

    Args:
        trials: Columns of ``physadv.evaluate.trials.SCHEMA``.
        detections: Columns of ``physadv.evaluate.detections.SCHEMA``, for average precision and
            the best confidence; None leaves them out.

    Raises:
        UserError: If an object occurs twice with the same treatment and draw.
    """
    objects = trials.filter(pl.col("source") == SOURCE)
    return [
        _summary(part, *(str(value) for value in key), detections=detections)
        for key, part in objects.group_by(_BY, maintain_order=True)
    ]


def _summary(
    part: pl.DataFrame,
    victim: str,
    artwork: str,
    group: str,
    true_class: str,
    *,
    detections: pl.DataFrame | None,
) -> RecallSummary:
    index = ["sha256", "frame", "cell"]
    if part.select(*index, "treatment").is_duplicated().any():
        raise UserError(
            f"summarise trials of {victim} on {group}",
            "an object occurs twice in a treatment",
            "Judge it again, on photographs that are listed once.",
        )
    precision = None
    if detections is not None:
        precision = summarise_precision(part, detections, true_class)
    confidences: tuple[Confidence, ...] = CONFIDENCES
    best = {} if precision is None else precision.best_confidence
    limit = pl.lit(None, pl.Float64)
    if best:
        confidences += (MAX_F1,)
        limit = pl.col("sha256").replace_strict(best, return_dtype=pl.Float64)
    wide, near = (
        part.pivot("treatment", index=index, values=name).with_columns(limit.alias(MAX_F1))
        for name in ("score", "near_score")
    )
    treatments = [t for t in TREATMENTS if t in wide.columns]
    paired = set(treatments) >= _BOTH
    return RecallSummary(
        victim,
        artwork,
        group,
        true_class,
        wide["sha256"].n_unique(),
        {c: {t: _recall(wide, t, c) for t in treatments} for c in confidences},
        {c: _hidden(wide, c) for c in confidences},
        {c: _attributable(wide, c) for c in confidences if paired},
        {c: {t: _recall(near, t, c) for t in treatments} for c in confidences},
        {
            str(cell): {t: _recall(rows, t, 0.4) for t in treatments}
            for (cell,), rows in sorted(
                wide.group_by(["cell"]), key=lambda item: _first_number(str(item[0][0]))
            )
        },
        {t: _curve(wide, t) for t in treatments},
        precision,
    )


def _first_number(cell: str) -> int:
    return int(cell.split()[0])


def _least(confidence: Confidence) -> pl.Expr:
    return pl.col(MAX_F1) if confidence == MAX_F1 else pl.lit(confidence)


def _recall(wide: pl.DataFrame, treatment: str, confidence: Confidence) -> Rate:
    seen = wide.filter(pl.col(treatment).is_not_null())
    return rate_over(seen, pl.col(treatment) >= _least(confidence), "sha256")


def _hidden(wide: pl.DataFrame, confidence: Confidence) -> Rate:
    if not {"clean", "adversarial"} <= set(wide.columns):
        return Rate(0, 0, method="none")
    found = wide.filter(pl.col("clean") >= _least(confidence))
    return rate_over(found, pl.col("adversarial") < _least(confidence), "sha256")


def _attributable(wide: pl.DataFrame, confidence: Confidence) -> Difference:
    """Recall with noise minus recall with the patch, on the objects that were seen with both."""
    both = wide.filter(pl.col("noise").is_not_null() & pl.col("adversarial").is_not_null())
    return difference_over(
        counts_over(both, pl.col("noise") >= _least(confidence), "sha256"),
        counts_over(both, pl.col("adversarial") >= _least(confidence), "sha256"),
    )


def _curve(wide: pl.DataFrame, treatment: str) -> tuple[float, ...]:
    scores = wide[treatment].drop_nulls().to_numpy()
    return tuple(float((scores >= least).mean()) for least in CURVE)


def recall_table(summary: RecallSummary) -> Table:
    """One summary for a terminal: recall by treatment at every confidence, average precision."""
    levels = summary.confidences
    title = f"{summary.victim} on {summary.group}: {summary.true_class} found"
    heads = [f"at {summary.label(c)}" for c in levels]
    table = Table(
        "", *heads, box=box.SIMPLE_HEAD, title=title, pad_edge=False, collapse_padding=True
    )
    if MAX_F1 in levels:
        table.caption = (
            "max F1: the confidence that does best on the clean photographs of one half, "
            "used on the other half"
        )
        table.caption_justify = "left"
    for treatment in summary.treatments:
        table.add_row(treatment, *(cell_of(summary.recall[c][treatment]) for c in levels))
    table.add_row("hidden, of those found clean", *(cell_of(summary.hidden[c]) for c in levels))
    if summary.attributable:
        table.add_row(
            "noise minus patch, points", *(_difference(summary.attributable[c]) for c in levels)
        )
    if "adversarial" in summary.treatments:
        near = (cell_of(summary.near[c]["adversarial"]) for c in levels)
        table.add_row("patch, any overlap from 0.1", *near)
    return table


def precision_table(summary: RecallSummary) -> Table | None:
    """Average precision for a terminal; None where there is none."""
    found = summary.precision
    if found is None:
        return None
    title = f"{summary.victim} on {summary.group}: AP at IoU 0.5, {summary.true_class}"
    heads = ("against human boxes", "against clean detections from 0.4")
    table = Table("", *heads, box=box.SIMPLE_HEAD, title=title)
    for treatment in summary.treatments:
        pair = (found.annotated.get(treatment), found.detected.get(treatment))
        table.add_row(treatment, *(precision_of(value) for value in pair))
    return table


def precision_of(precision: Precision | None) -> str:
    """``43.1 (35.2–50.8)``, in points of 100, and how many objects."""
    if precision is None or precision.value is None:
        return "none"
    limits = f" ({text.bare(precision.interval)})" if precision.interval else ""
    return f"{100 * precision.value:.1f}{limits}, {text.plural(precision.objects, 'object')}"


def _difference(gain: Difference) -> str:
    limits = f"\n({text.points_interval(gain.interval)})" if gain.interval else ""
    by_hand = "\nNewcombe" if gain.method.startswith("Newcombe") else ""
    return f"{text.points(gain.value)}{limits}{by_hand}"


def cell_of(rate: Rate) -> str:
    """``k/n share``, and below it the interval in per cent."""
    if rate.n == 0:
        return "none"
    limits = f"\n({text.bare(rate.interval)})" if rate.interval else ""
    return f"{rate.k}/{rate.n} {text.percent(rate.value)}{limits}"
