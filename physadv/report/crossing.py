"""Transfer of digital attacks between victims, as a matrix for each attack."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from rich import box
from rich.table import Table

from physadv.report import text
from physadv.report.rates import Rate, rate_of


@dataclass(frozen=True)
class Crossing:
    """One attack at one budget: ``cells`` [made on][judged by] are of images that all victims read
    as labelled, so that every cell has one n; ``cells_8bit`` the same of rounded images."""

    title: str
    names: tuple[str, ...]
    cells: tuple[tuple[Rate, ...], ...]
    cells_8bit: tuple[tuple[Rate, ...], ...]


def crossings(transfers: pl.DataFrame, names: Sequence[str]) -> list[Crossing]:
    """A matrix for each attack and budget of ``transfers``, victims in the order of ``names``.

    Args:
        transfers: Columns attack, eps, made_on, judged_by, image, fooled, fooled_8bit.
        names: Of the victims.
    """
    found = []
    for (attack, eps), rows in transfers.group_by("attack", "eps", maintain_order=True):
        title = str(attack) if eps is None else f"{attack} {eps:g}"
        counted = {
            (made, judge): (int(part["fooled"].sum()), int(part["fooled_8bit"].sum()), len(part))
            for (made, judge), part in rows.group_by("made_on", "judged_by")
        }

        def cells(
            column: int, counted: dict[tuple[object, object], tuple[int, int, int]] = counted
        ) -> tuple[tuple[Rate, ...], ...]:
            return tuple(
                tuple(
                    rate_of(counted[made, judge][column], counted[made, judge][2])
                    for judge in names
                )
                for made in names
            )

        found.append(Crossing(title, tuple(names), cells(0), cells(1)))
    return found


def crossing_table(found: Crossing) -> Table:
    """The matrix for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{found.title}\nmade against", no_wrap=True)
    for name in found.names:
        table.add_column(f"fools {name}", no_wrap=True)
    for name, cells in zip(found.names, found.cells, strict=True):
        table.add_row(name, *(_plain(rate) for rate in cells))
    return table


def _plain(rate: Rate) -> str:
    limits = f" ({text.bare(rate.interval)})" if rate.interval else ""
    return f"{text.percent(rate.value)} {text.counts(rate)}{limits}".replace(text.NBSP, " ")
