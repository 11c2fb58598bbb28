"""Folders of photographs with their classes: a list in labels.csv, or one folder a class."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import numpy as np
from PIL import Image

from physadv.checks import UserError
from physadv.data.files import read_image_rgb
from physadv.data.labelledset import Array, Choice, LabelledImages

_IMAGES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp"}
FOLDER_KIND = "ImageNet folder"
CROPPED_PX = 224  # ImageNet's usual centre crop
_RESIZED = 256  # and its short side before


def read_header(path: Path) -> set[str]:
    """Names of the columns of a CSV file; none where there is no file.

    Raises:
        UserError: If it is not UTF-8.
    """
    if not path.is_file():
        return set()
    with _text(path) as stream:
        return set(next(csv.reader(stream), []))


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file.

    Raises:
        UserError: If it is not UTF-8.
    """
    with _text(path) as stream:
        return list(csv.DictReader(stream))


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    try:
        # Spreadsheets put a mark before the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise UserError(f"read {path}", f"not UTF-8 ({error})", "Save it as UTF-8.") from error


def read_listed(folder: Path, chosen: Choice, size_px: int) -> LabelledImages:
    rows = read_table(folder / "labels.csv")
    classes = [_class_index(folder, line, row) for line, row in enumerate(rows, start=2)]
    known = {n: row.get("name") or str(n) for n, row in zip(classes, rows, strict=True)}
    names = tuple(known.get(n, str(n)) for n in range(max(known, default=-1) + 1))
    taken = chosen.of(len(rows))
    labels = [classes[n] for n in taken]
    return _photographs(folder, [rows[n]["file"] for n in taken], labels, names, size_px)


def _class_index(folder: Path, line: int, row: dict[str, str]) -> int:
    text = row["class_index"] or ""
    if not row["file"] or not text.strip().isdecimal():
        raise UserError(
            f"line {line} of {folder / 'labels.csv'}",
            f"file {row['file']!r}, class_index {text!r}",
            "Every line needs a file and a class_index, a whole number from 0 up.",
        )
    return int(text)


def read_class_folders(folder: Path, chosen: Choice, size_px: int) -> LabelledImages:
    root = folder / "val" if (folder / "val").is_dir() else folder
    classes = sorted(entry for entry in root.iterdir() if entry.is_dir())
    found = [
        (path, label)
        for label, entry in enumerate(classes)
        for path in sorted(entry.iterdir())
        if path.suffix.lower() in _IMAGES
    ]
    if not found:
        raise UserError(
            f"labelled images in {folder}",
            "neither MNIST, CIFAR-10 or GTSRB, nor a labels.csv, nor a folder per class",
            "Give a set in its own layout or torchvision's.",
        )
    found = [found[n] for n in chosen.of(len(found))]
    files = [str(path.relative_to(folder)) for path, _ in found]
    names = tuple(entry.name for entry in classes)
    read = _photographs(folder, files, [label for _, label in found], names, size_px)
    return replace(read, by_wordnet=all(map(is_wordnet, names)))


def is_wordnet(name: str) -> bool:
    """Whether a class goes by its number in WordNet, as n01440764."""
    return re.fullmatch(r"n\d{8}", name) is not None


def _photographs(
    folder: Path, files: list[str], labels: list[int], names: tuple[str, ...], size_px: int
) -> LabelledImages:
    if not files:
        raise UserError(f"labelled images in {folder}", "none are listed", "Check labels.csv.")
    images = [_centre(read_image_rgb(folder / file), size_px) for file in files]
    stacked = np.stack(images).transpose(0, 3, 1, 2)
    return LabelledImages(
        FOLDER_KIND,
        np.ascontiguousarray(stacked),
        np.array(labels, dtype=np.int64),
        names,
        tuple(files),
    )


def _centre(image: Array, size_px: int) -> Array:
    """Short side to 8/7 of ``size_px``, then the centre square (torchvision's evaluation)."""
    height, width = image.shape[:2]
    short = round(size_px * _RESIZED / CROPPED_PX)
    scale = short / min(height, width)
    size = max(short, round(width * scale)), max(short, round(height * scale))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    left, top = (resized.width - size_px) // 2, (resized.height - size_px) // 2
    return np.asarray(resized.crop((left, top, left + size_px, top + size_px)))
