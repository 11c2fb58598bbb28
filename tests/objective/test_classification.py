"""Losses against their definitions and autograd against finite differences."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from physadv.objective.classification import targeted_cross_entropy, targeted_margin
from physadv.objective.terms import Terms


@given(seed=st.integers(0, 1000), target=st.integers(0, 4), kappa=st.floats(0, 10))
def test_margin_is_the_definition(seed, target, kappa):
    logits = torch.from_numpy(np.random.default_rng(seed).normal(0, 4, (6, 5)))
    ours = targeted_margin(logits, target, kappa)
    for row, value in zip(logits.tolist(), ours.tolist(), strict=True):
        best = max(z for j, z in enumerate(row) if j != target)
        assert abs(value - max(best - row[target] + kappa, 0)) < 1e-9


def test_margin_is_zero_exactly_when_the_target_leads_by_kappa():
    logits = torch.tensor([[0.0, 5.0, 1.0], [0.0, 5.01, 0.0], [9.0, 5.0, 0.0]])
    assert (targeted_margin(logits, 1, 5.0) == 0).tolist() == [False, True, False]


def test_cross_entropy_equals_scipy():
    logits = torch.randn(7, 9, dtype=torch.float64)
    theirs = -log_softmax(logits.numpy(), axis=1)[:, 3]
    assert np.allclose(targeted_cross_entropy(logits, 3).numpy(), theirs)


def test_gradients():
    logits = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: targeted_margin(z, 2, 3.0), logits)
    assert torch.autograd.gradcheck(lambda z: targeted_cross_entropy(z, 2), logits)


def test_terms_sum_with_weights_and_report_each():
    terms = Terms({"a": torch.tensor(2.0), "b": torch.tensor(3.0)}, {"b": 0.5})
    assert float(terms.total()) == 3.5
    assert terms.logged() == {"a": 2.0, "b": 3.0}
