"""Adversarial training on a task with one robust and one brittle feature, solved by hand."""

import pytest
import torch
from torch import Tensor, nn

from physadv.checks import UserError
from physadv.defend.adversarial_training import train_adversarially, worst_images
from physadv.digital.pgd import pgd

EPS = 0.1


class Grey(nn.Module):
    """A linear classifier of images [B,1,1,W], zero at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, 2)
        nn.init.zeros_(self.layer.weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.flatten(1) - 0.5)


def two_features(count: int = 256) -> tuple[Tensor, Tensor]:
    """Pixel 0 tells the class by .2 from grey in 95 % of images; 40 others by .05 in all.

    Together the others are the better evidence; within .1 an attacker turns each of them round.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (count,), generator=generator)
    sign = 2.0 * labels - 1
    wrong = torch.rand(count, generator=generator) < 0.05
    first = 0.5 + 0.2 * sign * torch.where(wrong, -1, 1)
    others = 0.5 + 0.05 * sign[:, None] + 0.02 * torch.randn(count, 40, generator=generator)
    return torch.cat([first[:, None], others], dim=1)[:, None, None], labels


def rates(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy without an attack and under PGD."""
    with torch.no_grad():
        right = network(images).argmax(dim=1) == labels
    found = pgd(network, images, labels, eps=EPS)
    return float(right.float().mean()), float((right & ~found.success).float().mean())


def test_the_robust_feature_is_learnt_and_the_brittle_ones_are_left():
    images, labels = two_features()
    options = {"epochs": 8, "rate": 0.1, "batch": 32, "steps": 3}
    plain = train_adversarially(Grey(41), images, labels, eps=0.0, **options)
    robust = train_adversarially(Grey(41), images, labels, eps=EPS, **options)
    clean, attacked = rates(plain, images, labels)
    assert clean > 0.99
    assert attacked < 0.05
    clean, attacked = rates(robust, images, labels)
    assert clean == pytest.approx(0.95, abs=0.03)
    assert attacked == pytest.approx(0.95, abs=0.03)


def test_the_inner_search_reaches_the_corner_of_the_ball_where_a_linear_loss_is_highest():
    torch.manual_seed(0)
    network = Grey(41)
    nn.init.normal_(network.layer.weight)
    images, labels = two_features(16)
    found = worst_images(
        network.train(),
        images,
        labels,
        eps=EPS,
        steps=5,
        size=EPS / 2,
        draws=torch.Generator().manual_seed(1),
    )
    slope = (network.layer.weight[1 - labels] - network.layer.weight[labels])[:, None, None]
    assert torch.allclose(found, images + EPS * slope.sign(), atol=1e-6)
    assert network.training
    assert network.layer.weight.requires_grad
    assert network.layer.weight.grad is None


def test_the_same_seed_gives_the_same_weights():
    images, labels = two_features(128)
    options = {"eps": EPS, "epochs": 2, "rate": 0.05}
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        network = train_adversarially(Grey(41), images, labels, seed=seed, **options)
        weights.append(network.layer.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"eps": -0.1}, "eps"),
        ({"eps": 0.1, "steps": 0}, "steps"),
        ({"eps": 0.1, "epochs": 0}, "epochs"),
        ({"eps": 0.1, "batch": 1000}, "batches of 1000"),
        ({"eps": 0.1, "rate": 0.0}, "rate"),
        ({"eps": 0.1, "warm_up": 2.0}, "warm_up"),
        ({"eps": 0.1, "step_size": -1.0}, "step_size"),
        ({"eps": 0.1, "rate": float("nan")}, "rate"),
    ],
)
def test_wrong_options(options, word):
    images, labels = two_features(128)
    with pytest.raises(UserError, match=word):
        train_adversarially(Grey(41), images, labels, **options)


def test_labels_beyond_the_outputs():
    images, labels = two_features(128)
    with pytest.raises(UserError, match="2 outputs"):
        train_adversarially(Grey(41), images, labels + 1, eps=0.1)
