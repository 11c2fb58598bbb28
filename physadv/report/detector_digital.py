"""Recall of a detector before and after digital attacks."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from rich import box
from rich.table import Table

from physadv.report import text
from physadv.report.rates import Rate, pooled_rate

CONFIDENCES = (0.25, 0.4, 0.5)


@dataclass(frozen=True)
class Sighting:
    """One treatment at one least confidence, of all labelled objects.

    ``recall``: found, by a detection of the class with IoU from .5; ``near``: at any overlap from
    .1; ``targeted``: reported as the target class. Intervals resample photographs.
    """

    treatment: str
    confidence: float
    recall: Rate
    near: Rate
    targeted: Rate


def summarise_sightings(
    rows: pl.DataFrame, confidences: Sequence[float] = CONFIDENCES
) -> list[Sighting]:
    """Every treatment at every confidence, in the order in which they ran.

    Args:
        rows: Columns treatment, sha256, score, near_score, target_score; a row an object.
        confidences: From which a detection counts.
    """
    return [
        Sighting(
            str(treatment),
            confidence,
            *(
                _rate(part, pl.col(column) >= confidence)
                for column in ("score", "near_score", "target_score")
            ),
        )
        for (treatment,), part in rows.group_by("treatment", maintain_order=True)
        for confidence in confidences
    ]


def _rate(rows: pl.DataFrame, counts: pl.Expr) -> Rate:
    by_photo = rows.group_by("sha256", maintain_order=True).agg(
        counts.sum().alias("k"), pl.len().alias("n")
    )
    return pooled_rate({str(key): (int(k), int(n)) for key, k, n in by_photo.iter_rows()})


def sighting_table(found: Sequence[Sighting], target: str) -> Table:
    """The summaries for a terminal; ``target`` is empty where objects are hidden."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = ["shown", "confidence", "found", "any overlap"]
    for name in [*names, f"read as {target}"] if target else names:
        table.add_column(name, no_wrap=True)
    for one in found:
        cells = [_plain(one.recall), text.percent(one.near.value).replace(text.NBSP, " ")]
        if target:
            cells.append(_plain(one.targeted))
        table.add_row(one.treatment, f"{one.confidence:g}", *cells)
    return table


def _plain(rate: Rate) -> str:
    limits = f" ({text.bare(rate.interval)})" if rate.interval else ""
    return f"{text.percent(rate.value)} {text.counts(rate)}{limits}".replace(text.NBSP, " ")
