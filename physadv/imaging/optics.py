"""Defocus, motion and the sensor pixel's own footprint as one blur kernel a view."""

import numpy as np
import numpy.typing as npt

from physadv.scene.schema import Imaging

Array = npt.NDArray[np.float64]

KERNEL = 9
_PIXEL_SD = 1 / np.sqrt(12)  # sd of a box one pixel wide


def blur_kernels(
    ranges: Imaging, zoom: Array, generator: np.random.Generator
) -> tuple[Array, Array]:
    """Draw the blur of each view.

    A Gaussian (defocus and the sensor pixel's footprint) convolved with a line (motion) is written
    as the average of Gaussians along the line, evaluated on the render grid.

    Args:
        ranges: Blur lengths in sensor pixels.
        zoom: [B,2] render pixels per sensor pixel along x and y.
        generator: Source of the draws.

    Returns:
        Kernels [B,KERNEL,KERNEL] that sum to 1, and the sd [B] of each along its longer axis, in
        render pixels.
    """
    count = len(zoom)
    defocus = ranges.defocus_px.sample(generator, count)
    moving = generator.random(count) < ranges.motion_share
    length = np.where(moving, ranges.motion_px.sample(generator, count), 0.0)
    angle = generator.uniform(0, np.pi, count)
    sigma = np.sqrt(defocus**2 + _PIXEL_SD**2)[:, None] * zoom
    half = 0.5 * length[:, None] * zoom * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    steps = np.linspace(-1, 1, 9)
    axis = np.arange(KERNEL) - KERNEL // 2
    # Never narrower than a third of a render pixel: a sampled Gaussian below that is a delta.
    width = np.maximum(sigma, 1 / 3)
    centre = half[:, None, :] * steps[None, :, None]
    reach = (axis[None, None, None, :] - centre[..., None]) / width[:, None, :, None]
    profile = np.exp(-0.5 * reach**2)
    kernels = np.einsum("bsi,bsj->bij", profile[:, :, 1], profile[:, :, 0])
    kernels /= kernels.sum(axis=(1, 2), keepdims=True)
    spread = np.sqrt(sigma**2 + half**2 / 3).max(axis=1)
    return kernels, spread
