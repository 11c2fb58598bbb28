"""How far a car had driven at each moment: from a CSV file of its speed, or a GPX track."""

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.data.csvrows import Rows, read_rows
from physadv.units import KMH_PER_MPS, M_PER_MILE

Array = npt.NDArray[np.float64]

TIME = "time_s"
_SPEEDS = {"speed_mps": 1.0, "speed_kmh": 1 / KMH_PER_MPS, "speed_mph": M_PER_MILE / 3600}
TRAVELLED = "travelled_m"
_EARTH_M = 6_371_008.8  # mean radius, IUGG
_FASTEST_MPS = 150.0


@dataclass(frozen=True)
class SpeedLog:
    """``travelled_m`` [N] since the first entry, at ``times_s`` [N], increasing."""

    times_s: Array
    travelled_m: Array

    def travelled_at(self, times_s: Array) -> Array:
        """[K] metres driven by then; NaN outside the log."""
        return np.asarray(
            np.interp(times_s, self.times_s, self.travelled_m, left=np.nan, right=np.nan)
        )


def read_speed_log(path: Path) -> SpeedLog:
    """Read a log.

    Args:
        path: CSV with ``time_s`` (from the film's first frame) and one of ``speed_mps``,
            ``speed_kmh``, ``speed_mph`` or ``travelled_m``; or GPX, whose times count from its
            first point.

    Raises:
        UserError: If it cannot be read, a column is missing, times do not increase, or a speed is
            impossible.
    """
    if path.suffix.lower() == ".gpx":
        return _gpx(path)
    asked = f"read the speed log {path}"
    table = read_rows(path, asked, "Give a CSV or GPX file.")
    header = table.header
    values = [name for name in (*_SPEEDS, TRAVELLED) if name in header]
    if TIME not in header or len(values) != 1:
        raise UserError(
            asked,
            f"columns {', '.join(header) or 'none'}",
            f"It needs {TIME} and one of {', '.join((*_SPEEDS, TRAVELLED))}.",
        )
    times, found = (_column(table, name) for name in (TIME, values[0]))
    if values[0] == TRAVELLED:
        return _checked(times, found - found[0], asked)
    speed = found * _SPEEDS[values[0]]
    if len(times) < 2:
        raise UserError(asked, f"{len(times)} rows", "Give at least two.")
    # Between two entries the speed changes evenly.
    steps = (speed[1:] + speed[:-1]) / 2 * np.diff(times)
    return _checked(times, np.concatenate([[0.0], np.cumsum(steps)]), asked)


def _column(table: Rows, name: str) -> Array:
    values = []
    for number, row in zip(table.numbers, table.rows, strict=True):
        try:
            value = float(row[name])
            if not math.isfinite(value):
                raise ValueError
        except ValueError as error:
            raise UserError(
                f"read the speed log {table.path}, line {number}",
                f"{name} is {row[name]!r}",
                "Mend the row.",
            ) from error
        values.append(value)
    return np.array(values)


def _checked(times: Array, travelled: Array, asked: str) -> SpeedLog:
    if len(times) < 2:
        raise UserError(asked, f"{len(times)} entries", "Give at least two.")
    steps = np.diff(times)
    if not (steps > 0).all():
        row = int(np.flatnonzero(steps <= 0)[0]) + 1
        raise UserError(
            asked,
            f"its times do not increase: {times[row]:g} s after {times[row - 1]:g} s",
            "Sort it, and leave out what is there twice.",
        )
    speed = np.diff(travelled) / steps
    if (speed < -0.5).any() or (speed > _FASTEST_MPS).any():
        worst = float(speed[np.argmax(np.abs(speed))])
        raise UserError(asked, f"a speed of {worst:.1f} m/s in it", "Check its units.")
    return SpeedLog(times, travelled)


def _gpx(path: Path) -> SpeedLog:
    asked = f"read the speed log {path}"
    try:
        text = path.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise UserError(asked, "it declares entities", "Give a plain GPX file.")
        points = [
            element
            for element in ET.fromstring(text).iter()
            if element.tag.rpartition("}")[2] == "trkpt"
        ]
        places = np.radians([[float(p.attrib["lat"]), float(p.attrib["lon"])] for p in points])
        stamps = [_time_of(point) for point in points]
    except (OSError, ET.ParseError, KeyError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            asked, f"not a GPX track with times ({error})", "Export a track, not a route."
        ) from error
    if len(points) < 2:
        raise UserError(asked, f"{len(points)} track points", "Export a track, not a route.")
    times = np.array([(stamp - stamps[0]).total_seconds() for stamp in stamps])
    steps = _great_circle_m(places[:-1], places[1:])
    return _checked(times, np.concatenate([[0.0], np.cumsum(steps)]), asked)


def _time_of(point: ET.Element) -> datetime:
    for child in point:
        if child.tag.rpartition("}")[2] == "time" and child.text:
            return datetime.fromisoformat(child.text.strip())
    raise ValueError("a point has no time")


def _great_circle_m(first: Array, second: Array) -> Array:
    """Haversine distance between [N,2] latitudes and longitudes in radians."""
    half = (second - first) / 2
    a = np.sin(half[:, 0]) ** 2
    a += np.cos(first[:, 0]) * np.cos(second[:, 0]) * np.sin(half[:, 1]) ** 2
    return np.asarray(2 * _EARTH_M * np.arcsin(np.sqrt(a)))
