"""The page about photographs of prints: its gallery, and what it is filled with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from physadv.data.files import atomic_path
from physadv.report import text
from physadv.report.captures import CaptureSummary, cluster_note, headline
from physadv.report.html import environment
from physadv.report.pictures import picture_from
from physadv.report.summary import ARTWORK

_SHOWN = 120
_THUMB_PX = 260


def write_captures(
    path: Path,
    trials: pl.DataFrame,
    photographs: Sequence[Mapping[str, Any]],
    summaries: Sequence[CaptureSummary],
    facts: Mapping[str, Any],
    *,
    skipped: Sequence[tuple[str, str]],
    flags: Sequence[tuple[str, str]],
    thumbs: Path,
) -> None:
    """Write the page; nothing is fetched and no victim run.

    Args:
        path: Where to.
        trials: What was read.
        photographs: One row per object (``capture_trials.CaptureTable``).
        summaries: Of the trials.
        facts: ``folder``, ``photographs``, ``runs``, ``started`` and rows ``how`` for the end.
        skipped: Files that were not used, and why.
        flags: Files that were, with something that does not fit.
        thumbs: Folder of small pictures.

    Raises:
        UserError: If it cannot be written.
    """
    chosen = _spread(trials, _SHOWN)
    rows = {int(row["frame"]): row for row in photographs}
    read: dict[int, list[tuple[str, str, bool]]] = {}
    for one in trials.filter(pl.col("frame").is_in(chosen)).iter_rows(named=True):
        words = f"{one['predicted_class']} {one['score']:.2f} ({one['verdict']})"
        read.setdefault(one["frame"], []).append((one["victim"], words, one["verdict"] != "hit"))
    shown = [_entry(rows[frame], read[frame], thumbs) for frame in chosen]
    page = (
        environment()
        .get_template("captures.html.j2")
        .render(
            summaries=summaries,
            facts=facts,
            photographs=shown,
            shown=len(shown),
            total=len(photographs),
            skipped=skipped,
            flags=flags,
            rows=facts["how"],
            headline=headline,
            cluster_note=cluster_note,
            attacked=lambda s: ARTWORK in s.treatments,
            text=text,
        )
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _spread(trials: pl.DataFrame, most: int) -> list[int]:
    """Frames to show: of every treatment and verdict in turn, in the order they were read."""
    first = trials.unique("frame", keep="first", maintain_order=True)
    groups = [
        part["frame"].to_list()
        for _, part in first.group_by(["treatment", "verdict"], maintain_order=True)
    ]
    chosen: list[int] = []
    while len(chosen) < most and any(groups):
        for group in groups:
            if group and len(chosen) < most:
                chosen.append(group.pop(0))
    return sorted(chosen)


def _entry(
    row: Mapping[str, Any], verdicts: list[tuple[str, str, bool]], thumbs: Path
) -> dict[str, Any]:
    file = thumbs / f"{row['sha256'][:24]}_{row['object']}.jpg"
    pose = ""
    if row["distance_m"] is not None:
        pose = f"{row['distance_m']:.2f} m"
        if row["yaw_deg"] is not None:
            pose += f", {row['yaw_deg']:.0f}°"
        pose += f" by {row['pose_source']}"
    return {
        "file": row["file"],
        "treatment": row["treatment"],
        "source": row["treatment_source"],
        "cell": row["cell"],
        "verdicts": verdicts,
        "pose": pose,
        "note": row["note"],
        "picture": picture_from(file, _THUMB_PX) if file.is_file() else None,
    }
