"""Where the signs in photographs are: corners from a CSV file, boxes from COCO's JSON."""

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.data.files import read_json

Array = npt.NDArray[np.float64]


def read_corners(path: Path) -> dict[str, Array]:
    """Corner annotations: rows of file,x1,y1,... with 8 octagon or 4 bounding-square corners.

    Coordinates are pixels with centres at +0.5, clockwise from the top left; for the octagon
    from the left end of its top side.

    Raises:
        UserError: If the file is no CSV text, a row has another number of coordinates, one is no
            finite number, the corners run the wrong way round, or a photograph is listed twice.
    """
    found: dict[str, Array] = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except OSError as error:
        raise UserError(f"read {path}", error.strerror or str(error), "Check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"read {path}", f"not CSV text ({error})", "Save it as UTF-8.") from error
    for number, row in enumerate(rows, start=1):
        if number == 1 and row[0] == "file":
            continue
        try:
            numbers = np.array([float(value) for value in row[1:]])
        except ValueError as error:
            raise UserError(f"{path}, row {number}", str(error), "Give numbers.") from error
        if len(numbers) not in (8, 16):
            raise UserError(
                f"{path}, row {number}",
                f"{len(numbers)} coordinates",
                "Give x and y of 8 octagon corners or of 4 corners of the bounding square.",
            )
        _check_corners(f"{path}, row {number}", numbers.reshape(-1, 2))
        if row[0] in found:
            raise UserError(
                f"{path}, row {number}",
                f"{row[0]} is listed twice",
                "Give a copy of the photograph, under another name, for each further sign.",
            )
        found[row[0]] = numbers.reshape(-1, 2)
    return found


def _check_corners(asked: str, corners: Array) -> None:
    if not np.isfinite(corners).all():
        raise UserError(asked, "a coordinate is not finite", "Give pixel coordinates.")
    x, y = corners.T
    # Shoelace: positive for corners that run clockwise where y points down.
    area = 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    if area < 1.0:
        raise UserError(
            asked,
            f"its corners enclose {area:.0f} px² clockwise",
            "Go clockwise from the top left; the other way round the print would be mirrored.",
        )


def read_coco_boxes(path: Path) -> list[tuple[str, str, tuple[float, float, float, float]]]:
    """File, label and box (left, top, width, height, in pixels) of every COCO annotation.

    Raises:
        UserError: If the file cannot be read, or lacks a key that is needed.
    """
    content = read_json(path)
    try:
        names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        boxes = []
        for entry in content["annotations"]:
            x, y, width, height = (float(value) for value in entry["bbox"])
            name = names[entry["image_id"]]
            boxes.append((name, f"{name}#{entry['id']}", (x, y, width, height)))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"read {path}",
            f"not COCO boxes ({type(error).__name__}: {error})",
            "It needs images with id and file_name, annotations with id, image_id and bbox.",
        ) from error
    return boxes
