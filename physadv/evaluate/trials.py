"""The trial store: ``trials.parquet``, one row per :class:`physadv.types.Trial`."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import polars as pl
from polars.exceptions import PolarsError

from physadv.checks import UserError
from physadv.data.files import atomic_path
from physadv.types import TREATMENTS, Trial, Verdict

TRIALS_NAME = "trials.parquet"
REPLACED_BY = ("source", "victim", "group")

_HINTS = get_type_hints(Trial)
_OPTIONAL = tuple(f.name for f in fields(Trial) if type(None) in get_args(_HINTS[f.name]))
_ALLOWED = {"treatment": TREATMENTS, "verdict": get_args(Verdict)}


def _dtype(hint: object) -> pl.DataType:
    if hint is int:
        return pl.Int64()
    if hint is float or float in get_args(hint):
        return pl.Float64()
    return pl.String()


SCHEMA = pl.Schema({field.name: _dtype(_HINTS[field.name]) for field in fields(Trial)})
"""Columns of the store: the fields of Trial, in order."""


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
    if not trials:
        raise UserError(f"save trials to {path}", "there are none", "Judge at least one view.")
    table = trials_frame(trials)
    if path.exists():
        kept = load_trials(path).join(
            table.select(REPLACED_BY).unique(), on=REPLACED_BY, how="anti"
        )
        table = pl.concat([kept, table])
    with atomic_path(path) as temporary:
        table.write_parquet(temporary)


def load_trials(path: Path) -> pl.DataFrame:
    """Read a trial store.

    Returns:
        A table with exactly the columns of ``SCHEMA``.

    Raises:
        UserError: If the file is missing, not parquet, or its columns or values are not those
            of Trial.
    """
    try:
        table = pl.read_parquet(path)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(
            f"read trials from {path}",
            "no such file",
            "Judge the artwork first: physadv evaluate grid RUN --victim NAME.",
        ) from error
    except (PolarsError, OSError) as error:
        raise UserError(
            f"read trials from {path}",
            f"not a readable parquet file ({error})",
            "Remove it and judge the artwork again: physadv evaluate grid RUN --victim NAME.",
        ) from error
    faults = _faults(table)
    if faults:
        raise UserError(
            f"read trials from {path}",
            "; ".join(faults),
            "It was not written by this version: remove it and judge the artwork again.",
        )
    return table.select(list(SCHEMA))


def _faults(table: pl.DataFrame) -> list[str]:
    missing = [name for name in SCHEMA if name not in table.schema]
    extra = [name for name in table.schema if name not in SCHEMA]
    found = [f"columns missing: {', '.join(missing)}"] if missing else []
    found += [f"unknown columns: {', '.join(extra)}"] if extra else []
    for name in SCHEMA:
        if name in missing:
            continue
        if table.schema[name] != SCHEMA[name]:
            found.append(f"column {name} is {table.schema[name]}, not {SCHEMA[name]}")
        elif name not in _OPTIONAL and table[name].null_count():
            found.append(f"column {name} has empty values")
        elif name in _ALLOWED:
            odd = sorted(set(table[name].unique()) - set(_ALLOWED[name]))
            found += [f"column {name} holds {', '.join(map(repr, odd))}"] if odd else []
    return found
