"""Where something is stuck: whole-face posters, graffiti lettering, and masks from files."""

import io
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import resvg_py
from PIL import Image, ImageOps, UnidentifiedImageError

from physadv.artwork.graffiti import graffiti_mask
from physadv.checks import UserError, check_name

Mask = npt.NDArray[np.bool_]

LAYOUTS = ("poster", "stickers", "graffiti")
_MAX_OFF_FACE = 0.05
_MAX_ASPECT_ERROR = 0.01


def load_mask(layout: str, face_alpha: Mask) -> Mask:
    """The mask of a layout that is known before anything is optimised.

    A file is laid over the square that bounds the face: its whole canvas, margins included, is
    that square. SVG: what is drawn more than half opaque is stuck, whatever its colour. PNG: the
    same if the file has transparent pixels; otherwise what is lighter than mid-grey is stuck
    (white on black, as masks are drawn elsewhere).

    Args:
        layout: ``poster`` (the whole face), ``graffiti``, or the path of an .svg or .png file.
            ``stickers`` are placed by an optimisation stage, not here.
        face_alpha: [T,T] True on the face.

    Returns:
        [T,T] True where something is stuck; never outside the face.

    Raises:
        UsageError: If the layout is unknown.
        UserError: If the file is missing, unreadable or not square, or if the mask is empty or
            more than 5 % of it lies off the face.
        ValueError: If the layout is ``stickers``, or the face is not a square array.
    """
    if face_alpha.ndim != 2 or face_alpha.shape[0] != face_alpha.shape[1]:
        raise ValueError(f"face_alpha must be [T,T], got {face_alpha.shape}")
    size = face_alpha.shape[0]
    if layout == "stickers":
        raise ValueError("stickers are found by optimisation; see artwork.rectangles")
    if layout == "poster":
        return clip_to_face(face_alpha, face_alpha, "layout poster")
    if layout == "graffiti":
        return clip_to_face(graffiti_mask(size), face_alpha, "layout graffiti")
    suffix = Path(layout).suffix.lower()
    if suffix not in (".svg", ".png"):
        check_name("layout", layout, LAYOUTS, "Or give the path of an .svg or .png file.")
    path = Path(layout)
    if not path.is_file():
        found = "that is a folder" if path.is_dir() else "no such file"
        raise UserError(f"mask {path}", found, "Check the path.")
    drawn = _read_svg(path, size) if suffix == ".svg" else _read_png(path, size)
    return clip_to_face(drawn, face_alpha, f"mask {path}")


def clip_to_face(mask: Mask, face_alpha: Mask, name: str) -> Mask:
    """``mask`` without what lies off the face, [T,T].

    Raises:
        UserError: If nothing is left, or if more than 5 % of it was off the face.
    """
    total, kept = np.count_nonzero(mask), mask & face_alpha
    on_face = np.count_nonzero(kept)
    if on_face == 0:
        raise UserError(
            name,
            "empty: it sticks nothing anywhere" if total == 0 else "all of it is off the sign",
            "The file covers the square that bounds the sign; draw inside the sign's outline.",
        )
    off = 1 - on_face / total
    if off > _MAX_OFF_FACE:
        raise UserError(
            name,
            f"{off:.1%} of it is off the sign (up to {_MAX_OFF_FACE:.0%} is clipped silently)",
            "The file covers the square that bounds the sign; draw inside the sign's outline.",
        )
    return kept


def area_share(mask: Mask, face_alpha: Mask) -> float:
    """Share of the face's area that is covered, in [0,1].

    Raises:
        ValueError: If the shapes differ or the face is empty.
    """
    face = np.count_nonzero(face_alpha)
    if mask.shape != face_alpha.shape or face == 0:
        raise ValueError(f"mask {mask.shape} and face {face_alpha.shape} ({face} texels)")
    return np.count_nonzero(mask & face_alpha) / face


def _read_svg(path: Path, size: int) -> Mask:
    # matplotlib's fonts, so that text is drawn the same where the system has no fonts at all.
    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    try:
        drawn = resvg_py.svg_to_bytes(
            svg_path=str(path),
            resources_dir=str(path.parent),
            width=size,
            height=size,
            dpi=96.0,
            font_dirs=[str(fonts)],
            font_family="DejaVu Sans",
            skip_system_fonts=False,
        )
    except (ValueError, OSError) as error:
        raise UserError(f"mask {path}", f"not a readable SVG ({error})", "Mend it.") from error
    with Image.open(io.BytesIO(drawn)) as image:
        # resvg keeps the drawing's proportions, so a size that differs means it is not square.
        _check_square(path, image.width, image.height)
        alpha = image.convert("RGBA").getchannel("A")
        return np.asarray(alpha.resize((size, size), Image.Resampling.BOX)) > 127


def _read_png(path: Path, size: int) -> Mask:
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"mask {path}", f"not a readable PNG ({error})", "Mend it.") from error
    _check_square(path, image.width, image.height)
    channel = None
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
        if np.asarray(alpha).min() < 255:
            channel = alpha
    if channel is None:
        channel = _luminance(image)
    return np.asarray(channel.resize((size, size), Image.Resampling.BOX)) > 127


def _luminance(image: Image.Image) -> Image.Image:
    """8-bit luminance; 16-bit greys are scaled, where Pillow's convert would clip them."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.float64) / 257).astype(np.uint8))
    return image.convert("RGB").convert("L")


def _check_square(path: Path, width: int, height: int) -> None:
    if abs(width - height) > _MAX_ASPECT_ERROR * max(width, height):
        raise UserError(
            f"mask {path}",
            f"{width} x {height} px: not square",
            "Its canvas must be the square that bounds the sign.",
        )
