"""Printers that are known, and photographs of what they print, to measure calibration with.

Nothing here is shared with the profile that is fitted: an ink spreads, runs into the others, is
limited where all meet, and takes light out of white paper as a filter does.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium

from physadv.export.chart import write_chart
from physadv.seeding import generator_for

Array = npt.NDArray[np.float64]

DPI = 120
SIZE_PX = (1500, 2000)
_INKS = np.array([[0.10, 0.42, 0.62], [0.62, 0.10, 0.30], [0.86, 0.76, 0.08]])  # light sent back
_PAPER = np.array([0.90, 0.91, 0.86])
_GLOSS = 0.03


@dataclass(frozen=True)
class SimulatedPrinter:
    """``dot_gain`` at half an ink, ``ink_limit`` of the sum of three, and the share of each ink
    that is laid where one of the two others is asked for, ``crosstalk``."""

    dot_gain: float
    ink_limit: float
    crosstalk: float

    def light(self, rgb: npt.ArrayLike) -> Array:
        """[...,3] sRGB in [0,1] as sent -> linear light that the paper sends back, white lamp."""
        mixed = np.full((3, 3), self.crosstalk / 2)
        np.fill_diagonal(mixed, 1 - self.crosstalk)
        ink = (1 - np.asarray(rgb, dtype=np.float64)) @ mixed
        ink = np.clip(ink + 4 * self.dot_gain * ink * (1 - ink), 0, 1)
        total = ink.sum(axis=-1, keepdims=True)
        ink = ink * np.minimum(1, self.ink_limit / np.maximum(total, 1e-9))
        light = np.prod(1 - ink[..., :, None] * (1 - _INKS), axis=-2)
        return _PAPER * (_GLOSS + (1 - _GLOSS) * light)

    def printed(self, rgb: npt.ArrayLike) -> Array:
        """[...,3] sRGB in [0,1] as sent -> sRGB of the paper in white light."""
        return encode(self.light(rgb))


PRINTERS = {
    "office": SimulatedPrinter(dot_gain=0.10, ink_limit=2.6, crosstalk=0.10),
    "poor": SimulatedPrinter(dot_gain=0.20, ink_limit=2.0, crosstalk=0.30),
}


def encode(light: npt.ArrayLike) -> Array:
    """Linear light to sRGB, IEC 61966-2-1; clipped."""
    inside = np.clip(np.asarray(light, dtype=np.float64), 0, 1)
    return np.where(inside <= 0.0031308, 12.92 * inside, 1.055 * inside ** (1 / 2.4) - 0.055)


def photograph_chart(printer: SimulatedPrinter, folder: Path, count: int = 3) -> list[Path]:
    """Print the chart's own PDF and photograph it ``count`` times from different places.

    A lamp that is yellow and stands to one side, perspective, blur, noise of sensor and photons,
    8 bits, JPEG of quality 92.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_chart(folder / "chart.pdf", "a4")
    document = pdfium.PdfDocument(folder / "chart.pdf")
    sent = document[0].render(scale=DPI / 72, rev_byteorder=True).to_numpy()[..., :3].copy()
    document.close()
    paper = printer.light(sent / 255.0).astype(np.float32)
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
