"""The digital attacks beside those of other libraries: success, norms and CPU time, in one run.

    PHYSADV_DATA=... python scripts/bench_digital.py [--count 1000] [--victim mnist-lenet]
        [--weights LENET.safetensors] [--attacks "DeepFool l2" ...] [--rounds 3] [--slow]

Needs the extra ``bench``. One thread. "fooled" counts every image that the model misreads
afterwards, those that it misread before included, as the other libraries count; l2 and linf are
means over the images that were read rightly and are not any more. "x bare" is CPU time over that
of the attack's budget of forward and input-gradient passes alone plus two looks, at the result and
at the result rounded to 8 bits; those two looks are added to the other libraries' time, since
they do not take them. Bare passes and looks are timed over all images at once and in chunks of 344
(87 signs), which a CPU's cache prefers, passes before and after every attack; the faster way
counts. The second figure is over the same passes and looks at images stored with channels last, as
physadv shows them to convolutional networks. What takes less than half a second is repeated for so
long.
With ``--rounds``, every attack is run so often, in turn with the others: the median counts.
APGD-40 "saved passes" spends what samples that are done early leave over of 40 passes each.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from digital_peers import peers
from gtsrb_card import classes_of, crops
from torch import Tensor, nn

from physadv.checks import UserError
from physadv.data.files import find_external
from physadv.data.gtsrb import read_gtsrb
from physadv.data.mnist import read_mnist
from physadv.digital.apgd import apgd
from physadv.digital.bim import bim
from physadv.digital.carlini_wagner import carlini_wagner
from physadv.digital.ddn import ddn
from physadv.digital.deepfool import deepfool
from physadv.digital.fgsm import fgsm
from physadv.digital.outcome import Adversarials
from physadv.digital.pgd import pgd
from physadv.digital.problem import rounded
from physadv.engine.heap import keep_freed_memory
from physadv.victim.catalog import load_victim
from physadv.victim.layout import channels_last
from physadv.victim.weights import load_weights

OWN = "physadv"
Ours = Callable[[nn.Module, Tensor, Tensor], Adversarials]
OURS: dict[str, Ours] = {
    "FGSM eps .3": lambda m, x, y: fgsm(m, x, y, eps=0.3),
    "BIM-40 eps .1": lambda m, x, y: bim(m, x, y, eps=0.1, step_size=0.01),
    "PGD-40 eps .3": lambda m, x, y: pgd(m, x, y, eps=0.3, step_size=0.01),
    "PGD-40 eps .1": lambda m, x, y: pgd(m, x, y, eps=0.1, step_size=0.01),
    "APGD-40 eps .1": lambda m, x, y: apgd(m, x, y, eps=0.1, steps=40),
    "APGD-40 saved passes": lambda m, x, y: apgd(m, x, y, eps=0.1, steps=40, restarts=None),
    "DeepFool l2": lambda m, x, y: deepfool(m, x, y),
    "DeepFool linf": lambda m, x, y: deepfool(m, x, y, norm="linf"),
    "CW-l2 5x100 lr .01": lambda m, x, y: carlini_wagner(m, x, y, step_size=0.01),
    "CW-l2 5x100": lambda m, x, y: carlini_wagner(m, x, y),
    "DDN-100": lambda m, x, y: ddn(m, x, y),
}
PASSES = {
    "FGSM eps .3": 1,
    "BIM-40 eps .1": 40,
    "PGD-40 eps .3": 40,
    "PGD-40 eps .1": 40,
    "APGD-40 eps .1": 40,
    "APGD-40 saved passes": 40,
    "CW-l2 5x100 lr .01": 500,
    "CW-l2 5x100": 500,
    "DDN-100": 100,
}
"""Budgets in forward and backward passes; DeepFool has none, its time is in CPU seconds."""
WHILE_S = 0.5
SLOW = {("DeepFool l2", "torchattacks"), ("DeepFool l2", "ART")}


def scaled(model: nn.Module, factor: float) -> nn.Module:
    """The same decisions from larger logits."""
    return nn.Sequential(model, _Times(factor)).eval()


class _Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor) -> Tensor:
        return logits * self.factor


def seconds(work: Callable[[], object]) -> float:
    """CPU time of one call."""
    started = time.process_time()
    work()
    return time.process_time() - started


def one_pass(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Forward and backward down to the pixels, parameters frozen."""
    inputs = images.clone().requires_grad_(True)
    torch.autograd.grad(F.cross_entropy(model(inputs), labels, reduction="sum"), inputs)


@torch.no_grad()
def look(model: nn.Module, images: Tensor) -> Tensor:
    """Predictions [B]."""
    return model(images).argmax(dim=1)


def chunk_of(images: Tensor) -> int:
    """Images in a pass that a CPU's cache prefers."""
    return min(len(images), max(16, 270_000 // images[0].numel()))


def bare_seconds(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Mean CPU time of a pass over all images, at once or in chunks: the faster."""
    chunk = chunk_of(images)

    def in_chunks() -> None:
        for points, classes in zip(images.split(chunk), labels.split(chunk), strict=True):
            one_pass(model, points, classes)

    return min(mean_seconds(lambda: one_pass(model, images, labels)), mean_seconds(in_chunks))


def look_seconds(model: nn.Module, images: Tensor) -> float:
    """Mean CPU time of a look at all images, at once or in chunks: the faster."""
    chunks = images.split(chunk_of(images))
    return min(
        mean_seconds(lambda: look(model, images)),
        mean_seconds(lambda: [look(model, points) for points in chunks]),
    )


def mean_seconds(work: Callable[[], object]) -> float:
    """Mean CPU time of a call, over as many calls as take a while."""
    spent: list[float] = []
    while sum(spent) < WHILE_S:
        spent.append(seconds(work))
    return sum(spent) / len(spent)


def measure(
    name: str,
    attacks: dict[str, Callable[[], Tensor]],
    rounds: int,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
) -> None:
    """Run one attack of every library in turn, between bare passes, and print a line each."""
    spent: dict[str, list[tuple[float, ...]]] = {}
    found: dict[str, Tensor] = {}
    passes = PASSES.get(name, 0)
    layouts = (torch.clone, channels_last)
    turned = [layout(images) for layout in layouts]
    bare_seconds(model, images, labels)  # the first is slower
    bare = [bare_seconds(model, shown, labels) for shown in turned]
    for _ in range(rounds):
        for library, attack in list(attacks.items()):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    passed = mean_seconds(lambda a=attack, lib=library: found.update({lib: a()}))
            except Exception as error:
                print(f"{name:20s} {library:14s} failed: {type(error).__name__}: {error}")
                del attacks[library]
                continue
            before_it, bare = bare, [bare_seconds(model, shown, labels) for shown in turned]
            glances = [
                2 * look_seconds(model, layout(found[library].detach())) for layout in layouts
            ]
            cost = passed + (0 if library == OWN else glances[0])
            budgets = [
                passes * (early + late) / 2 + looks
                for early, late, looks in zip(before_it, bare, glances, strict=True)
            ]
            spent.setdefault(library, []).append((cost, *(cost / one for one in budgets)))
    before = look(model, images)
    for library, result in found.items():
        adversarial = result.detach()
        after, eight = look(model, adversarial), look(model, rounded(adversarial))
        won = (before == labels) & (after != labels)
        delta = (adversarial - images)[won].flatten(1)
        cost, plain, last = (median(figures) for figures in zip(*spent[library], strict=True))
        against = f"{plain:6.2f} x bare ({last:.2f} with channels last)" if passes else ""
        n = len(images)
        mean_l2 = float(delta.norm(dim=1).mean())
        largest = float(delta.abs().amax(dim=1).mean()) if len(delta) else torch.nan
        print(
            f"{name:20s} {library:14s} fooled {float((after != labels).sum()) / n:6.1%}  after 8 "
            f"bits {float((eight != labels).sum()) / n:6.1%}  l2 {mean_l2:.4f}  "
            f"linf {largest:.4f}  CPU {cost:7.2f} s {against}",
            flush=True,
        )


def load(victim: str, count: int, weights: Path | None) -> tuple[nn.Module, Tensor, Tensor]:
    """Model (with other ``weights`` where given), test images in [0,1] and labels.

    Raises:
        UserError: If the data or the victim are not there.
    """
    model = load_victim(victim).module
    if weights is not None:
        load_weights(model, weights)
    if victim == "mnist-lenet":
        digits, labels = read_mnist(find_external("data/mnist"), "test")
        images = torch.from_numpy(digits[:count])[:, None].float() / 255
        return model, images, torch.from_numpy(labels[:count])
    signs = read_gtsrb(find_external("data/gtsrb")).part("test_tracks")
    step = max(1, len(signs.records) // count)
    chosen = type(signs)(signs.records[::step][:count], signs.read_bytes)
    return model, crops(chosen, 32).float() / 255, classes_of(chosen)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--victim", choices=("mnist-lenet", "gtsrb-cnn"), default="mnist-lenet")
    parser.add_argument("--weights", type=Path, help="other weights of the victim's architecture")
    parser.add_argument("--attacks", nargs="*", choices=sorted(OURS), default=list(OURS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--slow", action="store_true", help="also DeepFool of ART and torchattacks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # else the system's handing out of pages decides, as chance has it
    torch.manual_seed(0)
    model, images, labels = load(arguments.victim, arguments.count, arguments.weights)
    classes = model(images[:1]).shape[1]
    rows, missing = peers(model, classes)
    for line in missing:
        print(f"not measured: {line}")
    for name in arguments.attacks:
        outcome: list[Adversarials] = []

        def own(name: str = name, outcome: list[Adversarials] = outcome) -> Tensor:
            outcome[:] = [OURS[name](model, images, labels)]
            return outcome[0].images

        attacks: dict[str, Callable[[], Tensor]] = {OWN: own}
        for library, attack in rows.get(name, {}).items():
            if arguments.slow or (name, library) not in SLOW:
                attacks[library] = lambda a=attack: a(images, labels)
        measure(name, attacks, arguments.rounds, model, images, labels)
        print(f"    {outcome[0]}".replace("\n", "; "), flush=True)
    large = scaled(model, 1000.0)
    far, _ = peers(large, classes)
    for name in ("FGSM eps .3", "PGD-40 eps .3"):
        if name not in arguments.attacks:
            continue
        found = OURS[name](large, images, labels)
        print(f"logits x 1000, {name}: physadv {found}".replace("\n", "; "))
        for library, attack in far.get(name, {}).items():
            fooled = (look(large, attack(images, labels)) != labels).float().mean()
            print(f"logits x 1000, {name}: {library} fooled {float(fooled):.1%}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
