"""Labelled images for digital attacks: MNIST, CIFAR-10, GTSRB and folders of ImageNet's kind."""

import csv
import hashlib
import zipfile
from dataclasses import dataclass, field, replace
from io import BytesIO
from itertools import compress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from physadv.checks import UserError
from physadv.data.files import read_image_rgb
from physadv.data.gtsrb import GTSRB_CLASSES, crop_box, read_gtsrb
from physadv.data.mnist import Split, read_mnist
from physadv.seeding import generator_for

_IMAGES = {".jpg", ".jpeg", ".png", ".ppm", ".bmp"}
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
_RESIZED, _CROPPED = 256, 224  # ImageNet's usual short side and centre crop
Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class LabelledImages:
    """``images`` [N,C,H,W] uint8 (RGB or grey), ``labels`` [N], names of classes and of files.

    ``tracks``: where several images show one object (frames of one sign), its name for each.
    ``spare``: which were drawn besides those asked for; empty for none.
    """

    kind: str
    images: Array
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    files: tuple[str, ...]
    tracks: tuple[str, ...] = ()
    spare: tuple[bool, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """One name an image: images of one name are of one object."""
        return self.tracks or tuple(str(n) for n in range(len(self.images)))

    def chosen(self, keep: npt.NDArray[np.bool_]) -> "LabelledImages":
        """The images where ``keep`` [N] is True."""
        return replace(
            self,
            images=self.images[keep],
            labels=self.labels[keep],
            files=tuple(compress(self.files, keep)),
            tracks=tuple(compress(self.tracks, keep)),
            spare=tuple(compress(self.spare, keep)),
        )

    def sha256(self) -> str:
        """Checksum of the images and their labels, as 64 hex digits."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(self.labels.tobytes())
        return digest.hexdigest()

    def tensors(self, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
        """Images [N,C,H,W] float32 in [0,1] and labels [N] int64."""
        images = torch.from_numpy(self.images).to(device).float() / 255
        return images, torch.from_numpy(self.labels).to(device)


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
    if not folder.is_dir():
        raise UserError(
            f"labelled images in {folder}",
            "no such folder",
            "Give the folder of MNIST, CIFAR-10, GTSRB, or of one folder of images per class.",
        )
    chosen = _Choice(count, seed, more)
    found = _read(folder, chosen, size_px)
    return replace(found, spare=tuple(chosen.spare.tolist()))


def _read(folder: Path, chosen: "_Choice", size_px: int) -> LabelledImages:
    if any(folder.glob("*.npz")) or (folder / "MNIST").is_dir():
        return _mnist(folder, chosen)
    if (folder / "cifar-10-batches-py").is_dir():
        return _cifar_torchvision(folder, "test", chosen)
    header = _header(folder / "labels.csv")
    if "track" in header or (folder / "gtsrb").is_dir():
        return _gtsrb(folder, chosen, size_px or 32)
    if {"class_id", "class_name", "split"} <= header:
        return _cifar_archive(folder, "test", chosen)
    if {"file", "class_index"} <= header:
        return _listed(folder, chosen, size_px or _CROPPED)
    return _class_folders(folder, chosen, size_px or _CROPPED)


def read_cifar10(folder: Path, split: Split) -> LabelledImages:
    """One part of CIFAR-10, in either layout that ``read_labelled`` takes.

    Raises:
        UserError: If the folder holds neither, or a file is damaged.
    """
    whole = _Choice(None, 0)
    if (folder / "cifar-10-batches-py").is_dir():
        return _cifar_torchvision(folder, split, whole)
    return _cifar_archive(folder, split, whole)


@dataclass
class _Choice:
    count: int | None
    seed: int
    more: int = 0
    spare: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))

    def of(self, total: int) -> npt.NDArray[np.int64]:
        """Sorted indices of what is taken; ``spare`` then says which are more than asked for."""
        first = np.arange(total)
        if self.count is not None and self.count < total:
            first = generator_for(self.seed, "labelled").choice(total, self.count, replace=False)
        rest = np.setdiff1d(np.arange(total), first)
        more = min(self.more, len(rest))
        others = generator_for(self.seed, "labelled more").choice(rest, more, replace=False)
        taken = np.sort(np.concatenate([first, others]))
        self.spare = np.isin(taken, others)
        return taken


def _header(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    with path.open(encoding="utf-8", newline="") as stream:
        return set(next(csv.reader(stream), []))


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _mnist(folder: Path, chosen: _Choice) -> LabelledImages:
    digits, labels = read_mnist(folder, "test")
    taken = chosen.of(len(labels))
    names = tuple(str(digit) for digit in range(10))
    files = tuple(f"test {n}" for n in taken)
    return LabelledImages("MNIST", digits[taken][:, None], labels[taken], names, files)


def _cifar_torchvision(folder: Path, split: Split, chosen: _Choice) -> LabelledImages:
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


def _cifar_archive(folder: Path, split: Split, chosen: _Choice) -> LabelledImages:
    try:
        rows = _table(folder / "labels.csv")
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


def _gtsrb(folder: Path, chosen: _Choice, size_px: int) -> LabelledImages:
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


def _listed(folder: Path, chosen: _Choice, size_px: int) -> LabelledImages:
    try:
        rows = _table(folder / "labels.csv")
        known = {int(row["class_index"]): row.get("name") or row["class_index"] for row in rows}
    except ValueError as error:
        raise UserError(
            f"labels in {folder}", str(error), "class_index must be a whole number."
        ) from error
    names = tuple(known.get(n, str(n)) for n in range(max(known, default=-1) + 1))
    rows = [rows[n] for n in chosen.of(len(rows))]
    labels = [int(row["class_index"]) for row in rows]
    return _photographs(folder, [row["file"] for row in rows], labels, names, size_px)


def _class_folders(folder: Path, chosen: _Choice, size_px: int) -> LabelledImages:
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
    return _photographs(folder, files, [label for _, label in found], names, size_px)


def _photographs(
    folder: Path, files: list[str], labels: list[int], names: tuple[str, ...], size_px: int
) -> LabelledImages:
    if not files:
        raise UserError(f"labelled images in {folder}", "none are listed", "Check labels.csv.")
    images = [_centre(read_image_rgb(folder / file), size_px) for file in files]
    stacked = np.stack(images).transpose(0, 3, 1, 2)
    return LabelledImages(
        "ImageNet folder",
        np.ascontiguousarray(stacked),
        np.array(labels, dtype=np.int64),
        names,
        tuple(files),
    )


def _centre(image: Array, size_px: int) -> Array:
    """Short side to 8/7 of ``size_px``, then the centre square (torchvision's evaluation)."""
    height, width = image.shape[:2]
    short = round(size_px * _RESIZED / _CROPPED)
    scale = short / min(height, width)
    size = max(short, round(width * scale)), max(short, round(height * scale))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    left, top = (resized.width - size_px) // 2, (resized.height - size_px) // 2
    return np.asarray(resized.crop((left, top, left + size_px, top + size_px)))
