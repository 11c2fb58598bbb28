"""Tables in parquet files: checked when read, replaced in part, never half written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from physadv.checks import UserError
from physadv.data.files import atomic_path
from physadv.data.parquet import read_parquet


@dataclass(frozen=True)
class TableRules:
    """What a table holds.

    ``what`` and ``command`` are for messages: what its rows are, and what makes them. Columns of
    ``optional`` may be empty, those of ``allowed`` hold nothing but the values given. New rows
    replace those that share all of ``replaced_by`` with one of them.
    """

    what: str
    command: str
    schema: pl.Schema
    replaced_by: tuple[str, ...]
    optional: tuple[str, ...] = ()
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def save_table(path: Path, rows: pl.DataFrame, rules: TableRules) -> None:
    """Add rows to the table at ``path``, replacing what they supersede.

    Raises:
        UserError: If there are no rows, the file at ``path`` is no such table, or it cannot be
            written.
    """
    if not len(rows):
        raise UserError(
            f"save {rules.what} to {path}", "there are none", "Judge at least one view."
        )
    if path.exists():
        keys = list(rules.replaced_by)
        kept = load_table(path, rules).join(rows.select(keys).unique(), on=keys, how="anti")
        rows = pl.concat([kept, rows])
    with atomic_path(path) as temporary:
        rows.write_parquet(temporary)


def load_table(path: Path, rules: TableRules) -> pl.DataFrame:
    """Read a table.

    Returns:
        Exactly the columns of the rules' schema.

    Raises:
        UserError: If the file is missing, not parquet, or its columns or values are not those of
            the rules.
    """
    asked = f"read {rules.what} from {path}"
    table = read_parquet(
        path,
        asked,
        if_missing=f"Judge the artwork first: {rules.command}.",
        if_damaged=f"Remove it and judge the artwork again: {rules.command}.",
    )
    faults = _faults(table, rules)
    if faults:
        raise UserError(
            asked,
            "; ".join(faults),
            "It was not written by this version: remove it and judge the artwork again.",
        )
    return table.select(list(rules.schema))


def _faults(table: pl.DataFrame, rules: TableRules) -> list[str]:
    missing = [name for name in rules.schema if name not in table.schema]
    extra = [name for name in table.schema if name not in rules.schema]
    found = [f"columns missing: {', '.join(missing)}"] if missing else []
    found += [f"unknown columns: {', '.join(extra)}"] if extra else []
    for name, dtype in rules.schema.items():
        if name in missing:
            continue
        if table.schema[name] != dtype:
            found.append(f"column {name} is {table.schema[name]}, not {dtype}")
        elif name not in rules.optional and table[name].null_count():
            found.append(f"column {name} has empty values")
        elif name in rules.allowed:
            odd = sorted(set(table[name].drop_nulls().unique()) - set(rules.allowed[name]))
            found += [f"column {name} holds {', '.join(map(repr, odd))}"] if odd else []
    return found
