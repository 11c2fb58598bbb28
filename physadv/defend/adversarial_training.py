"""Adversarial training: every step is taken on the images that fool the network most."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physadv.checks import UserError, check_range
from physadv.digital.freezing import frozen
from physadv.digital.inputs import check_count, check_known, checked_classes, checked_images
from physadv.digital.losses import log_odds
from physadv.digital.norms import steepest, within
from physadv.seeding import generator_for, seed_for

_SEEDS = 2**63


def train_adversarially(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    steps: int = 7,
    step_size: float | None = None,
    epochs: int = 10,
    warm_up: float = 0.3,
    batch: int = 64,
    rate: float = 1e-3,
    seed: int = 0,
    progress: Callable[[int, int, float], None] = lambda epoch, epochs, loss: None,
) -> nn.Module:
    """Train ``network`` in place on the images that linf PGD finds for it at each step.

    Unlike the attack ``pgd``, the search goes on where the network is already wrong or fooled, as
    the inner maximum asks for. It sees the network in eval mode, the update in train mode. Adam
    falls from ``rate`` to 0 like a cosine. ``eps`` 0 is ordinary training on the same images in
    the same order.

    Args:
        network: Images [B,C,H,W] to logits [B,K]; normalisation is inside it.
        images: [N,C,H,W] in [0,1].
        labels: [N] classes.
        eps: Largest change of a pixel value.
        steps: Gradient steps of each search, from a random start.
        step_size: Of one; None for 2.5 eps / steps.
        epochs: Passes over the images.
        warm_up: Share of all updates over which the budget grows from 0 to ``eps``: small networks
            that start at a large one stay at a constant answer.
        batch: Images an update; a last part of fewer is left for another epoch.
        rate: Adam's first step size.
        seed: Decides order and starts; on the CPU the same gives the same weights.
        progress: Called after every epoch with its number, ``epochs`` and the mean loss.

    Returns:
        The network, in eval mode.

    Raises:
        UserError: If an argument is out of range, there are fewer images than one batch takes, or
            the loss is not a number any more.

    References:
        Madry, Makelov, Schmidt, Tsipras & Vladu, Towards deep learning models resistant to
        adversarial attacks, ICLR 2018, equation 2.1.
    """
    check_range("eps", eps, 0, 1)
    check_count("steps", steps)
    check_count("epochs", epochs)
    check_count("batch", batch)
    check_range("warm_up", warm_up, 0, 1)
    check_range("rate", rate, 0, 10, low_open=True)
    share = 2.5 / steps
    if step_size is not None:
        share = check_range("step_size", step_size, 0, 1) / eps if eps else 0.0
    images = checked_images(images)
    labels = checked_classes("labels", labels, images)
    updates = len(images) // batch
    if not updates:
        raise UserError(
            f"batches of {batch} images", f"there are {len(images)}", "Give more, or less a batch."
        )
    check_known("labels", labels, _outputs(network, images[:2]))
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * updates)
    order = generator_for(seed, "adversarial training", "order")
    draws = torch.Generator(images.device)
    draws.manual_seed(seed_for(seed, "adversarial training", "starts") % _SEEDS)
    rising = warm_up * epochs * updates
    for epoch in range(epochs):
        total = 0.0
        shuffled = torch.from_numpy(order.permutation(len(images))).to(images.device)
        for number, chosen in enumerate(shuffled[: updates * batch].split(batch)):
            budget = eps * min(1.0, (epoch * updates + number + 1) / max(rising, 1))
            clean, truth = images[chosen], labels[chosen]
            found = worst_images(
                network, clean, truth, eps=budget, steps=steps, size=share * budget, draws=draws
            )
            network.train()
            loss = F.cross_entropy(network(found), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        if not total < float("inf"):
            raise UserError(
                f"training at rate {rate:g}",
                f"the loss is not a number in epoch {epoch + 1}",
                "Give a smaller rate.",
            )
        progress(epoch + 1, epochs, total / updates)
    return network.eval()


def worst_images(
    network: nn.Module,
    clean: Tensor,
    labels: Tensor,
    *,
    eps: float,
    steps: int,
    size: float,
    draws: torch.Generator,
) -> Tensor:
    """[B,C,H,W] where ``steps`` of ``size`` lead from random starts, in linf ``eps`` and [0,1].

    The network and its modes are left as they were.
    """
    if eps == 0:
        return clean
    start = torch.rand(clean.shape, generator=draws, dtype=clean.dtype, device=clean.device)
    point = within(clean + eps * (2 * start - 1), clean, eps, "linf")
    with frozen(network) as (call, _):
        for _ in range(steps):
            inputs = point.requires_grad_(True)
            loss = log_odds(call(inputs), labels).sum()
            (gradient,) = torch.autograd.grad(loss, inputs)
            ahead = point.detach() + size * steepest(gradient, point, "linf")
            point = within(ahead, clean, eps, "linf")
    return point


@torch.no_grad()
def _outputs(network: nn.Module, images: Tensor) -> int:
    with frozen(network) as (call, _):
        return call(images).shape[1]
