"""The optimiser's renderer: differentiable, on Kornia; pure given the sampled views."""

import numpy as np
import torch
import torch.nn.functional as F
from kornia.enhance import jpeg_codec_differentiable
from kornia.filters import filter2d
from kornia.geometry.transform import homography_warp
from torch import Tensor

from physadv.imaging.views import Views


def warp_texture(texture: Tensor, views: Views) -> Tensor:
    """Show each view's print in perspective.

    Each view samples the texture halved as often as the carrier is smaller in it.

    Args:
        texture: [G,4,T,T] premultiplied RGBA, pre-filtered to about the views' size.
        views: B views; the first B/G show print 0, and so on.

    Returns:
        [B,4,s,s] premultiplied RGBA, transparent outside the texture.
    """
    levels = _halvings(texture.shape[-1], views)
    prints = np.arange(len(views)) // (len(views) // len(texture))
    parts = []
    for level in np.unique(levels):
        filtered = F.avg_pool2d(texture, 2**level) if level else texture
        chosen = torch.from_numpy(np.flatnonzero(levels == level)).to(texture.device)
        sources = filtered[torch.from_numpy(prints[levels == level]).to(texture.device)]
        warped = homography_warp(
            sources,
            views.to_texture[chosen],
            (views.size_px, views.size_px),
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )
        parts.append((chosen, warped))
    if len(parts) == 1:
        return parts[0][1]
    shown = texture.new_empty((len(views), 4, views.size_px, views.size_px))
    for chosen, warped in parts:
        shown = shown.index_copy(0, chosen, warped)
    return shown


def _halvings(texels: int, views: Views) -> np.ndarray:
    """[B] times that a texture can be halved and still has a texel for each pixel it covers."""
    size = np.sqrt(np.prod(views.boxes[:, 2:] - views.boxes[:, :2], axis=1))
    whole = (texels & -texels).bit_length() - 1  # halvings that leave no odd texel over
    return np.floor(np.log2(texels / size)).clip(0, whole).astype(np.int64)


def render_views(texture: Tensor, views: Views, backgrounds: Tensor) -> Tensor:
    """Image a texture: warp, background, optics, light, sensor, file.

    Args:
        texture: [G,4,T,T] premultiplied RGBA (see ``texture.composite`` and ``prefilter``).
        views: The sampled views.
        backgrounds: [P,3,s,s] pool that the views index.

    Returns:
        [B,3,s,s] in [0,1], what the victim is given.
    """
    warped = warp_texture(texture, views)
    behind = backgrounds[views.backgrounds].roll(views.background_shift, dims=(-2, -1))
    image = warped[:, :3] + behind * (1 - warped[:, 3:])
    if len(views.blurred):
        blurred = filter2d(image[views.blurred], views.kernels, border_type="replicate")
        image = image.index_copy(0, views.blurred, blurred)
    light = F.interpolate(views.light, size=image.shape[-2:], mode="bilinear", align_corners=False)
    image = torch.einsum("bij,bjhw->bihw", views.colour, image * light) + views.colour_bias
    image = (image + views.noise).clamp(0, 1)
    if len(views.compressed):
        coded = jpeg_codec_differentiable(image[views.compressed], views.quality)
        image = image.index_copy(0, views.compressed, coded.clamp(0, 1))
    return image
