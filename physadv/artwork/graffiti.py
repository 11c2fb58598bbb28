"""Lettering in the manner of RP2's camouflage graffiti: a word above and one below STOP."""

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from physadv.checks import UserError
from physadv.seeding import generator_for

Mask = npt.NDArray[np.bool_]

_GLYPH_PX = 200
_SUPERSAMPLE = 4
_OCTAGON_CUT = 1 / (2 + np.sqrt(2))
# Shares of the side of the square that bounds the octagon. The legend fills the middle third; the
# margin keeps letters off the sign's border.
_NEAR_LEGEND, _NEAR_EDGE, _MARGIN, _HALF_WIDTH = 0.315, 0.075, 0.045, 0.325
_GAP = 0.008


def graffiti_mask(size: int, words: tuple[str, str] = ("LOVE", "HATE")) -> Mask:
    """Two hand-lettered words, one above and one below the legend of an octagonal sign.

    The letters are those of DejaVu Sans Bold, thickened, each turned, sheared and stretched a
    little, always in the same way. Outer letters are shorter, so that the word follows the edges
    of the octagon.

    Args:
        size: T, the side of the square that bounds the face.
        words: The word above and the word below, 1 to 8 letters each.

    Returns:
        [T,T] True where something is stuck; about 17 % of the face for the default words.

    Raises:
        UserError: If a word is empty, too long, or holds something that is not printable ink.

    References:
        Eykholt et al. 2018 (RP2), fig. 4, camouflage graffiti: LOVE and HATE around STOP.
    """
    canvas = Image.new("L", (size * _SUPERSAMPLE,) * 2, 0)
    for place, word in enumerate(words):
        if not 1 <= len(word) <= 8 or not word.isprintable() or " " in word:
            raise UserError(
                f"graffiti word {word!r}", "not a single word of 1 to 8 letters", "Choose another."
            )
        _write(canvas, word, below=place == 1)
    return np.asarray(canvas.resize((size, size), Image.Resampling.BOX)) > 127


def _write(canvas: Image.Image, word: str, *, below: bool) -> None:
    """Set one word into the trapezoid between legend and edge; letters are joined by maximum."""
    side = canvas.width
    rng = generator_for(0, "graffiti", word, int(below))
    glyphs = [_glyph(letter, rng) for letter in word]
    widths = np.array([glyph.width / glyph.height for glyph in glyphs]) ** 0.5
    room = 2 * _HALF_WIDTH - _GAP * (len(word) - 1)
    slots = room * widths / widths.sum()
    lefts = 0.5 - _HALF_WIDTH + np.concatenate([[0], np.cumsum(slots + _GAP)[:-1]])
    for glyph, left, width in zip(glyphs, lefts, slots, strict=True):
        outer = min(left, 1 - left - width)
        # The diagonal edge is at x + y = cut; a corner is left over there,
        # which the roundness of the lettering and the margin absorb.
        edge = max(_NEAR_EDGE, _OCTAGON_CUT - outer - 0.2 * width + _MARGIN)
        near = _NEAR_LEGEND - rng.uniform(0, 0.015)
        top, bottom = (1 - near, 1 - edge) if below else (edge, near)
        box = [round(side * value) for value in (left, top, left + width, bottom)]
        placed = glyph.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BILINEAR)
        layer = Image.new("L", canvas.size, 0)
        layer.paste(placed, (box[0], box[1]))
        canvas.paste(255, (0, 0), layer)


def _glyph(letter: str, rng: np.random.Generator) -> Image.Image:
    """One thickened letter, turned and sheared, cropped to its ink.

    Raises:
        UserError: If the letter has no ink.
    """
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"
    font = ImageFont.truetype(str(path), _GLYPH_PX)
    centre = _GLYPH_PX
    image = Image.new("L", (2 * centre, 2 * centre), 0)
    ImageDraw.Draw(image).text(
        (centre, centre), letter, font=font, fill=255, anchor="mm", stroke_width=4, stroke_fill=255
    )
    shear = rng.uniform(-0.14, 0.14)
    turned = image.rotate(rng.uniform(-7, 7), resample=Image.Resampling.BILINEAR).transform(
        image.size,
        Image.Transform.AFFINE,
        (1, shear, -shear * centre, 0, 1, 0),
        resample=Image.Resampling.BILINEAR,
    )
    ink = turned.getbbox()
    if ink is None:
        raise UserError(f"graffiti letter {letter!r}", "it has no shape", "Choose another word.")
    return turned.crop(ink)
