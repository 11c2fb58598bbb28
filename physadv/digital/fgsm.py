"""The fast gradient sign method: one step, as large as the budget."""

from torch import Tensor

from physadv.checks import check_name
from physadv.digital.inputs import Model
from physadv.digital.losses import LOSSES
from physadv.digital.norms import Norm, check_budget, steepest
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import opened


def fgsm(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: Norm = "linf",
    targets: Tensor | None = None,
    loss: str = "cross-entropy",
) -> Adversarials:
    """One step of length ``eps`` along the gradient of the loss, clipped to [0,1].

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        eps: Largest change, on the scale of [0,1] pixels, in ``norm``.
        norm: linf (the sign of the gradient), l2 or l1.
        targets: [B] classes to reach; None for any wrong one.
        loss: A key of ``losses.LOSSES``.

    Raises:
        UserError: If an argument is out of range.

    References:
        Goodfellow, Shlens & Szegedy, Explaining and harnessing adversarial examples, ICLR 2015,
        section 4.
    """
    check_budget(norm, eps)
    check_name("loss", loss, LOSSES)
    with opened(model, images, labels, targets, clean_loss=LOSSES[loss]) as problem:
        rows, gradient = problem.clean_gradient()
        clean = problem.clean(rows)
        moved = clean.add_(steepest(gradient, clean, norm), alpha=eps).clamp_(0, 1)
        problem.last(moved, rows)
        return problem.close("fgsm")
