"""What a manifest says about photographs: treatment, tape measure, session, classes, boxes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from physadv.checks import UsageError, UserError
from physadv.data.csvrows import read_rows
from physadv.types import Treatment
from physadv.units import feet_to_m

COLUMNS = (
    "file",
    "treatment",
    "distance_m",
    "distance_ft",
    "yaw_deg",
    "pitch_deg",
    "roll_deg",
    "session",
    "true_class",
    "target_class",
    "left",
    "top",
    "right",
    "bottom",
)
_BOX = ("left", "top", "right", "bottom")
_WORDS: dict[str, Treatment] = {
    "clean": "clean",
    "none": "clean",
    "blank": "blank",
    "grey": "blank",
    "gray": "blank",
    "noise": "noise",
    "control": "control",
    "adversarial": "adversarial",
    "adv": "adversarial",
    "attack": "adversarial",
    "attacked": "adversarial",
    "patch": "adversarial",
}
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Shot:
    """One object in one photograph, as far as it was written down; ``box`` is xyxy in pixels.

    ``strata`` are the values of the columns that tables are split by.
    """

    file: str
    treatment: Treatment | None = None
    distance_m: float | None = None
    yaw_deg: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    session: str = ""
    true_class: str = ""
    target_class: str = ""
    box: Box | None = None
    strata: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShotList:
    """``shots`` by file name; ``notes`` says what was passed over."""

    shots: Mapping[str, tuple[Shot, ...]]
    notes: tuple[str, ...] = ()


def treatment_named(word: str) -> Treatment | None:
    """The treatment that a word of a manifest or a folder's name means; None for other words."""
    return _WORDS.get(word.strip().casefold())


def read_shotlist(
    path: Path, columns: Mapping[str, str] | None = None, strata: Sequence[str] = ()
) -> ShotList:
    """Read a manifest: CSV with a header, one row per photograph or per object in it.

    Args:
        path: The file. Columns of ``COLUMNS`` are read, others passed over and named.
        columns: Names that the file has for them, e.g. {"yaw_deg": "angle_deg"}.
        strata: Further columns by whose values tables are split.

    Raises:
        UsageError: If a column that was asked for is not there or not known.
        UserError: If the file is no CSV text, has no column ``file``, a value is impossible, or
            two rows of a photograph contradict each other.
    """
    table = read_rows(path, f"read {path}", "Check the path, and save it as UTF-8.")
    header = table.header
    known = _columns(path, header, columns or {}, strata)
    if "file" not in known:
        raise UserError(
            f"manifest {path}",
            f"no column 'file' among {', '.join(header) or 'none'}",
            "Add it, or say which it is: --column file=THEIRS.",
        )
    found: dict[str, list[Shot]] = {}
    notes = []
    for number, row in zip(table.numbers, table.rows, strict=True):
        shot = _shot(f"{path}, line {number}", row, known, strata)
        before = found.setdefault(shot.file, [])
        if shot in before:
            notes.append(f"line {number} repeats an earlier row of {shot.file}")
            continue
        if before and (shot.box is None or any(other.box is None for other in before)):
            raise UserError(
                f"{path}, line {number}",
                f"another row says something else of {shot.file}",
                "Leave one of them; rows for several objects each need a box.",
            )
        before.append(shot)
    used = {*known.values(), *strata}
    unused = [name for name in header if name not in used]
    if unused:
        notes.append(f"columns not used: {', '.join(unused)}")
    return ShotList({file: tuple(shots) for file, shots in found.items()}, tuple(notes))


def _columns(
    path: Path, header: Sequence[str], columns: Mapping[str, str], strata: Sequence[str]
) -> dict[str, str]:
    """Our name of each column that is there -> the file's name for it."""
    for ours, theirs in columns.items():
        if ours not in COLUMNS:
            raise UsageError(
                f"column {ours!r}", "not one that is read", f"Use {', '.join(COLUMNS)}."
            )
        if theirs not in header:
            raise UsageError(
                f"column {ours}={theirs}", f"{path} has {', '.join(header)}", "Check the name."
            )
    for name in strata:
        if name not in header:
            raise UsageError(f"--by {name}", f"{path} has {', '.join(header)}", "Check the name.")
    return {name: name for name in COLUMNS if name in header} | dict(columns)


def _shot(
    where: str, row: Mapping[str, str], known: Mapping[str, str], strata: Sequence[str]
) -> Shot:
    def text(name: str) -> str:
        return row.get(known.get(name, ""), "").strip()

    def number(name: str, least: float, most: float) -> float | None:
        given = text(name)
        if not given:
            return None
        try:
            value = float(given)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise UserError(
                f"{where}: {name}",
                repr(given),
                f"Give a number from {least:g} to {most:g}, or leave it empty.",
            )
        return value

    if not text("file"):
        raise UserError(where, "no file name", "Fill the column, or remove the row.")
    treatment = treatment_named(text("treatment"))
    if text("treatment") and treatment is None:
        words = ", ".join(sorted(_WORDS))
        raise UserError(f"{where}: treatment", repr(text("treatment")), f"Use one of {words}.")
    distance, feet = number("distance_m", 0.01, 1000), number("distance_ft", 0.03, 3300)
    if distance is not None and feet is not None:
        raise UserError(where, "distance_m and distance_ft", "Give one of them.")
    if feet is not None:
        distance = feet_to_m(feet)
    return Shot(
        text("file"),
        treatment,
        distance,
        number("yaw_deg", -89, 89),
        number("pitch_deg", -89, 89),
        number("roll_deg", -180, 180),
        text("session"),
        text("true_class"),
        text("target_class"),
        _box(where, [number(name, -1e6, 1e6) for name in _BOX]),
        tuple(row[name].strip() for name in strata),
    )


def _box(where: str, edges: Sequence[float | None]) -> Box | None:
    left, top, right, bottom = edges
    if left is None and top is None and right is None and bottom is None:
        return None
    if left is None or top is None or right is None or bottom is None:
        raise UserError(where, "part of a box", f"Give all of {', '.join(_BOX)}, or none.")
    if right <= left or bottom <= top:
        raise UserError(
            where,
            f"an empty box {left:g}, {top:g}, {right:g}, {bottom:g}",
            "Give the right edge beyond the left and the bottom beyond the top.",
        )
    return left, top, right, bottom
