"""The seven objective functions of Carlini and Wagner, for targeted and untargeted attacks."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Objective = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""(logits [n,K], labels [n], targets [n] or None) -> [n], at or below 0 only where it is won."""


def _gap(values: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Best other minus target, or label minus best other: below 0 where the attack has won."""
    own = labels if targets is None else targets
    others = values.scatter(1, own[:, None], -torch.inf).amax(dim=1)
    gap = others - values.gather(1, own[:, None]).squeeze(1)
    return -gap if targets is None else gap


def _log_share(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Log of the softmax share of the target, or of all classes but the label."""
    if targets is not None:
        return logits.log_softmax(dim=1).gather(1, targets[:, None]).squeeze(1)
    shares = logits.log_softmax(dim=1).scatter(1, labels[:, None], -torch.inf)
    return shares.logsumexp(dim=1)


def f1(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """Cross entropy to the target minus log 2 (printed with the sign turned, and 1 for log 2)."""
    return -_log_share(logits, labels, targets) - math.log(2)


def f2(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """(max F_i - F_t)+ on softmax outputs F."""
    return F.relu(_gap(logits.softmax(dim=1), labels, targets))


def f3(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """softplus(max F_i - F_t) - log 2."""
    return F.softplus(_gap(logits.softmax(dim=1), labels, targets)) - math.log(2)


def f4(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """(0.5 - F_t)+."""
    return F.relu(0.5 - _log_share(logits, labels, targets).exp())


def f5(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """-log(2 F_t) (printed as -log(2 F_t - 2), which no probability has)."""
    return F.relu(-math.log(2) - _log_share(logits, labels, targets))


def f6(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """(max Z_i - Z_t)+ on logits Z."""
    return F.relu(_gap(logits, labels, targets))


def f7(logits: Tensor, labels: Tensor, targets: Tensor | None) -> Tensor:
    """softplus(max Z_i - Z_t) - log 2."""
    return F.softplus(_gap(logits, labels, targets)) - math.log(2)


OBJECTIVES: dict[str, Objective] = {
    "f1": f1,
    "f2": f2,
    "f3": f3,
    "f4": f4,
    "f5": f5,
    "f6": f6,
    "f7": f7,
}
