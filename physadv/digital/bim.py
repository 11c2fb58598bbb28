"""The basic iterative method: gradient signs from the image itself."""

from dataclasses import replace

from torch import Tensor

from physadv.digital.inputs import Model
from physadv.digital.norms import Norm
from physadv.digital.outcome import Adversarials
from physadv.digital.pgd import pgd


def bim(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: Norm = "linf",
    steps: int = 40,
    step_size: float | None = None,
    targets: Tensor | None = None,
    stop_at_success: bool = True,
    loss: str = "cross-entropy",
) -> Adversarials:
    """``pgd`` from the clean image: nothing is random, so there are no restarts.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        eps: Largest change, on the scale of [0,1] pixels, in ``norm``.
        norm: linf, l2 or l1.
        steps: Gradient steps.
        step_size: Length of one step in ``norm``; None for 2.5 eps / steps.
        targets: [B] classes to reach; None for any wrong one.
        stop_at_success: False takes every step on every sample.
        loss: A key of ``losses.LOSSES``.

    Raises:
        UserError: If an argument is out of range.

    References:
        Kurakin, Goodfellow & Bengio, Adversarial examples in the physical world, 2017, section
        2.2.
    """
    found = pgd(
        model,
        images,
        labels,
        eps=eps,
        norm=norm,
        steps=steps,
        step_size=step_size,
        targets=targets,
        from_random=False,
        stop_at_success=stop_at_success,
        loss=loss,
    )
    return replace(found, attack="bim")
