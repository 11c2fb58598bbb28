"""The trial store: ``trials.parquet``, one row per :class:`physadv.types.Trial`."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import polars as pl

from physadv.evaluate.tables import TableRules, load_table, save_table
from physadv.types import CAPTURED, Trial, Verdict

TRIALS_NAME = "trials.parquet"
DRAW_STRIDE = 1_000_000
"""The ``frame`` of a Trial of objects is the draw times this plus the object's number."""

_HINTS = get_type_hints(Trial)


def _dtype(hint: object) -> pl.DataType:
    if hint is int:
        return pl.Int64()
    if hint is float or float in get_args(hint):
        return pl.Float64()
    return pl.String()


SCHEMA = pl.Schema({field.name: _dtype(_HINTS[field.name]) for field in fields(Trial)})
"""Columns of the store: the fields of Trial, in order."""

_RULES = TableRules(
    "trials",
    "physadv evaluate grid RUN --victim NAME",
    SCHEMA,
    ("source", "victim", "group"),
    tuple(f.name for f in fields(Trial) if type(None) in get_args(_HINTS[f.name])),
    {"treatment": CAPTURED, "verdict": get_args(Verdict)},
)


def trials_frame(trials: Sequence[Trial]) -> pl.DataFrame:
    """The trials as a table with the columns of ``SCHEMA``."""
    columns = {name: [getattr(trial, name) for trial in trials] for name in SCHEMA}
    return pl.DataFrame(columns, schema=SCHEMA)


def save_trials(path: Path, trials: Sequence[Trial]) -> None:
    """Add trials to the store at ``path``; never leaves half a file.

    Rows already there with a (source, victim, group) that occurs among ``trials`` are replaced:
    judging the same victim on the same grid again supersedes the earlier look. All others stay.

    Raises:
        UserError: If there are no trials, the store at ``path`` is not one, or it cannot be
            written.
    """
    save_table(path, trials_frame(trials), _RULES)


def load_trials(path: Path) -> pl.DataFrame:
    """Read a trial store.

    Returns:
        A table with exactly the columns of ``SCHEMA``.

    Raises:
        UserError: If the file is missing, not parquet, or its columns or values are not those
            of Trial.
    """
    return load_table(path, _RULES)
