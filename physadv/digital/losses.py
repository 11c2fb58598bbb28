"""What gradient attacks increase: functions of logits, labels and targets, one value a sample.

Every function is positive where the attack has won, or the better the more it is increased:
``(logits [B,K], labels [B], targets [B] or None) -> [B]``.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def _others(logits: Tensor, classes: Tensor) -> Tensor:
    """Logits with each sample's own class set to minus infinity."""
    return logits.scatter(1, classes[:, None], -torch.inf)


def _of(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes[:, None]).squeeze(1)


def log_odds(logits: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
    """Log of the odds against the label (or for the target): cross entropy that cannot saturate.

    With p the softmax probability of the label, cross entropy is softplus of this value, so that
    its gradient has the same direction and this one's length does not underflow as p goes to 1.
    """
    if targets is None:
        return _others(logits, labels).logsumexp(dim=1) - _of(logits, labels)
    return _of(logits, targets) - _others(logits, targets).logsumexp(dim=1)


def margin(logits: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
    """How far the best wrong class is above the label (or the target above the best other)."""
    if targets is None:
        return _others(logits, labels).amax(dim=1) - _of(logits, labels)
    return _of(logits, targets) - _others(logits, targets).amax(dim=1)


def difference_ratio(logits: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
    """Difference of logits ratio: a margin that does not change when logits are scaled or shifted.

    With fewer classes than the formula has terms, the lowest logit stands in.

    References:
        Croce & Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, ICML 2020, equations 6 and 7.
    """
    ranked = logits.sort(dim=1, descending=True).values
    last = logits.shape[1] - 1
    if targets is None:
        spread = ranked[:, 0] - ranked[:, min(2, last)]
        return margin(logits, labels) / spread.clamp_min(torch.finfo(logits.dtype).tiny)
    spread = ranked[:, 0] - (ranked[:, min(2, last)] + ranked[:, min(3, last)]) / 2
    gain = _of(logits, targets) - _of(logits, labels)
    return gain / spread.clamp_min(torch.finfo(logits.dtype).tiny)


LOSSES: dict[str, Loss] = {
    "cross-entropy": log_odds,
    "margin": margin,
    "dlr": difference_ratio,
}
