"""``sheet.json`` and the QR code: where a printed sheet's markers lie, for whoever reads photos."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.data.files import read_json, write_json
from physadv.export.codes import CODES, CORNERS, marker_id, sheet_code
from physadv.types import TREATMENTS, Treatment

NAME = "sheet.json"
FORMAT = "physadv sheets 1"
_LABEL_FORMAT = "physadv1"
_RUN_LETTERS = 32  # of the run's name, in the QR code


@dataclass(frozen=True)
class SheetLayout:
    """A printed sheet with four markers, one at each corner of a rectangle.

    Frame: the middle of the rectangle is the origin, x right and y up in millimetres. On a
    ``board`` the artwork is printed between the markers and has the same middle; a ``card`` shows
    only which treatment is on the carrier beside it, and its pose is not the artwork's.

    ``width_mm`` and ``height_mm`` are the printed size of the artwork's face, ``spacing_mm`` the
    distances between the markers' middles across and down.
    """

    kind: Literal["board", "card"]
    run: str
    artwork_sha256: str
    width_mm: float
    height_mm: float
    marker_mm: float
    spacing_mm: tuple[float, float]

    @property
    def geometry(self) -> str:
        """Size and place of everything, as the QR code gives it."""
        return (
            f"{self.kind};{self.width_mm:.2f}x{self.height_mm:.2f};{self.marker_mm:.2f};"
            f"{self.spacing_mm[0]:.2f}x{self.spacing_mm[1]:.2f}"
        )

    @property
    def code(self) -> int:
        """What the markers' digits say; the same for all treatments of one print."""
        return sheet_code(self.artwork_sha256, self.geometry)

    @property
    def outer_mm(self) -> npt.NDArray[np.float64]:
        """[4,2] outermost corners of the four markers, clockwise from the top left."""
        return np.stack([self.corners_mm(corner)[corner] for corner in range(4)])

    def corners_mm(self, corner: int) -> npt.NDArray[np.float64]:
        """[4,2] corners of one marker, clockwise from its top left, in the sheet's frame."""
        across, down = self.spacing_mm
        x, y = ((-1, 1), (1, 1), (1, -1), (-1, -1))[corner]
        half = self.marker_mm / 2
        square = np.array([[-half, half], [half, half], [half, -half], [-half, -half]])
        return square + np.array([x * across / 2, y * down / 2])

    def label(self, treatment: Treatment) -> str:
        """The text of the QR code."""
        run = "".join(c if c.isascii() and c.isprintable() and c != ";" else "_" for c in self.run)
        return ";".join(
            (
                _LABEL_FORMAT,
                treatment,
                self.geometry,
                self.artwork_sha256[:16],
                run[:_RUN_LETTERS],
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON, with every marker's corners spelt out for readers that are not physadv."""
        return {
            "code": self.code,
            "kind": self.kind,
            "run": self.run,
            "artwork_sha256": self.artwork_sha256,
            "width_mm": self.width_mm,
            "height_mm": self.height_mm,
            "marker_mm": self.marker_mm,
            "spacing_mm": list(self.spacing_mm),
            "marker_corners_mm": {
                name: self.corners_mm(corner).tolist() for corner, name in enumerate(CORNERS)
            },
            "marker_ids": {
                treatment: {
                    name: marker_id(self.code, treatment, corner)
                    for corner, name in enumerate(CORNERS)
                }
                for treatment in TREATMENTS
            },
        }


def layout_from_label(text: str) -> tuple[SheetLayout, Treatment]:
    """The sheet that a QR code describes; its artwork's sha256 and run's name are cut short.

    The sheet's code is made from the whole sha256 and so cannot be told from the label.

    Raises:
        ValueError: If the text is not the label of a sheet.
    """
    try:
        name, treatment, kind, size, marker, spacing, sha256, run = text.split(";")
        if name != _LABEL_FORMAT or treatment not in TREATMENTS:
            raise ValueError(f"{name!r}, {treatment!r}")
        width, height = (float(part) for part in size.split("x"))
        across, down = (float(part) for part in spacing.split("x"))
        layout = SheetLayout(_kind(kind), run, sha256, width, height, float(marker), (across, down))
        _check_geometry(layout)
    except ValueError as error:
        raise ValueError(f"not the label of a sheet: {text!r} ({error})") from error
    return layout, treatment


def _kind(text: str) -> Literal["board", "card"]:
    if text == "board":
        return "board"
    if text == "card":
        return "card"
    raise ValueError(f"{text!r} is neither a board nor a card")


def _check_geometry(layout: SheetLayout) -> None:
    lengths = (layout.width_mm, layout.height_mm, layout.marker_mm, *layout.spacing_mm)
    if not all(math.isfinite(length) and length > 0 for length in lengths):
        raise ValueError(f"impossible lengths {lengths}")


def add_layout(folder: Path, layout: SheetLayout) -> None:
    """Enter a print into ``folder/sheet.json``, beside the prints of other sizes.

    Raises:
        UserError: If the file is there but is not a list of sheets, or cannot be written.
    """
    path = folder / NAME
    known = {known.code: known for known in (load_layouts([path]) if path.exists() else ())}
    known[layout.code] = layout
    sheets = [known[code].to_dict() for code in sorted(known)]
    write_json(path, {"format": FORMAT, "sheets": sheets})


def load_layouts(paths: Iterable[Path]) -> tuple[SheetLayout, ...]:
    """The sheets that runs have printed.

    Args:
        paths: ``sheet.json`` files, or run folders that hold one.

    Raises:
        UserError: If a file is missing or holds something else, or two different sheets have one
            code.
    """
    found: dict[int, SheetLayout] = {}
    for path in paths:
        file = path / NAME if path.is_dir() else path
        content = read_json(file)
        try:
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']!r}")
            for sheet in content["sheets"]:
                layout = SheetLayout(
                    _kind(sheet["kind"]),
                    str(sheet["run"]),
                    str(sheet["artwork_sha256"]),
                    float(sheet["width_mm"]),
                    float(sheet["height_mm"]),
                    float(sheet["marker_mm"]),
                    (float(sheet["spacing_mm"][0]), float(sheet["spacing_mm"][1])),
                )
                _check_geometry(layout)
                if layout.code != sheet["code"]:
                    raise ValueError(f"sheet {sheet['code']} was changed after it was printed")
                other = found.setdefault(layout.code, layout)
                if (other.artwork_sha256, other.geometry) != (
                    layout.artwork_sha256,
                    layout.geometry,
                ):
                    raise UserError(
                        f"tell the sheets in {file} apart",
                        f"two prints share the code {layout.code} of {CODES}",
                        "Print one of them at a slightly different size.",
                    )
        except UserError:
            raise
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(
                f"read the sheets in {file}",
                f"{type(error).__name__}: {error}",
                "Give the sheet.json that `physadv print` wrote.",
            ) from error
    return tuple(found[code] for code in sorted(found))
