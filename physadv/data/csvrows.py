"""Tables that users write by hand: CSV with a header, opened and refused in one place."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from physadv.checks import UserError


@dataclass(frozen=True)
class Rows:
    """A table: the names in its ``header``, and one dictionary of texts by name for each row.

    A value that a short row lacks is an empty text; ``number`` counts lines as an editor does.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    numbers: tuple[int, ...]

    def check(self, asked: str, needed: Sequence[str], known: Sequence[str] = ()) -> None:
        """Check that columns are there.

        Args:
            asked: What was asked for, in the words of an error.
            needed: Those that must be there.
            known: If given, no others may be.

        Raises:
            UserError: If one is missing or not known.
        """
        missing = [name for name in needed if name not in self.header]
        unknown = [name for name in self.header if known and name not in known]
        if missing or unknown:
            what = f"no column {', '.join(missing)}" if missing else f"a column {unknown[0]}"
            has = f" among {', '.join(self.header) or 'none'}" if missing else ""
            wants = f"Known: {', '.join(known)}." if known else f"It needs {', '.join(needed)}."
            raise UserError(asked, what + has, wants)


def read_rows(path: Path, asked: str, do: str = "Give a CSV file with a header.") -> Rows:
    """Read a CSV file with a header: UTF-8, with or without a byte-order mark.

    Args:
        path: The file.
        asked: What was asked for, in the words of an error.
        do: What to do if it cannot be read.

    Raises:
        UserError: If it cannot be read, is no text, or has a column twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restkey="", restval="")
            found = [(reader.line_num, row) for row in reader]
            header = tuple(name for name in reader.fieldnames or () if name)
    except OSError as error:
        raise UserError(asked, f"unreadable ({error.strerror or error})", do) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(asked, f"not CSV text ({error})", do) from error
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise UserError(asked, f"two columns {twice}", "Leave one of them.")
    rows = tuple({name: row[name] for name in header} for _, row in found)
    return Rows(path, header, rows, tuple(number for number, _ in found))
