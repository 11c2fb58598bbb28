"""A substitute for a model that answers with labels alone: trained by asking it, then attacked."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physadv.checks import UserError, check_range
from physadv.digital.freezing import asked, frozen
from physadv.digital.inputs import (
    Model,
    check_count,
    check_known,
    checked_classes,
    checked_images,
)
from physadv.seeding import generator_for

_SIDE = 5  # of the features, in pixels
_ASKED = 256  # images at once

Ask = Callable[[Tensor], Tensor]
"""Images [B,C,H,W] in [0,1] -> classes [B] as integers: all that a black box tells."""


@dataclass(frozen=True)
class Substitute:
    """A trained substitute, in eval mode, and what it cost.

    ``queries`` counts the images that the black box was asked about; ``images`` [queries,C,H,W]
    are those, ``labels`` [queries] its answers.
    """

    network: nn.Module
    queries: int
    images: Tensor
    labels: Tensor


def labels_of(model: Model) -> Ask:
    """A model as a black box: its predicted classes and nothing else."""

    @torch.no_grad()
    def ask(images: Tensor) -> Tensor:
        with frozen(model) as (call, _):
            return asked(call, images).argmax(dim=1)

    return ask


def convolutional(channels: int, classes: int, *, seed: int = 0) -> nn.Module:
    """An untrained net for images [B,channels,H,W], from 10 px up, to logits [B,classes].

    On 28 px this is the paper's: convolutions of 32 and 64, two layers of 200; larger images are
    averaged down to as many features.

    References:
        Papernot et al. (see ``train_substitute``), table 13, architecture A.
    """
    with torch.random.fork_rng(list(range(torch.cuda.device_count()))):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(channels, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(_SIDE),
            nn.Flatten(),
            nn.Linear(64 * _SIDE**2, 200),
            nn.ReLU(),
            nn.Linear(200, 200),
            nn.ReLU(),
            nn.Linear(200, classes),
        )


def train_substitute(
    ask: Ask,
    network: nn.Module,
    images: Tensor,
    *,
    rounds: int = 6,
    step: float = 0.1,
    flip_every: int = 3,
    new_per_round: int | None = None,
    epochs: int = 10,
    batch: int = 64,
    rate: float = 1e-3,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Substitute:
    """Train ``network`` in place to decide as a black box does, by Jacobian-based augmentation.

    Every round labels the images that are new, trains on all, and moves each by ``step`` along the
    sign of the gradient of its label's logit. No image is asked about twice. Without
    ``new_per_round`` the images double: n of them cost n 2^(rounds - 1) queries.

    Args:
        ask: The black box.
        network: The substitute, from [B,C,H,W] to logits [B,K]; trained with Adam.
        images: [n,C,H,W] in [0,1] to begin with, some of every class.
        rounds: How often is labelled and trained.
        step: Length of a move, per pixel value.
        flip_every: After so many moves their direction turns round (periodical step size).
        new_per_round: At most so many images are moved in a round, drawn without replacement (as
            reservoir sampling draws them); None for all.
        epochs: Passes over all images in each round.
        batch: Images an update.
        rate: Adam's step size.
        seed: Decides orders and draws.
        progress: Called after every round with the images trained on so far, and in all.

    Raises:
        UserError: If an argument is out of range, or an answer is not a class of the network's.

    References:
        Papernot, McDaniel, Goodfellow, Jha, Celik & Swami, Practical black-box attacks against
        machine learning, ASIA CCS 2017, algorithm 1 and section 6.1.
    """
    for name, value in (("rounds", rounds), ("flip_every", flip_every), ("epochs", epochs)):
        check_count(name, value)
    check_count("batch", batch)
    if new_per_round is not None:
        check_count("new_per_round", new_per_round)
    check_range("step", step, 0, 1, low_open=True)
    check_range("rate", rate, 0, 10, low_open=True)
    known = checked_images(images)
    if not len(known):
        raise UserError("images to begin with", "none", "Give some of every class.")
    labels = _asked(ask, network, known)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    sizes = [len(known)]
    for _ in range(1, rounds):
        sizes.append(sizes[-1] + min(sizes[-1], new_per_round or sizes[-1]))
    trained, work = 0, epochs * sum(sizes)
    for number in range(rounds):
        order = generator_for(seed, "substitute", number)
        network.train()
        for _ in range(epochs):
            shuffled = torch.from_numpy(order.permutation(len(known))).to(known.device)
            for chosen in shuffled.split(batch):
                loss = F.cross_entropy(network(known[chosen]), labels[chosen])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        trained += epochs * len(known)
        progress(trained, work)
        if number + 1 < rounds:
            rows = torch.arange(len(known), device=known.device)
            if new_per_round is not None and new_per_round < len(known):
                drawn = order.choice(len(known), new_per_round, replace=False)
                rows = torch.from_numpy(drawn).to(known.device)
            way = -step if (number // flip_every) % 2 else step
            moved = torch.cat(
                [augmented(network, known[n], labels[n], way) for n in rows.split(batch)]
            )
            labels = torch.cat([labels, _asked(ask, network, moved)])
            known = torch.cat([known, moved])
    return Substitute(network.eval(), len(known), known, labels)


def augmented(network: nn.Module, images: Tensor, labels: Tensor, step: float) -> Tensor:
    """Images moved by ``step`` along the sign of the gradient of their label's logit, in [0,1]."""
    with frozen(network) as (call, _):
        inputs = images.detach().requires_grad_(True)
        own = call(inputs).gather(1, labels[:, None]).sum()
        (gradient,) = torch.autograd.grad(own, inputs)
    return (images + step * gradient.sign()).clamp(0, 1)


@torch.no_grad()
def _asked(ask: Ask, network: nn.Module, images: Tensor) -> Tensor:
    answers = torch.cat([ask(some) for some in images.split(_ASKED)])
    labels = checked_classes("the black box's answer", answers, images)
    with frozen(network) as (call, _):
        check_known("the black box's answer", labels, call(images[:2]).shape[1])
    return labels
