"""The German Traffic Sign Recognition Benchmark: class names and readers of two layouts."""

import csv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from physadv.checks import UserError

GTSRB_CLASSES: tuple[str, ...] = (
    "Speed limit (20km/h)",
    "Speed limit (30km/h)",
    "Speed limit (50km/h)",
    "Speed limit (60km/h)",
    "Speed limit (70km/h)",
    "Speed limit (80km/h)",
    "End of speed limit (80km/h)",
    "Speed limit (100km/h)",
    "Speed limit (120km/h)",
    "No passing",
    "No passing for vehicles over 3.5 t",
    "Right-of-way at the next intersection",
    "Priority road",
    "Yield",
    "Stop",
    "No vehicles",
    "Vehicles over 3.5 t prohibited",
    "No entry",
    "General caution",
    "Dangerous curve to the left",
    "Dangerous curve to the right",
    "Double curve",
    "Bumpy road",
    "Slippery road",
    "Road narrows on the right",
    "Road work",
    "Traffic signals",
    "Pedestrians",
    "Children crossing",
    "Bicycles crossing",
    "Beware of ice/snow",
    "Wild animals crossing",
    "End of all speed and passing limits",
    "Turn right ahead",
    "Turn left ahead",
    "Ahead only",
    "Go straight or right",
    "Go straight or left",
    "Keep right",
    "Keep left",
    "Roundabout mandatory",
    "End of no passing",
    "End of no passing by vehicles over 3.5 t",
)


_MOST_BILINEAR = 1.5  # beyond this minification a bilinear resample skips pixels


@dataclass(frozen=True)
class SignRecord:
    """One photograph: where it is, what it shows, and the sign's box.

    ``track`` names the physical sign: pictures of one track are frames of one drive past it, so
    splits go by track. ``roi_xyxy`` is the box in pixels, pixel centres at +0.5.
    """

    file: str
    class_id: int
    split: str
    track: str
    roi_xyxy: tuple[float, float, float, float]


@dataclass(frozen=True)
class GtsrbSet:
    """A list of records and the way to their pixels."""

    records: tuple[SignRecord, ...]
    read_bytes: Callable[[str], bytes]

    def image(self, record: SignRecord) -> npt.NDArray[np.uint8]:
        """[H,W,3] uint8 RGB of one record.

        Raises:
            UserError: If the file is missing or is not an image.
        """
        try:
            data = self.read_bytes(record.file)
        except (KeyError, OSError) as error:
            raise UserError(
                f"GTSRB image {record.file}", "not found", "Get the data set again."
            ) from error
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f"GTSRB image {record.file}", "damaged", "Get the data set again.")
        return np.ascontiguousarray(image[..., ::-1])

    def part(self, split: str) -> "GtsrbSet":
        """The records of one split."""
        return GtsrbSet(tuple(r for r in self.records if r.split == split), self.read_bytes)


def _rows(path: Path, delimiter: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def _record(row: dict[str, str], keys: dict[str, str], **fixed: Any) -> SignRecord:
    x1, y1, x2, y2 = (float(row[keys[side]]) for side in ("x1", "y1", "x2", "y2"))
    # GTSRB gives the first and the last pixel of the box; its area ends behind the last one.
    box = (x1, y1, x2 + 1, y2 + 1)
    class_id = int(row[keys["class"]])
    if not 0 <= class_id < len(GTSRB_CLASSES):
        raise ValueError(f"class {class_id}")
    return SignRecord(class_id=class_id, roi_xyxy=box, **fixed)


def read_archive(folder: Path) -> GtsrbSet:
    """Read ``images.zip`` with ``labels.csv`` (file, class_id, split, track, roi_x1 ... roi_y2).

    Raises:
        UserError: If a file is missing or a row cannot be understood.
    """
    keys = {"class": "class_id", **{s: f"roi_{s}" for s in ("x1", "y1", "x2", "y2")}}
    try:
        rows = _rows(folder / "labels.csv", ",")
        archive = zipfile.ZipFile(folder / "images.zip")
        records = tuple(
            _record(row, keys, file=row["file"], split=row["split"], track=row["track"])
            for row in rows
        )
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UserError(
            f"GTSRB in {folder}",
            f"cannot be read ({type(error).__name__}: {error})",
            "It must hold images.zip and labels.csv with file, class_id, split, track and roi_*.",
        ) from error
    return GtsrbSet(records, archive.read)


def read_torchvision(root: Path) -> GtsrbSet:
    """Read torchvision's layout below ``root``: ``gtsrb/GTSRB/Training/000xx/*.ppm`` and CSVs.

    Every record has split ``train`` and its track from the file name (``00003_00012.ppm`` is
    frame 12 of track 3 of its class).

    Raises:
        UserError: If the folder is missing or a row cannot be understood.
    """
    folder = root / "gtsrb" / "GTSRB" / "Training"
    tables = sorted(folder.glob("*/GT-*.csv"))
    if not tables:
        raise UserError(
            f"GTSRB in {root}",
            "no gtsrb/GTSRB/Training/000xx/GT-000xx.csv",
            "Give the root that torchvision.datasets.GTSRB was downloaded to.",
        )
    keys = {"class": "ClassId", **{s: f"Roi.{s.upper()}" for s in ("x1", "y1", "x2", "y2")}}
    records = []
    for table in tables:
        try:
            for row in _rows(table, ";"):
                track = f"{int(row['ClassId']):02d}_{row['Filename'].split('_')[0]}"
                file = f"{table.parent.name}/{row['Filename']}"
                records.append(_record(row, keys, file=file, split="train", track=track))
        except (KeyError, ValueError) as error:
            raise UserError(
                f"GTSRB table {table}",
                f"cannot be read ({type(error).__name__}: {error})",
                "It needs Filename, Roi.X1 ... Roi.Y2 and ClassId, separated by semicolons.",
            ) from error
    return GtsrbSet(tuple(records), lambda file: (folder / file).read_bytes())


def read_gtsrb(folder: Path) -> GtsrbSet:
    """Read whichever layout ``folder`` holds.

    Raises:
        UserError: If it holds neither.
    """
    if (folder / "labels.csv").is_file():
        return read_archive(folder)
    return read_torchvision(folder)


def crop_box(
    image: npt.NDArray[np.uint8],
    box_xyxy: tuple[float, float, float, float],
    size_px: int,
    scale: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """[size_px,size_px,3] resample of a box grown by ``scale``; aspect not kept.

    Bilinear, after area averaging where the box is much larger than ``size_px``. Edges are
    repeated outside the image.
    """
    x1, y1, x2, y2 = box_xyxy
    width, height = (x2 - x1) * scale, (y2 - y1) * scale
    left, top = (x1 + x2 - width) / 2, (y1 + y2 - height) / 2
    if max(width, height) > _MOST_BILINEAR * size_px:
        rows, columns = image.shape[:2]
        small = (
            max(1, round(columns * min(1, size_px / width))),
            max(1, round(rows * min(1, size_px / height))),
        )
        image = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        left, width = left * small[0] / columns, width * small[0] / columns
        top, height = top * small[1] / rows, height * small[1] / rows
    # cv2 counts from pixel centres: its map takes output centre + 0.5 to input centre + 0.5.
    matrix = np.array(
        [
            [width / size_px, 0, left + 0.5 * width / size_px - 0.5],
            [0, height / size_px, top + 0.5 * height / size_px - 0.5],
        ]
    )
    crop = cv2.warpAffine(
        image,
        matrix,
        (size_px, size_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(crop, dtype=np.uint8)
