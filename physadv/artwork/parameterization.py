"""From optimiser parameters to printed colours: free RGB, greyscale, a palette of K colours."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from physadv.artwork.palette import palette_for

INITIAL_GREY = 0.5
INITIAL_SD = 0.02  # Thys et al. 2019 start from grey; the noise breaks ties between texels
# Plain values keep a margin from 0 and 1, which no print on paper reaches in daylight.
PRINTABLE_LOW, PRINTABLE_HIGH = 0.05, 0.95
# Solid black and bare paper: see artwork.palette.
GREY_LOW, GREY_HIGH = 0.16, 0.92
_LOGIT_BOUND = 4.0


class Parameterization(Protocol):
    """How raw parameters, which an optimiser may move freely, stand for C x C colours."""

    @property
    def size(self) -> int:
        """C, the number of colour texels along a side."""
        ...

    @property
    def rate(self) -> float:
        """Length of the raw parameters' range: what a learning rate per unit is multiplied by."""
        ...

    def initial(self, generator: np.random.Generator) -> Tensor:
        """Raw parameters to start from, float32 on the CPU."""
        ...

    def colours(self, raw: Tensor, hardness: float | None = None) -> Tensor:
        """[3,C,C] sRGB in [0,1], equal to ``hard(raw)``, differentiable in ``raw``.

        ``hardness`` is the inverse temperature of the softmax that the gradient of a palette
        follows (None: the parameterization's own); the others ignore it.
        """
        ...

    def hard(self, raw: Tensor) -> Tensor:
        """[3,C,C] what is printed: 8-bit values, or palette colours only. Without gradient."""
        ...

    def project_(self, raw: Tensor) -> None:
        """Bring ``raw`` back into its range, in place; call it after each optimiser step."""
        ...


def straight_through(forward: Tensor, backward: Tensor) -> Tensor:
    """The value of ``forward`` bit for bit, with the gradient of ``backward``.

    References:
        Bengio, Leonard & Courville, Estimating or Propagating Gradients Through Stochastic
        Neurons, arXiv 1308.3432, 2013.
    """
    return forward.detach() + (backward - backward.detach())


def to_8_bit(colours: Tensor) -> Tensor:
    """Round values in [0,1] to multiples of 1/255."""
    return (colours * 255).round() / 255


def upsample(colours: Tensor, size: int) -> Tensor:
    """Repeat [...,C,C] texels to [...,size,size]: hard squares, as printed.

    Raises:
        ValueError: If ``size`` is not a multiple of C.
    """
    if size % colours.shape[-1]:
        raise ValueError(f"size {size} is not a multiple of {colours.shape[-1]} colour texels")
    factor = size // colours.shape[-1]
    return colours.repeat_interleave(factor, -2).repeat_interleave(factor, -1)


def _check_box(size: int, low: float, high: float) -> None:
    if size < 1 or not 0 <= low < high <= 1:
        raise ValueError(
            f"size {size}, range [{low}, {high}]: need size >= 1 and 0 <= low < high <= 1"
        )


@dataclass(frozen=True)
class FreeRgb:
    """Any colour with channels in [low, high]; raw [3,C,C] are the values themselves.

    Values are clamped after each step rather than squashed (RP2's and Thys et al.'s choice): no
    gradient is lost near the ends of the range.
    """

    size: int
    low: float = PRINTABLE_LOW
    high: float = PRINTABLE_HIGH
    rate: float = 1.0

    def __post_init__(self) -> None:
        _check_box(self.size, self.low, self.high)

    def initial(self, generator: np.random.Generator) -> Tensor:
        """[3,C,C] grey 0.5 + N(0, 0.02)."""
        return _grey_noise(generator, 3, self.size).clamp_(self.low, self.high)

    def colours(self, raw: Tensor, hardness: float | None = None) -> Tensor:
        """[3,C,C]; the gradient passes clamping and 8-bit rounding unchanged."""
        return straight_through(self.hard(raw), raw)

    def hard(self, raw: Tensor) -> Tensor:
        """[3,C,C] clamped to the range and rounded to 8 bits."""
        return to_8_bit(raw.detach().clamp(self.low, self.high))

    @torch.no_grad()
    def project_(self, raw: Tensor) -> None:
        """Clamp to [low, high]."""
        raw.clamp_(self.low, self.high)


@dataclass(frozen=True)
class Greyscale:
    """Greys between a solid black and bare paper; raw [1,C,C] are the values themselves."""

    size: int
    low: float = GREY_LOW
    high: float = GREY_HIGH
    rate: float = 1.0

    def __post_init__(self) -> None:
        _check_box(self.size, self.low, self.high)

    def initial(self, generator: np.random.Generator) -> Tensor:
        """[1,C,C] grey 0.5 + N(0, 0.02)."""
        return _grey_noise(generator, 1, self.size).clamp_(self.low, self.high)

    def colours(self, raw: Tensor, hardness: float | None = None) -> Tensor:
        """[3,C,C] with equal channels; the gradient passes clamping and rounding unchanged."""
        return straight_through(self.hard(raw), raw.expand(3, -1, -1))

    def hard(self, raw: Tensor) -> Tensor:
        """[3,C,C] clamped to the range and rounded to 8 bits."""
        return to_8_bit(raw.detach().clamp(self.low, self.high)).repeat(3, 1, 1)

    @torch.no_grad()
    def project_(self, raw: Tensor) -> None:
        """Clamp to [low, high]."""
        raw.clamp_(self.low, self.high)


@dataclass(frozen=True, eq=False)
class PaletteChoice:
    """One of K colours for each texel; raw [K,C,C] are logits.

    Forward the colour with the largest logit; backward the mean colour under
    softmax(hardness * logits). Logits are kept within 4 of the largest after each step, as
    BinaryConnect bounds its weights (Courbariaux et al. 2015): beyond that they would change
    nothing and only make a texel slow to turn back.

    ``palette`` [K,3] sRGB in [0,1], K >= 2.

    References:
        Straight-through Gumbel-softmax without the noise: Jang, Gu & Poole, ICLR 2017, sec. 2.2.
    """

    palette: Tensor
    size: int
    hardness: float = 1.0
    rate: float = _LOGIT_BOUND

    def __post_init__(self) -> None:
        if self.palette.ndim != 2 or self.palette.shape[1] != 3 or len(self.palette) < 2:
            raise ValueError(f"palette must be [K,3] with K >= 2, got {list(self.palette.shape)}")
        if self.size < 1 or self.hardness <= 0:
            raise ValueError(f"size {self.size} and hardness {self.hardness} must be above 0")

    def initial(self, generator: np.random.Generator) -> Tensor:
        """[K,C,C] N(0, 0.02): every colour as likely as any other."""
        shape = (len(self.palette), self.size, self.size)
        return torch.from_numpy(generator.normal(0.0, INITIAL_SD, shape).astype(np.float32))

    def colours(self, raw: Tensor, hardness: float | None = None) -> Tensor:
        """[3,C,C] palette colours only, with the gradient of the softmax mixture."""
        sharpness = self.hardness if hardness is None else hardness
        soft = torch.einsum(
            "kij,kc->cij", (sharpness * raw).softmax(dim=0), self.palette.to(raw, non_blocking=True)
        )
        return straight_through(self.hard(raw), soft)

    def hard(self, raw: Tensor) -> Tensor:
        """[3,C,C] the colour with the largest logit (ties: the first)."""
        return self.palette.to(raw, non_blocking=True)[raw.detach().argmax(dim=0)].permute(2, 0, 1)

    @torch.no_grad()
    def project_(self, raw: Tensor) -> None:
        """Shift the logits of each texel so that the largest is 0, and clamp the rest to >= -4."""
        raw.sub_(raw.amax(dim=0, keepdim=True)).clamp_(min=-_LOGIT_BOUND)


def _grey_noise(generator: np.random.Generator, channels: int, size: int) -> Tensor:
    noise = generator.normal(INITIAL_GREY, INITIAL_SD, (channels, size, size))
    return torch.from_numpy(noise.astype(np.float32))


def parameterization_of(palette: str, size: int) -> Parameterization:
    """The parameterization of ``size`` x ``size`` colours for ``rgb``, ``grey`` or K colours.

    Raises:
        UsageError: If the palette is none of these.
    """
    if palette == "rgb":
        return FreeRgb(size)
    if palette == "grey":
        return Greyscale(size)
    return PaletteChoice(palette_for(palette), size)
