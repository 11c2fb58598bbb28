"""Batches of a digital evaluation on disk, so that an interrupted one goes on where it stopped."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors.torch import load_file, save
from torch import Tensor

from physadv.checks import UserError
from physadv.data.files import atomic_path, read_json, write_json

FOLDER = "parts"
_PLAN = "plan.json"


@dataclass(frozen=True)
class Part:
    """One attack on one batch, or all attacks on one photograph.

    Rows of ``samples`` and of ``transfers`` (None without other victims), ``shown`` [n,2,C,H,W]
    float32 clean and adversarial images, ``shown_rows`` their places in the batch, and ``notes``,
    what the attack says of the model.
    """

    samples: pl.DataFrame
    transfers: pl.DataFrame | None = None
    shown: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    shown_rows: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def check_folder(folder: Path) -> None:
    """Raise unless ``folder`` is empty, not there, or holds an evaluation that was interrupted.

    Raises:
        UserError: If it holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"write to {folder}", "it is not a folder", "Give a new folder.")
    if not folder.is_dir() or (folder / FOLDER / _PLAN).is_file():
        return
    if any(folder.iterdir()):
        raise UserError(f"write to {folder}", "it is not empty", "Give a new folder.")


class Parts:
    """Finished parts by name, below a folder; written whole or not at all."""

    def __init__(self, folder: Path, key: str) -> None:
        """Open the parts of the evaluation that ``key`` stands for.

        Nothing is written before ``begin`` or the first save.

        Raises:
            UserError: If the folder holds something else.
        """
        self._folder, self._key = folder / FOLDER, key
        self._plan = self._folder / _PLAN
        check_folder(folder)
        if self._plan.is_file() and read_json(self._plan).get("key") != key:
            raise UserError(
                f"write to {folder}",
                "another evaluation was interrupted there",
                "Repeat its command, or give a new folder.",
            )

    def begin(self) -> None:
        """Claim the folder: from now on it is this evaluation's to go on with.

        Raises:
            UserError: If it cannot be written.
        """
        if not self._plan.is_file():
            write_json(self._plan, {"key": self._key})

    def path_of(self, name: str, ending: str) -> Path:
        """Where the part of that name is kept."""
        return self._folder / f"{name}.{ending}"

    def load(self, name: str) -> Part | None:
        """The part of that name, if it is there."""
        path = self.path_of(name, "npz")
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as stored:
            told = json.loads(str(stored["told"]))
            return Part(
                _frame(stored["samples"]),
                _frame(stored["transfers"]) if "transfers" in stored else None,
                stored["shown"],
                tuple(told["rows"]),
                tuple(told["notes"]),
            )

    def save(self, name: str, part: Part) -> None:
        """Keep a part.

        Raises:
            UserError: If it cannot be written.
        """
        self.begin()
        arrays: dict[str, npt.NDArray[Any]] = {
            "samples": _bytes(part.samples),
            "shown": part.shown,
        }
        if part.transfers is not None:
            arrays["transfers"] = _bytes(part.transfers)
        told = json.dumps({"rows": part.shown_rows, "notes": part.notes})
        with (
            atomic_path(self.path_of(name, "npz")) as temporary,
            temporary.open("wb") as stream,
        ):
            np.savez(stream, allow_pickle=False, told=np.array(told), **arrays)

    def remove(self) -> None:
        """Drop all parts: what they were kept for is written."""
        shutil.rmtree(self._folder, ignore_errors=True)


def kept_tensors(
    parts: Parts | None, name: str, make: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Tensors by name, as ``kept`` does it, on the CPU: what an attack has learnt.

    Raises:
        UserError: If they cannot be written.
    """
    path = parts.path_of(name, "safetensors") if parts else None
    if path is not None and path.is_file():
        return load_file(path)
    made = {key: value.cpu().contiguous() for key, value in make().items()}
    if parts and path is not None:
        parts.begin()
        with atomic_path(path) as temporary:
            temporary.write_bytes(save(made))
    return made


def kept(parts: Parts | None, name: str, make: Callable[[], Part]) -> Part:
    """The part of that name: as it was kept, else made and kept; without ``parts``, only made.

    Raises:
        UserError: If it cannot be written.
    """
    found = parts.load(name) if parts else None
    if found is None:
        found = make()
        if parts:
            parts.save(name, found)
    return found


def _bytes(frame: pl.DataFrame) -> npt.NDArray[np.uint8]:
    stream = io.BytesIO()
    frame.write_parquet(stream)
    return np.frombuffer(stream.getvalue(), np.uint8)


def _frame(stored: npt.NDArray[np.uint8]) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(stored.tobytes()))
