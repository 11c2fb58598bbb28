"""Fool a digit classifier that answers with labels alone, through a substitute (Papernot et al.).

    PHYSADV_DATA=... python scripts/blackbox_mnist.py [--victim mnist-lenet] [--rounds 6] [--seed 0]
        [--substitute convolutional]

The substitute starts from 150 test digits; it is attacked on 1,000 others, and what is made against
it is shown to the victim. ``convolutional`` is what the paper used (its architecture A: layers of
32, 64, 200 and 200), of other widths and depth than the victim's; ``dense`` has no convolution.
Beside it: the same attack on the victim itself, which needs its gradients, and noise, which needs
nothing.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from train_lenet import load_digits

from physadv.checks import UserError
from physadv.data.files import find_external
from physadv.digital.fgsm import fgsm
from physadv.digital.momentum import momentum
from physadv.digital.noise import noise
from physadv.digital.outcome import Adversarials
from physadv.digital.pgd import pgd
from physadv.digital.substitute import convolutional, labels_of, train_substitute
from physadv.digital.transfer import TransferMatrix, transfer_matrix
from physadv.seeding import generator_for
from physadv.victim.catalog import load_victim
from physadv.victim.weights import load_weights

BEGUN_WITH, ATTACKED = 150, 1000
SUBSTITUTES: dict[str, Callable[[int], nn.Module]] = {
    "convolutional": lambda seed: convolutional(1, 10, seed=seed),
    "dense": lambda seed: nn.Sequential(
        nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(),
        nn.Linear(200, 10),
    ),
}  # fmt: skip
VICTIM, SUBSTITUTE = "victim", "substitute"


def told(matrix: TransferMatrix, made_on: str) -> str:
    """How many images made against ``made_on`` the victim misreads."""
    k, n, limits = matrix.rate(made_on, VICTIM, eight_bit=True)
    if limits is None:
        return "nothing to count"
    return f"{k}/{n} = {k / n:.1%} ({limits.low:.1%} to {limits.high:.1%})"


def main() -> None:
    """Parse, train, attack, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--victim", default="mnist-lenet")
    parser.add_argument("--weights", type=Path, help="other weights of the victim's architecture")
    parser.add_argument("--substitute", choices=SUBSTITUTES, default="convolutional")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--new-per-round", type=int, help="reservoir sampling: most new images")
    parser.add_argument("--eps", type=float, nargs="+", default=[0.1, 0.2, 0.3])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    victim = load_victim(arguments.victim)
    if arguments.weights is not None:
        load_weights(victim.module, arguments.weights)
    images, labels = load_digits(find_external("data/mnist"), "test")
    order = torch.from_numpy(generator_for(arguments.seed, "black box").permutation(len(images)))
    begun = images[order[:BEGUN_WITH]]
    rest = order[BEGUN_WITH : BEGUN_WITH + ATTACKED]
    fresh, truth = images[rest], labels[rest]
    torch.manual_seed(arguments.seed)
    network = SUBSTITUTES[arguments.substitute](arguments.seed)
    black_box = labels_of(victim)
    found = train_substitute(
        black_box,
        network,
        begun,
        rounds=arguments.rounds,
        new_per_round=arguments.new_per_round,
        seed=arguments.seed,
    )
    agreed = (labels_of(found.network)(fresh) == black_box(fresh)).float().mean()
    print(f"{found.queries} queries; agrees with {victim.name} on {agreed:.1%} of fresh digits")
    models = {VICTIM: victim, SUBSTITUTE: found.network}
    for eps in arguments.eps:

        def once(model: nn.Module, x: Tensor, y: Tensor, eps: float = eps) -> Adversarials:
            return fgsm(model, x, y, eps=eps)

        def many(model: nn.Module, x: Tensor, y: Tensor, eps: float = eps) -> Adversarials:
            return pgd(model, x, y, eps=eps, stop_at_success=False)

        def steady(model: nn.Module, x: Tensor, y: Tensor, eps: float = eps) -> Adversarials:
            return momentum(model, x, y, eps=eps, diversity=0.5, seed=arguments.seed)

        def blind(model: nn.Module, x: Tensor, y: Tensor, eps: float = eps) -> Adversarials:
            return noise(model, x, y, eps=eps)

        for name, attack in (("fgsm", once), ("pgd", many), ("momentum", steady)):
            matrix = transfer_matrix(models, attack, fresh, truth)
            print(
                f"{name} {eps:g}: through the substitute {told(matrix, SUBSTITUTE)}; with the "
                f"victim's gradients {told(matrix, VICTIM)}",
                flush=True,
            )
        print(f"noise {eps:g}: {told(transfer_matrix(models, blind, fresh, truth), VICTIM)}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
