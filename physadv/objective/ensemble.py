"""Several victims in one loss: which are asked at a step, and what each weighs."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from physadv.checks import check_name

Ensemble = Literal["mean", "max", "random"]
ENSEMBLES: tuple[Ensemble, ...] = ("mean", "max", "random")


def asked_of(rule: Ensemble, count: int, generator: np.random.Generator) -> range:
    """The victims, of ``count``, that are asked at a step: one by lot under ``random``, else all.

    Raises:
        UsageError: If there is no such rule.
    """
    check_name("ensemble", rule, ENSEMBLES)
    if rule != "random":
        return range(count)
    first = int(generator.integers(count))
    return range(first, first + 1)


def weights_of(rule: Ensemble, losses: Sequence[Tensor]) -> list[float | Tensor]:
    """Weights of the scalar losses of the victims that were asked.

    ``mean`` and ``random`` weigh them alike, so that asking one by lot has the mean's gradient as
    its expectation at a share of its cost; ``max`` counts the victim that is fooled least, the
    first of several. Which one it is stays on the device.
    """
    if rule != "max":
        return [1 / len(losses)] * len(losses)
    values = torch.stack([loss.detach() for loss in losses])
    worst = torch.arange(len(losses), device=values.device) == values.argmax()
    return list(worst.to(values.dtype).unbind())
