"""MNIST: readers of two layouts."""

import gzip
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError

Split = Literal["train", "test"]


def read_mnist(folder: Path, split: Split) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Digits [N,28,28] uint8, white on black, and labels [N].

    Args:
        folder: Holds a ``*.npz`` with x_train, y_train, x_test, y_test, or is the root that
            ``torchvision.datasets.MNIST`` was downloaded to (MNIST/raw/*-ubyte, or .gz).
        split: Which part.

    Raises:
        UserError: If the folder holds neither, or a file is damaged.
    """
    archives = sorted(folder.glob("*.npz"))
    try:
        if archives:
            with np.load(archives[0]) as content:
                digits, labels = content[f"x_{split}"], content[f"y_{split}"]
        else:
            stem = "train" if split == "train" else "t10k"
            digits = _idx(folder, f"{stem}-images-idx3-ubyte", 3)
            labels = _idx(folder, f"{stem}-labels-idx1-ubyte", 1)
        if digits.dtype != np.uint8 or digits.shape != (len(labels), 28, 28):
            raise ValueError(f"digits of shape {digits.shape}, {len(labels)} labels")
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(
            f"MNIST in {folder}",
            f"cannot be read ({type(error).__name__}: {error})",
            "It must hold an .npz with x_train, y_train, x_test, y_test, or torchvision's "
            "MNIST/raw.",
        ) from error
    return digits, labels.astype(np.int64)


def _idx(root: Path, name: str, axes: int) -> npt.NDArray[np.uint8]:
    """One IDX file of unsigned bytes, plain or gzipped."""
    path = root / "MNIST" / "raw" / name
    raw = path.read_bytes() if path.exists() else gzip.decompress(Path(f"{path}.gz").read_bytes())
    if raw[:3] != b"\x00\x00\x08" or raw[3] != axes:
        raise ValueError(f"{name} is not an IDX file of bytes with {axes} axes")
    shape = np.frombuffer(raw, ">u4", axes, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)
