"""Labelled images for digital attacks: MNIST, CIFAR-10, GTSRB and folders of ImageNet's kind."""

import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from physadv.checks import UserError
from physadv.data.gtsrb import GTSRB_CLASSES, crop_box, read_gtsrb
from physadv.data.imagefolders import (
    CROPPED_PX,
    read_class_folders,
    read_header,
    read_listed,
    read_table,
)
from physadv.data.labelledset import Array, Choice, LabelledImages
from physadv.data.mnist import Split, read_mnist

_CIFAR = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_Layout = Literal["mnist", "cifar torchvision", "cifar archive", "gtsrb", "listed", "class folders"]
_SIGN_PX = 32  # of GTSRB, where a victim does not say


def read_labelled(
    folder: Path, *, count: int | None = None, more: int = 0, size_px: int = 0, seed: int = 0
) -> LabelledImages:
    """Test images of whichever set ``folder`` holds.

    MNIST is 28 px grey and CIFAR-10 32 px RGB; GTSRB's signs are cut out by their boxes and
    resampled to ``size_px`` (32 if 0); of other folders every image's centre square is taken
    after its short side was brought to 8/7 of ``size_px`` (224 if 0).

    Args:
        folder: MNIST (see ``read_mnist``), CIFAR-10 (images.zip with labels.csv, or
            cifar-10-batches-py), GTSRB (see ``read_gtsrb``), images with a labels.csv of
            file,class_index, or one folder per class, in the order of their names.
        count: How many images, drawn without replacement; None for all.
        more: How many to draw besides, where there are more; they change nothing about the others.
        size_px: Side of the images, for sets of photographs.
        seed: Decides the draw.

    Raises:
        UserError: If the folder holds none of these, or a file is damaged.
    """
    chosen = Choice(count, seed, more)
    found = _read(folder, chosen, size_px)
    return replace(found, spare=tuple(chosen.spare.tolist()))


def image_shape(folder: Path, size_px: int = 0) -> tuple[int, int, int]:
    """(C, H, W) of the images that ``read_labelled`` gives of a folder; no image is read.

    Raises:
        UserError: If there is no such folder.
    """
    layout = _layout(folder)
    if layout == "mnist":
        return 1, 28, 28
    if layout in ("cifar torchvision", "cifar archive"):
        return 3, 32, 32
    side = size_px or (_SIGN_PX if layout == "gtsrb" else CROPPED_PX)
    return 3, side, side


def _layout(folder: Path) -> _Layout:
    if not folder.is_dir():
        raise UserError(
            f"labelled images in {folder}",
            "no such folder",
            "Give the folder of MNIST, CIFAR-10, GTSRB, or of one folder of images per class.",
        )
    if any(folder.glob("*.npz")) or (folder / "MNIST").is_dir():
        return "mnist"
    if (folder / "cifar-10-batches-py").is_dir():
        return "cifar torchvision"
    header = read_header(folder / "labels.csv")
    if "track" in header or (folder / "gtsrb").is_dir():
        return "gtsrb"
    if {"class_id", "class_name", "split"} <= header:
        return "cifar archive"
    return "listed" if {"file", "class_index"} <= header else "class folders"


def _read(folder: Path, chosen: Choice, size_px: int) -> LabelledImages:
    layout = _layout(folder)
    if layout == "mnist":
        return _mnist(folder, chosen)
    if layout == "cifar torchvision":
        return _cifar_torchvision(folder, "test", chosen)
    if layout == "cifar archive":
        return _cifar_archive(folder, "test", chosen)
    if layout == "gtsrb":
        return _gtsrb(folder, chosen, size_px or _SIGN_PX)
    read = read_listed if layout == "listed" else read_class_folders
    return read(folder, chosen, size_px or CROPPED_PX)


def read_cifar10(folder: Path, split: Split) -> LabelledImages:
    """One part of CIFAR-10, in either layout that ``read_labelled`` takes.

    Raises:
        UserError: If the folder holds neither, or a file is damaged.
    """
    whole = Choice(None, 0)
    if (folder / "cifar-10-batches-py").is_dir():
        return _cifar_torchvision(folder, split, whole)
    return _cifar_archive(folder, split, whole)


def _mnist(folder: Path, chosen: Choice) -> LabelledImages:
    digits, labels = read_mnist(folder, "test")
    taken = chosen.of(len(labels))
    names = tuple(str(digit) for digit in range(10))
    files = tuple(f"test {n}" for n in taken)
    return LabelledImages("MNIST", digits[taken][:, None], labels[taken], names, files)


def _cifar_torchvision(folder: Path, split: Split, chosen: Choice) -> LabelledImages:
    from torchvision.datasets import CIFAR10

    try:
        # It checks the files' MD5 sums before it unpickles them.
        data = CIFAR10(str(folder), train=split == "train", download=False)
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"CIFAR-10 in {folder}", str(error).strip(), "Download it again with torchvision."
        ) from error
    taken = chosen.of(len(data.data))
    return LabelledImages(
        "CIFAR-10",
        np.ascontiguousarray(data.data[taken].transpose(0, 3, 1, 2)),
        np.asarray(data.targets, dtype=np.int64)[taken],
        tuple(data.classes),
        tuple(f"{split} {n}" for n in taken),
    )


def _cifar_archive(folder: Path, split: Split, chosen: Choice) -> LabelledImages:
    try:
        rows = read_table(folder / "labels.csv")
        if "test" in {row["split"] for row in rows} or split == "train":
            rows = [row for row in rows if row["split"] == split]
        if not rows:
            raise ValueError(f"no {split} images are listed")
        rows = [rows[n] for n in chosen.of(len(rows))]
        with zipfile.ZipFile(folder / "images.zip") as archive:
            pictures = [_decode(archive.read(row["file"]), row["file"]) for row in rows]
        labels = np.array([int(row["class_id"]) for row in rows], dtype=np.int64)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(
            f"CIFAR-10 in {folder}",
            f"cannot be read ({type(error).__name__}: {error})",
            "It must hold images.zip and labels.csv with file, class_id, class_name, split.",
        ) from error
    images = np.stack(pictures).transpose(0, 3, 1, 2)
    files = tuple(row["file"] for row in rows)
    return LabelledImages("CIFAR-10", np.ascontiguousarray(images), labels, _CIFAR, files)


def _decode(data: bytes, name: str) -> Array:
    try:
        with Image.open(BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"image {name}", "damaged", "Get the data set again.") from error


def _gtsrb(folder: Path, chosen: Choice, size_px: int) -> LabelledImages:
    signs = read_gtsrb(folder)
    records = signs.part("test_tracks").records or signs.records
    records = tuple(records[n] for n in chosen.of(len(records)))
    pictures = [crop_box(signs.image(record), record.roi_xyxy, size_px) for record in records]
    return LabelledImages(
        "GTSRB",
        np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2)),
        np.array([record.class_id for record in records], dtype=np.int64),
        GTSRB_CLASSES,
        tuple(record.file for record in records),
        tuple(record.track for record in records),
    )
