"""One clear error for each mistake, and none for what is merely unusual."""

import pytest
import torch
from torch import nn

from physadv.checks import UsageError, UserError
from physadv.digital.catalog import ATTACKS, WITH_BUDGET
from physadv.digital.fgsm import fgsm
from physadv.digital.hop_skip_jump import hop_skip_jump
from physadv.digital.pgd import pgd
from physadv.digital.universal import train_universal, universal


def call(name, model, images, labels, **more):
    budget = {"eps": 0.1} if name in WITH_BUDGET else {}
    return ATTACKS[name](model, images, labels, **{**budget, **more})


BROKEN = {
    "above 1": (lambda x: x * 3, "in \\[0,1\\]"),
    "below 0": (lambda x: x - 0.5, "in \\[0,1\\]"),
    "bytes": (lambda x: (x * 255).byte(), "float"),
    "one image": (lambda x: x[0], "\\[B,C,H,W\\]"),
    "an array": (lambda x: x.numpy(), "\\[B,C,H,W\\]"),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("case", BROKEN)
def test_images(known, name, case):
    change, word = BROKEN[case]
    with pytest.raises(UserError, match=word):
        call(name, known.model, change(known.images), known.labels)


@pytest.mark.parametrize(
    ("labels", "word"),
    [
        (torch.full((24,), 3), "0 to 2"),
        (torch.full((24,), -1), "from 0"),
        (torch.zeros(23, dtype=torch.int64), "one class index per image"),
        (torch.zeros(24), "integers"),
        (torch.zeros(24, 3, dtype=torch.int64), "one class index per image"),
        ([0] * 24, "one class index per image"),
    ],
)
def test_labels(known, labels, word):
    with pytest.raises(UserError, match=word):
        pgd(known.model, known.images, labels, eps=0.1)


def test_targets(known):
    with pytest.raises(UserError, match="equal to the label, the first at sample 0"):
        pgd(known.model, known.images, known.labels, eps=0.1, targets=known.labels)
    with pytest.raises(UserError, match="0 to 2"):
        pgd(known.model, known.images, known.labels, eps=0.1, targets=known.labels + 7)


@pytest.mark.parametrize(
    "options",
    [
        {"eps": -0.1},
        {"eps": 1.5},
        {"eps": float("nan")},
        {"eps": 0.1, "steps": 0},
        {"eps": 0.1, "steps": -3},
        {"eps": 0.1, "steps": 2.5},
        {"eps": 0.1, "restarts": 0},
        {"eps": 0.1, "step_size": -1.0},
        {"eps": 0.1, "norm": "l3"},
        {"eps": 0.1, "loss": "accuracy"},
    ],
)
def test_options(known, options):
    with pytest.raises(UserError):
        pgd(known.model, known.images, known.labels, **options)


def test_unknown_names_list_the_known(known):
    with pytest.raises(UsageError, match="linf, l2, l1"):
        fgsm(known.model, known.images, known.labels, eps=0.1, norm="linfty")


class Answers(nn.Module):
    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images):
        return self.answer(images.flatten(1)[:, :3])


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda z: (z, z), "tuple"),
        (lambda z: {"logits": z}, "dict"),
        (lambda z: z[:, 0], "logits \\[B,K\\]"),
        (lambda z: z[:, :1], "K from 2 up"),
        (lambda z: z[:1], "logits \\[B,K\\]"),
    ],
)
def test_answers(known, answer, word):
    with pytest.raises(UserError, match=word):
        pgd(Answers(answer), known.images, known.labels, eps=0.1)


def test_model_elsewhere(known):
    elsewhere = nn.Linear(3, 3, device="meta")
    with pytest.raises(UserError, match="one device"):
        pgd(elsewhere, known.images, known.labels, eps=0.1)


def test_an_error_leaves_the_model_as_it_was(known):
    known.model.train()
    with pytest.raises(UserError):
        pgd(known.model, known.images, known.labels + 9, eps=0.1)
    assert known.model.training
    assert all(p.requires_grad for p in known.model.parameters())


@pytest.mark.parametrize("name", ATTACKS)
def test_empty_batch_gives_an_empty_result(known, name):
    found = call(name, known.model, known.images[:0], known.labels[:0])
    assert found.images.shape == (0, 3, 8, 8)
    assert found.status == ()
    assert found.rate() == (0, 0, None)
    assert "no samples" in str(found)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "deepfool", "ddn"])
def test_unusual_tensors_are_attacked_like_others(known, name):
    plain = call(name, known.model, known.images, known.labels)
    strided = known.images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    for images in (strided, known.images.clone().requires_grad_(True), known.images.double()):
        before = images.detach().clone()
        found = call(name, known.model, images, known.labels.int())
        assert torch.equal(found.success, plain.success)
        assert torch.equal(images.detach(), before)  # the caller's tensor is not written to
        assert not found.images.requires_grad
    half = call(name, known.model, known.images.half(), known.labels)
    assert half.images.dtype == torch.float32
    assert half.success.float().mean() > 0.9
    with torch.inference_mode():
        found = call(name, known.model, known.images.clone(), known.labels)
    assert torch.equal(found.success, plain.success)


def test_half_precision_model_is_fed_its_own_type(known):
    model = known.model.bfloat16()
    found = pgd(model, known.images, model(known.images.bfloat16()).argmax(dim=1), eps=0.15)
    assert found.success.all()
    assert found.images.dtype == torch.float32


def test_plain_functions_are_models(known):
    with torch.no_grad():
        weights, bias = known.model.weights.clone(), known.model.bias.clone()
    found = pgd(lambda x: x.flatten(1) @ weights.T + bias, known.images, known.labels, eps=0.15)
    assert found.success.all()


def test_universal_and_hop_skip_jump_check_what_they_are_given(known):
    with pytest.raises(UserError, match="\\[C,H,W\\]"):
        universal(known.model, known.images, known.labels, perturbation=torch.zeros(3, 4, 4))
    with pytest.raises(UserError, match="reads as labelled"):
        train_universal(known.model, known.images, (known.labels + 1) % 3, eps=0.1)
    with pytest.raises(UserError, match="Give one each"):
        hop_skip_jump(known.model, known.images, known.labels, starts=known.images[:3])
