"""Reading parquet files that may be missing or damaged."""

from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from physadv.checks import UserError


def read_parquet(path: Path, asked: str, *, if_missing: str, if_damaged: str) -> pl.DataFrame:
    """The table in one file; a path is no pattern.

    Args:
        path: Of the file.
        asked: What is being done, for the message.
        if_missing: What to do where there is no file.
        if_damaged: What to do where it cannot be read.

    Raises:
        UserError: If it is missing or not parquet.
    """
    try:
        return pl.read_parquet(path, glob=False)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UserError(asked, "no such file", if_missing) from error
    except (PolarsError, OSError) as error:
        raise UserError(asked, f"not a readable parquet file ({error})", if_damaged) from error
