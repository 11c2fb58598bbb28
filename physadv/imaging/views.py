"""Sampling of views: every random choice of one EOT batch, drawn before anything is rendered.

``sample_views`` draws; ``render.render_views`` applies and is pure. The same views replayed give
the same images, so treatments and runs can be compared on identical draws.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from physadv.artwork.printer import PrinterProfile
from physadv.imaging.framing import Framing, as_crops
from physadv.imaging.light import colour_transforms, light_fields, print_responses
from physadv.imaging.optics import blur_kernels
from physadv.scene.pose import Pose
from physadv.scene.schema import Imaging, Scene
from physadv.seeding import generator_for

PRINTS_PER_BATCH = 4
_MIN_BLUR_PX = 0.45  # what a victim that halves the view cannot see
_NOISE_VALUES = 1 << 22
_MAX_JPEG_MINIFICATION = 1.5

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Views:
    """One batch of B views, rendered at ``size_px`` square; values are float32 on one device.

    ``to_texture`` [B,3,3] maps normalised view coordinates to normalised texture coordinates
    (both [-1, 1] over the full extent, align_corners=False). ``print_gain`` and ``print_offset``
    [G,3] are the printer's responses; views ``i*B/G .. (i+1)*B/G`` show print ``i``. ``light``
    [B,1,h,w] multiplies the coded values. ``colour`` [B,3,3] and ``colour_bias`` [B,3,1,1] follow.
    ``blurred`` [M] indexes the views that ``kernels`` [M,K,K] blur; ``compressed`` [J] those that
    are JPEG coded at ``quality`` [J]; these three stay on the host. ``noise`` [B,3,s,s] is added.
    ``backgrounds`` [B] indexes a pool, shifted by ``background_shift``. ``boxes`` [B,4] are the
    carriers' tight boxes xyxy in the views' pixels. ``distance_m`` and ``yaw_deg`` are for reports.
    """

    size_px: int
    to_texture: Tensor
    print_gain: Tensor
    print_offset: Tensor
    light: Tensor
    colour: Tensor
    colour_bias: Tensor
    blurred: Tensor
    kernels: Tensor
    noise: Tensor
    compressed: Tensor
    quality: Tensor
    backgrounds: Tensor
    background_shift: tuple[int, int]
    boxes: Array
    distance_m: Array
    yaw_deg: Array

    def __len__(self) -> int:
        return len(self.to_texture)


@lru_cache(maxsize=2)
def _noise_sheet(size: int) -> npt.NDArray[np.float32]:
    """[size] standard normal values that every batch cuts its noise from, at a random place."""
    values = generator_for(0, "optimiser noise sheet").standard_normal(size, dtype=np.float32)
    values.setflags(write=False)
    return values


def sample_views(
    scene: Scene,
    count: int,
    size_px: int,
    *,
    seed: int,
    keys: tuple[str | int, ...],
    pool: int,
    device: torch.device | str = "cpu",
    imaging: Imaging | None = None,
    framing: Framing = as_crops,
    printer: PrinterProfile | None = None,
) -> Views:
    """Draw ``count`` views of a scene's carrier.

    Args:
        scene: Distributions, camera and carrier.
        count: Number of views B; a multiple of ``PRINTS_PER_BATCH`` or any smaller number.
        size_px: Side of the square views.
        seed: Run seed.
        keys: What these views are for, e.g. ``("fit", step)``; other keys give other draws.
        pool: Number of backgrounds to choose from.
        device: Where the tensors live; the draws do not depend on it.
        imaging: Imaging ranges; the scene's own by default.
        framing: What each view shows: the carrier's crop, or a window around it.
        printer: Through which the artwork goes before it is stuck; None where it is unknown.

    Returns:
        The views.

    References:
        Athalye et al., Synthesizing Robust Adversarial Examples, ICML 2018, eq. 1 (EOT).
    """
    generator = generator_for(seed, "views", *keys)
    ranges = imaging or scene.imaging
    spreads = (scene.views.distance_m, scene.views.yaw_deg, scene.views.pitch_deg)
    distance, yaw, pitch = (spread.sample(generator, count) for spread in spreads)
    roll = scene.views.roll_deg.sample(generator, count)
    poses = [
        Pose(float(distance[i]), float(yaw[i]), float(pitch[i]), float(roll[i]))
        for i in range(count)
    ]
    frames = framing(scene, poses, size_px, generator)
    # Lengths given on the sensor scale by these.
    zoom = np.array([frame.zoom for frame in frames])
    prints = PRINTS_PER_BATCH if count % PRINTS_PER_BATCH == 0 else 1
    gain, offset = print_responses(ranges, printer, prints, generator)
    light = light_fields(ranges, count, generator)
    colour, bias = colour_transforms(ranges, count, generator)
    kernels, sigma = blur_kernels(ranges, zoom, generator)
    blurred = np.flatnonzero(sigma > _MIN_BLUR_PX)
    # Averaging 1/zoom sensor pixels into one render pixel divides the noise's sd accordingly.
    noise_sd = ranges.noise_sd.sample(generator, count) * np.sqrt(np.minimum(zoom, 1).prod(axis=1))
    shape = (count, 3, size_px, size_px)
    sheet = _noise_sheet(max(_NOISE_VALUES, 2 * math.prod(shape)))
    start = generator.integers(len(sheet) - math.prod(shape))
    noise = sheet[start : start + math.prod(shape)].reshape(shape)
    noise = noise * noise_sd[:, None, None, None].astype(np.float32)
    jpeg = generator.random(count) < ranges.jpeg_share
    # Block artefacts average out where many sensor pixels make one render pixel.
    jpeg &= 1 / zoom.min(axis=1) < _MAX_JPEG_MINIFICATION
    compressed = np.flatnonzero(jpeg)
    quality = ranges.jpeg_quality.sample(generator, count)[compressed]
    shift = generator.integers(0, size_px, 2)

    def tensor(values: npt.ArrayLike) -> Tensor:
        return torch.as_tensor(np.asarray(values, dtype=np.float32)).to(device, non_blocking=True)

    return Views(
        size_px=size_px,
        to_texture=tensor([frame.to_texture for frame in frames]),
        print_gain=tensor(gain),
        print_offset=tensor(offset),
        light=tensor(light),
        colour=tensor(colour),
        colour_bias=tensor(bias)[:, :, None, None],
        blurred=torch.as_tensor(blurred),
        kernels=tensor(kernels[blurred]),
        noise=torch.from_numpy(noise).to(device, non_blocking=True),
        compressed=torch.as_tensor(compressed),
        quality=torch.as_tensor(np.asarray(quality, dtype=np.float32)),
        backgrounds=torch.as_tensor(generator.integers(0, pool, count)).to(
            device, non_blocking=True
        ),
        background_shift=(int(shift[0]), int(shift[1])),
        boxes=np.array([frame.box for frame in frames]),
        distance_m=distance,
        yaw_deg=yaw,
    )
