"""Who is to be fooled, and how: classifiers and detectors behind one seam."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from physadv.checks import UserError
from physadv.objective.classification import targeted_margin
from physadv.objective.detection import appear, hide
from physadv.scene.schema import Scene
from physadv.types import NOTHING, Goal
from physadv.victim.detector import DetectorOutput, DetectorVictim
from physadv.victim.precision import in_bfloat16
from physadv.victim.protocol import ClassifierVictim

_FOUND_LOGIT = -1.1  # confidence 0.25, at which verdicts are given
_SEEN_LOGIT = 0.0  # confidence 0.5, APRICOT's rule for what appears
_AIM_LOGIT = 1.0  # an optimiser that stops at the rule itself fails on every second look

Victim = TypeVar("Victim", ClassifierVictim, DetectorVictim)


class Opponent(Protocol):
    """One victim with what it is to be made to do."""

    @property
    def name(self) -> str:
        """The victim's name."""
        ...

    def judge(self, images: Tensor, boxes: Tensor, kappa: float) -> tuple[Tensor, Tensor]:
        """Losses [B] of views [B,3,s,s] that show the carrier at ``boxes`` [B,4], and success [B].

        ``kappa`` is the margin, in logits, by which a classifier is to be fooled.
        """
        ...


@dataclass(frozen=True)
class ClassifierOpponent:
    """A classifier that is to read the target, as an index into its outputs."""

    victim: ClassifierVictim
    target_index: int

    @property
    def name(self) -> str:
        """The victim's."""
        return self.victim.name

    def judge(self, images: Tensor, boxes: Tensor, kappa: float) -> tuple[Tensor, Tensor]:
        """Margin losses, and whether the target is read."""
        logits = self.victim.logits(images)
        losses = targeted_margin(logits, self.target_index, kappa)
        return losses, logits.detach().argmax(dim=1) == self.target_index


@dataclass(frozen=True)
class DetectorOpponent:
    """A detector that is to miss the carrier, to misread it, or to see something on it.

    ``true_index`` is what it must not report (not used to make something appear),
    ``target_index`` what it shall (not used to hide).
    """

    victim: DetectorVictim
    goal: Goal
    true_index: int
    target_index: int

    @property
    def name(self) -> str:
        """The victim's."""
        return self.victim.name

    def judge(self, images: Tensor, boxes: Tensor, kappa: float) -> tuple[Tensor, Tensor]:
        """Losses over all heads, and whether the head that judges is fooled."""
        with in_bfloat16(images.device):
            heads = self.victim.candidates(images.contiguous(memory_format=torch.channels_last))
        inside = boxes.clamp(0, images.shape[-1])
        # A head without classes can be silenced, but not made to name one.
        naming = [h for h in heads if self.goal == "hide" or not h.class_agnostic]
        judged = [self._look(head, inside) for head in naming]
        return torch.stack([loss for loss, _ in judged]).mean(dim=0), judged[0][1]

    def _look(self, head: DetectorOutput, boxes: Tensor) -> tuple[Tensor, Tensor]:
        frame = torch.arange(len(boxes), device=boxes.device)
        losses = boxes.new_zeros(len(boxes))
        fooled = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
        if self.goal != "appear":
            loss, strongest = hide(head, frame, boxes, self.true_index)
            losses, fooled = losses + loss, fooled & (strongest < _FOUND_LOGIT)
        if self.goal != "hide":
            loss, strongest = appear(
                head, frame, boxes, self.target_index, margin=_SEEN_LOGIT + _AIM_LOGIT
            )
            limit = _SEEN_LOGIT if self.goal == "appear" else _FOUND_LOGIT
            losses, fooled = losses + loss, fooled & (strongest > limit)
        return losses, fooled


def opponents_of(
    scene: Scene,
    victims: Sequence[ClassifierVictim | DetectorVictim],
    target: str,
    goal: Goal,
) -> tuple[list[ClassifierOpponent], list[DetectorOpponent]]:
    """Resolve the classes of every victim.

    Args:
        scene: Gives the true class.
        victims: Classifiers and detectors.
        target: The class that classifiers are to read, and detectors unless they are to miss.
        goal: What detectors are made to do.

    Raises:
        UserError: If a victim knows none of the carrier's true classes, the target is the true
            class, a victim is given twice, or the goal does not fit the victims.
        UsageError: If a victim does not know the target; its classes are listed.
    """
    names = [victim.name for victim in victims]
    if len(set(names)) < len(names):
        raise UserError(f"victims {', '.join(names)}", "one is given twice", "Give each once.")
    classifiers = [victim for victim in victims if isinstance(victim, ClassifierVictim)]
    detectors = [victim for victim in victims if isinstance(victim, DetectorVictim)]
    if classifiers and goal == "appear":
        raise UserError(
            f"make something appear to {classifiers[0].name}",
            "it is a classifier, which is shown the object's crop alone",
            "Give detectors.",
        )
    return (
        [
            ClassifierOpponent(victim, _other(scene, victim, victim.class_index(target), target))
            for victim in classifiers
        ],
        [_detector(scene, victim, target, goal) for victim in detectors],
    )


def _detector(scene: Scene, victim: DetectorVictim, target: str, goal: Goal) -> DetectorOpponent:
    if goal == "hide":
        return DetectorOpponent(victim, goal, victim.first_known(scene.carrier.true_class), -1)
    index = victim.first_known([target])
    if goal == "appear":
        return DetectorOpponent(victim, goal, -1, index)
    true_index = victim.first_known(scene.carrier.true_class)
    return DetectorOpponent(victim, goal, true_index, _other(scene, victim, index, target))


def _other(scene: Scene, victim: Victim, index: int, target: str) -> int:
    """``index``, unless it is what the victim should read."""
    if index == victim.first_known(scene.carrier.true_class):
        raise UserError(
            f"target {target!r}",
            f"that is what {victim.name} reads the clean sign as",
            "Choose another target.",
        )
    return index


def artwork_target(target: str, goal: Goal, has_classifiers: bool) -> str:
    """The class that an artwork is for: of a sign that is only hidden, nothing."""
    return NOTHING if goal == "hide" and not has_classifiers else target
