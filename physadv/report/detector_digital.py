"""Recall of a detector before and after digital attacks: figures, a table, and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image, ImageDraw
from rich import box
from rich.table import Table

from physadv.data.files import atomic_path, read_image_rgb
from physadv.report import text
from physadv.report.html import environment
from physadv.report.pictures import Picture, embed
from physadv.report.rates import Rate, rate_over
from physadv.seeding import generator_for
from physadv.stats.intervals import MIN_CLUSTERS

CONFIDENCES = (0.25, 0.4, 0.5)
COLUMNS = ("treatment", "sha256", "score", "near_score", "target_score")
"""Of ``evaluate_detector_digital``'s rows, what the figures are made of."""
TEMPLATE = "detector_digital.html.j2"
_PHOTOGRAPHS, _SHOWN_PX = 6, 420
_FOUND, _TAKEN, _LOST = (0, 170, 60), (40, 110, 230), (225, 40, 40)


@dataclass(frozen=True)
class Sighting:
    """One treatment at one least confidence, of all labelled objects.

    ``recall``: found, by a detection of the class with IoU from .5; ``near``: at any overlap from
    .1; ``targeted``: the target class is reported on them and their own is not. Intervals resample
    photographs.
    """

    treatment: str
    confidence: float
    recall: Rate
    near: Rate
    targeted: Rate


@dataclass(frozen=True)
class Shot:
    """One photograph as it was shown, its labels drawn in, and how many of them were found."""

    title: str
    picture: Picture
    found: int
    objects: int


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
            rate_over(part, pl.col("score") >= confidence, "sha256"),
            rate_over(part, pl.col("near_score") >= confidence, "sha256"),
            rate_over(part, _taken(confidence), "sha256"),
        )
        for (treatment,), part in rows.group_by("treatment", maintain_order=True)
        for confidence in confidences
    ]


def _taken(confidence: float) -> pl.Expr:
    return (pl.col("target_score") >= confidence) & (pl.col("score") < confidence)


def sighting_table(found: Sequence[Sighting], target: str) -> Table:
    """The summaries for a terminal; ``target`` is empty where objects are hidden."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = ["shown", "confidence", "found", "any overlap"]
    for name in [*names, f"read as {target}"] if target else names:
        table.add_column(name, no_wrap=True)
    for one in found:
        cells = [text.in_a_line(one.recall), text.percent(one.near.value).replace(text.NBSP, " ")]
        if target:
            cells.append(text.in_a_line(one.targeted))
        table.add_row(one.treatment, f"{one.confidence:g}", *cells)
    return table


def interval_note(found: Sequence[Sighting]) -> str:
    """How the intervals of these rates were found, or why there are none, in sentences."""
    rates = [rate for one in found for rate in (one.recall, one.near, one.targeted) if rate.n]
    if any(rate.interval is None for rate in rates):
        return f"No intervals: they take {MIN_CLUSTERS} photographs with objects, here are fewer."
    drawn = [rate.method.startswith("bootstrap") for rate in rates]
    told = []
    if any(drawn):
        told.append("Intervals resample photographs, 95 %.")
    if not all(drawn):
        where = "where all photographs agree: " if any(drawn) else ""
        told.append(f"Intervals {where}Wilson, 95 %, each photograph one trial.")
    if any(rate.exact for rate in rates):
        told.append("In brackets, at 0 and 100 %: Clopper and Pearson's exact interval.")
    return " ".join(told)


def write_detector_digital(
    path: Path,
    rows: pl.DataFrame,
    files: Mapping[tuple[str, str], Path],
    facts: Mapping[str, Any],
) -> None:
    """Write one self-contained page.

    Args:
        path: Of the page.
        rows: From ``evaluate_detector_digital``.
        files: Pictures by photograph's sha256 and treatment, as they were shown.
        facts: victim, weights, object, target, objects, photographs, steps, seed, version, command.

    Raises:
        UserError: If a picture cannot be read or the page not written.
    """
    photographs = rows["sha256"].unique(maintain_order=True).to_list()
    order = generator_for(facts["seed"], "detector page").permutation(len(photographs))
    gallery = [
        [
            _shot(str(treatment), files[photographs[n], str(treatment)], part)
            for (treatment,), part in rows.filter(pl.col("sha256") == photographs[n]).group_by(
                "treatment", maintain_order=True
            )
        ]
        for n in order[:_PHOTOGRAPHS]
    ]
    sightings = summarise_sightings(rows)
    page = (
        environment()
        .get_template(TEMPLATE)
        .render(
            facts=facts,
            sightings=sightings,
            intervals=interval_note(sightings),
            confidences=CONFIDENCES,
            gallery=gallery,
            text=text,
        )
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _shot(title: str, file: Path, rows: pl.DataFrame) -> Shot:
    shown = Image.fromarray(read_image_rgb(file))
    scale = min(1.0, _SHOWN_PX / shown.width)
    small = shown.resize((round(scale * shown.width), round(scale * shown.height)))
    draw = ImageDraw.Draw(small)
    least = CONFIDENCES[0]
    found = rows["score"] >= least
    taken = rows.select(_taken(least)).to_series()
    for n, corners in enumerate(rows.select("x1", "y1", "x2", "y2").iter_rows()):
        colour = _FOUND if found[n] else _TAKEN if taken[n] else _LOST
        draw.rectangle([scale * value for value in corners], outline=colour, width=2)
    return Shot(title, embed(small, lossy=True), int(found.sum()), len(rows))
