"""Photographs as cameras and phones write them: JPEG, PNG, HEIC, RAW, in folders or a ZIP file."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePosixPath
from types import ModuleType

import numpy as np
import numpy.typing as npt
from PIL import Image

from physadv.checks import UserError
from physadv.data.files import NOT_AN_IMAGE, decode_image_rgb
from physadv.data.photos import IMAGE_SUFFIXES

HEIC_SUFFIXES = (".heic", ".heif", ".hif", ".avif")
RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw")
SUFFIXES = (*IMAGE_SUFFIXES, ".tif", ".tiff", *HEIC_SUFFIXES, *RAW_SUFFIXES)

_MOVING = {"GIF", "PNG", "WEBP", "TIFF", "AVIF"}  # MPO and HEIC hold further views of one still
_SRGB_CURVE = (2.4, 12.92)  # power and slope near black, IEC 61966-2-1
_RAW_TURNS = {0: 0, 3: 2, 5: 3, 6: 1}  # LibRaw's flip, as clockwise quarter turns


@dataclass(frozen=True)
class PhotoFile:
    """A file that may be a photograph; ``name`` is its path below the folder, with slashes."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Photograph:
    """``rgb`` [H,W,3] uint8 sRGB, upright; ``quarter_turns`` says how it was turned clockwise."""

    rgb: npt.NDArray[np.uint8]
    quarter_turns: int


def photo_files(source: Path) -> list[PhotoFile]:
    """Every photograph below a folder or in a ZIP file, by its suffix, sorted by name.

    Raises:
        UserError: If there is none, or the source is neither.
    """
    if source.is_dir():
        found = [
            PhotoFile(path.relative_to(source).as_posix(), path.read_bytes)
            for path in source.rglob("*")
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
        ]
    elif source.is_file() and zipfile.is_zipfile(source):
        archive = zipfile.ZipFile(source)
        found = [
            PhotoFile(name, partial(archive.read, name))
            for name in archive.namelist()
            if PurePosixPath(name).suffix.lower() in SUFFIXES
            and not PurePosixPath(name).name.startswith(".")
        ]
    else:
        raise UserError(
            f"photographs in {source}",
            "neither a folder nor a ZIP file" if source.exists() else "no such folder",
            "Check the path.",
        )
    if not found:
        raise UserError(
            f"photographs in {source}",
            f"no image file ({', '.join(SUFFIXES)})",
            "Give a folder that holds photographs.",
        )
    return sorted(found, key=lambda file: file.name)


def decode_photograph(name: str, data: bytes) -> Photograph:
    """Decode a photograph's bytes.

    Raises:
        UserError: If they are no still image, or need a package that is not installed.
    """
    if not data:
        raise UserError(f"read image {name}", "an empty file", "Copy it again.")
    if PurePosixPath(name).suffix.lower() in RAW_SUFFIXES:
        return _develop(name, data)
    _check_still(name, data)
    rgb, turns = decode_image_rgb(data, name)
    return Photograph(rgb, turns)


def _check_still(name: str, data: bytes) -> None:
    if PurePosixPath(name).suffix.lower() in HEIC_SUFFIXES and not _opens_heic():
        raise UserError(
            f"read image {name}",
            "HEIC photographs need the package pillow-heif",
            'Install it: pip install "physadv[photo]".',
        )
    try:
        with Image.open(io.BytesIO(data)) as image:
            pages = getattr(image, "n_frames", 1) if image.format in _MOVING else 1
    except NOT_AN_IMAGE:
        return  # decoding says what is wrong
    if pages > 1:
        raise UserError(
            f"read image {name}", f"{pages} pictures in one file", "Give stills, one a file."
        )


@cache
def _opens_heic() -> bool:
    """Teach Pillow HEIC where the package for it is installed."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _develop(name: str, data: bytes) -> Photograph:
    """A RAW file as LibRaw develops it to 8-bit sRGB, by the camera's own white balance.

    As bright as it was exposed: what a pixel becomes does not depend on the rest of the picture.
    """
    rawpy = _rawpy(name)
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            turns = _RAW_TURNS.get(int(raw.sizes.flip), 0)
            rgb = raw.postprocess(
                use_camera_wb=True,
                no_auto_bright=True,
                adjust_maximum_thr=0.0,  # else the brightest pixel may become the new white
                gamma=_SRGB_CURVE,
                output_bps=8,
            )
    except rawpy.LibRawError as error:
        raise UserError(
            f"read image {name}",
            f"not a RAW file that LibRaw knows ({error})",
            "Give the camera's JPEG files.",
        ) from error
    return Photograph(np.ascontiguousarray(rgb), turns)


def _rawpy(name: str) -> ModuleType:
    try:
        import rawpy
    except ImportError as error:
        raise UserError(
            f"read image {name}",
            "RAW photographs need the package rawpy",
            'Install it: pip install "physadv[photo]".',
        ) from error
    return rawpy
