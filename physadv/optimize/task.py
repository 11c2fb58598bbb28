"""What the loop needs to know about what it optimises."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from physadv.artwork.parameterization import Parameterization
from physadv.objective.terms import Terms

Progress = Callable[[str, int, int, dict[str, Any]], None]
"""Called as (stage, step, steps, figures) after logged steps."""


@dataclass(frozen=True)
class Estimate:
    """The terms of one batch, and the share of it in which every victim is fooled.

    Scalars on the task's device; reading one waits for the device, so the loop reads few.
    """

    terms: Terms
    success: Tensor


class Schedule(Protocol):
    """How long and how fast; see ``Settings``."""

    @property
    def steps(self) -> int: ...

    @property
    def seed(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def final_learning_rate(self) -> float: ...

    @property
    def checkpoint_every(self) -> int: ...

    @property
    def held_out_every(self) -> int: ...


class Task(Protocol):
    """Colours to optimise, and how to try them; all else about a problem stays behind it."""

    @property
    def parameterization(self) -> Parameterization: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def mask(self) -> Tensor:
        """[1,T,T] where something is printed; kept in the checkpoint."""
        ...

    def estimate(self, colours: Tensor, stage: str, step: int) -> Estimate:
        """Loss of ``colours`` [3,C,C] on the batch of this step, differentiable."""
        ...

    def held_out(self, colours: Tensor) -> tuple[float, float]:
        """Success and loss on fixed views that no step draws; without gradient."""
        ...
