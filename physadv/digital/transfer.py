"""Whether images made against one model fool others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from physadv.checks import UsageError, UserError
from physadv.digital.freezing import asked, frozen
from physadv.digital.inputs import Model, checked_classes, checked_images
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import opened, rounded
from physadv.digital.rows import picked
from physadv.stats.intervals import Interval, wilson

Attack = Callable[[Model, Tensor, Tensor], Adversarials]


@dataclass(frozen=True)
class TransferMatrix:
    """Images made against each of S models, judged by all of them.

    Only images that every model reads as labelled are counted, so that all cells have one ``n``.
    ``shared`` [B] marks them; ``fooled`` and ``fooled_8bit`` [S,S,n] say which are misread: made
    against the first index, judged by the second; as they are, and still so rounded to 8 bits.
    """

    names: tuple[str, ...]
    shared: Tensor
    fooled: Tensor
    fooled_8bit: Tensor

    def rate(
        self, made_on: str, judged_by: str, *, eight_bit: bool = False
    ) -> tuple[int, int, Interval | None]:
        """Misread images, images that count, and Wilson's 95 % interval (None if none count).

        Images are taken as independent, as in ``Adversarials.rate``.
        """
        counted = self.fooled_8bit if eight_bit else self.fooled
        cell = counted[self.names.index(made_on), self.names.index(judged_by)]
        k, n = int(cell.sum()), cell.numel()
        return k, n, wilson(k, n) if n else None


def transfer_matrix(
    models: Mapping[str, Model], attack: Attack, images: Tensor, labels: Tensor
) -> TransferMatrix:
    """Attack every model and show the results to all.

    Args:
        models: By name, each from images to logits over the same classes.
        attack: From model, images and labels, as ``lambda m, x, y: pgd(m, x, y, eps=0.03)``.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.

    Raises:
        UsageError: If there is no model.
        UserError: If images, labels or an answer are not what they must be.
    """
    if not models:
        raise UsageError("models to transfer between", "none", "Give one or more by name.")
    images = checked_images(images)
    labels = checked_classes("labels", labels, images)
    shared = read_by_all(models, images, labels)
    clean, truth = images[shared], labels[shared]
    made = [attack(model, clean, truth).images for model in models.values()]
    plain = torch.stack([misread(models, one, truth) for one in made])
    eight = torch.stack([misread(models, rounded(one), truth) for one in made])
    return TransferMatrix(tuple(models), shared, plain, plain & eight)


def transferred(
    model: Model, images: Tensor, labels: Tensor, *, made: Tensor, targets: Tensor | None = None
) -> Adversarials:
    """Show images that were made elsewhere to a model: what became of each.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        made: [B,C,H,W] in [0,1], from ``images``.
        targets: [B] classes to reach; None for any wrong one.

    Raises:
        UserError: If images, labels, targets or an answer are not what they must be.
    """
    if made.shape != images.shape:
        raise UserError(
            "images made elsewhere",
            f"shape {list(made.shape)} for images {list(images.shape)}",
            "Give one for each image.",
        )
    with opened(model, images, labels, targets, gradients=False) as problem:
        problem.last(picked(checked_images(made), problem.open_rows), problem.open_rows)
        return problem.close("transferred")


def read_by_all(models: Mapping[str, Model], images: Tensor, labels: Tensor) -> Tensor:
    """[B] True where every model gives the label."""
    return ~misread(models, images, labels).any(dim=0)


@torch.no_grad()
def misread(models: Mapping[str, Model], images: Tensor, labels: Tensor) -> Tensor:
    """[S,B] True where a model does not give the label, or no number."""
    found = []
    for model in models.values():
        with frozen(model) as (call, _):
            logits = asked(call, images)
        sane = logits.isfinite().all(dim=1)
        found.append((logits.argmax(dim=1) != labels) | ~sane)
    return torch.stack(found)
