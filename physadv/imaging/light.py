"""Light and colour of a view, sampled: one 3x3 matrix and bias, and a coarse field of light.

Exposure, white balance, contrast and saturation are all affine on coded values once a gain g of
the light is written as g**(1/2.2) on them, so one matrix product does the work of four stages.
"""

import numpy as np
import numpy.typing as npt

from physadv.artwork.printer import PrinterProfile
from physadv.scene.schema import Imaging

Array = npt.NDArray[np.float64]

GAMMA = 2.2
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
FIELD = 10  # cells of the light field along each side


def print_responses(
    ranges: Imaging, printer: PrinterProfile | None, count: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Draw how ``count`` prints differ from what is known of the printer.

    Of an unknown printer gain and offset of every channel spread by ``printer_sd``. A measured one
    has its own map, around which colours spread by the profile's ``residual_sd``: an offset of that
    spread stands in for it.

    Returns:
        Gains and offsets [N,3] on sRGB-coded values, to be applied behind the profile's map.
    """
    gain, offset = generator.standard_normal((2, count, 3))
    if printer is None:
        return 1 + ranges.printer_sd * gain, ranges.printer_sd * offset
    return np.ones_like(gain), np.array(printer.residual_sd) * offset


def colour_transforms(
    ranges: Imaging, count: int, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Draw ``count`` colour transforms: v -> contrast * (saturate(gain * v) - 0.5) + 0.5 + offset.

    Returns:
        Matrices [B,3,3] and biases [B,3] on sRGB-coded values.
    """
    gain = 2 ** (ranges.exposure_ev.sample(generator, count) / GAMMA)
    cast = np.exp(generator.normal(0, ranges.cast, (count, 3)))
    saturation = ranges.saturation.sample(generator, count)[:, None, None]
    contrast = ranges.contrast.sample(generator, count)
    offset = ranges.offset.sample(generator, count)
    saturate = saturation * np.eye(3) + (1 - saturation) * LUMA[None, None, :]
    matrix = contrast[:, None, None] * saturate * (gain[:, None] * cast)[:, None, :]
    bias = np.repeat((0.5 * (1 - contrast) + offset)[:, None], 3, axis=1)
    return matrix, bias


def light_fields(ranges: Imaging, count: int, generator: np.random.Generator) -> Array:
    """Draw ``count`` fields of light [B,1,FIELD,FIELD], as factors on coded values.

    A shadow with one straight soft edge leaves ``shadow_strength`` of the light on one side; a
    linear gradient changes the light by at most ``gradient`` across the view.
    """
    axis = np.linspace(-1, 1, FIELD)
    x, y = axis[None, None, :], axis[None, :, None]

    def ramp(angle: Array) -> Array:
        return np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y

    edge = generator.uniform(-0.8, 0.8, count)[:, None, None]
    softness = generator.uniform(0.05, 0.4, count)[:, None, None]
    inside = 1 / (1 + np.exp((ramp(generator.uniform(0, 2 * np.pi, count)) - edge) / softness))
    strength = ranges.shadow_strength.sample(generator, count)[:, None, None]
    shadowed = (generator.random(count) < ranges.shadow_share)[:, None, None]
    shadow = np.where(shadowed, 1 - (1 - strength) * inside, 1.0)
    slope = generator.uniform(0, ranges.gradient, count)[:, None, None]
    sloped = (generator.random(count) < ranges.gradient_share)[:, None, None]
    gradient = np.where(sloped, 1 + slope * ramp(generator.uniform(0, 2 * np.pi, count)), 1.0)
    return ((shadow * gradient).clip(0.05) ** (1 / GAMMA))[:, None]
