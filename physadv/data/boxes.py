"""Boxes of one object through a film, as CSV: file,frame,x1,y1,x2,y2,label,score,origin."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.data.csvrows import read_rows
from physadv.data.files import atomic_path
from physadv.data.film import Film
from physadv.data.video import Video

COLUMNS = ("file", "frame", "x1", "y1", "x2", "y2", "label", "score", "origin")
_NEEDED = COLUMNS[:6]
_SLACK_PX = 2.0


@dataclass(frozen=True)
class FrameBox:
    """The object in one frame: ``box`` [4] xyxy in pixels; ``score`` is the confidence of who
    found it, 1 where the box is known."""

    frame: int
    box: npt.NDArray[np.float64]
    label: str = ""
    score: float = 1.0
    origin: str = ""


def read_boxes(path: Path, video: str) -> dict[int, FrameBox]:
    """Boxes of a film by frame number.

    Args:
        path: The CSV file, which may hold several films.
        video: The film's file name, as in the column ``file``.

    Raises:
        UserError: If the file cannot be read, lacks a column, a value is no box, a frame is listed
            twice, or none is of this film.
    """
    asked = f"read the boxes in {path}"
    table = read_rows(path, asked, "Give a CSV file of boxes.")
    table.check(asked, _NEEDED)
    found: dict[int, FrameBox] = {}
    for number, row in zip(table.numbers, table.rows, strict=True):
        if row["file"] != video:
            continue
        one = _row(row, f"{path}, line {number}")
        if one.frame in found:
            raise UserError(
                f"{path}, line {number}",
                f"frame {one.frame} has a second box",
                "Keep one object a film; give each its own CSV.",
            )
        found[one.frame] = one
    if not found:
        listed = ", ".join(sorted({row["file"] for row in table.rows})) or "none"
        raise UserError(
            f"boxes of {video} in {path}", f"it has boxes of: {listed}", "Check the column file."
        )
    return dict(sorted(found.items()))


def _row(row: dict[str, str], where: str) -> FrameBox:
    try:
        frame = int(row["frame"])
        box = np.array([float(row[name]) for name in ("x1", "y1", "x2", "y2")])
        score = float(row.get("score") or 1.0)
    except ValueError as error:
        raise UserError(where, f"not numbers ({error})", "Mend the row.") from error
    if frame < 0 or not np.isfinite(box).all() or not (box[2:] > box[:2]).all():
        raise UserError(
            where,
            f"frame {frame}, box {', '.join(f'{v:g}' for v in box)}",
            "Frames count from 0, and x2 > x1, y2 > y1.",
        )
    return FrameBox(frame, box, row.get("label", ""), score, row.get("origin", ""))


def check_boxes(film: Film, boxes: Mapping[int, FrameBox], path: Path) -> None:
    """Check that boxes can be of a film.

    Raises:
        UserError: If one lies outside its picture, or is of a frame that it has not got.
    """
    asked = f"use the boxes in {path} for {film.name}"
    for one in boxes.values():
        right, bottom = one.box[2:]
        if (
            right > film.width_px + _SLACK_PX
            or bottom > film.height_px + _SLACK_PX
            or (one.box[:2] < -_SLACK_PX).any()
        ):
            raise UserError(
                asked,
                f"frame {one.frame}'s reaches to {', '.join(f'{v:.0f}' for v in one.box)} px, the "
                f"film has {film.width_px} x {film.height_px} px",
                "Give the boxes of this film, in its own pixels.",
            )
    last = max(boxes)
    if isinstance(film, Video) and 0 < film.count <= last:
        raise UserError(
            asked,
            f"they go to frame {last}, the film has {film.count} frames",
            "Frames count from 0; give the boxes of this film.",
        )


def write_boxes(path: Path, films: Iterable[tuple[str, Iterable[FrameBox]]]) -> None:
    """Write the boxes of several films into one file that ``read_boxes`` reads, atomically."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for film, boxes in films:
            for one in boxes:
                corners = [f"{value:.2f}" for value in one.box]
                writer.writerow(
                    [film, one.frame, *corners, one.label, f"{one.score:g}", one.origin]
                )
