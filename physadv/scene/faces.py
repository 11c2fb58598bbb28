"""Faces of traffic signs, drawn from their published geometry."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from physadv.checks import UserError, check_name
from physadv.scene.schema import Scene

Face = npt.NDArray[np.uint8]
_SUPERSAMPLE = 4


@dataclass(frozen=True)
class StopFace:
    """An octagonal stop face; lengths as shares of the width of the bounding square."""

    red: tuple[int, int, int]
    white: tuple[int, int, int]
    border: float
    corner_radius: float
    letter_height: float
    legend_width: float


@dataclass(frozen=True)
class BoardFace:
    """A plain square board."""

    colour: tuple[int, int, int]


# FHWA Standard Highway Signs 2004, R1-1, 30 in: border 3/4 in, corner radius 1 7/8 in, legend 10 in
# series C. Red is FHWA's (PR 187 C), as printed colours appear in daylight.
US_R1_1 = StopFace((176, 28, 46), (240, 240, 240), 0.75 / 30, 1.875 / 30, 10 / 30, 0.715)
# Vienna Convention B,2a as in Germany's sign 206 (StVO, 900 mm): RAL 3020 red, legend 1/3.
VIENNA_B2A = StopFace((187, 30, 35), (240, 240, 240), 20 / 900, 40 / 900, 300 / 900, 0.76)


def octagon(width: float = 1.0) -> npt.NDArray[np.float64]:
    """[8, 2] corners of a regular octagon in its bounding square, x right and y down.

    Clockwise in the image from the left end of the top edge; the square is [0, width]^2.
    """
    cut = 1 / (2 + np.sqrt(2))
    return width * np.array(
        [
            [cut, 0],
            [1 - cut, 0],
            [1, cut],
            [1, 1 - cut],
            [1 - cut, 1],
            [cut, 1],
            [0, 1 - cut],
            [0, cut],
        ]
    )


def face_outline_mm(scene: Scene) -> npt.NDArray[np.float64]:
    """Corners of the carrier's outline on its plane, mm, y up, clockwise as seen.

    [8, 2] of an octagon; [4, 2] of a board.
    """
    width = scene.carrier.width_mm
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * width
    is_board = isinstance(FACES.get(scene.carrier.face), BoardFace)
    return ((square if is_board else octagon(width)) - width / 2) * [1.0, -1.0]


def _rounded_octagon(draw: ImageDraw.ImageDraw, size: int, inset: float, radius: float) -> None:
    """Fill an octagon, inset, with round corners: a smaller polygon dilated by discs."""
    centre = size / 2
    shrink = (centre - inset - radius) / centre
    inner = [
        (centre + (x - centre) * shrink, centre + (y - centre) * shrink) for x, y in octagon(size)
    ]
    draw.polygon(inner, fill=255)
    for start, end in zip(inner, inner[1:] + inner[:1], strict=True):
        draw.line([start, end], fill=255, width=max(1, round(2 * radius)))
    for x, y in inner:
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)


def _layer(size: int, paint: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
    image = Image.new("L", (size, size), 0)
    paint(ImageDraw.Draw(image))
    return image


def _legend(size: int, face: StopFace) -> Image.Image:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    font = ImageFont.truetype(str(path), size // 2)
    left, top, right, bottom = (round(edge) for edge in font.getbbox("STOP"))
    text = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(text).text((-left, -top), "STOP", font=font, fill=255)
    width, height = round(size * face.legend_width), round(size * face.letter_height)
    placed = Image.new("L", (size, size), 0)
    placed.paste(text.resize((width, height)), ((size - width) // 2, (size - height) // 2))
    return placed


def _draw_stop(face: StopFace, size_px: int) -> Face:
    size = size_px * _SUPERSAMPLE
    radius = face.corner_radius * size
    outline = _layer(size, lambda draw: _rounded_octagon(draw, size, 0, radius))
    border = face.border * size
    field = _layer(size, lambda draw: _rounded_octagon(draw, size, border, max(radius - border, 1)))
    image = Image.new("RGB", (size, size), face.white)
    image.paste(face.red, (0, 0, size, size), field)
    image.paste(face.white, (0, 0, size, size), _legend(size, face))
    image.putalpha(outline)
    return np.asarray(image.resize((size_px, size_px), Image.Resampling.BOX))


def _draw_board(face: BoardFace, size_px: int) -> Face:
    return np.full((size_px, size_px, 4), (*face.colour, 255), np.uint8)


FACES: dict[str, StopFace | BoardFace] = {
    "us_r1_1": US_R1_1,
    "vienna_b2a": VIENNA_B2A,
    "board": BoardFace((225, 225, 225)),
}


@lru_cache(maxsize=8)
def draw_face(name: str, size_px: int) -> Face:
    """Draw a bundled face.

    Args:
        name: A key of ``FACES``.
        size_px: Width and height of the picture.

    Returns:
        [size_px, size_px, 4] uint8 RGBA, read-only; colour extends under the transparent edge.

    Raises:
        UsageError: If the name is unknown.
    """
    known = FACES[check_name("face", name, FACES)]
    if isinstance(known, BoardFace):
        face = _draw_board(known, size_px)
    else:
        face = _draw_stop(known, size_px)
    face.setflags(write=False)
    return face


def face_reference(scene: Scene) -> str:
    """What identifies the scene's face: the name of a drawn one, or the full path of an image."""
    name = scene.carrier.face
    return name if name in FACES else str((Path(scene.folder) / name).resolve())


def scene_face(scene: Scene, size_px: int) -> Face:
    """The scene's face as [size_px, size_px, 4] RGBA: drawn, or a user's frontal photograph.

    A photograph without alpha counts as a face that fills its square.

    Raises:
        UserError: If the face is neither a known name nor a readable image file.
    """
    name = scene.carrier.face
    if name in FACES:
        return draw_face(name, size_px)
    path = Path(face_reference(scene))
    if not path.is_file():
        raise UserError(
            f"carrier.face {name!r}",
            f"neither a drawn face ({', '.join(FACES)}) nor a file at {path}",
            "Name a drawn face or give an image file relative to the scene.",
        )
    return image_face(path, size_px)


def image_face(path: Path, size_px: int) -> Face:
    """A user's frontal photograph of a face as [size_px, size_px, 4] RGBA.

    Raises:
        UserError: If the file is not a readable image.
    """
    try:
        with Image.open(path) as image:
            rgba = (
                ImageOps.exif_transpose(image)
                .convert("RGBA")
                .resize((size_px, size_px), Image.Resampling.BOX)
            )
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise UserError(f"carrier.face {path}", f"not an image ({error})", "Give a PNG.") from error
    return np.asarray(rgba)
