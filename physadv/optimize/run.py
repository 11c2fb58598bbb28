"""The run folder and its manifest: opened, resumed, completed."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.data.environment import versions
from physadv.data.files import read_json, write_json
from physadv.types import RunManifest

RUN_NAME = "run.json"
_OWN_TEMPORARIES = (
    ".run.*.tmp.json",
    ".artwork.*.tmp.*",
    ".checkpoint.*.tmp.safetensors",
    ".history.*.tmp.jsonl",
)


class Named(Protocol):
    """A victim's identity."""

    @property
    def name(self) -> str: ...

    @property
    def weights_sha256(self) -> str: ...


def new_manifest(
    command: str,
    scene: dict[str, Any],
    victims: Sequence[Named],
    *,
    target: str,
    layout: str,
    seed: int,
    options: dict[str, Any],
) -> RunManifest:
    """The manifest of a run that starts now."""
    return RunManifest(
        command=command,
        scene=scene,
        victims=[{"name": v.name, "weights_sha256": v.weights_sha256} for v in victims],
        target=target,
        layout=layout,
        seed=seed,
        options=options,
        versions=versions(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def recorded_options(recipe: Any) -> dict[str, Any]:
    """A recipe (a dataclass) as JSON holds it; a printer only where there is one."""
    options: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    if options.get("printer") is None:
        options.pop("printer", None)
    return options


def open_run(out: Path, manifest: RunManifest, *, resume: bool) -> Path:
    """Make the run folder, or check that the run in it is this one.

    Raises:
        UserError: If it holds other files, another run, or nothing to resume.
    """
    path = out / RUN_NAME
    if out.is_dir():
        for name in _OWN_TEMPORARIES:
            for stale in out.glob(name):
                stale.unlink()
    # A run that was killed before it wrote its manifest is simply started.
    if resume and (path.exists() or (out.is_dir() and any(out.iterdir()))):
        found = read_json(path)
        wanted = manifest.to_dict()
        differing = [
            key
            for key in ("scene", "victims", "target", "layout", "seed", "options")
            if found.get(key) != wanted[key]
        ]
        if differing:
            raise UserError(
                f"resume {out}",
                f"it was started with other values of: {', '.join(differing)}",
                "Repeat the command that is recorded in its run.json, or choose another --out.",
            )
        return out
    if out.is_dir() and any(out.iterdir()):
        held, do = "other files", "Choose another --out."
        if path.exists():
            held = "another run"
            do = "Choose another --out, continue that run with --resume, or delete it."
        raise UserError(f"write a run into {out}", f"the folder already holds {held}", do)
    if out.exists() and not out.is_dir():
        raise UserError(f"write a run into {out}", "that is a file", "Choose another --out.")
    write_json(path, manifest.to_dict())
    return out


def record_results(folder: Path, artwork: Artwork, elapsed_s: float) -> None:
    """Add results to the manifest, and the time to that of earlier parts of the run."""
    recorded = read_json(folder / RUN_NAME)
    timings = recorded["timings_s"]
    timings["generate"] = round(timings.get("generate", 0.0) + elapsed_s, 1)
    for name in ("held_out_success", "area_share"):
        if name in artwork.recipe:
            recorded["results"][name] = artwork.recipe[name]
    write_json(folder / RUN_NAME, recorded)
