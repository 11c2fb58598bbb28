"""From artwork to texture: composite on the face, the printer's response, area pre-filtering."""

import torch
import torch.nn.functional as F
from torch import Tensor


def composite(face: Tensor, artwork: Tensor, mask: Tensor, gain: Tensor, offset: Tensor) -> Tensor:
    """Stick prints of the artwork onto the face.

    Args:
        face: [4,T,T] the carrier's face, RGBA in [0,1], not premultiplied.
        artwork: [3,C,C] colours, C a divisor of T; one colour texel covers T/C mask texels.
        mask: [1,T,T] 1 where the artwork is stuck, 0 elsewhere.
        gain: [G,3] printer gain per print and channel.
        offset: [G,3] printer offset per print and channel.

    Returns:
        [G,4,T,T] premultiplied RGBA: print g's artwork where the mask is 1, the face elsewhere.
    """
    factor = mask.shape[-1] // artwork.shape[-1]
    printed = artwork * gain[:, :, None, None] + offset[:, :, None, None]
    printed = printed.clamp(0, 1)
    printed = printed.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    alpha = torch.maximum(face[3:], mask)
    colour = face[:3] * face[3:] * (1 - mask) + printed * mask
    return torch.cat([colour, alpha.expand(len(gain), -1, -1, -1)], dim=1)


def prefilter(texture: Tensor, size_px: int) -> Tensor:
    """Average texels down to the coarsest whole-factor size that still has ``size_px`` of them.

    A crop shows the carrier at about ``size_px`` pixels whatever the distance, so one level is
    right for a whole batch; the sensor's own footprint is in the views' blur kernels.

    Args:
        texture: [G,4,T,T] premultiplied RGBA.
        size_px: Side of the views.

    Returns:
        [G,4,T',T'].
    """
    side = texture.shape[-1]
    factors = [f for f in range(1, side + 1) if side % f == 0 and side // f >= min(size_px, side)]
    return F.avg_pool2d(texture, factors[-1]) if factors[-1] > 1 else texture
