"""The optimiser's renderer: differentiable, on Kornia; pure given the sampled views."""

import torch
import torch.nn.functional as F
from kornia.enhance import jpeg_codec_differentiable
from kornia.filters import filter2d
from kornia.geometry.transform import homography_warp
from torch import Tensor

from physadv.imaging.views import Views


def warp_texture(texture: Tensor, views: Views) -> Tensor:
    """Show each view's print in perspective.

    Args:
        texture: [G,4,T,T] premultiplied RGBA, pre-filtered to about the views' size.
        views: B views; the first B/G show print 0, and so on.

    Returns:
        [B,4,s,s] premultiplied RGBA, transparent outside the texture.
    """
    count, prints = len(views), len(texture)
    sources = texture.repeat_interleave(count // prints, dim=0)
    return homography_warp(
        sources,
        views.to_texture,
        (views.size_px, views.size_px),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    )


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
