"""The transfer matrix as a table for a terminal, as JSON, and as a page of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from physadv.data.files import atomic_path
from physadv.report import text
from physadv.report.html import environment
from physadv.report.rates import Difference, Rate
from physadv.report.transfer import CONFIDENCE, TABLE_BY, Cell, Matrix

TRAINED, OTHER_LOOKS = "*", "†"


def matrix_table(matrix: Matrix) -> Table:
    """A matrix for a terminal."""
    table = Table(
        "artwork",
        *matrix.victims,
        box=box.SIMPLE_HEAD,
        title=matrix.title,
        pad_edge=False,
        show_lines=True,
        caption="; ".join(footnotes(matrix)),
        caption_justify="left",
    )
    for row in matrix.rows:
        found = (matrix.cells.get((row.run, victim)) for victim in matrix.victims)
        table.add_row(row.run, *(text.NONE if cell is None else _words(cell) for cell in found))
    return table


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
    gain = cell.gain
    return {
        **{
            name: {"k": rate.k, "n": rate.n, "value": rate.value, "interval": _ends(rate)}
            for name, rate in (
                ("artwork", cell.artwork),
                ("noise", cell.noise),
                ("clean", cell.clean),
            )
        },
        "gain": None if gain is None else {"value": gain.value, "interval": _ends(gain)},
        "trained": cell.trained,
        "same_looks": cell.same_looks,
    }


def _ends(figure: Rate | Difference) -> list[float] | None:
    return None if figure.interval is None else [figure.interval.low, figure.interval.high]


def write_matrix(path: Path, matrices: Sequence[Matrix]) -> None:
    """Write the matrices as one self-contained page.

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
            text=text,
            confidence=CONFIDENCE,
        )
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
