"""The parts of views that show the carrier: all that has to be imaged with a gradient.

A detector's window is mostly background, which does not depend on the artwork. Imaging the
carrier's surroundings alone, and putting them back, gives the renderer's gradient at a share of the
cost; the background beyond them stays sharp and is not compressed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from physadv.imaging.optics import KERNEL
from physadv.imaging.views import Views

_STEP = 64  # sides of regions are multiples of this, so that few sizes occur in a batch
_BLOCK = 16  # corners lie on JPEG's grid of blocks with halved chroma


@dataclass(frozen=True)
class Region:
    """A square of ``side`` pixels in each of M views, by its top left corner; views ascend."""

    chosen: tuple[int, ...]
    corners: tuple[tuple[int, int], ...]  # x, y
    side: int

    def cut(self, images: Tensor) -> Tensor:
        """[M,C,side,side] of images [B,C,s,s]."""
        return torch.stack([images[place] for place in self.places])

    @property
    def places(self) -> list[tuple[int, slice, slice, slice]]:
        """Where each square lies in a batch [B,C,s,s]."""
        return [
            (n, slice(None), slice(y, y + self.side), slice(x, x + self.side))
            for n, (x, y) in zip(self.chosen, self.corners, strict=True)
        ]


def regions_of(views: Views) -> list[Region]:
    """Squares that hold the carrier and all that blur mixes with it, views of one size together.

    The squares of views whose side is no multiple of 64 px are the views themselves.
    """
    size = views.size_px
    low = np.floor((views.boxes[:, :2] - KERNEL) / _BLOCK).clip(min=0) * _BLOCK
    needed = (views.boxes[:, 2:] + KERNEL - low).max(axis=1)
    sides = (np.ceil(needed / _STEP) * _STEP).clip(max=size)
    if size % _STEP:
        sides[:] = size
    corners = np.minimum(low, size - sides[:, None])
    found = []
    for side in np.unique(sides):
        chosen = np.flatnonzero(sides == side)
        places = tuple((int(x), int(y)) for x, y in corners[chosen])
        found.append(Region(tuple(chosen.tolist()), places, int(side)))
    return found


def part_of(views: Views, region: Region, light: Tensor) -> Views:
    """What ``region`` shows of ``views``, as views of their own; backgrounds are cut apart.

    ``light`` [B,1,s,s] is the views' own at full size.
    """
    device = views.light.device
    chosen = torch.tensor(region.chosen).to(device, non_blocking=True)
    size, side = views.size_px, region.side
    corners = np.array(region.corners, np.float64)
    inside = torch.eye(3, dtype=views.to_texture.dtype).repeat(len(chosen), 1, 1)
    inside[:, :2, :2] *= side / size
    inside[:, :2, 2] = torch.from_numpy((2 * corners + side) / size - 1)
    blurred, kernels = _own(views.blurred, region)
    compressed, qualities = _own(views.compressed, region)
    return replace(
        views,
        size_px=side,
        to_texture=views.to_texture[chosen] @ inside.to(device, non_blocking=True),
        light=region.cut(light),
        colour=views.colour[chosen],
        colour_bias=views.colour_bias[chosen],
        blurred=blurred,
        kernels=views.kernels[kernels.to(device, non_blocking=True)],
        noise=region.cut(views.noise),
        compressed=compressed,
        quality=views.quality[qualities],
        boxes=views.boxes[list(region.chosen)] - np.tile(corners, 2),
        distance_m=views.distance_m[list(region.chosen)],
        yaw_deg=views.yaw_deg[list(region.chosen)],
    )


def _own(indices: Tensor, region: Region) -> tuple[Tensor, Tensor]:
    """Of listed views, those in ``region``: their places in it, and their places in the list."""
    chosen = torch.tensor(region.chosen)  # ascending
    listed = torch.isin(indices, chosen).nonzero()[:, 0]
    return torch.searchsorted(chosen, indices[listed]), listed


class _Insert(torch.autograd.Function):
    """Put squares into images that carry no gradient of their own."""

    @staticmethod
    def forward(
        ctx: Any, held: Sequence[Tensor], regions: Sequence[Region], *parts: Tensor
    ) -> Tensor:
        (images,) = held  # in a sequence, so that autograd does not take it for an input
        for region, part in zip(regions, parts, strict=True):
            for place, square in zip(region.places, part, strict=True):
                images[place] = square
        ctx.regions = regions
        return images

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(region.cut(gradient) for region in ctx.regions)


def insert(images: Tensor, regions: Sequence[Region], parts: Sequence[Tensor]) -> Tensor:
    """Write squares into ``images`` [B,C,s,s], in place; the gradient reaches ``parts`` alone.

    Args:
        images: Without gradient.
        regions: No two may overlap.
        parts: [M,C,side,side] for each region.
    """
    written: Tensor = _Insert.apply((images,), regions, *parts)
    return written
