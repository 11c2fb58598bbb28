"""A folder of simulated films: whose it is, what of it is done, and what each film holds."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.data.files import atomic_path, read_json, sha256_of, write_json
from physadv.types import Treatment

Picture = npt.NDArray[np.uint8]
Frames = Iterator[tuple[float, Picture]]
Write = Callable[[Path, Frames], None]
Progress = Callable[[str, int, int], None]

FORMAT = "physadv simulation 1"
MANIFEST, BOXES = "simulation.json", "boxes.csv"


def no_progress(task: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def film_name(treatment: Treatment) -> str:
    """File name of a treatment's film."""
    return f"{treatment}.mp4"


def begin(
    out: Path,
    key: dict[str, Any],
    about: dict[str, Any],
    treatments: Sequence[Treatment],
    *,
    replace: bool,
) -> dict[str, Any]:
    """The manifest to go on with: that of the same simulation, or a new one.

    Args:
        out: The simulation's folder.
        key: All that decides what the films show.
        about: What else a new manifest says.
        treatments: What is to be written.
        replace: Whether another simulation in ``out`` may be lost.

    Raises:
        UserError: If ``out`` holds another simulation, or films of unknown origin.
    """
    path = out / MANIFEST
    if path.is_file() and not replace:
        found = read_json(path)
        if isinstance(found, dict) and found.get("format") == FORMAT and found.get("key") == key:
            return found
        raise UserError(
            f"write films into {out}",
            "it holds those of another simulation",
            "Choose another --out, or give --replace.",
        )
    names = [film_name(treatment) for treatment in treatments]
    if not replace and (there := [name for name in names if (out / name).exists()]):
        raise UserError(
            f"write films into {out}",
            f"{', '.join(there)} are there already",
            "Choose another --out, or give --replace.",
        )
    manifest = {"format": FORMAT, "key": key, **about, "films": {}}
    write_json(path, manifest)
    return manifest


def write_films(
    out: Path,
    manifest: dict[str, Any],
    treatments: Sequence[Treatment],
    frames: Callable[[Treatment], Frames],
    write: Write,
) -> None:
    """Write the films that are not whole yet, and record each in the manifest when it is.

    Args:
        out: The simulation's folder.
        manifest: From ``begin``; its ``films`` are added to.
        treatments: What is to be written.
        frames: The frames of a treatment's film.
        write: Encodes frames into a new file at a path.
    """
    for treatment in treatments:
        path = out / film_name(treatment)
        known = manifest["films"].get(treatment)
        if known and path.is_file() and sha256_of(path) == known["sha256"]:
            continue
        with atomic_path(path) as temporary:
            write(temporary, frames(treatment))
        manifest["films"][treatment] = {"file": path.name, "sha256": sha256_of(path)}
        write_json(out / MANIFEST, manifest)
