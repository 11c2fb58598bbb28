"""Folders of background photographs, split so that the judge never sees the optimiser's."""

import hashlib
from pathlib import Path
from typing import Literal

from physadv.checks import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def list_photos(folder: Path) -> list[Path]:
    """Image files below ``folder``, sorted.

    Raises:
        UserError: If the folder does not exist or holds no image.
    """
    if not folder.is_dir():
        raise UserError(f"photographs in {folder}", "no such folder", "Check the path.")
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
    if not paths:
        raise UserError(
            f"photographs in {folder}",
            f"no image file ({', '.join(IMAGE_SUFFIXES)})",
            "Give a folder that holds photographs.",
        )
    return paths


def split_photos(folder: Path, part: Literal["optimise", "judge"]) -> list[Path]:
    """The half of a folder's photographs that belongs to ``part``, chosen by content hash.

    Copies of one photograph fall into one half, whatever their names.

    Raises:
        UserError: If the half is empty.
    """
    wanted = 0 if part == "optimise" else 1
    paths = [
        path
        for path in list_photos(folder)
        if hashlib.sha256(path.read_bytes()).digest()[0] % 2 == wanted
    ]
    if not paths:
        raise UserError(
            f"backgrounds from {folder}",
            f"none of its photographs falls into the {part} half",
            "Give more photographs; a few dozen is a good start.",
        )
    return paths
