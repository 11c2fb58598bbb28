"""The introduction's table of digital attacks (LeNet on MNIST), beside the same attacks on pixels.

    PHYSADV_DATA=... python scripts/reproduce_lecture.py OUT [--seeds 5] [--network lecture]
        [--epochs 20] [--rate .001]

Trains a LeNet per seed in the plainest way (Adam, batches of 64, no schedule), by default without
ReLU between its linear layers, attacks it with the settings that gave the published table
(normalised units, no clipping, "PGD" without a random start: see ``lecture_attacks.py``) and with
proper ones ([0,1] pixels, clipped, ``physadv.digital``), and prints both beside the published
figures. Then two attacks on a photograph of a panda, as a picture sheet. Weights and counts of
every seed are kept in OUT, so that a run that was interrupted goes on where it was.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lecture_attacks import LECTURE, LectureLeNet
from lecture_pictures import write_panda_sheet
from safetensors.torch import save
from torch import Tensor, nn
from train_lenet import load_digits

from physadv.checks import UserError
from physadv.data.environment import versions
from physadv.data.files import atomic_path, find_external, read_json, sha256_of, write_json
from physadv.digital.deepfool import deepfool
from physadv.digital.fgsm import fgsm
from physadv.digital.noise import noise
from physadv.digital.outcome import Adversarials
from physadv.digital.pgd import pgd
from physadv.digital.semantic import semantic
from physadv.stats.intervals import wilson
from physadv.victim.mnist import MEAN, STD, LeNet
from physadv.victim.weights import load_weights

PUBLISHED = {
    "clean": (0.9858, 1.0),
    "noise": (0.984, 1.0),
    "semantic": (0.233, 0.645),
    "FGSM": (0.509, 0.993),
    "PGD": (0.187, 0.982),
    "DeepFool": (0.012, 1.0),
}
EXPECTED = {
    "clean": (".983-.984", ""),
    "noise": (".982-.985", ""),
    "semantic": (".202-.392", ".720-.750"),
    "FGSM": (".357-.553", ".978-.992"),
    "PGD": (".058-.174", ".922-.979"),
    "DeepFool": (".010-.012", "1.000"),
}
"""Ranges over three trainings made elsewhere, attacked with the published settings."""
PROPER: dict[str, Callable[[nn.Module, Tensor, Tensor], Adversarials]] = {
    "noise": lambda m, x, y: noise(m, x, y, eps=0.3),
    "semantic": lambda m, x, y: semantic(m, x, y),
    "FGSM": lambda m, x, y: fgsm(m, x, y, eps=0.3),
    "PGD": lambda m, x, y: pgd(m, x, y, eps=0.3, step_size=0.01, steps=40),
    "DeepFool": lambda m, x, y: deepfool(m, x, y),
}
TOP = 5
NETWORKS: dict[str, type[LeNet]] = {"lecture": LectureLeNet, "relu": LeNet}
BATCH = 64
ATTACKED = 500  # digits at once
NOTES = """As published: on normalised images, unclipped. Noise and FGSM .3 (.0924 on pixels); PGD:
ten steps of .05 within .3 and no random start, which is BIM; DeepFool 50 steps, overshoot .02, away
from the predicted class, so that digits misread before can become right; semantic: x to -x.
Proper: on pixels in [0,1], clipped. Noise and FGSM .3; PGD 40 steps of .01 within .3 from a random
start, done once fooled; DeepFool to the shortest change that survives 8 bits, on digits read
rightly only; semantic: x to 1 - x. Top 5 after attacks that stop at the border says little."""

Counts = dict[str, dict[str, list[int]]]
"""Setting -> row -> [right at 1, right among 5, digits]."""


@dataclass(frozen=True)
class Training:
    """A key of ``NETWORKS``, passes over the digits, and Adam's step."""

    network: str
    epochs: int
    rate: float

    def __str__(self) -> str:
        return f"{self.network}-{self.epochs}-epochs-at-{self.rate:g}"


def trained(folder: Path, seed: int, training: Training) -> LeNet:
    """The LeNet of that seed, from ``folder`` if it was trained before."""
    path = folder / f"{training}-seed-{seed}.safetensors"
    if path.exists():
        network = NETWORKS[training.network]()
        load_weights(network, path)
        return network.eval()
    images, labels = load_digits(find_external("data/mnist"), "train")
    torch.manual_seed(seed)
    network = NETWORKS[training.network]()
    optimiser = torch.optim.Adam(network.parameters(), lr=training.rate)
    for _ in range(training.epochs):
        for chosen in torch.randperm(len(images)).split(BATCH):
            loss = F.cross_entropy(network(images[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(network.state_dict()))
    return network.eval()


def count_right(logits: Tensor, labels: Tensor) -> list[int]:
    """Right at 1, right among 5, and how many."""
    first = logits.topk(TOP, dim=1).indices == labels[:, None]
    return [int(first[:, 0].sum()), int(first.any(dim=1).sum()), len(labels)]


def attacked(network: LeNet, images: Tensor, labels: Tensor, seed: int) -> Counts:
    """Every attack at both settings, summed over batches."""
    network.requires_grad_(False)

    def on_normalised(points: Tensor) -> Tensor:
        return network(points * STD + MEAN)

    found: Counts = {"published": {}, "proper": {}}

    def add(setting: str, row: str, logits: Tensor, truth: Tensor) -> None:
        before = found[setting].get(row, [0, 0, 0])
        more = count_right(logits, truth)
        found[setting][row] = [a + b for a, b in zip(before, more, strict=True)]

    generator = torch.Generator().manual_seed(seed)
    for pixels, truth in zip(images.split(ATTACKED), labels.split(ATTACKED), strict=True):
        for setting in found:
            add(setting, "clean", network(pixels), truth)
        normalised = (pixels - MEAN) / STD
        for row, attack in LECTURE.items():
            moved = attack(on_normalised, normalised, truth, generator)
            add("published", row, on_normalised(moved.detach()), truth)
        for row, proper in PROPER.items():
            add("proper", row, network(proper(network, pixels, truth).images), truth)
    return found


def counts_of(folder: Path, seed: int, training: Training, digits: int | None) -> Counts:
    """Counts of one seed, from ``folder`` if they are there."""
    whole = digits is None
    name = f"counts-{training}-seed-{seed}{'' if whole else f'-first-{digits}'}.json"
    path = folder / name
    if path.exists():
        known: Counts = read_json(path)
        return known
    network = trained(folder, seed, training)
    images, labels = load_digits(find_external("data/mnist"), "test")
    found = attacked(network, images[:digits], labels[:digits], seed)
    write_json(path, found)
    return found


def band(counts: list[list[int]], place: int) -> str:
    """Mean share over trainings and its range, ``.984 (.983-.986)``."""
    shares = [entry[place] / entry[2] for entry in counts]
    mean = sum(shares) / len(shares)
    return f"{_share(mean)} ({_share(min(shares))}-{_share(max(shares))})"


def _share(value: float) -> str:
    text = f"{value:.3f}"
    return text if value >= 0.9995 else text[1:]


def table(every: list[Counts]) -> str:
    """The published figures, ours at those settings, and ours at proper ones."""
    titles = ("three elsewhere", "top 5", "same settings, top 1", "top 5", "proper, top 1", "top 5")
    widths = (17, 12, 22, 22, 22, 22)
    heads = [f"{title:{width}s}" for title, width in zip(titles, widths, strict=True)]
    lines = [f"{'':10s}{'published':>16s}  {''.join(heads)}"]
    for row, (first, five) in PUBLISHED.items():
        cells = [
            band([counts[setting][row] for counts in every], place)
            for setting in ("published", "proper")
            for place in (0, 1)
        ]
        published = f"{first:.4f} / {five:.3f}"
        cells = [
            f"{cell:{width}s}" for cell, width in zip((*EXPECTED[row], *cells), widths, strict=True)
        ]
        lines.append(f"{row:10s}{published:>16s}  {''.join(cells)}")
    return "\n".join(line.rstrip() for line in lines)


def record(every: list[Counts]) -> list[dict[str, Any]]:
    """Counts with Wilson intervals, a line a seed, setting and row."""
    lines = []
    for seed, counts in enumerate(every):
        for setting, rows in counts.items():
            for row, (first, five, n) in rows.items():
                limits = wilson(first, n)
                lines.append(
                    {
                        "seed": seed,
                        "settings": setting,
                        "row": row,
                        "top_1": first,
                        "top_5": five,
                        "digits": n,
                        "top_1_interval": [limits.low, limits.high],
                    }
                )
    return lines


def main() -> None:
    """Parse, train, attack, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for weights, counts and pictures")
    parser.add_argument("--seeds", type=int, default=5, help="trainings")
    parser.add_argument(
        "--network", choices=NETWORKS, default="lecture", help="relu: as the bundled mnist-lenet"
    )
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rate", type=float, default=1e-3, help="Adam's step")
    parser.add_argument("--digits", type=int, help="of the test set, the first so many [all]")
    arguments = parser.parse_args()
    for name in ("seeds", "epochs", "digits"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            parser.error(f"--{name} {value}: give a whole number from 1 up")
    if not 0 < arguments.rate < 1:
        parser.error(f"--rate {arguments.rate}: give a number above 0 and below 1")
    training = Training(arguments.network, arguments.epochs, arguments.rate)
    torch.set_num_threads(1)
    every = []
    for seed in range(arguments.seeds):
        every.append(counts_of(arguments.out, seed, training, arguments.digits))
        print(f"seed {seed} done", file=sys.stderr, flush=True)
    digits = every[0]["published"]["clean"][2]
    print(f"LeNet on {digits} test digits, {len(every)} trainings: mean (lowest-highest)\n")
    print(table(every))
    print(f"\n{NOTES}")
    write_json(
        arguments.out / "lecture.json",
        {
            "versions": versions(),
            "network": training.network,
            "epochs": training.epochs,
            "rate": training.rate,
            "weights": {
                path.name: sha256_of(path) for path in sorted(arguments.out.glob("*.safetensors"))
            },
            "counts": record(every),
        },
    )
    try:
        print(f"\n{write_panda_sheet(arguments.out / 'panda.png')}")
    except UserError as error:
        print(f"\nno panda: {error}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
