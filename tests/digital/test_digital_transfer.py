"""Transfer between linear victims, where it can be predicted, and substitutes that are counted."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from physadv.checks import UsageError, UserError
from physadv.digital.fgsm import fgsm
from physadv.digital.pgd import pgd
from physadv.digital.substitute import augmented, labels_of, train_substitute
from physadv.digital.transfer import transfer_matrix
from physadv.stats.intervals import wilson


class Twin(nn.Module):
    """The known victim with another weight matrix."""

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights.detach().clone())
        self.register_buffer("bias", bias.detach().clone())

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weights.T + self.bias


def attack_within(eps: float):
    return lambda model, images, labels: pgd(model, images, labels, eps=eps)


def test_to_itself_is_the_white_box_success_and_to_a_copy_too(known):
    same = Twin(known.model.weights, known.model.bias)
    stretched = Twin(7 * known.model.weights, 7 * known.model.bias)
    models = {"own": known.model, "copy": same, "stretched": stretched}
    attack = attack_within(float(known.linf.median()))
    found = transfer_matrix(models, attack, known.images, known.labels)
    white = attack(known.model, known.images, known.labels)
    k, n, interval = white.rate()
    assert 0 < k < n  # a budget that decides nothing would test nothing
    for judged_by in models:
        assert found.rate("own", judged_by) == (k, n, interval)
    assert interval == wilson(k, n)
    with torch.no_grad():
        as_files = known.model((white.images * 255).round() / 255).argmax(dim=1)
    eight, _, _ = found.rate("own", "own", eight_bit=True)
    assert eight == int(((as_files != known.labels) & white.success).sum())


def test_to_a_victim_that_looks_elsewhere_nothing_transfers(known_two):
    """The gradient of the one never moves what the other looks at."""
    weights = known_two.model.weights.detach()
    first = torch.zeros(weights.shape[1], dtype=torch.bool)
    first[::2] = True
    halves = {}
    for name, mask in (("even", first), ("odd", ~first)):
        part = weights * mask
        halves[name] = Twin(part, -0.5 * part.sum(dim=1))
    found = transfer_matrix(
        halves, lambda m, x, y: fgsm(m, x, y, eps=0.15), known_two.images, known_two.labels
    )
    assert found.rate("even", "even")[0] == found.rate("even", "even")[1] > 10
    assert found.rate("even", "odd")[0] == 0
    assert found.rate("odd", "even")[0] == 0


def test_only_what_every_model_reads_counts(known):
    other = Twin(known.model.weights.roll(1, 0), known.model.bias.roll(1, 0))
    attack = attack_within(0.1)
    found = transfer_matrix({"a": known.model, "b": other}, attack, known.images, known.labels)
    assert not found.shared.any()  # where one is right, the other, of rolled classes, is wrong
    assert found.rate("a", "b") == (0, 0, None)
    labels = known.labels.clone()
    labels[:5] = (labels[:5] + 1) % 3
    found = transfer_matrix({"a": known.model}, attack, known.images, labels)
    assert found.shared.tolist() == [False] * 5 + [True] * 19
    assert found.rate("a", "a")[1] == 19


def test_a_model_is_needed_and_labels_must_fit(known):
    with pytest.raises(UsageError, match="none"):
        transfer_matrix({}, attack_within(0.1), known.images, known.labels)
    with pytest.raises(UserError, match="one class index per image"):
        transfer_matrix({"a": known.model}, attack_within(0.1), known.images, known.labels[:3])


def test_queries_are_those_that_the_black_box_sees(known):
    seen: list[Tensor] = []
    answer = labels_of(known.model)

    def ask(images: Tensor) -> Tensor:
        seen.append(images.clone())
        return answer(images)

    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    found = train_substitute(ask, network, known.images, rounds=4, epochs=1)
    asked = torch.cat(seen)
    assert found.queries == len(asked) == 24 * 2**3
    assert torch.equal(found.images, asked)
    assert torch.equal(found.labels, answer(asked))
    assert asked.min() >= 0
    assert asked.max() <= 1
    seen.clear()
    found = train_substitute(ask, network, known.images, rounds=4, epochs=1, new_per_round=10)
    assert found.queries == len(torch.cat(seen)) == 24 + 3 * 10


def test_moves_are_steps_of_the_given_length_against_the_own_logit_or_along_it(known):
    moved = augmented(known.model, known.images, known.labels, 0.05)
    way = known.model.weights[known.labels].sign().view_as(known.images)
    assert torch.allclose(moved, (known.images + 0.05 * way).clamp(0, 1), atol=1e-6)


def test_a_substitute_of_a_linear_victim_recovers_its_direction_from_labels():
    """Its adversarial images then fool the victim as the victim's own do."""
    generator = np.random.default_rng(1)
    weights = torch.from_numpy(generator.standard_normal((2, 16))).float()
    victim = Twin(weights, -0.5 * weights.sum(dim=1))
    slope = weights[1] - weights[0]
    black_box = labels_of(victim)
    grey = torch.from_numpy(generator.uniform(0.3, 0.7, (250, 1, 4, 4))).float()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))

    def likeness() -> float:
        own = (network[1].weight[1] - network[1].weight[0]).detach()
        return float(torch.cosine_similarity(slope, own, dim=0))

    assert likeness() < 0.5
    found = train_substitute(black_box, network, grey, rounds=2, epochs=20, rate=0.03)
    assert found.queries == 500
    assert likeness() > 0.93
    fresh = torch.from_numpy(generator.uniform(0.3, 0.7, (200, 1, 4, 4))).float()
    matrix = transfer_matrix(
        {"victim": victim, "substitute": found.network},
        lambda m, x, y: fgsm(m, x, y, eps=0.2),
        fresh,
        black_box(fresh),
    )
    white, n, _ = matrix.rate("victim", "victim")
    black, _, _ = matrix.rate("substitute", "victim")
    assert n > 150
    assert white > 0.9 * n
    assert black > 0.95 * white


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"rounds": 0}, "rounds"),
        ({"step": 0.0}, "step"),
        ({"flip_every": 0}, "flip_every"),
        ({"epochs": -1}, "epochs"),
        ({"new_per_round": 0}, "new_per_round"),
        ({"rate": float("nan")}, "rate"),
    ],
)
def test_wrong_options(known, options, word):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with pytest.raises(UserError, match=word):
        train_substitute(labels_of(known.model), network, known.images, **options)


def test_wrong_answers_of_the_black_box(known):
    two = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    with pytest.raises(UserError, match="2 outputs"):
        train_substitute(labels_of(known.model), two, known.images)
    with pytest.raises(UserError, match="integers"):
        train_substitute(lambda x: torch.zeros(len(x)), two, known.images)
    with pytest.raises(UserError, match="none"):
        train_substitute(labels_of(known.model), two, known.images[:0])
