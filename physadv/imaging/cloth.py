"""Cloth: a thin-plate spline that bends a print, as displacements of a grid of control points."""

from functools import lru_cache

import torch
from torch import Tensor

CONTROL = 4
"""Control points along a side, from edge to edge of the print."""


def _controls() -> Tensor:
    line = torch.linspace(-0.5, 0.5, CONTROL, dtype=torch.float64)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def _kernel(points: Tensor, controls: Tensor) -> Tensor:
    """U(r) = r^2 log r of [..., 2] points and [K, 2] controls, [..., K]."""
    squared = (points[..., None, :] - controls).square().sum(dim=-1)
    return 0.5 * squared * squared.clamp(min=1e-12).log()


@lru_cache(maxsize=1)
def _solution() -> Tensor:
    """[K+3, K] coefficients of kernel and plane for unit displacements of each control point."""
    controls = _controls()
    count = len(controls)
    plane = torch.cat([torch.ones(count, 1, dtype=torch.float64), controls], dim=1)
    system = torch.zeros(count + 3, count + 3, dtype=torch.float64)
    system[:count, :count] = _kernel(controls, controls)
    system[:count, count:] = plane
    system[count:, :count] = plane.T
    return torch.linalg.inv(system)[:, :count]


def displacement(place: Tensor, cloth: Tensor) -> Tensor:
    """How far the spline moves points.

    Args:
        place: [M,h,w,2] x, y on the print, in shares of its side from its middle.
        cloth: [M,K,2] displacements of the ``CONTROL`` x ``CONTROL`` points, row by row, in the
            same measure.

    Returns:
        [M,h,w,2]; equal to ``cloth`` at the control points.

    References:
        Bookstein, Principal Warps, IEEE PAMI 1989, eq. 5; as in Hu et al. (AdvTexture), CVPR 2022.
    """
    coefficients = _solution().to(cloth, non_blocking=True) @ cloth
    near = _kernel(place, _controls().to(place, non_blocking=True))
    bent = torch.einsum("mhwk,mkd->mhwd", near, coefficients[:, :-3])
    flat = coefficients[:, None, None, -3] + torch.einsum(
        "mhwc,mcd->mhwd", place, coefficients[:, -2:]
    )
    return bent + flat
