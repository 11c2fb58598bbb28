"""One perturbation for all images."""

import torch
from torch import Tensor

from physadv.checks import UserError, check_name, check_range
from physadv.digital.inputs import Model, check_count
from physadv.digital.losses import LOSSES
from physadv.digital.norms import Norm, check_budget, column, steepest, within
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import opened
from physadv.seeding import generator_for

_CONFIDENT = 5.0  # logits by which a wrong class leads, from where an image pulls no more


def universal(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    perturbation: Tensor,
    targets: Tensor | None = None,
) -> Adversarials:
    """Add one perturbation to every image, clipped to [0,1].

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1]; best not those that the perturbation was trained on.
        labels: [B] true classes.
        perturbation: [C,H,W], e.g. from ``train_universal``.
        targets: [B] classes to reach; None for any wrong one.

    Raises:
        UserError: If an argument is out of range.
    """
    with opened(model, images, labels, targets, gradients=False) as problem:
        if perturbation.shape != problem.images.shape[1:] or not perturbation.isfinite().all():
            raise UserError(
                "universal perturbation",
                f"shape {list(perturbation.shape)} for images {list(problem.images.shape)}, or "
                "values that are not finite",
                "Give finite values [C,H,W], as train_universal returns them.",
            )
        rows = problem.open_rows
        problem.last((problem.clean(rows) + perturbation.to(problem.images)).clamp(0, 1), rows)
        return problem.close("universal")


def train_universal(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: Norm = "linf",
    epochs: int = 10,
    batch: int = 100,
    step_size: float | None = None,
    targets: Tensor | None = None,
    loss: str = "margin",
    seed: int = 0,
) -> Tensor:
    """Find one perturbation [C,H,W] that fools the model on as many images as possible.

    Ascent on the loss summed over batches; images that are misread by far do not pull any more.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1] to train on.
        labels: [B] true classes.
        eps: Largest change, on the scale of [0,1] pixels, in ``norm``.
        norm: linf, l2 or l1.
        epochs: Times that every image is seen.
        batch: Images per step.
        step_size: Length of one step in ``norm``; None for eps / 10.
        targets: [B] classes to reach; None for any wrong one.
        loss: A key of ``losses.LOSSES``.
        seed: Decides the order of the images in each epoch.

    Raises:
        UserError: If an argument is out of range, or there is no image to train on.

    References:
        Moosavi-Dezfooli, Fawzi, Fawzi & Frossard, Universal adversarial perturbations, CVPR 2017.
        Shafahi, Najibi, Xu, Dickerson, Davis & Goldstein, Universal adversarial training, AAAI
        2020, algorithm 1 (ascent on a clipped loss, as here).
    """
    check_budget(norm, eps)
    check_name("loss", loss, LOSSES)
    check_count("epochs", epochs)
    check_count("batch", batch)
    size = eps / 10 if step_size is None else check_range("step_size", step_size, 0, 1e6)
    with opened(model, images, labels, targets) as problem:
        rows = problem.open_rows
        if not len(rows):
            raise UserError(
                "train a universal perturbation",
                "no image that the model reads as labelled",
                "Give images of classes that it knows.",
            )
        middle = torch.full_like(problem.images[:1], 0.5)
        shared = torch.zeros_like(middle)
        for epoch in range(epochs):
            # Images often come sorted by class: a batch of one class pulls one way.
            order = generator_for(seed, "universal", epoch).permutation(len(rows))
            for some in rows[torch.from_numpy(order).to(rows.device)].split(batch):
                point = (problem.clean(some) + shared).clamp(0, 1)
                gradient, _, value = problem.gradient(point, some, LOSSES[loss])
                pull = (gradient * column(value <= _CONFIDENT)).sum(dim=0, keepdim=True)
                moved = shared + size * steepest(pull, middle, norm)
                # The box [-0.5,0.5] around grey bounds the perturbation alone.
                shared = within(middle + moved, middle, eps, norm) - middle
        return shared[0]
