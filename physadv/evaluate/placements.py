"""Where prints go in a film, as CSV: what paint-in measured, to look at and to go on from."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from physadv.checks import UserError
from physadv.data.files import atomic_path
from physadv.evaluate.compositing import Lighting
from physadv.evaluate.painters import Worn
from physadv.evaluate.signlook import SignLook
from physadv.evaluate.signtrack import Placed

_CORNERS = [f"{axis}{corner}" for corner in range(1, 5) for axis in "xy"]
_SIGN = ["frame", *_CORNERS, "blur_px", "gain_r", "gain_g", "gain_b", "haze"]
_SIGN += ["slope_x", "slope_y", "centre_x", "centre_y", "grain"]
_WORN = ["frame", "x1", "y1", "x2", "y2", "black", "white", "blur_px"]


def save_placements(path: Path, placements: Mapping[int, Placed] | Mapping[int, Worn]) -> None:
    """Write places and looks by frame; ``load_placements`` reads the same numbers again."""
    header, rows = _WORN, []
    for frame, one in placements.items():
        if isinstance(one, Placed):
            header, light = _SIGN, one.look.light
            values = [*one.square.ravel(), one.look.blur_px, *light.gain, light.offset[0]]
            values += [*light.slope, *light.centre, one.look.grain]
        else:
            values = [*one.box, one.black, one.white, one.blur_px]
        rows.append([frame, *(repr(float(value)) for value in values)])
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def load_placements(path: Path) -> dict[int, Placed] | dict[int, Worn]:
    """Read what ``save_placements`` wrote.

    Raises:
        UserError: If the file is missing or something else.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            header, *rows = list(csv.reader(stream))
        table = {int(row[0]): np.array([float(value) for value in row[1:]]) for row in rows}
        if header == _WORN:
            return {
                n: Worn(row[:4], *(float(value) for value in row[4:])) for n, row in table.items()
            }
        if header == _SIGN:
            return {n: _placed(row) for n, row in table.items()}
        raise ValueError(f"columns {','.join(header)}")
    except (OSError, ValueError, IndexError) as error:
        raise UserError(
            f"read {path}",
            f"{type(error).__name__}: {error}",
            "Remove it: it is measured again from the film.",
        ) from error


def _placed(row: np.ndarray) -> Placed:
    light = Lighting(row[9:12], np.full(3, row[12]), row[13:15], row[15:17])
    return Placed(row[:8].reshape(4, 2), SignLook(float(row[8]), light, float(row[17])))
