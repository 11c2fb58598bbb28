"""What is optimised against what: the frozen inputs of one run, and its settings."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from physadv.artwork.parameterization import Parameterization
from physadv.artwork.printer import PrinterProfile
from physadv.imaging.framing import Framing
from physadv.imaging.texture import Sheet, prepare
from physadv.optimize.opponents import Opponent
from physadv.scene.schema import Scene


@dataclass(frozen=True)
class Weights:
    """Weights of the terms beside the victims' losses."""

    nps: float = 0.01
    tv: float = 0.02
    perceptibility: float = 0.0
    perceptibility_norm: int = 2


@dataclass(frozen=True)
class Settings:
    """How long and how hard to optimise.

    ``steps`` of Adam with ``views`` renderings of ``size_px`` each for classifiers, and
    ``windows`` of ``window_px`` for detectors; the learning rate falls from ``learning_rate`` to
    ``final_learning_rate`` as a cosine. Every ``held_out_every`` steps the artwork as it would be
    printed is tried on ``held_out_views`` fixed views (windows: ``held_out_windows``); the best is
    kept.
    """

    steps: int = 400
    views: int = 64
    size_px: int = 64
    seed: int = 0
    learning_rate: float = 0.03
    final_learning_rate: float = 1e-3
    kappa: float = 5.0
    checkpoint_every: int = 10
    held_out_every: int = 50
    held_out_views: int = 256
    windows: int = 8
    window_px: int = 320
    held_out_windows: int = 64


@dataclass(frozen=True)
class Audience:
    """Victims that are shown the same views: ``count`` at a time, ``held_out_count`` to select by.

    ``backgrounds`` [P,3,s,s] gives the views' size; ``keys`` are added to those of their draws, so
    that two audiences see different ones.
    """

    opponents: tuple[Opponent, ...]
    framing: Framing
    count: int
    held_out_count: int
    backgrounds: Tensor
    keys: tuple[str, ...] = ()

    @property
    def size_px(self) -> int:
        """Side of the square views."""
        return self.backgrounds.shape[-1]


@dataclass(frozen=True)
class Problem:
    """Everything that stays fixed while one stage is optimised.

    ``face`` [4,T,T] RGBA in [0,1]; ``mask`` [1,T,T] in {0,1}. ``printer`` is what becomes of the
    artwork's colours on paper; None leaves them as they are.
    """

    scene: Scene
    audiences: tuple[Audience, ...]
    face: Tensor
    mask: Tensor
    parameterization: Parameterization
    weights: Weights
    device: torch.device
    printer: PrinterProfile | None = None

    @property
    def opponents(self) -> tuple[Opponent, ...]:
        """Those of all audiences."""
        return tuple(o for audience in self.audiences for o in audience.opponents)

    @cached_property
    def sheets(self) -> tuple[Sheet, ...]:
        """Face and mask, filtered for the views of each audience."""
        texels = self.scene.colour_texels
        return tuple(prepare(self.face, self.mask, a.size_px, texels) for a in self.audiences)

    @cached_property
    def face_colours(self) -> Tensor:
        """[3,C,C] the face's own colours at the colour texels' resolution."""
        factor = self.scene.mask_texels // self.scene.colour_texels
        return torch.nn.functional.avg_pool2d(self.face[None, :3], factor)[0]

    @cached_property
    def colour_mask(self) -> Tensor:
        """[C,C] True where any part of a colour texel is stuck."""
        factor = self.scene.mask_texels // self.scene.colour_texels
        return torch.nn.functional.max_pool2d(self.mask[None], factor)[0, 0] > 0
