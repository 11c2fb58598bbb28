"""Printers that are known, and photographs of what they print, to measure calibration with.

No printer shares anything with the profile that is fitted to it. ``filters``: each ink spreads
(dot gain), goes where another is asked for (crosstalk), is limited where all meet, and takes light
out of yellowish paper as a filter does; its black is poor. ``neugebauer``: the package's assumed
office laser (``artwork.palette.printed_colours``) with more dot gain and inks that run into each
other.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium

from physadv.artwork.palette import printed_colours
from physadv.export.chart import write_chart
from physadv.seeding import generator_for

Array = npt.NDArray[np.float64]

DPI = 120
SIZE_PX = (1500, 2000)
_INKS = np.array([[0.10, 0.42, 0.62], [0.62, 0.10, 0.30], [0.86, 0.76, 0.08]])  # light sent back
_PAPER = np.array([0.90, 0.91, 0.86])
_GLOSS = 0.03
_DOT_GAIN = 0.10  # at half an ink
_INK_LIMIT = 2.6  # of the sum of three
_CROSSTALK = 0.10  # share of an ink that is laid where one of the two others is asked for

_GAMMA = 1.4
_RUNNING = np.array([[0.65, 0.35, 0.0], [0.0, 0.65, 0.35], [0.35, 0.0, 0.65]])


def filters(rgb: npt.ArrayLike) -> Array:
    """[...,3] sRGB in [0,1] as sent -> linear light that the paper sends back, white lamp."""
    mixed = np.full((3, 3), _CROSSTALK / 2)
    np.fill_diagonal(mixed, 1 - _CROSSTALK)
    ink = (1 - np.asarray(rgb, dtype=np.float64)) @ mixed
    ink = np.clip(ink + 4 * _DOT_GAIN * ink * (1 - ink), 0, 1)
    total = ink.sum(axis=-1, keepdims=True)
    ink = ink * np.minimum(1, _INK_LIMIT / np.maximum(total, 1e-9))
    light = np.prod(1 - ink[..., :, None] * (1 - _INKS), axis=-2)
    return _PAPER * (_GLOSS + (1 - _GLOSS) * light)


def neugebauer(rgb: npt.ArrayLike) -> Array:
    """As ``filters``, of the other printer."""
    values = np.clip(np.asarray(rgb, dtype=np.float64), 0, 1)
    shown = printed_colours((values.reshape(-1, 3) ** _GAMMA) @ _RUNNING).reshape(values.shape)
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


PRINTERS: dict[str, Callable[[npt.ArrayLike], Array]] = {
    "filters": filters,
    "neugebauer": neugebauer,
}


def encode(light: npt.ArrayLike) -> Array:
    """Linear light to sRGB, IEC 61966-2-1; clipped."""
    inside = np.clip(np.asarray(light, dtype=np.float64), 0, 1)
    return np.where(inside <= 0.0031308, 12.92 * inside, 1.055 * inside ** (1 / 2.4) - 0.055)


def photograph_chart(
    printer: Callable[[npt.ArrayLike], Array], folder: Path, count: int = 3
) -> list[Path]:
    """Print the chart's own PDF and photograph it ``count`` times from different places.

    A lamp that is yellow and stands to one side, perspective, blur, noise of sensor and photons,
    8 bits, JPEG of quality 92.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_chart(folder / "chart.pdf", "a4")
    document = pdfium.PdfDocument(folder / "chart.pdf")
    sent = document[0].render(scale=DPI / 72, rev_byteorder=True).to_numpy()[..., :3].copy()
    document.close()
    paper = printer(sent / 255.0).astype(np.float32)
    height, width = paper.shape[:2]
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1) - 0.5
    paths = []
    for number in range(count):
        generator = generator_for(0, "chart photograph", number)
        across, down = generator.uniform(-0.4, 0.4, 2)
        lamp = (0.75 + 0.1 * number) * (1 + across * x + down * y - 0.2 * (x * x + y * y))
        lit = paper * (lamp[..., None] * [1.0, 0.94, 0.80]).astype(np.float32)
        edge = np.array([[0.12, 0.08], [0.88, 0.08], [0.88, 0.92], [0.12, 0.92]])
        corners = (edge + generator.uniform(-0.06, 0.06, (4, 2))) * SIZE_PX
        outline = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        matrix = cv2.getPerspectiveTransform(outline, corners.astype(np.float32))
        fine = np.diag([2.0, 2.0, 1.0]) @ matrix
        seen = cv2.warpPerspective(
            lit, fine, (2 * SIZE_PX[0], 2 * SIZE_PX[1]), borderValue=(0.1, 0.1, 0.1)
        )
        seen = cv2.GaussianBlur(
            cv2.resize(seen, SIZE_PX, interpolation=cv2.INTER_AREA), (0, 0), 0.8
        )
        spread = np.sqrt(1e-6 + 2e-4 * np.maximum(seen, 0))
        code = encode(seen + generator.normal(0, 1, seen.shape) * spread)
        picture = np.round(255 * code).astype(np.uint8)
        paths.append(folder / f"chart{number}.jpg")
        cv2.imwrite(str(paths[-1]), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths
