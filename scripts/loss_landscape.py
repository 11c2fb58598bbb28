"""The loss over PGD's steps from 20 starts, on a standard and an adversarially trained network.

    PHYSADV_DATA=... python scripts/loss_landscape.py OUT [--data mnist cifar10]

After figure 1 of Madry et al. (2018), for MNIST (eps .3) and CIFAR-10 (eps 8/255): two networks of
one architecture are trained on the same images, one of them adversarially, measured with PGD, and
drawn. Weights are kept in OUT, so that a run that was interrupted goes on where it was. One
thread. Not the paper's networks: these are small enough to train on one core in minutes.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from safetensors.torch import save
from torch import Tensor, nn
from train_lenet import load_digits

from physadv.checks import UserError
from physadv.data.files import atomic_path, find_external, write_json
from physadv.data.labelled import read_cifar10
from physadv.defend.adversarial_training import train_adversarially
from physadv.digital.landscape import loss_paths
from physadv.digital.pgd import pgd
from physadv.seeding import generator_for
from physadv.stats.intervals import wilson
from physadv.victim.weights import load_weights

STARTS, SHOWN = 20, 5
_HUES = {"standard": "#d55e00", "adversarial": "#0072b2"}


class SmallCnn(nn.Module):
    """Two 4x4 convolutions of stride 2, then two dense layers.

    References:
        Wong & Kolter, Provable defenses against adversarial examples via the convex outer
        adversarial polytope, ICML 2018, section 5 (its MNIST network; here also for colour).
    """

    def __init__(self, channels: int, side_px: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * (side_px // 4) ** 2, 100),
            nn.ReLU(),
            nn.Linear(100, 10),
        )

    def forward(self, images: Tensor) -> Tensor:
        """[B,C,side_px,side_px] in [0,1] -> [B,10] logits."""
        return self.layers(images)


@dataclass(frozen=True)
class Task:
    """A data set with the budget and the training that it gets."""

    title: str
    channels: int
    side_px: int
    width: int
    eps: float
    epochs: int
    rate: float
    path_steps: int
    path_step: float


TASKS = {
    "mnist": Task("MNIST, eps 0.3", 1, 28, 16, 0.3, 8, 1e-3, 100, 0.01),
    "cifar10": Task("CIFAR-10, eps 8/255", 3, 32, 32, 8 / 255, 15, 1e-3, 30, 2 / 255),
}
TRAINED = ("standard", "adversarial")
PGD_STEPS, RESTARTS, JUDGED = 40, 2, 1000


def data_of(name: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images in [0,1] and labels, test images and labels.

    Raises:
        UserError: If the set is not there.
    """
    folder = find_external(f"data/{name}")
    if name == "mnist":
        return (*load_digits(folder, "train"), *_shuffled(*load_digits(folder, "test")))
    parts = read_cifar10(folder, "train"), read_cifar10(folder, "test")
    tensors = [
        (torch.from_numpy(part.images).float() / 255, torch.from_numpy(part.labels))
        for part in parts
    ]
    return (*tensors[0], *_shuffled(*tensors[1]))


def _shuffled(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The same in another order: a set's first images may all be of one class."""
    order = torch.from_numpy(generator_for(0, "loss landscape").permutation(len(labels)))
    return images[order], labels[order]


def network_of(folder: Path, name: str, kind: str, images: Tensor, labels: Tensor) -> nn.Module:
    """The trained network, from ``folder`` if it is there."""
    task = TASKS[name]
    torch.manual_seed(0)
    network = SmallCnn(task.channels, task.side_px, task.width)
    path = folder / f"{name}-{kind}.safetensors"
    if path.exists():
        load_weights(network, path)
        return network.eval()
    started = time.process_time()
    train_adversarially(
        network,
        images,
        labels,
        eps=task.eps if kind == "adversarial" else 0.0,
        epochs=task.epochs,
        rate=task.rate,
        progress=lambda epoch, epochs, loss: print(
            f"{name} {kind}: epoch {epoch}/{epochs}, loss {loss:.3f}, "
            f"{time.process_time() - started:.0f} CPU-s",
            file=sys.stderr,
            flush=True,
        ),
    )
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(network.state_dict()))
    return network


@torch.no_grad()
def accuracy(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[int, int]:
    """Rightly read, and of how many."""
    right = [
        (network(part).argmax(dim=1) == truth).sum()
        for part, truth in zip(images.split(500), labels.split(500), strict=True)
    ]
    return int(sum(right)), len(labels)


def measured(task: Task, network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, object]:
    """Accuracy on the test images, and on the first of them under PGD."""
    clean, n = accuracy(network, images, labels)
    few, truth = images[:JUDGED], labels[:JUDGED]
    found = pgd(network, few, truth, eps=task.eps, steps=PGD_STEPS, restarts=RESTARTS)
    right = accuracy(network, few, truth)[0] - int(found.success.sum())
    said = {}
    for key, k, of in (("clean", clean, n), ("under PGD", right, len(truth))):
        limits = wilson(k, of)
        said[key] = {"k": k, "n": of, "interval": [limits.low, limits.high]}
    return said


def paths_of(task: Task, network: nn.Module, images: Tensor, labels: Tensor) -> list[Tensor]:
    """[STARTS, steps + 1] losses for each image."""
    return [
        loss_paths(
            network,
            image,
            int(label),
            eps=task.eps,
            steps=task.path_steps,
            step_size=task.path_step,
            starts=STARTS,
        )
        for image, label in zip(images, labels, strict=True)
    ]


def draw(paths: dict[tuple[str, str], list[Tensor]]) -> Figure:
    """A line of axes for each network, a column for each image; one line a start."""
    figure = Figure(figsize=(2.3 * SHOWN, 2.1 * len(paths)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(paths), SHOWN, sharey="row", squeeze=False)
    for line, ((title, kind), every) in zip(grid, paths.items(), strict=True):
        for axes, losses in zip(line, every, strict=True):
            axes.plot(losses.T.numpy(), color=_HUES[kind], lw=0.6, alpha=0.8)
            axes.spines[["top", "right"]].set_visible(False)
        line[0].set_ylim(bottom=0)  # once all five have widened the axis that they share
        line[0].set_ylabel(f"{title}\n{kind} training\ncross entropy", fontsize=8)
    for number, axes in enumerate(grid[0]):
        axes.set_title(f"test image {number + 1}", fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("PGD steps", fontsize=8)
    return figure


def main() -> None:
    """Parse, train, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for weights, figures and the plot")
    parser.add_argument("--data", nargs="+", choices=list(TASKS), default=list(TASKS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record: dict[str, object] = {}
    paths: dict[tuple[str, str], list[Tensor]] = {}
    for name in arguments.data:
        task = TASKS[name]
        images, labels, test_images, test_labels = data_of(name)
        networks = {kind: network_of(arguments.out, name, kind, images, labels) for kind in TRAINED}
        for kind, network in networks.items():
            found = measured(task, network, test_images, test_labels)
            every = paths_of(task, network, test_images[:SHOWN], test_labels[:SHOWN])
            paths[task.title, kind] = every
            ends = torch.stack([losses[:, -1] for losses in every])
            record[f"{name} {kind}"] = {
                **found,
                "last loss, mean of each image": ends.mean(dim=1).tolist(),
                "last loss, deviation over starts": ends.std(dim=1).tolist(),
            }
            told = ", ".join(
                f"{key} {value['k']}/{value['n']} = {value['k'] / value['n']:.1%} "  # type: ignore[index]
                f"({value['interval'][0]:.1%} to {value['interval'][1]:.1%})"  # type: ignore[index]
                for key, value in found.items()
            )
            spread = float(np.mean(ends.std(dim=1).numpy()))
            print(
                f"{task.title}, {kind} training: {told}; last loss {float(ends.mean()):.2f}, "
                f"deviation over starts {spread:.2f}",
                flush=True,
            )
    figure = draw(paths)
    for suffix in ("png", "svg"):
        with atomic_path(arguments.out / f"loss_landscape.{suffix}") as temporary:
            figure.savefig(temporary, dpi=130)
    write_json(arguments.out / "loss_landscape.json", record)
    print(arguments.out / "loss_landscape.png")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
