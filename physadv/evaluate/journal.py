"""A journal of finished work: what is in it is not done again."""

import hashlib
import json
from pathlib import Path
from typing import Any

from physadv.checks import UserError


def key_of(*parts: object) -> str:
    """A short name for work that depends on nothing but ``parts``."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


class Journal:
    """Records by key in a file of JSON lines, appended as work is finished.

    A record is there wholly or not at all: the half line of a process that was killed is dropped.
    """

    def __init__(self, path: Path) -> None:
        """Open the journal at ``path``, which need not exist.

        Raises:
            UserError: If the file cannot be read or written.
        """
        self._records: dict[str, Any] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_bytes() if path.exists() else b""
            whole = text[: text.rfind(b"\n") + 1]
            for line in whole.splitlines():
                try:
                    record = json.loads(line)
                    self._records[record["key"]] = record["value"]
                except (ValueError, TypeError, KeyError):
                    continue  # a line that was damaged is work to do again
            self._stream = path.open("r+b" if path.exists() else "w+b")
            self._stream.truncate(len(whole))
            self._stream.seek(len(whole))
        except OSError as error:
            raise UserError(
                f"write {path}", error.strerror or str(error), "Choose another output folder."
            ) from error

    def get(self, key: str) -> Any:
        """The record of that key, or None."""
        return self._records.get(key)

    def put(self, key: str, value: Any) -> None:
        """Keep a record.

        Raises:
            UserError: If it cannot be written.
        """
        self._records[key] = value
        try:
            self._stream.write(json.dumps({"key": key, "value": value}).encode() + b"\n")
            self._stream.flush()
        except OSError as error:
            raise UserError(
                f"write {self._stream.name}",
                error.strerror or str(error),
                "Free some space and repeat the command; what was judged is kept.",
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
