"""Transfer of digital attacks between victims, as a matrix for each attack."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
from rich import box
from rich.table import Table

from physadv.report import text
from physadv.report.rates import Rate, rate_over


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
        transfers: Columns attack, eps, made_on, judged_by, image, group, fooled,
            fooled_8bit.
        names: Of the victims.
    """
    found = []
    for (attack, eps), rows in transfers.group_by("attack", "eps", maintain_order=True):
        title = text.attack_title(attack, eps)
        parts = dict(rows.group_by("made_on", "judged_by"))
        plain, eight = (
            tuple(
                tuple(rate_over(parts[made, judge], pl.col(column), "group") for judge in names)
                for made in names
            )
            for column in ("fooled", "fooled_8bit")
        )
        found.append(Crossing(title, tuple(names), plain, eight))
    return found


def crossing_table(found: Crossing) -> Table:
    """The matrix for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(f"{found.title}\nmade against", no_wrap=True)
    for name in found.names:
        table.add_column(f"fools {name}", no_wrap=True)
    for name, cells in zip(found.names, found.cells, strict=True):
        table.add_row(name, *(text.in_a_line(rate) for rate in cells))
    return table
