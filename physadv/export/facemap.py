"""Pictures of the carrier's face that show where the artwork goes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from physadv.artwork.files import Artwork
from physadv.export.paper import Box
from physadv.export.pen import ACCENT, FAINT, GREY, HAIRLINE_MM, LIGHT, Pen
from physadv.export.pieces import Piece

_LARGE_PX = 1024
_SMALL_PX = 192
_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class FaceMap:
    """The face, the artwork on it, and its printed size; ``face`` [h, w, 4] uint8 or None."""

    artwork: Artwork
    face: npt.NDArray[np.uint8] | None
    width_mm: float
    height_mm: float

    def picture(self) -> npt.NDArray[np.uint8]:
        """[h, w, 3] the artwork on the face; texels repeated a whole number of times."""
        mask = self.artwork.mask
        repeat = max(1, _LARGE_PX // max(mask.shape))
        canvas = self._blank((mask.shape[1] * repeat, mask.shape[0] * repeat), faded=False)
        texels = Image.fromarray(np.ascontiguousarray(self.artwork.rgba[..., :3]))
        stuck = Image.fromarray(mask.astype(np.uint8) * 255)
        nearest = Image.Resampling.NEAREST
        canvas.paste(
            texels.resize(canvas.size, nearest), (0, 0), stuck.resize(canvas.size, nearest)
        )
        return np.asarray(canvas)

    def locator(self, shown: list[tuple[Piece, Box]]) -> npt.NDArray[np.uint8]:
        """[h, w, 3] a small faded face, the artwork grey, the ``shown`` parts of it in colour."""
        mask = self.artwork.mask
        coloured = np.zeros_like(mask)
        for piece, window in shown:
            part = np.zeros_like(piece.mask)
            inside = piece.texels_in(window)
            part[inside] = piece.mask[inside]
            rows, cols = part.shape
            coloured[piece.row : piece.row + rows, piece.col : piece.col + cols] |= part
        share = _SMALL_PX / max(mask.shape)
        size = (max(1, round(mask.shape[1] * share)), max(1, round(mask.shape[0] * share)))
        canvas = self._blank(size, faded=True)
        for colour, where in ((LIGHT, mask), (ACCENT, coloured)):
            cover = Image.fromarray(where.astype(np.uint8) * 255)
            canvas.paste(colour, (0, 0), cover.resize(size, Image.Resampling.BOX))
        return np.asarray(canvas)

    def _blank(self, size: tuple[int, int], *, faded: bool) -> Image.Image:
        if self.face is None:
            return Image.new("RGB", size, (246, 246, 246))
        canvas = Image.new("RGB", size, _WHITE)
        face = Image.fromarray(self.face).resize(size, Image.Resampling.BOX)
        canvas.paste(FAINT if faded else face, (0, 0, *size), face)
        return canvas


def draw_locator(
    pen: Pen, room: Box, face: FaceMap, shown: list[tuple[Piece, Box]], *, frames: bool
) -> tuple[Box, float]:
    """Draw the locator picture into ``room``, with a frame around each shown part if asked.

    Returns:
        The drawn face and its scale, millimetres drawn per millimetre of face.
    """
    scale = min(room.width / face.width_mm, room.height / face.height_mm)
    drawn = Box(
        room.left + (room.width - face.width_mm * scale) / 2,
        room.top + (room.height - face.height_mm * scale) / 2,
        face.width_mm * scale,
        face.height_mm * scale,
    )
    pen.picture(face.locator(shown), drawn)
    pen.rect(drawn, colour=GREY)
    for _, window in shown if frames else []:
        pen.rect(window.scaled_into(drawn, scale), colour=ACCENT, width=2 * HAIRLINE_MM)
    return drawn, scale
