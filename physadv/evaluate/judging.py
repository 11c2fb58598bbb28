"""Asking a classifier about crops, and turning its answers into Trials."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.scene.faces import face_reference
from physadv.scene.schema import Scene
from physadv.types import Treatment, Trial, Verdict
from physadv.victim.protocol import ClassifierVictim

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_MOST_PX = 4_000_000  # that are floats at a time
CROP_JITTER = 0.10  # of the box's size, on its centre and on its size


@dataclass(frozen=True)
class Answer:
    """The class that a victim reads and its softmax probability."""

    index: int
    score: float


@dataclass(frozen=True)
class Question:
    """What a victim is asked about one artwork: which class is right, which the attacker's."""

    victim: ClassifierVictim
    true_index: int
    target_index: int

    @staticmethod
    def of(scene: Scene, artwork: Artwork, victim: ClassifierVictim) -> "Question":
        """Resolve the classes.

        Raises:
            UserError: If the artwork was made for another carrier, or the victim has no class for
                this one.
            UsageError: If it does not know the artwork's target.
        """
        check_carrier(scene, artwork)
        return Question(
            victim,
            victim.first_known(scene.carrier.true_class),
            victim.class_index(artwork.target),
        )

    def verdict(self, index: int) -> Verdict:
        """What reading class ``index`` means."""
        if index == self.true_index:
            return "hit"
        return "target" if index == self.target_index else "misclassified"


def check_carrier(scene: Scene, artwork: Artwork) -> None:
    """Check that an artwork belongs to the scene's carrier.

    Raises:
        UserError: If it was made for another one.
    """
    carrier, width_mm = face_reference(scene), scene.carrier.width_mm
    if (artwork.carrier, artwork.width_mm) != (carrier, width_mm):
        raise UserError(
            f"judge this artwork on {carrier}, {width_mm:g} mm",
            f"it was made for {artwork.carrier}, {artwork.width_mm:g} mm",
            "Give the scene that it was made with, or leave --scene out.",
        )


@torch.no_grad()
def ask(victim: ClassifierVictim, crops: Sequence[Picture]) -> list[Answer]:
    """Classify crops [h,w,3] uint8 RGB of any sizes; the victim resizes them itself."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, crop in enumerate(crops):
        by_size.setdefault(crop.shape, []).append(index)
    fitted = [
        victim.fit(_batch(part, victim))
        for same in by_size.values()
        for part in _parts([crops[i] for i in same])
    ]
    if len({images.shape[1:] for images in fitted}) == 1:
        fitted = [torch.cat(fitted)]
    logits = torch.cat([victim.logits(images) for images in fitted])
    if not torch.isfinite(logits).all():
        raise UserError(
            f"ask {victim.name}",
            "its logits are not all finite numbers",
            "Mend the victim: a class read from NaN would be counted as an answer.",
        )
    scores, classes = (values.tolist() for values in logits.softmax(dim=1).max(dim=1))
    order = [index for same in by_size.values() for index in same]
    found = {i: Answer(c, s) for i, c, s in zip(order, classes, scores, strict=True)}
    return [found[index] for index in range(len(crops))]


def _parts(crops: Sequence[Picture]) -> Iterator[Sequence[Picture]]:
    """Crops of one size, as many at a time as do not fill the memory: photographs one by one."""
    many = max(1, _MOST_PX // (crops[0].shape[0] * crops[0].shape[1]))
    for first in range(0, len(crops), many):
        yield crops[first : first + many]


def _batch(crops: Sequence[Picture], victim: ClassifierVictim) -> torch.Tensor:
    """[B,3,h,w] in [0,1] on the victim's device."""
    batch = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2)
    return batch.to(victim.device) / 255


def jittered_box(box: Array, generator: np.random.Generator) -> Array:
    """The box moved by up to ``CROP_JITTER`` of its size and scaled by 1 +- ``CROP_JITTER``."""
    size = box[2:] - box[:2]
    centre = (box[:2] + box[2:]) / 2 + generator.uniform(-1, 1, 2) * CROP_JITTER * size
    half = size / 2 * (1 + generator.uniform(-1, 1) * CROP_JITTER)
    return np.concatenate([centre - half, centre + half])


def trial(
    question: Question,
    artwork: Artwork,
    answer: Answer,
    treatment: Treatment,
    **context: object,
) -> Trial:
    """One row of the trial store; ``context`` gives the remaining fields of ``Trial``."""
    names = question.victim.class_names
    return Trial(
        artwork=artwork.sha256,
        victim=question.victim.name,
        treatment=treatment,
        verdict=question.verdict(answer.index),
        predicted_class=names[answer.index],
        true_class=names[question.true_index],
        target_class=names[question.target_index],
        score=answer.score,
        **context,  # type: ignore[arg-type]
    )
