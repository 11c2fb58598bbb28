"""Rules for several victims."""

import numpy as np
import pytest
import torch

from physadv.checks import UsageError
from physadv.objective.ensemble import asked_of, weights_of


def test_who_is_asked():
    lots = np.random.default_rng(0)
    drawn = [tuple(asked_of("random", 3, lots)) for _ in range(3000)]
    assert sorted(set(drawn)) == [(0,), (1,), (2,)]
    assert min(drawn.count(one) for one in set(drawn)) > 900
    assert list(asked_of("mean", 3, lots)) == list(asked_of("max", 3, lots)) == [0, 1, 2]
    with pytest.raises(UsageError, match="mean, max, random"):
        asked_of("median", 2, lots)


def test_the_maximum_has_the_gradient_of_the_worst_alone():
    place = torch.tensor([1.0, 5.0, 2.0], requires_grad=True)
    losses = list(place)
    weights = weights_of("max", losses)
    sum(w * loss for w, loss in zip(weights, losses, strict=True)).backward()
    assert place.grad.tolist() == [0, 1, 0]


def test_lots_have_the_means_gradient_as_their_expectation():
    place = torch.tensor([1.0, 5.0], requires_grad=True)
    (mean,) = torch.autograd.grad(
        sum(w * v for w, v in zip(weights_of("mean", list(place)), place, strict=True)), place
    )
    parts = []
    for index in (0, 1):
        (weight,) = weights_of("random", [place[index]])
        parts.append(torch.autograd.grad(weight * place[index], place)[0])
    assert torch.equal(torch.stack(parts).mean(dim=0), mean)
