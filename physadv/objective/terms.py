"""The weighted sum that is minimised, with every term reported on its own."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Terms:
    """Named scalar tensors and their weights; the loss is their weighted sum."""

    values: Mapping[str, Tensor]
    weights: Mapping[str, float | Tensor]

    def total(self) -> Tensor:
        """The weighted sum; a name without a weight counts once."""
        parts = [self.weights.get(name, 1.0) * value for name, value in self.values.items()]
        return sum(parts[1:], start=parts[0])

    def logged(self) -> dict[str, float]:
        """Each term as a float, unweighted."""
        return {name: round(float(value.detach()), 6) for name, value in self.values.items()}
