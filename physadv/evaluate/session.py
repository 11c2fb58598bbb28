"""How many photographs a field test needs, in which order, and how large things will be on them."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from physadv.checks import UserError, check_range
from physadv.data.files import atomic_path
from physadv.export.codes import CELLS
from physadv.export.fieldplan import Station, Visit
from physadv.export.sheetfile import SheetLayout
from physadv.seeding import generator_for
from physadv.stats.intervals import wilson_share
from physadv.types import Treatment
from physadv.units import M_PER_FOOT, MM_PER_M, deg_to_rad

LEAST_CELL_PX = 4.0
"""A marker's cell must cover as much to be read reliably."""
LEAST_TARGET_PX = 20.0
"""Detectors and classifiers read little that is smaller."""
_MOST_PHOTOGRAPHS = 100_000


@dataclass(frozen=True)
class SessionPlan:
    """``per_cell`` photographs of every treatment in every cell, spread evenly over sessions."""

    stations: tuple[Station, ...]
    visits: tuple[Visit, ...]
    per_cell: int
    half_width: float

    @property
    def photographs(self) -> int:
        """In all."""
        return sum(visit.photographs for visit in self.visits)


def half_width_of(n: float, rate: float) -> float:
    """Half the width of Wilson's 95 % interval at a rate, for n independent photographs."""
    interval = wilson_share(rate, n)
    return (interval.high - interval.low) / 2


def photographs_needed(
    half_width: float, *, rate: float = 0.5, sessions: int = 1, alike: float = 0.0
) -> int:
    """Photographs per cell and treatment for that half width; a multiple of ``sessions``.

    Args:
        half_width: Wanted, as a share, in (0, 0.5).
        rate: Expected success rate; one half is the widest.
        sessions: Over which they are spread evenly.
        alike: Intraclass correlation of photographs of a session, 0 (independent) to below 1.

    Raises:
        UserError: If a value is out of range, or so few sessions cannot do it, however many
            photographs each has.
    """
    check_range("half width", half_width, 0, 0.5, low_open=True)
    check_range("rate", rate, 0, 1)
    check_range("alike", alike, 0, 0.99)
    for each in range(1, _MOST_PHOTOGRAPHS // sessions):
        n = each * sessions
        if half_width_of(n / (1 + (each - 1) * alike), rate) <= half_width:
            return n
        if alike and each * alike > 60:
            break
    best = half_width_of(sessions / alike if alike else _MOST_PHOTOGRAPHS, rate)
    raise UserError(
        f"intervals of +-{100 * half_width:g} points from {sessions} sessions",
        f"photographs of a session that are alike by {alike:g} reach +-{100 * best:.0f} points at "
        "best",
        "Plan more sessions, or a wider interval.",
    )


def plan_session(
    cells: Sequence[tuple[float, float]],
    treatments: Sequence[Treatment],
    per_cell: int,
    *,
    sessions: int = 1,
    rate: float = 0.5,
    alike: float = 0.0,
    width_mm: float | None = None,
    focal_px: float | None = None,
    layout: SheetLayout | None = None,
    seed: int = 0,
) -> SessionPlan:
    """A randomised field test.

    In every session the stations are visited in a new random order, and at each the treatments are
    shown in a random order, so that neither light nor time of day goes with a treatment.

    Args:
        cells: (distance_m, yaw_deg) of each station.
        treatments: What is shown.
        per_cell: Photographs per cell and treatment.
        sessions: Spread over as many; ``per_cell`` must be a multiple.
        rate: As for ``photographs_needed``.
        alike: Likewise.
        width_mm: Width of the target, for its size in pixels.
        focal_px: Focal length of the camera in pixels of the photographs.
        layout: The sheet, for the size of its markers' cells.
        seed: Decides the order.
    """
    stations = tuple(
        _station(f"{number}", distance, yaw, width_mm, focal_px, layout)
        for number, (distance, yaw) in enumerate(cells, start=1)
    )
    visits = []
    each = per_cell // sessions
    for session in range(1, sessions + 1):
        generator = generator_for(seed, "session", session)
        for index in generator.permutation(len(stations)):
            for which in generator.permutation(len(treatments)):
                visits.append(Visit(session, stations[index], treatments[which], each))
    worth = per_cell / (1 + (each - 1) * alike)
    return SessionPlan(stations, tuple(visits), per_cell, half_width_of(worth, rate))


def _station(
    name: str,
    distance_m: float,
    yaw_deg: float,
    width_mm: float | None,
    focal_px: float | None,
    layout: SheetLayout | None,
) -> Station:
    if focal_px is None:
        return Station(name, distance_m, yaw_deg)
    shortened = math.cos(deg_to_rad(yaw_deg))
    px_per_mm = focal_px / (distance_m * MM_PER_M)
    target = None if width_mm is None else width_mm * px_per_mm * shortened
    cell, warnings = None, []
    if layout is not None:
        # A card is hung facing the camera's side; a board is as oblique as its target.
        turned = shortened if layout.kind == "board" else 1.0
        cell = layout.marker_mm / CELLS * px_per_mm * turned
        if cell < LEAST_CELL_PX:
            warnings.append(f"marker cells of {cell:.1f} px cannot be read")
    if target is not None and target < LEAST_TARGET_PX:
        warnings.append(f"the target is {target:.0f} px wide")
    return Station(name, distance_m, yaw_deg, target, cell, "; ".join(warnings))


def write_shots_csv(path: Path, plan: SessionPlan) -> None:
    """One row a photograph, with a column ``file`` to fill: then it is a manifest."""
    header = ("file", "session", "station", "treatment", "distance_m", "distance_feet", "yaw_deg",
              "out_m", "right_m")  # fmt: skip
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(header)
        for visit in plan.visits:
            station = visit.station
            row = (
                "",
                f"session {visit.session}",
                station.name,
                visit.treatment,
                f"{station.distance_m:.4g}",
                f"{station.distance_m / M_PER_FOOT:.4g}",
                f"{station.yaw_deg:g}",
                f"{station.along_m:.3f}",
                f"{station.across_m:.3f}",
            )
            writer.writerows([row] * visit.photographs)
