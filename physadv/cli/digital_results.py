"""What ``evaluate digital`` writes and prints of classifiers."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from physadv.cli.console import out
from physadv.cli.digital_record import attack_records, transfer_records
from physadv.data.environment import versions
from physadv.data.files import atomic_path, write_json
from physadv.data.labelledset import LabelledImages
from physadv.evaluate.digital import DigitalResult
from physadv.evaluate.digital_plan import Task
from physadv.report.beside import SAMPLES, TRANSFERS
from physadv.report.crossing import Crossing, crossing_table, crossings
from physadv.report.digital import (
    USUAL,
    AttackSummary,
    digital_table,
    summarise_digital,
    worst_case,
    write_digital,
)
from physadv.victim.protocol import ClassifierVictim

EXAMPLES, PAGE = "examples.npz", "digital.html"
_GUESSING = 1.5  # times the share that is read rightly by chance: less may be chance


def keep_digital(
    folder: Path,
    data: Path,
    images: LabelledImages,
    victims: Sequence[ClassifierVictim],
    tasks: Sequence[Task],
    result: DigitalResult,
    norm: str,
    *,
    learnt_from: int,
    target: str,
    seed: int,
    seconds: float,
) -> None:
    """Write tables, pictures, run.json and the page, and print what they say.

    Raises:
        UserError: If the folder cannot be written.
    """
    victim, *others = victims
    summaries = summarise_digital(result.samples, norm)
    names = [one.name for one in victims]
    matrices = [] if result.transfers is None else crossings(result.transfers, names)
    notes = _notes(tasks, result.notes, norm)
    warnings = _warnings(victim, summaries)
    settings = {task.title: task.settings for task in tasks}
    facts: dict[str, Any] = {
        "victim": victim.name,
        "weights": victim.weights_sha256,
        "data": images.kind,
        "images": result.samples["image"].n_unique(),
        "images_sha256": images.listed_sha256(),
        "learnt_from": learnt_from,
        "target": target,
        "seed": seed,
        "device": str(victim.device),
        "version": versions()["physadv"],
        "command": shlex.join(["physadv", *sys.argv[1:]]),
        "transfer_to": {one.name: one.weights_sha256 for one in others},
        "warnings": warnings,
    }
    if result.transfers is not None:
        with atomic_path(folder / TRANSFERS) as temporary:
            result.transfers.write_parquet(temporary)
    with atomic_path(folder / SAMPLES) as temporary:
        result.samples.write_parquet(temporary)
    with atomic_path(folder / EXAMPLES) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **result.examples)  # type: ignore[arg-type]
    write_json(
        folder / "run.json",
        {
            **facts,
            "folder": str(data),
            "norm": norm,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 1),
            "versions": versions(),
            "attacks": attack_records(summaries, notes, settings),
            "transfers": transfer_records(matrices),
        },
    )
    counted = tuple(str(n) for n in range(len(victim.class_names)))
    write_digital(
        folder / PAGE,
        result.samples,
        result.examples,
        result.example_rows,
        notes,
        {**facts, "settings": {title: _words(one) for title, one in settings.items()}},
        images.class_names if victim.class_names == counted else victim.class_names,
        norm,
        matrices,
    )
    _say(victim, images, result, summaries, matrices, notes, norm)
    for words in warnings:
        out.print(f"warning: {words}", markup=False)


def _say(
    victim: ClassifierVictim,
    images: LabelledImages,
    result: DigitalResult,
    summaries: Sequence[AttackSummary],
    matrices: Sequence[Crossing],
    notes: Mapping[str, Sequence[str]],
    norm: str,
) -> None:
    if summaries:
        clean = summaries[0]
        out.print(
            f"{victim.name} on {result.samples['image'].n_unique()} images of {images.kind}: top 1 "
            f"{clean.clean.k}/{clean.clean.n}, top 5 {clean.clean_top5.k}/{clean.clean_top5.n}"
        )
    out.print(digital_table(summaries, norm))
    for value in sorted({one.eps for one in summaries if one.eps is not None}):
        rate = worst_case(result.samples, norm, value)
        out.print(f"worst case within {norm} {value:g}: read rightly {rate.k}/{rate.n}")
    for matrix in matrices:
        out.print(crossing_table(matrix))
    if result.transfers is not None and not matrices:
        out.print("transfer: no image is read as labelled by every victim")
    for one in summaries:
        odd = [f"{many} {status}" for status, many in one.statuses if status not in USUAL]
        for note in (*odd, *notes[one.title]):
            out.print(f"{one.title}: {note}", markup=False)


def _notes(
    tasks: Sequence[Task], notes: Mapping[str, Sequence[str]], norm: str
) -> dict[str, tuple[str, ...]]:
    """What the attacks say of themselves, and where they keep another length small."""
    told = {}
    for task in tasks:
        own = task.own_norm or norm
        other = (
            f"it keeps {own} small; {norm} is what came of that, and could be less with an attack "
            f"on {norm}"
        )
        told[task.title] = (*notes[task.title], *([] if own == norm else [other]))
    return told


def _warnings(victim: ClassifierVictim, summaries: Sequence[AttackSummary]) -> list[str]:
    if not summaries:
        return []
    clean, classes = summaries[0].clean, len(victim.class_names)
    surely = clean.interval is not None and clean.interval.low * classes > 1
    if surely or clean.k * classes > _GUESSING * clean.n:
        return []
    return [
        f"{victim.name} reads {clean.k} of {clean.n} clean images rightly, as guessing among "
        f"{classes} classes could. Are its classes in the set's order, and images what it expects "
        "(RGB or grey, in [0,1], its own normalisation inside)?"
    ]


def _words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in settings.items())


def _value(value: object) -> str:
    if value is None:
        return "default"
    return f"{value:g}" if isinstance(value, float) else str(value)
