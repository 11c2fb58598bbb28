"""The optimiser's renderer: differentiable, on Kornia; pure given the sampled views."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from kornia.enhance import jpeg_codec_differentiable
from kornia.filters import filter2d
from kornia.geometry.transform import homography_warp
from torch import Tensor

from physadv.imaging.regions import insert, part_of, regions_of
from physadv.imaging.views import Views


def warp_texture(texture: Tensor, views: Views, prints: Sequence[int] | None = None) -> Tensor:
    """Show each view's print in perspective.

    Each view samples the texture halved as often as the carrier is smaller in it.

    Args:
        texture: [G,4,T,T] premultiplied RGBA, pre-filtered to about the views' size.
        views: B views.
        prints: [B] which print each shows; by default the first B/G show print 0, and so on.

    Returns:
        [B,4,s,s] premultiplied RGBA, transparent outside the texture.
    """
    levels = _halvings(texture.shape[-1], views)
    shown = np.array(prints_of(texture, views) if prints is None else prints)
    parts = []

    def on_device(indices: npt.NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(indices).to(texture.device, non_blocking=True)

    for level in np.unique(levels):
        filtered = F.avg_pool2d(texture, 2**level) if level else texture
        at_level = levels == level
        chosen = on_device(np.flatnonzero(at_level))
        sources = filtered[on_device(shown[at_level])]
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
    whole = texture.new_empty((len(views), 4, views.size_px, views.size_px))
    for chosen, warped in parts:
        whole = whole.index_copy(0, chosen, warped)
    return whole


def prints_of(texture: Tensor, views: Views) -> list[int]:
    """[B] which of the G prints each view shows."""
    return [n * len(texture) // len(views) for n in range(len(views))]


def _halvings(texels: int, views: Views) -> np.ndarray:
    """[B] times that a texture can be halved and still has a texel for each pixel it covers."""
    size = np.sqrt(np.prod(views.boxes[:, 2:] - views.boxes[:, :2], axis=1))
    whole = (texels & -texels).bit_length() - 1  # halvings that leave no odd texel over
    return np.floor(np.log2(texels / size)).clip(0, whole).astype(np.int64)


def render_views(texture: Tensor, views: Views, backgrounds: Tensor) -> Tensor:
    """Image a texture: warp, background, optics, light, sensor, file.

    Only the squares around the carrier pass through all of it. The rest of a view, which does not
    depend on the texture, gets light, colour and noise: it is sharp and was not compressed.

    Args:
        texture: [G,4,T,T] premultiplied RGBA (see ``texture.composite`` and ``prefilter``).
        views: The sampled views; the first B/G show print 0, and so on.
        backgrounds: [P,3,s,s] pool that the views index.

    Returns:
        [B,3,s,s] in [0,1], what the victim is given.
    """
    behind = backgrounds[views.backgrounds].roll(views.background_shift, dims=(-2, -1))
    prints = prints_of(texture, views)
    regions = regions_of(views)
    light = _light(views)
    if regions[0].side == views.size_px:
        return _image(warp_texture(texture, views, prints), views, behind, light)
    parts = []
    for region in regions:
        part = part_of(views, region, light)
        warped = warp_texture(texture, part, [prints[n] for n in region.chosen])
        parts.append(_image(warped, part, region.cut(behind), part.light))
    return insert(_expose(behind, views, light), regions, parts)


def _image(warped: Tensor, views: Views, behind: Tensor, light: Tensor) -> Tensor:
    """What the camera's file shows of warped prints [B,4,s,s] before ``behind`` [B,3,s,s]."""
    image = warped[:, :3] + behind * (1 - warped[:, 3:])
    if len(views.blurred):
        chosen = views.blurred.to(image.device, non_blocking=True)
        blurred = filter2d(image[chosen], views.kernels, border_type="replicate")
        image = image.index_copy(0, chosen, blurred)
    image = _expose(image, views, light)
    if len(views.compressed):
        chosen = views.compressed.to(image.device, non_blocking=True)
        # Qualities stay on the host, where the codec reads them before it copies them.
        coded = jpeg_codec_differentiable(image[chosen], views.quality)
        image = image.index_copy(0, chosen, coded.clamp(0, 1))
    return image


def _light(views: Views) -> Tensor:
    """[B,1,s,s] the light of every pixel."""
    size = (views.size_px, views.size_px)
    return F.interpolate(views.light, size=size, mode="bilinear", align_corners=False)


def _expose(image: Tensor, views: Views, light: Tensor) -> Tensor:
    """Light, the camera's colours, and the sensor's noise."""
    exposed = torch.einsum("bij,bjhw->bihw", views.colour, image * light)
    return exposed.add_(views.colour_bias).add_(views.noise).clamp_(0, 1)
