"""One attack's passes through the model: in chunks on a CPU, counted, and looked over."""

import math
from collections.abc import Callable, Sequence
from itertools import repeat

import torch
from torch import Tensor

from physadv.digital.inputs import check_known
from physadv.digital.losses import Loss
from physadv.digital.oracle import Oracle
from physadv.digital.rows import picked

_CHUNK = 270_000  # input values per pass on a CPU: the activations of more leave its cache
_LOOK = 2 * _CHUNK  # where no activations are kept for a gradient
_FEWEST = 16  # samples in such a pass


def far(device: torch.device) -> bool:
    """Whether the host has to wait for the device where it reads a value."""
    return device.type != "cpu"


class Passes:
    """Asks the model about samples; ``rows`` are their indices [n]."""

    def __init__(
        self,
        call: Callable[[Tensor], Tensor],
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        notes: Sequence[str],
    ) -> None:
        self.images, self.labels, self.targets = images, labels, targets
        self.oracle = Oracle(call, images, notes)
        self._backwards = torch.zeros_like(labels)
        self._felt = torch.zeros_like(labels, dtype=torch.bool)  # some gradient was not zero

    @property
    def gradients(self) -> int:
        """Gradients taken so far, over all samples; on a GPU the host waits for this."""
        return int(self._backwards.sum())

    def clean(self, rows: Tensor) -> Tensor:
        """The images [n,C,H,W] as they came, a copy."""
        return picked(self.images, rows)

    def logits(self, candidates: Tensor, rows: Tensor) -> Tensor:
        """[n,K], differentiable where gradients are enabled; else asked in chunks on a CPU."""
        size = chunk_size(candidates, _LOOK)
        if torch.is_grad_enabled() or len(rows) <= size:
            return self.oracle.logits(candidates, rows)
        parts = zip(candidates.split(size), rows.split(size), strict=True)
        return torch.cat([self.oracle.logits(points, some) for points, some in parts])

    def loss(self, logits: Tensor, rows: Tensor, loss: Loss, aims: Tensor | None = None) -> Tensor:
        """[n] values of ``loss``, towards ``aims`` [n], else the targets where there are some."""
        if aims is None and self.targets is not None:
            aims = self.targets[rows]
        return loss(logits, self.labels[rows], aims)

    def gradient(
        self, candidates: Tensor, rows: Tensor, loss: Loss, aims: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient [n,C,H,W] of ``loss`` (see there), the logits [n,K] and the loss [n].

        On a CPU the samples pass the model in chunks.
        """
        size = chunk_size(candidates, _CHUNK)
        if len(rows) <= size:
            return self._gradient(candidates, rows, loss, aims)
        towards = repeat(None) if aims is None else aims.split(size)
        parts = [
            self._gradient(points, some, loss, aim)
            for points, some, aim in zip(
                candidates.split(size), rows.split(size), towards, strict=False
            )
        ]
        gradients, logits, values = zip(*parts, strict=True)
        return torch.cat(gradients), torch.cat(logits), torch.cat(values)

    def _gradient(
        self, candidates: Tensor, rows: Tensor, loss: Loss, aims: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        with torch.enable_grad():
            inputs = candidates.detach().requires_grad_(True)
            logits = self.logits(inputs, rows)
            values = self.loss(logits, rows, loss, aims)
        return self.differentiate(values, inputs, rows), logits.detach(), values.detach()

    def differentiate(
        self, values: Tensor, inputs: Tensor, rows: Tensor, *, again: bool = False
    ) -> Tensor:
        """Gradient of the sum of ``values`` by ``inputs``; the graph is kept if ``again``.

        What the model cannot be differentiated through, and what is not finite, counts as zero.
        Not to be written into: a model may hand out what is its own.
        """
        self._backwards.index_add_(0, rows, torch.ones_like(rows))
        found = None
        if values.requires_grad:
            (found,) = torch.autograd.grad(
                values, inputs, torch.ones_like(values), retain_graph=again, allow_unused=True
            )
        if found is None:
            return torch.zeros_like(inputs)
        found = found.contiguous()
        # One sum is finite only where every value is: cheaper than to replace none.
        if far(found.device) or not found.sum().isfinite():
            found = torch.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
        if far(found.device) or not self._felt[rows].all():
            flat = found.flatten(1)
            self._felt[rows] |= (flat.amax(dim=1) > 0) | (flat.amin(dim=1) < 0)
        return found

    def asked_with_gradient(
        self, images: Tensor, rows: Tensor, loss: Loss
    ) -> tuple[Tensor, Tensor]:
        """The model's own answers [n,K], and in the same passes the gradient of ``loss``."""
        answers, gradients = [], []
        size = chunk_size(images, _CHUNK)
        for points, some in zip(images.split(size), rows.split(size), strict=True):
            with torch.enable_grad():
                own = points.detach().requires_grad_(True)
                answer = self.asked_first(own, some)
                values = self.loss(answer, some, loss)
            answers.append(answer.detach())
            gradients.append(self.differentiate(values, own, some))
        return torch.cat(answers), torch.cat(gradients)

    def asked_first(self, points: Tensor, rows: Tensor) -> Tensor:
        """The model's own answer [n,K], once it is known whether it has all classes asked for.

        Raises:
            UserError: If it has not.
        """
        answer = self.oracle.ask(points, rows)
        check_known("labels", self.labels, self.oracle.classes)
        if self.targets is not None:
            check_known("targets", self.targets, self.oracle.classes)
        return answer


def chunk_size(candidates: Tensor, values: int) -> int:
    """Samples per pass of about ``values`` input values: chunks as equal as can be."""
    count = len(candidates)
    if far(candidates.device) or not count:
        return max(count, 1)
    most = max(_FEWEST, values // candidates[0].numel())
    return math.ceil(count / math.ceil(count / most))
