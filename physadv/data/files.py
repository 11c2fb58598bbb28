"""Where data and weights are found, checksums, and files that are never half written."""

import errno
import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from physadv.checks import UserError
from physadv.data.jpeg import decode_whole_jpeg, turned

BUNDLED = Path(__file__).parent
ENVIRONMENT_VARIABLE = "PHYSADV_DATA"
NOT_AN_IMAGE = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,  # a PNG with a broken chunk
    ValueError,
    ImportError,  # other packages replace Image.open by one that looks for a HEIC reader
    Image.DecompressionBombError,
)
"""What Pillow raises on files that it cannot read."""
_TURNS = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1, 8: 3}  # EXIF orientation, clockwise


def external_folder() -> Path | None:
    """The folder named by PHYSADV_DATA (it holds ``data/`` and ``weights/``), or None if unset.

    Raises:
        UserError: If the variable names something that is not a folder.
    """
    value = os.environ.get(ENVIRONMENT_VARIABLE)
    if not value:
        return None
    folder = Path(value)
    if not folder.is_dir():
        raise UserError(
            f"{ENVIRONMENT_VARIABLE}={value}",
            "no such folder",
            "Point it at the folder that holds data/ and weights/, or unset it.",
        )
    return folder


def find_external(relative: str) -> Path:
    """Path of ``relative`` (e.g. ``weights/lisa_cnn_rp2.safetensors``) below PHYSADV_DATA.

    Raises:
        UserError: If the variable is unset or the file is not there.
    """
    folder = external_folder()
    if folder is None:
        raise UserError(
            f"{relative}",
            f"{ENVIRONMENT_VARIABLE} is not set, and this file is not bundled",
            f"Set {ENVIRONMENT_VARIABLE} to the folder that holds data/ and weights/.",
        )
    path = folder / relative
    if not path.exists():
        raise UserError(
            f"{relative}",
            f"not found under {ENVIRONMENT_VARIABLE}={folder}",
            "Put the file there, or point the variable elsewhere.",
        )
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` only if the block succeeds.

    The temporary name keeps the suffix, so libraries that choose a format by it still work.

    Raises:
        UserError: If the folder cannot be written or the disk is full.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise UserError(f"write {path}", "that is not a regular file", "Choose another name.")
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(
            f"write {path}",
            error.strerror or str(error),
            ("Free some space" if error.errno == errno.ENOSPC else "Choose another output folder")
            + "; what was there before is unchanged.",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: If it is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"read {path}", "no such file", "Check the path.") from error
    except OSError as error:
        raise UserError(
            f"read {path}", error.strerror or "unreadable", "Give a file that can be read."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"read {path}", f"not valid JSON ({error})", "Mend the file.") from error


@contextmanager
def open_image(source: Path | BinaryIO) -> Iterator[Image.Image]:
    """Open an image with Pillow; raises any of ``NOT_AN_IMAGE``."""
    with warnings.catch_warnings():
        # Large phone and scanner pictures are no bombs; Pillow refuses those twice as large.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(source) as image:
            yield image


def read_image_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Read an image as [H, W, 3] uint8 sRGB with its EXIF orientation applied.

    16-bit greys keep their upper 8 bits; what is transparent is white, as a viewer shows it.

    Raises:
        UserError: If the file is missing, truncated, not an image, or of 32-bit values.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"read image {path}", "no such file", "Check the path.") from error
    except OSError as error:
        raise UserError(
            f"read image {path}", f"not a readable image ({error})", "Give a JPEG or PNG file."
        ) from error
    return decode_image_rgb(data, str(path))[0]


def decode_image_rgb(data: bytes, name: str) -> tuple[npt.NDArray[np.uint8], int]:
    """``read_image_rgb`` of the bytes of a file called ``name``, and how it was turned.

    Returns:
        The picture, and by how many quarter turns clockwise its EXIF orientation was applied.

    Raises:
        UserError: As ``read_image_rgb``.
    """
    try:
        with open_image(io.BytesIO(data)) as image:
            turns = quarter_turns_of(image)
            if image.format in ("JPEG", "MPO") and image.mode == "RGB":
                rgb = decode_whole_jpeg(data)
                if rgb is not None:
                    return turned(rgb, image.getexif().get(ExifTags.Base.Orientation, 1)), turns
            return _as_rgb(ImageOps.exif_transpose(image)), turns
    except NOT_AN_IMAGE as error:
        raise UserError(
            f"read image {name}", f"not a readable image ({error})", "Give a JPEG or PNG file."
        ) from error


def quarter_turns_of(image: Image.Image) -> int:
    """How often a stored picture must be turned clockwise to be upright, from its EXIF."""
    return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1), 0)


def _as_rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    if image.mode.startswith("I;16"):
        # Pillow would clip these values to 255 rather than scale them.
        values = np.asarray(image).astype(np.int64) >> 8
        return values.clip(0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    if image.mode in ("I", "F"):
        raise ValueError("32-bit values have no agreed white")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))
