"""Printed patches in photographs: only the patches' own pixels are rendered and carry gradient."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from physadv.artwork.printer import PrinterProfile
from physadv.imaging.cloth import CONTROL, displacement
from physadv.imaging.light import colour_transforms, light_fields, print_responses
from physadv.scene.schema import Imaging

_LEAST_LEVEL_TX = 4


@dataclass(frozen=True)
class Tiles:
    """M patches in B frames, sampled. Lengths are in pixels of the frames.

    ``frame`` [M] int64 says where each goes; ``centre`` [M,2] x, y; ``side`` [M]; ``roll_rad``
    [M], positive clockwise. ``matrix`` [M,3,3] and ``bias`` [M,3] are printer and light on the
    patch's colours, ``light`` [M,1,10,10] the field of light over it, ``noise_sd`` [M] the
    sensor's noise, drawn from ``noise_seed``. ``cloth`` [M,K,2] bends the patches (see
    ``cloth.displacement``); None leaves them flat. Places and cloth stay on the host, which cuts
    and pastes by them.
    """

    frame: Tensor
    centre: Tensor
    side: Tensor
    roll_rad: Tensor
    matrix: Tensor
    bias: Tensor
    light: Tensor
    noise_sd: Tensor
    noise_seed: int
    cloth: Tensor | None = None

    def __len__(self) -> int:
        return len(self.side)

    @property
    def tile_px(self) -> int:
        """Side of the square of pixels that holds any of the patches, however turned."""
        reach = (self.side * (self.roll_rad.cos().abs() + self.roll_rad.sin().abs())).max()
        # A bent edge lies beyond its control points' reach by little; twice theirs is ample.
        bent = 0.0 if self.cloth is None else float(self.cloth.abs().max())
        return int((reach * (1 + 4 * bent)).ceil()) + 2

    @property
    def corners(self) -> Tensor:
        """[M,2] int64 x, y of each tile's top left pixel; may lie outside the frame."""
        return (self.centre - self.tile_px / 2).floor().long()


def sample_tiles(
    ranges: Imaging,
    frame: np.ndarray,
    centre: np.ndarray,
    side: np.ndarray,
    roll_rad: np.ndarray,
    generator: np.random.Generator,
    device: torch.device,
    cloth: float = 0.0,
    printer: PrinterProfile | None = None,
) -> Tiles:
    """Draw printer, light and noise for patches at given places.

    Args:
        ranges: Imaging ranges; those of light and printer act on the patch alone, since the
            photograph has its own.
        frame: [M] frame of each patch.
        centre: [M,2] x, y in pixels.
        side: [M] in pixels.
        roll_rad: [M].
        generator: Source of the draws.
        device: Where colours and light live; the draws do not depend on it.
        cloth: How far control points of the print stray, as a share of its side.
        printer: Through which the patch goes before it is placed; None where it is unknown.
    """
    count = len(side)
    gain, printed = print_responses(ranges, printer, count, generator)
    light, light_bias = colour_transforms(ranges, count, generator)
    matrix = light * gain[:, None]
    bias = np.einsum("mij,mj->mi", light, printed) + light_bias
    fields = light_fields(ranges, count, generator)
    noise_sd = ranges.noise_sd.sample(generator, count)

    noise_seed = int(generator.integers(1 << 31))
    bends = generator.uniform(-cloth, cloth, (count, CONTROL**2, 2))

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).float().to(device, non_blocking=True)

    return Tiles(
        torch.from_numpy(frame).long(),
        torch.from_numpy(centre).float(),
        torch.from_numpy(side).float(),
        torch.from_numpy(roll_rad).float(),
        tensor(matrix),
        tensor(bias),
        tensor(fields),
        tensor(noise_sd),
        noise_seed,
        torch.from_numpy(bends).float() if cloth else None,
    )


def _grid(tiles: Tiles) -> Tensor:
    """[M,t,t,2] place of every tile pixel on the patch, in shares of its side from its middle."""
    device = tiles.matrix.device
    pixels = torch.arange(tiles.tile_px, device=device) + 0.5
    offset = (tiles.corners - tiles.centre).to(device, non_blocking=True)
    x = (offset[:, :1] + pixels)[:, None, :]
    y = (offset[:, 1:] + pixels)[:, :, None]
    cos, sin = (
        f(tiles.roll_rad).to(device, non_blocking=True)[:, None, None]
        for f in (torch.cos, torch.sin)
    )
    size = tiles.side.to(device, non_blocking=True)[:, None, None]
    place = torch.stack([(cos * x + sin * y) / size, (cos * y - sin * x) / size], dim=-1)
    if tiles.cloth is None:
        return place
    return place + displacement(place, tiles.cloth.to(device, non_blocking=True))


def render_tiles(colours: Tensor, tiles: Tiles) -> tuple[Tensor, Tensor]:
    """Every patch as it is seen, and how much of each pixel it covers.

    Args:
        colours: [3,C,C] the print, in [0,1].
        tiles: The sampled places.

    Returns:
        Colours [M,3,t,t] in [0,1], differentiable in ``colours``, and coverage [M,1,t,t].
    """
    place = _grid(tiles)
    edge = (0.5 - place.abs()) * tiles.side.to(place.device, non_blocking=True)[
        :, None, None, None
    ] + 0.5
    coverage = edge.clamp(0, 1).prod(dim=-1)[:, None]
    levels = (colours.shape[-1] / tiles.side).log2().round().clamp(min=0).long()
    seen = colours.new_empty((len(tiles), 3, tiles.tile_px, tiles.tile_px))
    for level in levels.unique().tolist():
        chosen = (levels == level).nonzero()[:, 0].to(place.device, non_blocking=True)
        factor = 2**level
        while factor > 1 and colours.shape[-1] < factor * _LEAST_LEVEL_TX:
            factor //= 2
        texture = F.avg_pool2d(colours[None], factor) if factor > 1 else colours[None]
        sampled = F.grid_sample(
            texture.expand(len(chosen), -1, -1, -1),
            2 * place[chosen],
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        seen = seen.index_copy(0, chosen, sampled)
    light = F.interpolate(tiles.light, size=seen.shape[-2:], mode="bilinear", align_corners=False)
    lit = torch.einsum("mij,mjhw->mihw", tiles.matrix, seen) * light
    generator = torch.Generator(device="cpu").manual_seed(tiles.noise_seed)
    noise = torch.randn(seen.shape, generator=generator).to(seen.device, non_blocking=True)
    lit = lit + tiles.bias[:, :, None, None] + noise * tiles.noise_sd[:, None, None, None]
    return lit.clamp(0, 1), coverage


class _Paste(torch.autograd.Function):
    """Blend tiles into frames one after another; the gradient reaches the tiles alone."""

    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, seen: Tensor, coverage: Tensor, frame: Tensor, corners: Tensor
    ) -> Tensor:
        out = frames.clone()
        places = [
            _overlap(int(b), int(x), int(y), seen.shape[-1], frames.shape[-2], frames.shape[-1])
            for b, (x, y) in zip(frame.tolist(), corners.tolist(), strict=True)
        ]
        for m, (there, here) in enumerate(places):
            alpha = coverage[(m, slice(None), *here)]
            out[there] = out[there] * (1 - alpha) + seen[(m, slice(None), *here)] * alpha
        ctx.save_for_backward(coverage)
        ctx.places = places
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (coverage,) = ctx.saved_tensors
        left = gradient.clone()
        tiles = coverage.new_zeros((coverage.shape[0], 3, *coverage.shape[-2:]))
        for m, (there, here) in reversed(list(enumerate(ctx.places))):
            alpha = coverage[(m, slice(None), *here)]
            tiles[(m, slice(None), *here)] = left[there] * alpha
            left[there] *= 1 - alpha  # what lies under a later patch gets the rest
        return None, tiles, None, None, None


def _overlap(
    frame: int, x: int, y: int, side: int, height: int, width: int
) -> tuple[tuple[Any, ...], tuple[slice, slice]]:
    """Indices of a tile's part inside its frame: into the frames, and into the tile."""
    top, bottom = min(max(y, 0), height), max(min(y + side, height), 0)
    left, right = min(max(x, 0), width), max(min(x + side, width), 0)
    there = (frame, slice(None), slice(top, max(bottom, top)), slice(left, max(right, left)))
    here = (slice(top - y, max(bottom, top) - y), slice(left - x, max(right, left) - x))
    return there, here


def paste_tiles(frames: Tensor, seen: Tensor, coverage: Tensor, tiles: Tiles) -> Tensor:
    """Put rendered patches into frames, later ones over earlier ones.

    Args:
        frames: [B,3,H,W].
        seen: [M,3,t,t] from ``render_tiles``.
        coverage: [M,1,t,t] from ``render_tiles``.
        tiles: Their places.

    Returns:
        [B,3,H,W]; the gradient reaches ``seen`` alone.
    """
    pasted: Tensor = _Paste.apply(frames, seen, coverage, tiles.frame, tiles.corners)
    return pasted
