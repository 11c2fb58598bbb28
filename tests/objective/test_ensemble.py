"""Rules for several victims."""

import pytest
import torch

from physadv.checks import UsageError
from physadv.objective.ensemble import asked_at, weights_of


def test_who_is_asked():
    assert [list(asked_at("alternate", 3, step)) for step in range(4)] == [[0], [1], [2], [0]]
    assert list(asked_at("mean", 3, 7)) == list(asked_at("max", 3, 7)) == [0, 1, 2]
    with pytest.raises(UsageError, match="mean, max, alternate"):
        asked_at("median", 2, 0)


def test_the_maximum_has_the_gradient_of_the_worst_alone():
    place = torch.tensor([1.0, 5.0, 2.0], requires_grad=True)
    losses = list(place)
    weights = weights_of("max", losses)
    sum(w * loss for w, loss in zip(weights, losses, strict=True)).backward()
    assert place.grad.tolist() == [0, 1, 0]


def test_a_round_of_alternating_has_the_means_gradient():
    place = torch.tensor([1.0, 5.0], requires_grad=True)
    turns = [
        weights_of("alternate", [place[i]])
        for step in (0, 1)
        for i in asked_at("alternate", 2, step)
    ]
    assert turns == [[1.0], [1.0]]
    assert weights_of("mean", list(place)) == [0.5, 0.5]
