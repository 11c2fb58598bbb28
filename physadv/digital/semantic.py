"""The semantic attack: the negative image, which a person still reads."""

from torch import Tensor

from physadv.digital.inputs import Model
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import opened


def semantic(
    model: Model, images: Tensor, labels: Tensor, *, targets: Tensor | None = None
) -> Adversarials:
    """Replace every image x by its negative, 1 - x.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        targets: [B] classes to reach; None for any wrong one.

    Raises:
        UserError: If an argument is out of range.

    References:
        Hosseini, Xiao, Jaiswal & Poovendran, On the limitation of convolutional neural networks
        in recognizing negative images, ICMLA 2017.
    """
    with opened(model, images, labels, targets, gradients=False) as problem:
        rows = problem.open_rows
        problem.last(1 - problem.clean(rows), rows)
        return problem.close("semantic")
