"""Which films are judged, and what each counts as: from a manifest, or from their names."""

import math
from collections.abc import Sequence
from pathlib import Path

from physadv.checks import UserError
from physadv.data.csvrows import read_rows
from physadv.evaluate.drive_plan import FilmCase, treatment_of_film, unique_names
from physadv.evaluate.shotlist import treatment_named
from physadv.types import Treatment

COLUMNS = ("file", "treatment", "boxes", "speed_log", "log_start_s", "anchor_s", "anchor_m")


def film_cases(
    sources: Sequence[str],
    *,
    treatment: Treatment | None = None,
    boxes: Path | None = None,
    speed_log: Path | None = None,
    log_start_s: float = 0.0,
    anchor: tuple[float, float] | None = None,
    marked: bool = False,
) -> list[FilmCase]:
    """Films whose names or folders say their treatments.

    Args:
        sources: Films as given.
        treatment: Of films that do not say.
        boxes: CSV file with the object's boxes in all of them.
        speed_log: CSV or GPX file of all of them.
        log_start_s: Its time at the first frame of each.
        anchor: Moment (s) and distance (m) of all of them.
        marked: Whether markers in the films may tell their treatments.

    Raises:
        UserError: If a film does not say and there is no ``treatment``, says another, or is given
            twice.
    """
    cases = []
    for source, name in zip(sources, unique_names(sources), strict=True):
        said = treatment_of_film(source)
        if said is not None and treatment not in (None, said):
            raise UserError(
                f"--treatment {treatment} for {source}",
                f"its name or folder says {said}",
                "Rename it, or give a --manifest.",
            )
        counts_as = said or treatment
        if counts_as is None and not marked:
            raise UserError(
                f"judge {source}",
                "neither its name nor its folder says what it shows",
                "Name it after its treatment (clean, blank, noise, control, adversarial), or give "
                "--treatment or --manifest.",
            )
        cases.append(FilmCase(source, name, counts_as, boxes, speed_log, log_start_s, anchor))
    return cases


def read_film_list(path: Path) -> list[FilmCase]:
    """Films from a CSV file with the columns ``COLUMNS``; only file and treatment must be there.

    File names are relative to the manifest's folder.

    Raises:
        UserError: If it cannot be read, lacks a column, or a value is impossible.
    """
    asked = f"read the manifest {path}"
    table = read_rows(path, asked)
    table.check(asked, COLUMNS[:2], COLUMNS)
    if not table.rows:
        raise UserError(asked, "it lists no film", "Give one row for each film.")
    sources = [str(path.parent / row["file"].strip()) for row in table.rows]
    names = unique_names(sources)
    return [
        _case(row, source, name, path.parent, f"{path}, line {number}")
        for number, row, source, name in zip(table.numbers, table.rows, sources, names, strict=True)
    ]


def _case(row: dict[str, str], source: str, name: str, folder: Path, where: str) -> FilmCase:
    treatment = treatment_named(row["treatment"])
    if treatment is None:
        raise UserError(
            where,
            f"treatment {row['treatment']!r}",
            "Use clean, blank, noise, control or adversarial.",
        )
    begins, *anchor = (_number(row.get(column, ""), f"{where}, {column}") for column in COLUMNS[4:])
    if (anchor[0] is None) != (anchor[1] is None):
        raise UserError(where, "half an anchor", "Give both anchor_s and anchor_m, or neither.")
    boxes, speed_log = (row.get(column, "").strip() for column in COLUMNS[2:4])
    return FilmCase(
        source,
        name,
        treatment,
        folder / boxes if boxes else None,
        folder / speed_log if speed_log else None,
        begins or 0.0,
        None if anchor[0] is None or anchor[1] is None else (anchor[0], anchor[1]),
    )


def _number(text: str, where: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError
    except ValueError as error:
        raise UserError(where, f"{text!r} is no number", "Mend the row.") from error
    return value
