"""Digital attacks on named victims; what some have to learn of a victim first is learnt once."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physadv.checks import UserError
from physadv.data.labelledset import LabelledImages
from physadv.digital.catalog import ATTACKS
from physadv.digital.momentum import momentum
from physadv.digital.outcome import Adversarials
from physadv.digital.substitute import convolutional, labels_of, train_substitute
from physadv.digital.transfer import transferred
from physadv.digital.universal import train_universal, universal
from physadv.evaluate.digital_parts import Parts, kept_tensors
from physadv.evaluate.digital_plan import Task
from physadv.evaluate.journal import key_of
from physadv.seeding import generator_for
from physadv.victim.protocol import ClassifierVictim

Progress = Callable[[str, int, int], None]
Making = Callable[[ClassifierVictim, Tensor, Tensor], Adversarials]
_SMALLEST_PX = 10
_QUERIES, _PERTURBATION = "queries", "perturbation"  # among tensors that are kept


def set_apart(
    data: LabelledImages, count: int, seed: int = 0
) -> tuple[LabelledImages, LabelledImages]:
    """The images to attack, and at least ``count`` others to learn from.

    Images of one group (frames of one sign) all go to one side. Those that are spare are learnt
    from first, so that what is attacked is the same with and without learning, as far as can be.

    Raises:
        UserError: If nothing would be left to attack.
    """
    groups, places, sizes = np.unique(data.groups, return_inverse=True, return_counts=True)
    asked = ~np.array(data.spare or [False] * len(places))
    order = generator_for(seed, "set apart").permutation(len(groups))
    order = order[np.argsort(np.bincount(places, asked)[order], kind="stable")]
    enough = int(np.searchsorted(np.cumsum(sizes[order]), count)) + 1
    learn = np.isin(data.groups, groups[order[:enough]])
    if learn.all():
        raise UserError(
            f"learn from {count} images besides those attacked",
            f"{len(data.images)} images were read",
            "Give a larger set, or a smaller number to learn from.",
        )
    return data.chosen(~learn), data.chosen(learn)


class _Reluctant(nn.Module):
    """A network that never reads one class, with the gradients that it has.

    Images that it reads as their target can then be pushed on: else they would be left as they are.
    """

    def __init__(self, network: nn.Module, index: int) -> None:
        super().__init__()
        self.network, self.index = network, index

    def forward(self, images: Tensor) -> Tensor:
        logits = self.network(images)
        above = (logits[:, self.index] - logits.amin(dim=1) + 1).detach()
        own = F.one_hot(torch.tensor(self.index, device=logits.device), logits.shape[1])
        return logits - above[:, None] * own


@dataclass
class Attacker:
    """Makes tasks' attacks.

    ``lesson`` are images that are not attacked, for attacks that learn; ``target_index`` a class
    to reach; ``seed`` decides the draws of what learns; ``progress`` is called with a title, work
    done and work in all, while something is learnt. What was learnt is kept in ``parts``, and taken
    from there: a black box is not asked twice.
    """

    lesson: LabelledImages | None = None
    target_index: int | None = None
    seed: int = 0
    progress: Progress = lambda title, done, total: None
    parts: Parts | None = None
    _networks: dict[str, tuple[nn.Module, str]] = field(default_factory=dict, repr=False)
    _perturbations: dict[tuple[str, str], tuple[Tensor, str]] = field(
        default_factory=dict, repr=False
    )

    def attack(
        self, task: Task, victim: ClassifierVictim, images: Tensor, labels: Tensor
    ) -> Adversarials:
        """What ``task`` makes of images [B,C,H,W] in [0,1] against ``victim``.

        Raises:
            UserError: If the attack refuses, or has nothing to learn from.
        """
        targets = self._targets(labels)
        if task.attack == "universal":
            perturbation, note = self._perturbation(task, victim, images.device)
            found = universal(victim, images, labels, perturbation=perturbation, targets=targets)
        elif task.attack == "substitute":
            network, note = self._substitute(victim, images.device)
            # Away from what the substitute reads: else those that it misreads would stay as they
            # are, and a poor substitute would make a robust victim.
            if self.target_index is not None:
                network = _Reluctant(network, self.target_index)
            read = labels_of(network)(images)
            made = momentum(network, images, read, targets=targets, **task.options)
            found = transferred(victim, images, labels, made=made.images, targets=targets)
        else:
            aims = {} if targets is None else {"targets": targets}
            return ATTACKS[task.attack](victim, images, labels, **task.options, **aims)
        return replace(found, attack=task.attack, notes=(*found.notes, note))

    def _targets(self, labels: Tensor) -> Tensor | None:
        return None if self.target_index is None else torch.full_like(labels, self.target_index)

    def _substitute(self, victim: ClassifierVictim, device: torch.device) -> tuple[nn.Module, str]:
        if victim.name not in self._networks:
            images, _ = self._read("substitute", device)
            if min(images.shape[2:]) < _SMALLEST_PX:
                raise UserError(
                    "attack substitute",
                    f"images of {images.shape[3]} x {images.shape[2]} px",
                    f"The substitute needs {_SMALLEST_PX} px or more.",
                )
            network = convolutional(images.shape[1], len(victim.class_names), seed=self.seed)

            def learn() -> dict[str, Tensor]:
                found = train_substitute(
                    labels_of(victim),
                    network.to(device),
                    images,
                    seed=self.seed,
                    progress=partial(self.progress, f"substitute for {victim.name}"),
                )
                return {**found.network.state_dict(), _QUERIES: torch.tensor(found.queries)}

            learnt = kept_tensors(self.parts, f"substitute-{key_of(victim.name)}", learn)
            queries = int(learnt.pop(_QUERIES))
            network.load_state_dict(learnt)
            note = (
                f"{victim.name} was asked for {queries:,} labels first, beginning with "
                f"{len(images)} other images of the set"
            )
            self._networks[victim.name] = network.to(device).eval(), note
        return self._networks[victim.name]

    def _perturbation(
        self, task: Task, victim: ClassifierVictim, device: torch.device
    ) -> tuple[Tensor, str]:
        key = victim.name, repr(sorted(task.options.items()))
        if key not in self._perturbations:
            images, labels = self._read("universal", device)
            if self.target_index is not None:
                images, labels = (one[labels != self.target_index] for one in (images, labels))

            def learn() -> dict[str, Tensor]:
                targets = self._targets(labels)
                found = train_universal(victim, images, labels, targets=targets, **task.options)
                return {_PERTURBATION: found}

            learnt = kept_tensors(self.parts, f"universal-{key_of(*key)}", learn)
            note = f"learnt on {len(images)} other images of the set"
            self._perturbations[key] = learnt[_PERTURBATION].to(device), note
        return self._perturbations[key]

    def _read(self, attack: str, device: torch.device) -> tuple[Tensor, Tensor]:
        if self.lesson is None:
            raise UserError(f"attack {attack}", "no images to learn from", "Set some apart.")
        return self.lesson.tensors(device)
