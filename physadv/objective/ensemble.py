"""Several victims in one loss: which are asked at a step, and what each weighs."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from physadv.checks import check_name

Ensemble = Literal["mean", "max", "alternate"]
ENSEMBLES: tuple[Ensemble, ...] = ("mean", "max", "alternate")


def asked_at(rule: Ensemble, count: int, step: int) -> range:
    """The victims, of ``count``, that are asked at a step: one in turn to alternate, else all.

    Raises:
        UsageError: If there is no such rule.
    """
    check_name("ensemble", rule, ENSEMBLES)
    return range(step % count, step % count + 1) if rule == "alternate" else range(count)


def weights_of(rule: Ensemble, losses: Sequence[Tensor]) -> list[float]:
    """Weights of the scalar losses of the victims that were asked.

    ``mean`` and ``alternate`` weigh them alike, so that alternating has the mean's gradient as
    its expectation at a share of its cost; ``max`` counts the victim that is fooled least.
    """
    if rule != "max":
        return [1 / len(losses)] * len(losses)
    values = [float(loss.detach()) for loss in losses]
    worst = values.index(max(values))
    return [float(index == worst) for index in range(len(values))]
