"""The transfer matrix, and digital attacks beside it: for a terminal, as JSON, and as a page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from physadv.data.files import atomic_path
from physadv.report import text
from physadv.report.beside import DigitalCell, DigitalTable
from physadv.report.html import environment
from physadv.report.transfer import CONFIDENCE, TABLE_BY, Cell, Matrix

TRAINED, OTHER_LOOKS = "*", "†"


def matrix_table(matrix: Matrix) -> Table:
    """A matrix for a terminal."""
    table = _by_victim("artwork", matrix.victims, matrix.title, footnotes(matrix))
    for row in matrix.rows:
        found = (matrix.cells.get((row.run, victim)) for victim in matrix.victims)
        table.add_row(
            escape(row.run), *(text.NONE if cell is None else _words(cell) for cell in found)
        )
    return table


def _by_victim(what: str, victims: Sequence[str], title: str, notes: Sequence[str]) -> Table:
    return Table(
        what,
        *map(escape, victims),
        box=box.SIMPLE_HEAD,
        title=escape(title),
        pad_edge=False,
        show_lines=True,
        caption="; ".join(notes),
        caption_justify="left",
    )


def footnotes(matrix: Matrix) -> list[str]:
    """What the figures and marks of a matrix mean."""
    told = ["with the artwork k/n and 95 % interval; then with a noise print, and clean"]
    if any(cell.trained for cell in matrix.cells.values()):
        told.append(f"{TRAINED} the artwork was made against this victim")
    if matrix.other_looks:
        told.append(
            f"{OTHER_LOOKS} judged on other photographs, draws or files than the first artwork of "
            "this column: not comparable with it"
        )
    return told


def marks(cell: Cell) -> str:
    """Footnote marks of a cell."""
    return (TRAINED if cell.trained else "") + ("" if cell.same_looks else OTHER_LOOKS)


def _words(cell: Cell) -> str:
    rate = cell.artwork
    limits = f" ({text.bare(rate.interval)})" if rate.interval else ""
    return (
        f"{text.percent(rate.value)}{marks(cell)} {text.counts(rate)}{limits}\n"
        f"noise {text.percent(cell.noise.value)}, clean {text.percent(cell.clean.value)}"
    ).replace(text.NBSP, " ")


def digital_attacks_table(table: DigitalTable) -> Table:
    """Digital attacks for a terminal."""
    shown = _by_victim("digital attack", table.victims, table.title, digital_footnotes(table))
    for row in table.rows:
        found = (row.cells.get(victim) for victim in table.victims)
        shown.add_row(
            escape(f"{row.attack}\nagainst {row.made_on}\nin {row.run}"),
            *(
                text.NONE if cell is None else _digital_words(cell, victim == row.made_on)
                for victim, cell in zip(table.victims, found, strict=True)
            ),
        )
    return shown


def digital_footnotes(table: DigitalTable) -> list[str]:
    """What the figures of digital attacks mean."""
    told = ["with the attack k/n and 95 % interval; then clean"]
    if table.detectors:
        told.append("whole photographs were changed, within the budget")
    else:
        told.append(
            "of images read rightly before (where several victims were shown them: by all), those "
            "that fool the victim once they are 8-bit files; clean: read rightly, of all"
        )
    told.append(f"{TRAINED} the attack was made against this victim")
    return told


def _digital_words(cell: DigitalCell, made_on: bool) -> str:
    words = text.in_a_line(cell.rate) + (TRAINED if made_on else "")
    if cell.clean is None:
        return words
    return f"{words}\nclean {text.percent(cell.clean.value)}".replace(text.NBSP, " ")


def digital_records(tables: Sequence[DigitalTable]) -> list[dict[str, Any]]:
    """The digital attacks as plain values for JSON; shares from 0 to 1."""
    return [
        {
            "measure": f"recall at {CONFIDENCE:g}" if table.detectors else "fooled after 8 bits",
            "title": table.title,
            "victims": list(table.victims),
            "rows": [
                {
                    "run": row.run,
                    "attack": row.attack,
                    "made_on": row.made_on,
                    "cells": {
                        victim: {
                            "rate": cell.rate.to_dict(),
                            "clean": None if cell.clean is None else cell.clean.to_dict(),
                        }
                        for victim, cell in row.cells.items()
                    },
                }
                for row in table.rows
            ],
        }
        for table in tables
    ]


def matrix_records(matrices: Sequence[Matrix]) -> list[dict[str, Any]]:
    """The matrices as plain values for JSON; shares from 0 to 1, None where not judged."""
    return [
        {
            "measure": f"recall at {CONFIDENCE:g}" if matrix.detectors else "targeted success",
            **{name: getattr(matrix, name) for name in TABLE_BY},
            "victims": list(matrix.victims),
            "rows": [
                {
                    "run": row.run,
                    "artwork": row.sha256,
                    "target": row.target,
                    "trained_on": list(row.victims),
                    "cells": {
                        victim: _record(matrix.cells[row.run, victim])
                        for victim in matrix.victims
                        if (row.run, victim) in matrix.cells
                    },
                }
                for row in matrix.rows
            ],
        }
        for matrix in matrices
    ]


def _record(cell: Cell) -> dict[str, Any]:
    return {
        **{
            name: rate.to_dict()
            for name, rate in (
                ("artwork", cell.artwork),
                ("noise", cell.noise),
                ("clean", cell.clean),
            )
        },
        "gain": None if cell.gain is None else cell.gain.to_dict(),
        "trained": cell.trained,
        "same_looks": cell.same_looks,
    }


def write_matrix(
    path: Path,
    matrices: Sequence[Matrix],
    digital: Sequence[DigitalTable] = (),
    warnings: Sequence[str] = (),
) -> None:
    """Write the matrices as one self-contained page.

    Args:
        path: Of the page.
        matrices: Artworks by victims.
        digital: Digital attacks by victims, shown below them.
        warnings: What makes figures of one column not comparable.

    Raises:
        UserError: If it cannot be written.
    """
    page = (
        environment()
        .get_template("matrix.html.j2")
        .render(
            matrices=matrices,
            footnotes=footnotes,
            marks=marks,
            digital=digital,
            digital_footnotes=digital_footnotes,
            trained=TRAINED,
            warnings=warnings,
            text=text,
            confidence=CONFIDENCE,
        )
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
