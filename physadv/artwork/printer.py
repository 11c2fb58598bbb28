"""How a printer and a camera change colours: a measured profile as a differentiable stage."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from physadv.artwork.palette import PRINTABLE_30
from physadv.checks import UserError
from physadv.data.files import read_json, write_json

FORMAT = "physadv printer 1"
Kind = Literal["affine", "linear-light affine", "polynomial", "network"]
KINDS: tuple[Kind, ...] = ("affine", "linear-light affine", "polynomial", "network")

Matrix = tuple[tuple[float, ...], ...]
_EPS = 1e-4


@dataclass(frozen=True)
class PrinterProfile:
    """From sRGB colours sent to a printer to those that a camera sees on the paper.

    ``kind`` names the model: ``affine`` in sRGB (REAP), ``linear-light affine`` (Armory),
    ``polynomial`` of third degree, or a ``network`` of one hidden layer that adds to what was sent
    (SLAP). ``weights`` are its matrices, row by row. ``palette`` [K][3] are colours that the
    printer gives, ``residual_sd`` [3] the spread of colours around what models foretold that were
    not shown them, and ``delta_e`` the mean CIEDE2000 of such colours.
    """

    kind: Kind
    weights: tuple[Matrix, ...]
    palette: Matrix
    residual_sd: tuple[float, float, float]
    delta_e: float

    def apply(self, colours: Tensor) -> Tensor:
        """[3,C,C] in [0,1], sRGB, as sent -> as seen; differentiable."""
        flat = colours.flatten(1).T
        weights = [torch.tensor(matrix).to(flat, non_blocking=True) for matrix in self.weights]
        seen = respond(self.kind, weights, flat)
        return seen.T.reshape(colours.shape)

    def palette_tensor(self, like: Tensor) -> Tensor:
        """[K,3] ``palette`` on the device and of the type of ``like``."""
        return torch.tensor(self.palette).to(like, non_blocking=True)


def printable_colours(printer: PrinterProfile | None, like: Tensor) -> Tensor:
    """[K,3] what a printer gives, to score colours on paper by; without one an assumed gamut."""
    return (
        PRINTABLE_30.to(like, non_blocking=True)
        if printer is None
        else printer.palette_tensor(like)
    )


def features(kind: Kind, colours: Tensor) -> Tensor:
    """[N,F] what a model is linear in, for [N,3] colours; a constant is the last column."""
    one = torch.ones_like(colours[:, :1])
    if kind == "linear-light affine":
        return torch.cat([linear_light(colours), one], dim=1)
    if kind == "polynomial":
        r, g, b = colours.unbind(dim=1)
        second = [r * r, g * g, b * b, r * g, g * b, b * r]
        third = [r**3, g**3, b**3, r * r * g, r * r * b, g * g * r, g * g * b, b * b * r, b * b * g]
        mixed = torch.stack([*second, *third, r * g * b], dim=1)
        return torch.cat([colours, mixed, one], dim=1)
    return torch.cat([colours, one], dim=1)


def respond(kind: Kind, weights: list[Tensor], colours: Tensor) -> Tensor:
    """[N,3] what a model makes of [N,3] colours, in [0,1]."""
    if kind == "network":
        hidden, out = weights
        seen = colours + features("affine", (features("affine", colours) @ hidden).tanh()) @ out
    else:
        seen = features(kind, colours) @ weights[0]
        if kind == "linear-light affine":
            seen = encoded(seen.clamp(0, 1))
    return seen.clamp(0, 1)


def linear_light(colours: Tensor) -> Tensor:
    """sRGB in [0,1] to linear light (IEC 61966-2-1)."""
    low = colours / 12.92
    return torch.where(colours <= 0.04045, low, ((colours.clamp(min=0) + 0.055) / 1.055) ** 2.4)


def encoded(light: Tensor) -> Tensor:
    """Linear light in [0,1] to sRGB; the gradient is finite at zero."""
    high = 1.055 * light.clamp(min=_EPS) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, 12.92 * light, high)


def save_profile(profile: PrinterProfile, path: Path, **about: Any) -> None:
    """Write a profile as JSON; ``about`` adds what is only to be read by people."""
    write_json(path, {"format": FORMAT, **asdict(profile), **about})


def load_profile(path: Path) -> PrinterProfile:
    """Read a profile that ``save_profile`` wrote.

    Raises:
        UserError: If the file is missing, another kind or version of file, or damaged.
    """
    content = read_json(path)
    version = content.get("format") if isinstance(content, dict) else None
    if version != FORMAT:
        raise UserError(
            f"read the printer in {path}",
            f"its format is {version!r}, this version reads {FORMAT!r}"
            if str(version).startswith(FORMAT.rstrip("0123456789"))
            else "not a printer's profile",
            "Give a file that `physadv calibrate printer` of this version wrote.",
        )
    try:
        profile = PrinterProfile(
            content["kind"],
            tuple(_matrix(matrix) for matrix in content["weights"]),
            _matrix(content["palette"]),
            tuple(float(value) for value in content["residual_sd"]),  # type: ignore[arg-type]
            float(content["delta_e"]),
        )
        if profile.kind not in KINDS or len(profile.residual_sd) != 3:
            raise ValueError(f"kind {profile.kind!r}, {len(profile.residual_sd)} channels")
        if not profile.palette or any(len(colour) != 3 for colour in profile.palette):
            raise ValueError("a palette that is not of colours")
        numbers = [v for colour in (*profile.palette, profile.residual_sd) for v in colour]
        if not all(map(math.isfinite, [*numbers, profile.delta_e])):
            raise ValueError("values that are not finite")
        probe = profile.apply(torch.linspace(0, 1, 12).reshape(3, 2, 2))
        if not torch.isfinite(probe).all():
            raise ValueError("values that are not finite")
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError) as error:
        raise UserError(
            f"read the printer in {path}",
            f"{type(error).__name__}: {error}",
            "Give a file that `physadv calibrate printer` wrote.",
        ) from error
    return profile


def _matrix(rows: Any) -> Matrix:
    return tuple(tuple(float(value) for value in row) for row in rows)
