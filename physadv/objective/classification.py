"""How wrong a classifier is: the losses that the optimiser minimises, per view."""

import torch
import torch.nn.functional as F
from torch import Tensor


def targeted_margin(logits: Tensor, target: int, kappa: float = 5.0) -> Tensor:
    """Hinge on how far the best other class is above the target.

    max(max_{j != t} z_j - z_t + kappa, 0): zero once the target leads by ``kappa`` logits, so that
    the views that are not yet won keep the whole gradient.

    Args:
        logits: [B,K].
        target: Index t.
        kappa: Confidence to reach, in logits.

    Returns:
        [B] losses.

    References:
        Carlini & Wagner, Towards Evaluating the Robustness of Neural Networks, 2017, f6 (eq. 4).
    """
    others = logits.clone()
    others[:, target] = -torch.inf
    return F.relu(others.amax(dim=1) - logits[:, target] + kappa)


def targeted_cross_entropy(logits: Tensor, target: int) -> Tensor:
    """Cross entropy to the target class, [B] from logits [B,K] (RP2, eq. 3)."""
    return F.cross_entropy(
        logits, torch.full((len(logits),), target, device=logits.device), reduction="none"
    )
