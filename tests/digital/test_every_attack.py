"""Wrong requests that no attack may take, and single images that every attack must."""

import inspect

import pytest
import torch

from physadv.checks import UserError
from physadv.digital.catalog import ATTACKS, WITH_BUDGET

FAST = {
    "carlini-wagner": {"rounds": 1, "steps": 4},
    "carlini-wagner-linf": {"rounds": 1, "steps": 4},
    "carlini-wagner-l0": {"rounds": 1, "steps": 4},
    "ddn": {"steps": 4},
    "hop-skip-jump": {"iterations": 1, "probes": 8},
    "square": {"queries": 4},
}
COUNTS = {"steps", "queries", "iterations", "rounds", "restarts", "draws", "probes"}


def call(name, model, images, labels, **more):
    budget = {"eps": 0.1} if name in WITH_BUDGET else {}
    return ATTACKS[name](model, images, labels, **{**budget, **FAST.get(name, {}), **more})


@pytest.mark.parametrize("name", WITH_BUDGET)
@pytest.mark.parametrize("eps", [-0.1, float("nan"), float("inf")])
def test_budgets(known, name, eps):
    with pytest.raises(UserError, match="eps"):
        call(name, known.model, known.images, known.labels, eps=eps)


@pytest.mark.parametrize("name", ATTACKS)
def test_counts_of_what_is_done(known, name):
    for option in COUNTS & inspect.signature(ATTACKS[name]).parameters.keys():
        for value in (-3, 0):
            with pytest.raises(UserError, match=option):
                call(name, known.model, known.images, known.labels, **{option: value})


@pytest.mark.parametrize("name", ATTACKS)
def test_labels_beyond_the_outputs(known, name):
    with pytest.raises(UserError, match="0 to 2"):
        call(name, known.model, known.images, known.labels + 1)
    with pytest.raises(UserError, match="from 0"):
        call(name, known.model, known.images, known.labels - 1)


@pytest.mark.parametrize(
    "name", [n for n in ATTACKS if "targets" in inspect.signature(ATTACKS[n]).parameters]
)
def test_targets_that_are_the_label(known, name):
    targets = (known.labels + 1) % 3
    targets[7] = known.labels[7]
    with pytest.raises(UserError, match="sample 7"):
        call(name, known.model, known.images, known.labels, targets=targets)


@pytest.mark.parametrize("name", ATTACKS)
def test_models_that_return_more_than_logits(known, name):
    with pytest.raises(UserError, match="tuple"):
        call(name, lambda x: (known.model(x), x), known.images, known.labels)


@pytest.mark.parametrize("name", ATTACKS)
def test_models_elsewhere(known, name):
    elsewhere = torch.nn.Linear(3, 3, device="meta")
    with pytest.raises(UserError, match="one device"):
        call(name, elsewhere, known.images, known.labels)


@pytest.mark.parametrize("name", ATTACKS)
def test_one_image_that_is_half_precision_and_not_contiguous(known, name):
    """Alone, as a view of other memory, in float16: attacked like its float32 copy."""
    half = known.images[4:5].half()
    strided = half.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert not strided.is_contiguous()
    before = strided.clone()
    found = call(name, known.model, strided, known.labels[4:5])
    plain = call(name, known.model, half.float(), known.labels[4:5])
    assert found.images.shape == (1, 3, 8, 8)
    assert found.images.dtype == torch.float32
    assert torch.equal(found.images, plain.images)
    assert found.status == plain.status
    assert torch.equal(strided, before)
