"""What is optimised against what: the frozen inputs of one run, and its settings."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from physadv.artwork.parameterization import Parameterization
from physadv.imaging.texture import Sheet, prepare
from physadv.scene.schema import Scene
from physadv.victim.protocol import ClassifierVictim


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

    ``steps`` of Adam with ``views`` renderings of ``size_px`` each; the learning rate falls from
    ``learning_rate`` to ``final_learning_rate`` as a cosine. Every ``held_out_every`` steps the
    artwork as it would be printed is tried on ``held_out_views`` fixed views; the best is kept.
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


@dataclass(frozen=True)
class Opponent:
    """A victim with the classes that matter, as indices into its outputs."""

    victim: ClassifierVictim
    true_index: int
    target_index: int


@dataclass(frozen=True)
class Problem:
    """Everything that stays fixed while one stage is optimised.

    ``face`` [4,T,T] RGBA in [0,1]; ``mask`` [1,T,T] in {0,1}; ``backgrounds`` [P,3,s,s].
    """

    scene: Scene
    opponents: tuple[Opponent, ...]
    face: Tensor
    mask: Tensor
    parameterization: Parameterization
    backgrounds: Tensor
    weights: Weights
    device: torch.device

    @cached_property
    def sheet(self) -> Sheet:
        """Face and mask, filtered for views as large as the backgrounds."""
        size_px = self.backgrounds.shape[-1]
        return prepare(self.face, self.mask, size_px, self.scene.colour_texels)

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
