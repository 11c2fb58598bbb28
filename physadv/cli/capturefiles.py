"""What evaluate captures leaves: tables, ``run.json``, the page, and words on the terminal."""

import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from physadv.cli.console import out
from physadv.cli.objects import tell_skipped
from physadv.data.environment import versions
from physadv.data.files import atomic_path, write_json
from physadv.evaluate.capture_plan import CapturePlan, describe
from physadv.evaluate.capture_trials import CaptureTable
from physadv.evaluate.captures import THUMBS
from physadv.evaluate.trials import TRIALS_NAME, trials_frame
from physadv.report.capturepage import write_captures
from physadv.report.capturerecords import records
from physadv.report.captures import capture_tables, cluster_note, summarise_captures

PAGE, TABLE = "captures.html", "photographs.csv"


def keep_captures(
    folder: Path,
    result: Path,
    table: CaptureTable,
    plan: CapturePlan,
    victims: list[str],
    started: str,
) -> None:
    """Write what was read into the folder ``result`` and print the tables."""
    trials = trials_frame(table.trials)
    with atomic_path(result / TRIALS_NAME) as temporary:
        trials.write_parquet(temporary)
    with atomic_path(result / TABLE) as temporary:
        pl.DataFrame(table.photographs, infer_schema_length=None).write_csv(temporary)
    summaries = summarise_captures(trials)
    command = shlex.join(["physadv", *sys.argv[1:]])
    facts: dict[str, Any] = {
        "folder": str(folder),
        "photographs": len({row["sha256"] for row in table.photographs}),
        "runs": [one.run for one in plan.printed],
        "started": started,
    }
    write_json(
        result / "run.json",
        {
            "command": command,
            **facts,
            "victims": victims,
            "plan": describe(plan),
            "versions": versions(),
            "results": [records(found) for found in summaries],
            "flags": [{"file": file, "what": what} for file, what in table.flags],
            "skipped": [{"file": file, "reason": reason} for file, reason in table.skipped],
        },
    )
    sources = Counter(row["pose_source"] for row in table.photographs)
    how = [
        ("Command", command),
        ("Distances from", ", ".join(f"{name}: {count}" for name, count in sources.items())),
        ("Versions", ", ".join(f"{name} {value}" for name, value in versions().items())),
    ]
    write_captures(
        result / PAGE,
        trials,
        table.photographs,
        summaries,
        {**facts, "how": how},
        skipped=table.skipped,
        flags=table.flags,
        thumbs=result / THUMBS,
    )
    for name in victims:
        # Over all objects first; those of each are on the page.
        found = next(one for one in summaries if one.victim == name)
        for shown in capture_tables(found):
            out.print(shown)
        out.print(cluster_note(found), markup=False)
    tell_skipped(table.skipped)
    if table.flags:
        out.print(
            f"{len(table.flags)} to be looked at, e.g. {': '.join(table.flags[0])}", markup=False
        )
    out.print(str(result / PAGE), markup=False)
