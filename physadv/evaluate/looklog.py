"""What was seen in a film's samples, kept as it comes: a killed run looks at no sample twice."""

import json
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError

Rows = npt.NDArray[np.float32]

_DECIMALS = 6  # what float32 holds of a score


class LookLog:
    """One network's looks at one film: a table of numbers for each sample.

    The file holds a line for each sample, and a last one when the film has ended. A line that a
    killed process left half written is dropped, and its sample is looked at again.
    """

    def __init__(self, path: Path, about: dict[str, Any], width: int) -> None:
        """Open the log at ``path``, or begin it.

        Args:
            path: The file, which need not exist.
            about: What the looks depend on, for people who read the file.
            width: Numbers in each row of a sample's table.

        Raises:
            UserError: If it cannot be read or written.
        """
        self.width = width
        self.frames: list[int] = []
        self.times_s: list[float] = []
        self.rows: list[Rows] = []
        self.end: str | None = None
        """Why the film ended: empty for its regular end, None if it has not been reached."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes() if path.exists() else b""
            whole = self._read(data[: data.rfind(b"\n") + 1])
            self._stream = path.open("r+b" if path.exists() else "w+b")
            self._stream.truncate(whole)
            self._stream.seek(whole)
            if not whole:
                self._stream.write(json.dumps(about).encode() + b"\n")
        except OSError as error:
            raise UserError(
                f"write {path}", error.strerror or str(error), "Choose another output folder."
            ) from error

    def _read(self, data: bytes) -> int:
        """Take over whole lines; how many bytes are good."""
        good = 0
        for number, line in enumerate(data.splitlines(keepends=True)):
            try:
                record = json.loads(line)
                if number == 0:
                    good += len(line)
                    continue
                if isinstance(record, dict):
                    self.end = str(record["end"])
                    if self.end:
                        # A fault may have been mended, or passing: it is tried again.
                        self.end = None
                        break
                else:
                    frame, time_s, rows = record
                    self._keep(int(frame), float(time_s), rows)
            except (ValueError, TypeError, KeyError):
                break  # what follows a damaged line is looked at again
            good += len(line)
        return good

    def _keep(self, frame: int, time_s: float, rows: Any) -> None:
        table = np.asarray(rows, dtype=np.float32).reshape(-1, self.width)
        self.frames.append(frame)
        self.times_s.append(time_s)
        self.rows.append(table)

    @property
    def last(self) -> int:
        """Number of the last frame that was looked at; -1 before the first."""
        return self.frames[-1] if self.frames else -1

    def of(self, frame: int) -> Rows:
        """The table of a frame that was looked at."""
        return self.rows[bisect_left(self.frames, frame)]

    def add(self, frame: int, time_s: float, rows: npt.ArrayLike) -> None:
        """Keep a sample's table [N,width], as it will be read from the file later."""
        table = self._rounded(rows)
        self._write([frame, time_s, table.tolist()])
        self._keep(frame, time_s, table)

    def as_kept(self, rows: npt.ArrayLike) -> Rows:
        """A table as it would be read from the file later."""
        return self._rounded(rows).astype(np.float32)

    def _rounded(self, rows: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return np.asarray(rows, dtype=np.float64).reshape(-1, self.width).round(_DECIMALS)

    def finish(self, why: str) -> None:
        """Note that the film has ended; ``why`` is empty if it was read to its end."""
        if self.end is None:
            self._write({"end": why})
            self.end = why

    def _write(self, value: Any) -> None:
        try:
            self._stream.write(json.dumps(value).encode() + b"\n")
            self._stream.flush()
        except OSError as error:
            raise UserError(
                f"write {self._stream.name}",
                error.strerror or str(error),
                "Free some space and repeat the command; what was judged is kept.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def check_same_samples(logs: Sequence[LookLog]) -> None:
    """Check that logs are of the same samples.

    Raises:
        UserError: If a log is of other frames, because the file was changed by hand.
    """
    for log in logs[1:]:
        if log.frames != logs[0].frames:
            raise UserError(
                "put together what was seen in a film",
                "its logs are of different frames",
                "Remove the folder looks/ in the output folder, and repeat the command.",
            )
