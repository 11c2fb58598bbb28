"""What one draw of the judge is seen under: sampled here, applied in ``renderer``."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from physadv.scene.schema import Imaging

Array = npt.NDArray[np.float64]

GAMMA = 2.2  # a gain g of the light is g ** (1 / GAMMA) on coded values


@dataclass(frozen=True)
class Shadow:
    """A straight soft-edged shadow over the view, in coordinates of [-1, 1] across it."""

    angle_rad: float
    edge: float
    softness: float
    remaining_light: float


@dataclass(frozen=True)
class Conditions:
    """One draw of light, optics, sensor, file and printer. Lengths are in sensor pixels.

    ``gain`` [3] multiplies coded values per channel; ``print_gain`` and ``print_offset`` [3] act
    on the artwork's colours alone. ``jpeg_quality`` None keeps the raw pixels. ``noise_key``
    chooses the noise field.
    """

    gain: Array
    saturation: float
    contrast: float
    offset: float
    shadow: Shadow | None
    slope: float
    slope_angle_rad: float
    defocus_px: float
    motion_px: float
    motion_angle_rad: float
    noise_sd: float
    noise_key: int
    jpeg_quality: int | None
    print_gain: Array
    print_offset: Array


NEUTRAL = Conditions(
    np.ones(3), 1.0, 1.0, 0.0, None, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, None, np.ones(3), np.zeros(3)
)
"""Nothing but geometry: what the two renderers are held against each other with."""


def sample_conditions(ranges: Imaging, generator: np.random.Generator) -> Conditions:
    """Draw conditions from the scene's ``judge`` ranges."""

    def one(spread_name: str) -> float:
        return float(getattr(ranges, spread_name).sample(generator, 1)[0])

    exposure = 2 ** (one("exposure_ev") / GAMMA)
    shadow = Shadow(
        generator.uniform(0, 2 * np.pi),
        generator.uniform(-0.8, 0.8),
        generator.uniform(0.05, 0.4),
        one("shadow_strength"),
    )
    shadowed = generator.random() < ranges.shadow_share
    sloped = generator.random() < ranges.gradient_share
    moving = generator.random() < ranges.motion_share
    compressed = generator.random() < ranges.jpeg_share
    return Conditions(
        gain=exposure * np.exp(generator.normal(0, ranges.cast, 3)),
        saturation=one("saturation"),
        contrast=one("contrast"),
        offset=one("offset"),
        shadow=shadow if shadowed else None,
        slope=generator.uniform(0, ranges.gradient) if sloped else 0.0,
        slope_angle_rad=generator.uniform(0, 2 * np.pi),
        defocus_px=one("defocus_px"),
        motion_px=one("motion_px") if moving else 0.0,
        motion_angle_rad=generator.uniform(0, np.pi),
        noise_sd=one("noise_sd"),
        noise_key=int(generator.integers(1 << 31)),
        jpeg_quality=round(one("jpeg_quality")) if compressed else None,
        print_gain=1 + generator.normal(0, ranges.printer_sd, 3),
        print_offset=generator.normal(0, ranges.printer_sd, 3),
    )
