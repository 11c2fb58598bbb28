"""Colours that a printer can give: a model of its gamut, palettes of K colours, NPS centres."""

from functools import lru_cache
from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from physadv.checks import UsageError, check_range

Array = npt.NDArray[np.float64]

MIN_COLOURS, MAX_COLOURS = 2, 32
_CHART_LEVELS = 6
_YULE_NIELSEN = 1.7
_D50 = np.array([0.9642, 1.0, 0.8249])

# CIELAB (D50, 2 degrees) of solid inks and overprints on coated paper, close to the aims of ISO
# 12647-2:2004 for paper types 1 and 2 on black backing. An assumption, not a measurement: it stands
# in for an office colour laser, whose toner is near these inks, until a printer is calibrated.
_INKS_LAB = {
    "": (93.0, 0.0, -3.0),
    "c": (54.0, -36.0, -49.0),
    "m": (46.0, 72.0, -5.0),
    "y": (87.0, -6.0, 90.0),
    "my": (46.0, 67.0, 47.0),
    "cy": (49.0, -66.0, 24.0),
    "cm": (24.0, 16.0, -45.0),
    "cmy": (23.0, 0.0, 0.0),
    "k": (16.0, 0.0, 0.0),
}


def _lab_to_xyz(lab: Array) -> Array:
    """[N,3] CIELAB to XYZ relative to D50 (CIE 15:2004, 8.2.1)."""
    fy = (lab[:, 0] + 16) / 116
    f = np.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], axis=1)
    delta = 6 / 29
    return np.where(f > delta, f**3, 3 * delta**2 * (f - 4 / 29)) * _D50


def _xyz_to_srgb(xyz: Array) -> Array:
    """[N,3] XYZ (D50) to sRGB in [0,1]; colours outside sRGB are clipped per channel.

    The matrix includes the Bradford adaptation to D65 (ICC sRGB profile; Lindbloom).
    """
    matrix = np.array(
        [
            [3.1338561, -1.6168667, -0.4906146],
            [-0.9787684, 1.9161415, 0.0334540],
            [0.0719453, -0.2289914, 1.4052427],
        ]
    )
    linear = np.clip(xyz @ matrix.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.clip(encoded, 0, 1)


def printed_colours(device_rgb: Array) -> Array:
    """What an assumed office printer makes of device RGB.

    Full grey replacement (K = min of C, M, Y), then the Yule-Nielsen modified Neugebauer equations
    over inks close to ISO 12647-2 on coated paper: assumed, not measured.

    Args:
        device_rgb: [N,3] in [0,1], what is sent to the printer.

    Returns:
        [N,3] sRGB in [0,1], what is seen on the paper in daylight (CIELAB absolute: paper white is
        below 1, solid black above 0).

    References:
        Yule & Nielsen, The penetration of light into paper, TAGA 1951; Neugebauer 1937; Sharma,
        Digital Color Imaging Handbook, 2003, 3.6.
    """
    cmy = 1 - np.asarray(device_rgb, dtype=np.float64)
    black = cmy.min(axis=1, keepdims=True)
    chroma = np.divide(cmy - black, 1 - black, out=np.zeros_like(cmy), where=black < 1)
    inks = list(_INKS_LAB)
    roots = _lab_to_xyz(np.array([_INKS_LAB[ink] for ink in inks])) ** (1 / _YULE_NIELSEN)
    mixed = np.zeros_like(cmy)
    for ink, root in zip(inks, roots, strict=True):
        if ink == "k":
            share = black[:, 0]
        else:
            covered = [
                chroma[:, i] if name in ink else 1 - chroma[:, i] for i, name in enumerate("cmy")
            ]
            share = (1 - black[:, 0]) * covered[0] * covered[1] * covered[2]
        mixed += share[:, None] * root
    return _xyz_to_srgb(mixed**_YULE_NIELSEN)


@lru_cache(maxsize=1)
def chart_colours() -> Array:
    """[216,3] sRGB of the printed 6 x 6 x 6 chart, read-only; first black, last paper white."""
    levels = np.linspace(0, 1, _CHART_LEVELS)
    device = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    colours = printed_colours(device)
    colours.setflags(write=False)
    return colours


@lru_cache(maxsize=1)
def _ordered_colours() -> Array:
    """[32,3] black, white, then each time the chart colour farthest from all before it."""
    chart = chart_colours()
    chosen = [0, len(chart) - 1]
    nearest = np.linalg.norm(chart[:, None] - chart[chosen], axis=2).min(axis=1)
    while len(chosen) < MAX_COLOURS:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(chart - chart[chosen[-1]], axis=1))
    return chart[chosen]


def _as_8_bit(colours: Array) -> Tensor:
    """Nearest colours that an 8-bit file holds exactly, float32."""
    return torch.from_numpy((np.round(colours * 255) / 255).astype(np.float32))


@overload
def palette_for(spec: str | int) -> Tensor: ...
@overload
def palette_for(spec: None) -> None: ...
def palette_for(spec: str | int | None) -> Tensor | None:
    """The K printable colours of a palette.

    The order is fixed: black (solid K, L* 16), white (bare paper, L* 93), then farthest point
    first (Gonzalez 1985) among the colours of the printed chart, so that each palette contains the
    smaller ones. See ``printed_colours`` for what is assumed of the printer.

    Args:
        spec: K from 2 to 32, as a number or as text; None for no palette.

    Returns:
        [K,3] float32 sRGB in [0,1], each value a multiple of 1/255; None for None.

    Raises:
        UsageError: If ``spec`` is not a whole number.
        UserError: If K is out of range.
    """
    if spec is None:
        return None
    try:
        count = int(spec)
    except ValueError as error:
        raise UsageError(
            f"palette {spec!r}",
            "no such palette",
            f"Known: rgb, grey, or a number of colours from {MIN_COLOURS} to {MAX_COLOURS}.",
        ) from error
    check_range("palette", count, MIN_COLOURS, MAX_COLOURS, "colours")
    return _as_8_bit(_ordered_colours()[:count])


def check_printer(palette: str, printer: bool) -> None:
    """Check that colours are not taken through a printer twice.

    Raises:
        UsageError: If a palette of K colours, which are those on paper, meets a printer's profile.
    """
    if printer and palette.isdecimal():
        raise UsageError(
            f"a palette of {palette} colours through a printer's profile",
            "its colours are already those of paper",
            "Leave --palette or --printer out.",
        )


def _cluster_centres(points: Array, centres: Array) -> Array:
    """Lloyd's k-means of [N,3] points from the given [K,3] centres, to convergence."""
    labels = np.full(len(points), -1)
    while True:
        nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(axis=1)
        if np.array_equal(nearest, labels):
            return centres
        labels = nearest
        centres = np.stack(
            [
                points[labels == k].mean(axis=0) if np.any(labels == k) else centres[k]
                for k in range(len(centres))
            ]
        )


PRINTABLE_30: Tensor = torch.from_numpy(
    _cluster_centres(chart_colours(), _ordered_colours()[:30]).astype(np.float32)
)
"""[30,3] float32 sRGB: k-means centres of the printed chart, for the non-printability score
(Sharif et al. 2016 printed and measured theirs; these come from the assumed printer)."""


def palette_record(palette: str) -> str | list[str]:
    """ "rgb", "grey", or the palette's colours as #rrggbb: what a noise control may print."""
    if palette in ("rgb", "grey"):
        return palette
    colours = (palette_for(palette).numpy() * 255).round().astype(int)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colours]
