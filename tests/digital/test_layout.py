"""Images with channels last: faster, never another outcome, and never a model that fails of it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physadv.digital import oracle
from physadv.digital.catalog import ATTACKS, WITH_BUDGET
from physadv.digital.fgsm import fgsm
from physadv.digital.hop_skip_jump import hop_skip_jump
from physadv.digital.pgd import pgd
from physadv.digital.square import square
from physadv.victim.layout import channels_last, gains_from_channels_last

FAST = {
    "carlini-wagner": {"rounds": 2, "steps": 10},
    "carlini-wagner-linf": {"rounds": 2, "steps": 10},
    "carlini-wagner-l0": {"rounds": 2, "steps": 10},
    "ddn": {"steps": 10},
    "hop-skip-jump": {"iterations": 1, "probes": 8},
    "square": {"queries": 20},
}


class Small(nn.Module):
    """A convolution and a pooling before one linear layer; keeps what it was shown."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.convolution = nn.Conv2d(channels, 8, 3)
        self.output = nn.Linear(8 * 9, 4)
        self.strides: list[tuple[int, ...]] = []
        self.counts: list[int] = []

    def features(self, images: Tensor) -> Tensor:
        self.strides.append(images.stride())
        self.counts.append(len(images))
        return F.max_pool2d(self.convolution(images).relu(), 2)

    def forward(self, images: Tensor) -> Tensor:
        return 5 * self.output(self.features(images).flatten(1))


class Viewing(Small):
    """As tutorials write it; features that are stored with channels last cannot be viewed so."""

    def forward(self, images: Tensor) -> Tensor:
        return 5 * self.output(self.features(images).view(len(images), -1))


class _ViewedBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features: Tensor) -> Tensor:
        return features.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return (2 * gradient.view(-1)).view(gradient.shape)


class ViewingBack(Small):
    """Only its gradient fails; the image's own, stored as the image is."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(_ViewedBack.apply(images))


class _WalkedBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features: Tensor) -> Tensor:
        return features.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        shape = gradient.shape
        rows = torch.empty(shape, device="meta").stride()
        return gradient.as_strided(shape, rows).clone()


class WrongBack(Small):
    """Its gradient walks through memory as if channels came first, as a kernel in C would."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(_WalkedBack.apply(images))


class Reading(Small):
    """Answers by where values lie in memory."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + images.stride(1)


def batch(channels: int = 3, count: int = 9) -> tuple[Tensor, Tensor]:
    images = torch.rand(count, channels, 8, 8, generator=torch.Generator().manual_seed(0))
    return images, Small(channels)(images).argmax(dim=1).detach()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_images_stored_the_other_way(channels):
    images = torch.rand(2, channels, 4, 5, dtype=torch.float64, requires_grad=True)
    turned = channels_last(images)
    assert torch.equal(turned, images)
    assert turned.stride() == (20 * channels, 1, 5 * channels, channels)
    assert torch.autograd.gradcheck(channels_last, images)
    assert torch.equal(channels_last(images[:, :, :, ::2]), images[:, :, :, ::2])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_convolutional_model_is_shown_channels_last(channels):
    model, (images, labels) = Small(channels).eval(), batch(channels)
    fgsm(model, images, labels, eps=0.05)
    # The first look, at a few images alone, is at images as they came.
    assert model.strides[0] == (64 * channels, 64, 8, 1)
    assert set(model.strides[1:]) == {(64 * channels, 1, 8 * channels, channels)}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_outcome_is_the_same(name, monkeypatch):
    images, labels = batch()
    options = {**({"eps": 0.05} if name in WITH_BUDGET else {}), **FAST.get(name, {})}
    found = ATTACKS[name](Small().eval(), images, labels, **options)
    monkeypatch.setattr(oracle, "gains_from_channels_last", lambda *_: False)
    plain = ATTACKS[name](Small().eval(), images, labels, **options)
    assert found.status == plain.status
    assert torch.equal(found.predictions, plain.predictions)
    torch.testing.assert_close(found.l2, plain.l2, rtol=0.02, atol=1e-3)
    assert found.images.is_contiguous()
    assert found.notes == plain.notes


@pytest.mark.parametrize("kind", [Viewing, ViewingBack, WrongBack, Reading])
def test_a_model_that_cannot_take_it_is_shown_images_as_they_came(kind):
    model, (images, labels) = kind().eval(), batch()
    labels = model(images).argmax(dim=1)
    found = pgd(model, images, labels, eps=0.2, steps=5)
    assert model.strides[-1] == (192, 64, 8, 1)
    assert found.success.any()
    assert not found.notes
    if kind in (Viewing, WrongBack):
        same = pgd(Small().eval(), images, labels, eps=0.2, steps=5)
        assert found.status == same.status


def test_looks_at_the_layout_are_counted():
    model, (images, labels) = Small().eval(), batch()
    found = fgsm(model, images, labels, eps=0.05)
    assert sum(model.counts) == int(found.forwards.sum())
    few = oracle.PROBED
    assert found.backwards.tolist() == [3] * few + [1] * (len(labels) - few)


def test_an_attack_without_gradients_takes_none_here_either():
    model, (images, labels) = Small().eval(), batch()
    found = square(model, images, labels, eps=0.05, queries=5)
    assert model.strides[-1] == (192, 1, 24, 3)
    assert sum(model.counts) == int(found.forwards.sum())
    assert not found.backwards.any()


def test_few_images_are_not_worth_finding_out():
    model, (images, labels) = Small().eval(), batch(count=4)
    fgsm(model, images, labels, eps=0.05)
    assert set(model.strides) == {(192, 64, 8, 1)}


def test_a_model_that_looks_at_the_batch_is_not_called_random():
    class Coupled(Small):
        def forward(self, images: Tensor) -> Tensor:
            answer = super().forward(images)
            return answer + 0.1 * answer.mean(dim=0)

    images = batch()[0]
    model = Coupled().eval()
    found = fgsm(model, images, model(images).argmax(dim=1), eps=0.05)
    assert model.strides[-1] == (192, 1, 24, 3)
    assert ["depends on the batch" in note for note in found.notes] == [True]


def test_what_is_found_on_the_border_holds_for_the_images_as_they_are_returned():
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for channels in (3, 24, 24, 24):
        layers += [nn.Conv2d(channels, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(24 * 256, 10)).eval()
    images = torch.rand(64, 3, 16, 16)
    with torch.no_grad():
        middle = model(images).mean(dim=0)
        model[-1].bias -= middle  # else all are of one class; logits are 0.01 apart
        labels = model(images).argmax(dim=1)
        found = hop_skip_jump(model, images, labels, iterations=4, probes=8)
        assert found.success.sum() > 32
        assert torch.equal(model(found.images).argmax(dim=1), found.predictions)


def test_other_models_are_left_alone():
    cpu = torch.device("cpu")
    assert not gains_from_channels_last(nn.Linear(3, 2), cpu, torch.float32)
    assert not gains_from_channels_last(lambda images: images, cpu, torch.float32)
    assert not gains_from_channels_last(Small(), torch.device("cuda"), torch.float32)
    assert not gains_from_channels_last(Small(), cpu, torch.float64)
    assert gains_from_channels_last(nn.Sequential(Small()), cpu, torch.float32)
