"""The one way in which images are fitted to a victim's input."""

import torch.nn.functional as F
from torch import Tensor


def fit_input(images: Tensor, size_px: int) -> Tensor:
    """Resample [B,3,H,W] to [B,3,size_px,size_px] without keeping the aspect.

    Bilinear with anti-aliasing; images that fit already are returned as they are.
    """
    if images.shape[-2:] == (size_px, size_px):
        return images
    return F.interpolate(
        images, (size_px, size_px), mode="bilinear", antialias=True, align_corners=False
    )
