"""From artwork to texture: area pre-filtering, the printer's response, sticking on the face.

Face and mask do not change while an artwork is optimised, so they are filtered once; per step only
the colours are printed, at the resolution that the views need.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Sheet:
    """A face with room for artwork, filtered to R x R texels.

    ``ground`` [4,R,R] is premultiplied RGBA of what is not covered, its alpha that of face and
    artwork together; ``coverage`` [1,R,R] is the share of each texel that artwork covers.
    """

    ground: Tensor
    coverage: Tensor


def _pooled(texture: Tensor, size: int) -> Tensor:
    factor = texture.shape[-1] // size
    return F.avg_pool2d(texture[None], factor)[0] if factor > 1 else texture


def texture_side(side: int, size_px: int) -> int:
    """The coarsest whole-factor reduction of ``side`` texels that still has ``size_px`` of them.

    A crop shows the carrier at about ``size_px`` pixels whatever the distance, so one level is
    right for a whole batch; the sensor's own footprint is in the views' blur kernels.
    """
    wanted = min(size_px, side)
    return min(side // f for f in range(1, side + 1) if side % f == 0 and side // f >= wanted)


def prepare(face: Tensor, mask: Tensor, size_px: int, colour_texels: int) -> Sheet:
    """Filter a face and a mask for views of ``size_px``.

    Args:
        face: [4,T,T] the carrier's face, RGBA in [0,1], not premultiplied.
        mask: [1,T,T] 1 where artwork is stuck, 0 elsewhere.
        size_px: Side of the views.
        colour_texels: C, a divisor of T.

    Returns:
        A sheet of R texels, the least multiple of C that divides T and is at least ``size_px``
        (or T): exact, since colours are constant over each of their texels.
    """
    texels = face.shape[-1]
    wanted = max(colour_texels, min(size_px, texels))
    side = min(
        side
        for side in range(colour_texels, texels + 1, colour_texels)
        if texels % side == 0 and side >= wanted
    )
    colour = _pooled(face[:3] * face[3:] * (1 - mask), side)
    alpha = _pooled(face[3:].maximum(mask), side)
    return Sheet(torch.cat([colour, alpha]), _pooled(mask, side))


def composite(sheet: Sheet, artwork: Tensor, gain: Tensor, offset: Tensor, size_px: int) -> Tensor:
    """Stick prints of the artwork onto the face.

    Args:
        sheet: From ``prepare``.
        artwork: [3,C,C] colours in [0,1].
        gain: [G,3] printer gain per print and channel.
        offset: [G,3] printer offset per print and channel.
        size_px: Side of the views.

    Returns:
        [G,4,S,S] premultiplied RGBA, S from ``texture_side``.
    """
    printed = artwork * gain[:, :, None, None] + offset[:, :, None, None]
    factor = sheet.coverage.shape[-1] // artwork.shape[-1]
    printed = printed.clamp(0, 1).repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    layer = F.pad(printed * sheet.coverage, (0, 0, 0, 0, 0, 1))
    texture = sheet.ground + layer
    side = texture.shape[-1]
    reduce = side // min(side, texture_side(side, size_px))
    return F.avg_pool2d(texture, reduce) if reduce > 1 else texture
