"""Train a LeNet on MNIST and write weights, digest and model card.

    PHYSADV_DATA=... python scripts/train_lenet.py [--recipe one-cycle] [--seed 0] [--out FOLDER]

``one-cycle`` made the bundled mnist-lenet; ``adam`` and ``sgd`` are the plain recipes of
tutorials, and ``adam-fast`` and ``adam-faster`` the same in bigger steps, for figures that others
state on a plainly trained net. One thread, so that the same machine gives the same weights. No test
digit is looked at before the card is written.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from physadv.checks import UserError
from physadv.data.files import atomic_path, find_external, read_json, sha256_of, write_json
from physadv.data.mnist import Split, read_mnist
from physadv.stats.intervals import wilson
from physadv.victim.mnist import LeNet
from physadv.victim.weights import FOLDER

BATCH = 64


@dataclass(frozen=True)
class Recipe:
    """How a LeNet is trained: ``schedule`` takes the optimiser and all of its steps."""

    words: str
    epochs: int
    optimiser: Callable[[LeNet], Optimizer]
    schedule: Callable[[Optimizer, int], LRScheduler] | None = None


RECIPES = {
    "one-cycle": Recipe(
        "Adam with a one-cycle rate of at most 0.002",
        8,
        lambda net: Adam(net.parameters(), lr=2e-3),
        lambda optimiser, steps: OneCycleLR(optimiser, 2e-3, total_steps=steps),
    ),
    "adam": Recipe("Adam at 0.001", 10, lambda net: Adam(net.parameters(), lr=1e-3)),
    "adam-fast": Recipe("Adam at 0.002", 10, lambda net: Adam(net.parameters(), lr=2e-3)),
    "adam-faster": Recipe("Adam at 0.004", 8, lambda net: Adam(net.parameters(), lr=4e-3)),
    "sgd": Recipe(
        "SGD at 0.01 with momentum 0.9",
        10,
        lambda net: SGD(net.parameters(), lr=0.01, momentum=0.9),
    ),
}
CARD = """# {name}

{summary}

Input: [B,1,H,W] or [B,3,H,W] in [0, 1], white digits on black; resize to 28 px and normalisation
are part of the network. Output: logits over the ten digits.

## Use and limits
The small net on which digital attacks are compared. It answers with a digit whatever it is shown,
and was not trained against adversarial examples.

## Data
MNIST (LeCun, Cortes, Burges; CC BY-SA 3.0): {train} training digits, tested on {n} others.

## Top-1 on the test digits
{k}/{n} = {rate:.2%}, Wilson 95 % {low:.2%} to {high:.2%}

## Training
`{command}`

{words}, batches of {batch}, no augmentation. The weights are
those after the last epoch: nothing was selected on the test digits.
"""


def load_digits(folder: Path, split: Split) -> tuple[Tensor, Tensor]:
    """[N,1,28,28] in [0,1] and labels [N].

    Raises:
        UserError: If the set cannot be read.
    """
    digits, labels = read_mnist(folder, split)
    return torch.from_numpy(digits)[:, None].float() / 255, torch.from_numpy(labels)


def train(
    images: Tensor, labels: Tensor, *, recipe: Recipe, epochs: int | None = None, seed: int
) -> LeNet:
    """A LeNet in eval mode; the same on every call with the same seed and one thread."""
    torch.manual_seed(seed)
    network = LeNet()
    optimiser = recipe.optimiser(network)
    epochs = epochs or recipe.epochs
    steps = len(images) // BATCH
    schedule = None if recipe.schedule is None else recipe.schedule(optimiser, epochs * steps)
    order = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        started, total = time.monotonic(), 0.0
        shuffled = torch.randperm(len(images), generator=order)
        for chosen in shuffled[: steps * BATCH].split(BATCH):
            loss = F.cross_entropy(network(images[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if schedule is not None:
                schedule.step()
            total += loss.item()
        seconds = time.monotonic() - started
        print(
            f"epoch {epoch + 1}/{epochs} loss {total / steps:.4f} {seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return network.eval()


def main() -> None:
    """Parse, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="MNIST folder [PHYSADV_DATA/data/mnist]")
    parser.add_argument("--recipe", choices=RECIPES, default="one-cycle")
    parser.add_argument("--epochs", type=int, help="[the recipe's own]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the weights")
    arguments = parser.parse_args()
    bundled = arguments.out == FOLDER
    if bundled and arguments.recipe != "one-cycle":
        parser.error(f"recipe {arguments.recipe}: the bundled weights are one-cycle's; give --out")
    torch.set_num_threads(1)
    folder = arguments.data or find_external("data/mnist")
    images, labels = load_digits(folder, "train")
    recipe = RECIPES[arguments.recipe]
    epochs = arguments.epochs or recipe.epochs
    network = train(images, labels, recipe=recipe, epochs=epochs, seed=arguments.seed)
    command = (
        f"python scripts/train_lenet.py --recipe {arguments.recipe} --epochs {epochs} "
        f"--seed {arguments.seed}"
    )
    name = "mnist-lenet" if bundled else f"lenet-{arguments.recipe}-{epochs}-{arguments.seed}"
    path = arguments.out / f"{name}.safetensors"
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(network.state_dict(), {"trained by": command}))
    digests = arguments.out / "sha256.json"
    known = read_json(digests) if digests.exists() else {}
    write_json(digests, {**known, path.name: sha256_of(path)})
    test_images, test_labels = load_digits(folder, "test")
    with torch.no_grad():
        k = int((network(test_images).argmax(dim=1) == test_labels).sum())
    n = len(test_labels)
    interval = wilson(k, n)
    text = CARD.format(
        name=name,
        summary=" ".join((LeNet.__doc__ or "").split("References:")[0].split()),
        train=f"{len(images):,}",
        k=k,
        n=n,
        rate=k / n,
        low=interval.low,
        high=interval.high,
        command=command,
        words=recipe.words,
        batch=BATCH,
    )
    with atomic_path(path.with_suffix(".md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
