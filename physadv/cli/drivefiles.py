"""What evaluate drive-by leaves: tables, ``run.json``, the page, and words on the terminal."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from physadv.cli.console import out
from physadv.cli.objects import tell_skipped
from physadv.data.environment import versions
from physadv.data.files import atomic_path, write_json
from physadv.data.film import Sampling
from physadv.evaluate.drive_by import Drive, load_victim_on
from physadv.evaluate.drive_plan import DrivePlan, FilmCase
from physadv.evaluate.trials import TRIALS_NAME, trials_frame
from physadv.report.drive_by import summarise_drives
from physadv.report.drivepage import write_drive_page
from physadv.report.drivetables import drive_tables, records

PAGE, TABLE = "drive_by.html", "films.csv"
_AS_FAR = "was judged as far as it can be read:"


def keep_drives(
    result: Path, drives: Sequence[Drive], plan: DrivePlan, started: str, *, json_out: bool
) -> None:
    """Write what was read into the folder ``result`` and print the tables."""
    trials = trials_frame([trial for drive in drives for trial in drive.trials])
    films = [record for drive in drives for record in drive.records]
    skipped = [(drive.case.name, drive.problem) for drive in drives if drive.problem]
    with atomic_path(result / TRIALS_NAME) as temporary:
        trials.write_parquet(temporary)
    with atomic_path(result / TABLE) as temporary:
        pl.DataFrame([_flat(film) for film in films], infer_schema_length=None).write_csv(temporary)
    facts: dict[str, Any] = {
        "command": shlex.join(["physadv", *sys.argv[1:]]),
        "started": started,
        "sampling": Sampling(plan.every, plan.fps).describe(),
        "confirm": [plan.car.least, plan.car.of],
        "reaction_s": plan.car.reaction_s,
        "deceleration_mps2": plan.car.deceleration_mps2,
    }
    summaries = summarise_drives(trials, films)
    installed = versions()
    written = {
        **facts,
        "plan": plan.describe(),
        "victims": [
            {"name": name, "weights_sha256": load_victim_on(name, plan.device).weights_sha256}
            for name in plan.victims
        ],
        "versions": installed,
        "inputs": [{"film": drive.case.name, **_given(drive.case)} for drive in drives],
        "results": [records(found) for found in summaries],
        "films": films,
        "skipped": [{"film": film, "reason": reason} for film, reason in skipped],
        "not_drawn": [
            {"film": drive.case.name, "reason": reason}
            for drive in drives
            for reason in drive.undrawn
        ],
    }
    write_json(result / "run.json", written)
    how = [
        ("Command", facts["command"]),
        ("Versions", ", ".join(f"{name} {value}" for name, value in installed.items())),
    ]
    write_drive_page(
        result / PAGE, trials, films, summaries, {**facts, "how": how, "skipped": skipped}
    )
    if json_out:
        print(json.dumps(written, indent=2))
        return
    for found in summaries:
        for shown in drive_tables(found):
            out.print(shown)
    for drive in drives:
        if drive.fault:
            out.print(f"{drive.case.name} {_AS_FAR} {drive.fault}", markup=False)
        for reason in drive.undrawn:
            out.print(f"{drive.case.name} was judged, but not drawn: {reason}", markup=False)
    tell_skipped(skipped)
    out.print(str(result / PAGE), markup=False)


def _given(case: FilmCase) -> dict[str, Any]:
    """What was given with a film."""
    return {
        "source": case.source,
        "boxes": None if case.boxes is None else str(case.boxes),
        "speed_log": None if case.speed_log is None else str(case.speed_log),
        "log_start_s": case.log_start_s,
        "anchor": case.anchor,
    }


def _flat(film: dict[str, Any]) -> dict[str, Any]:
    """A film's record as one row: each speed has columns of its own."""
    row = {k: v for k, v in film.items() if k not in ("speeds", "track", "notes", "height_px")}
    row |= {"first_height_px": film["height_px"][0], "last_height_px": film["height_px"][1]}
    row |= {f"track_{name}": value for name, value in film["track"].items()}
    for speed in film["speeds"]:
        at = f"{speed['speed_kmh']:g}_kmh"
        row |= {f"in_time_at_{at}": speed["in_time"], f"confirmed_m_at_{at}": speed["confirmed_m"]}
        row |= {f"braking_m_at_{at}": speed["braking_m"]}
    return row | {"notes": "; ".join(film["notes"])}
