"""The judge's light, colour, sensor noise and file, with OpenCV and NumPy only."""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from physadv.evaluate.conditions import GAMMA, Conditions
from physadv.seeding import generator_for

_LUMA = np.array([0.299, 0.587, 0.114])
_NOISE_SIDE = 1400
_LIGHT_LATTICE = 64

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]


def light_field(height: int, width: int, conditions: Conditions) -> npt.NDArray[np.float32] | None:
    """[h,w] factors on coded values, or None where the light is even."""
    if conditions.shadow is None and conditions.slope == 0:
        return None
    # Light is smooth: worked out on a coarse lattice and interpolated.
    rows, columns = min(height, _LIGHT_LATTICE), min(width, _LIGHT_LATTICE)
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    light = np.ones((rows, columns), np.float32)
    if conditions.shadow is not None:
        shadow = conditions.shadow
        across = x * np.cos(shadow.angle_rad) + y * np.sin(shadow.angle_rad) - shadow.edge
        inside = 1 / (1 + np.exp(across / shadow.softness))
        light -= (1 - shadow.remaining_light) * inside
    if conditions.slope:
        angle = conditions.slope_angle_rad
        light *= 1 + conditions.slope * (x * np.cos(angle) + y * np.sin(angle))
    light = np.maximum(light, 0.05) ** np.float32(1 / GAMMA)
    return cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR)


@lru_cache(maxsize=1)
def _noise_sheet() -> npt.NDArray[np.float32]:
    """Standard normal noise that every draw cuts its field from."""
    generator = generator_for(0, "judge noise sheet")
    return generator.standard_normal((_NOISE_SIDE, _NOISE_SIDE, 3), dtype=np.float32)


def _noise(height: int, width: int, key: int) -> npt.NDArray[np.float32]:
    sheet = _noise_sheet()
    if height > _NOISE_SIDE or width > _NOISE_SIDE:
        return generator_for(key, "large").standard_normal((height, width, 3), dtype=np.float32)
    top = key % (_NOISE_SIDE - height + 1)
    left = (key // _NOISE_SIDE) % (_NOISE_SIDE - width + 1)
    return sheet[top : top + height, left : left + width]


def colour_affine(conditions: Conditions) -> tuple[Array, float]:
    """Matrix [3,3] and bias of gain, saturation, contrast and offset on coded values 0..255."""
    saturate = conditions.saturation * np.eye(3) + (1 - conditions.saturation) * _LUMA[None, :]
    matrix = conditions.contrast * saturate * conditions.gain[None, :]
    return matrix, 255 * (0.5 * (1 - conditions.contrast) + conditions.offset)


def expose(image: Picture, conditions: Conditions) -> Picture:
    """Light, colour, sensor noise, 8-bit rounding, JPEG."""
    matrix, bias = colour_affine(conditions)
    height, width = image.shape[:2]
    pixels = image.astype(np.float32)
    light = light_field(height, width, conditions)
    if light is not None:
        pixels = cv2.multiply(pixels, cv2.merge([light, light, light]))
    pixels = cv2.transform(pixels, np.column_stack([matrix, np.full(3, bias)]))
    noise = _noise(height, width, conditions.noise_key)
    exposed = cv2.addWeighted(noise, 255 * conditions.noise_sd, pixels, 1, 0, dtype=cv2.CV_8U)
    return encode(exposed, conditions.jpeg_quality)


def encode(image: Picture, quality: int | None) -> Picture:
    """The picture after a JPEG of ``quality``; unchanged where that is None."""
    if quality is None:
        return image
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, coded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
    return cv2.cvtColor(cv2.imdecode(coded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
