"""Whole frames for detectors: only the object's own pixels are rendered and carry gradient."""

import torch
import torch.nn.functional as F
from torch import Tensor


def paste_views(frames: Tensor, views: Tensor, corners: list[tuple[int, int]]) -> Tensor:
    """Put rendered views into frames.

    Args:
        frames: [B,3,H,W] background frames.
        views: [B,3,h,w] rendered views with their own background, h <= H and w <= W.
        corners: B times (x, y): where the view's top left pixel goes.

    Returns:
        [B,3,H,W]; the gradient reaches ``views`` alone.

    Raises:
        ValueError: If a view reaches beyond its frame.
    """
    height, width = views.shape[-2:]
    full_height, full_width = frames.shape[-2:]
    pasted = []
    for frame, view, (x, y) in zip(frames.detach(), views, corners, strict=True):
        if not (0 <= x <= full_width - width and 0 <= y <= full_height - height):
            raise ValueError(f"a {width}x{height} view at ({x}, {y}) leaves its frame")
        change = view - frame[:, y : y + height, x : x + width]
        pads = (x, full_width - width - x, y, full_height - height - y)
        pasted.append(frame + F.pad(change, pads))
    return torch.stack(pasted)
