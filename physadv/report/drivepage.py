"""The page about films of an approach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from markupsafe import Markup

from physadv.data.files import atomic_path
from physadv.report import text
from physadv.report.drive_by import Drive, DriveSummary, Film, outcome, place
from physadv.report.drivedots import confirmation_plot
from physadv.report.driveplots import Timeline, timelines
from physadv.report.drivewords import (
    cautions,
    confirmation_words,
    headline,
    interval_note,
    untold,
)
from physadv.report.html import environment
from physadv.stats.intervals import MIN_CLUSTERS

TEMPLATE = "drive_by.html.j2"


@dataclass(frozen=True)
class Section:
    """One victim on the page: its figures, its plots, and what they do not show."""

    summary: DriveSummary
    timelines: tuple[tuple[Markup, Timeline], ...]
    confirmation: Markup | None
    cautions: tuple[str, ...]
    intervals: str
    untold: tuple[tuple[str, str], ...]


def write_drive_page(
    path: Path,
    trials: pl.DataFrame,
    films: Sequence[Film],
    summaries: Sequence[DriveSummary],
    facts: Mapping[str, Any],
) -> None:
    """Write the page; nothing is fetched and no victim run.

    Args:
        path: Where to.
        trials: What was read.
        films: One record per film and victim.
        summaries: Of both (``summarise_drives``).
        facts: ``command``, ``sampling`` in words, ``confirm`` (M, N), ``reaction_s``,
            ``deceleration_mps2``, ``started``, rows ``how`` for the end and films ``skipped``, with
            why.

    Raises:
        UserError: If it cannot be written.
    """
    names = list(dict.fromkeys(str(film["film"]) for film in films))
    page = (
        environment()
        .get_template(TEMPLATE)
        .render(
            sections=[_section(found, trials) for found in summaries],
            films=names,
            facts=facts,
            notes=_notes(films),
            faults=_faults(films),
            sources=_sources(films),
            meaning=confirmation_words(facts),
            few=MIN_CLUSTERS,
            headline=headline,
            outcome=outcome,
            place=place,
            speed_of=_speed_of,
            text=text,
        )
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _section(found: DriveSummary, trials: pl.DataFrame) -> Section:
    dots = confirmation_plot(found)
    return Section(
        found,
        tuple((Markup(one.svg), one) for one in timelines(found, trials)),
        None if dots is None else Markup(dots),
        tuple(cautions(found)),
        interval_note(found),
        tuple(untold(found)),
    )


def _speed_of(drive: Drive, speed: tuple[float, float]) -> Mapping[str, Any] | None:
    own = [s for s in drive.film["speeds"] if (s["speed_kmh"], s["braking_m"]) == speed]
    return own[0] if own else None


def _notes(films: Sequence[Film]) -> list[tuple[str, str]]:
    told = [(str(film["film"]), str(words)) for film in films for words in film["notes"]]
    return list(dict.fromkeys(told))


def _faults(films: Sequence[Film]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((str(f["film"]), str(f["fault"])) for f in films if f["fault"]))


def _sources(films: Sequence[Film]) -> list[dict[str, str]]:
    """How each film was followed and measured, once though several victims saw it."""
    rows = {}
    for film in films:
        track, (first, last) = film["track"], film["height_px"]
        height = text.NONE if first is None else f"{first:.0f} → {last:.0f}"
        rows[str(film["film"])] = {
            "film": str(film["film"]),
            "treatment": str(film["treatment"]),
            "followed": f"{track['sighted']:,} of {track['samples']:,}",
            "of": f"{track['of']:,}",
            "finder": str(track["finder"]),
            "distance": str(film["distance_source"]),
            "height": height,
        }
    return list(rows.values())
