"""One attack's samples: which are open, what was found for each, and what became of it."""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat

import numpy as np
import torch
from torch import Tensor

from physadv.digital.freezing import frozen
from physadv.digital.inputs import (
    Model,
    check_known,
    check_targets,
    checked_classes,
    checked_images,
)
from physadv.digital.losses import Loss, margin
from physadv.digital.oracle import Oracle
from physadv.digital.outcome import Adversarials, Status
from physadv.seeding import generator_for

_GPU_INTERVAL = 10  # steps between two looks at what is done: each makes the host wait
_VOTES = 9  # looks at an image where the model is random
_CHUNK = 200_000  # input values per pass on a CPU: the activations of more leave its cache
_FEWEST = 16  # samples in such a pass


def rounded(images: Tensor) -> Tensor:
    """Images as an 8-bit file keeps them."""
    return (images * 255).round_().div_(255)


@contextmanager
def opened(
    model: Model,
    images: Tensor,
    labels: Tensor,
    targets: Tensor | None = None,
    *,
    from_clean: bool = False,
    clean_loss: Loss | None = None,
) -> Iterator["Problem"]:
    """A problem whose model is frozen for as long as the block runs.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        targets: [B] classes to reach; None for any wrong one.
        from_clean: The first gradient is taken at the clean images: keep the first pass for it.
        clean_loss: As ``from_clean``, where it is known which loss that gradient will be of.

    Raises:
        UserError: If images, labels, targets or the model's answers are not what they must be.
    """
    with frozen(model) as (call, notes), torch.inference_mode(False), torch.no_grad():
        images = checked_images(images)
        labels = checked_classes("labels", labels, images)
        if targets is not None:
            targets = checked_classes("targets", targets, images)
            check_targets(targets, labels)
        yield Problem(call, images, labels, targets, notes, from_clean, clean_loss)


class Problem:
    """The samples of one attack, and the best image found for each so far.

    An attack asks through ``logits`` and ``gradient``, hands in what it finds through ``offer``,
    ``keep`` and ``last``, and ends with ``close``. ``rows`` are indices [n] of samples: attacks
    compute only those that are still open.
    """

    def __init__(
        self,
        call: Callable[[Tensor], Tensor],
        images: Tensor,
        labels: Tensor,
        targets: Tensor | None,
        notes: Sequence[str],
        from_clean: bool,
        clean_loss: Loss | None,
    ) -> None:
        self.images, self.labels, self.targets = images, labels, targets
        self.oracle = Oracle(call, images, notes)
        self.best = images.clone()
        self.grade = torch.zeros(len(images), dtype=torch.int8, device=images.device)
        """0 nothing found, 1 ``best`` fools the model, 2 it does so rounded to 8 bits too."""
        self.clean_predictions = torch.full_like(labels, -1)
        self.unconverged = torch.zeros_like(labels, dtype=torch.bool)
        self._backwards = torch.zeros_like(labels)
        self._felt = torch.zeros_like(self.unconverged)  # some gradient was not zero
        self._first: tuple[Tensor, Tensor, Tensor] | None = None
        self._clean: tuple[Tensor, Tensor] | None = None
        self._sane = images.flatten(1).isfinite().all(dim=1)
        rows = self._sane.nonzero().flatten()
        if len(rows):
            answer = self._first_look(rows, from_clean, clean_loss)
            self._sane[rows] = answer.isfinite().all(dim=1)
            self.clean_predictions[rows] = torch.where(self._sane[rows], answer.argmax(dim=1), -1)
        self._right = self._sane & (self.clean_predictions == labels)
        self._predictions = self.clean_predictions.clone()

    def _first_look(self, rows: Tensor, from_clean: bool, clean_loss: Loss | None) -> Tensor:
        """The model's own answers [n,K] about clean images, and what they say of the model.

        Where the loss is known, its gradient is taken chunk by chunk in the same passes, as if the
        answers needed no cure; if they do it is forgotten.
        """
        inputs = self.images[rows].requires_grad_(from_clean)
        if clean_loss is None:
            with torch.set_grad_enabled(from_clean):
                answer = self._asked_first(inputs, rows)
        else:
            parts = []
            size = self._chunk_size(inputs)
            for points, some in zip(inputs.split(size), rows.split(size), strict=True):
                with torch.enable_grad():
                    own = points.detach().requires_grad_(True)
                    raw = self._asked_first(own, some)
                    values = self.loss(raw, some, clean_loss)
                parts.append((raw.detach(), self.differentiate(values, own, some)))
            answers, gradients = zip(*parts, strict=True)
            answer = torch.cat(answers)
        self.oracle.examine(self.images[rows], rows, answer)
        if not self.oracle.random:
            if clean_loss is not None and not self.oracle.cures:
                self._clean = rows, torch.cat(gradients)
            elif from_clean:
                self._first = rows, inputs, answer
        return answer.detach()

    def _asked_first(self, points: Tensor, rows: Tensor) -> Tensor:
        answer = self.oracle.ask(points, rows)
        check_known("labels", self.labels, self.oracle.classes)
        if self.targets is not None:
            check_known("targets", self.targets, self.oracle.classes)
        return answer

    @property
    def open_rows(self) -> Tensor:
        """Samples that can be attacked and are not settled."""
        return (self._right & (self.grade < 2)).nonzero().flatten()

    @property
    def gradients(self) -> int:
        """Gradients taken so far, over all samples; on a GPU the host waits for this."""
        return int(self._backwards.sum())

    def generators(self, rows: Tensor, *keys: str | int, seed: int) -> list[np.random.Generator]:
        """One generator a row, keyed by the sample's pixels, not by its place in the batch."""
        pixels = self.images[rows].cpu().numpy()
        digests = [hashlib.sha256(one.tobytes()).hexdigest() for one in pixels]
        return [generator_for(seed, *keys, digest) for digest in digests]

    def due(self, step: int) -> bool:
        """Whether to look for samples that are done: at every step, on a GPU at every tenth."""
        return self.images.device.type == "cpu" or step % _GPU_INTERVAL == _GPU_INTERVAL - 1

    def logits(self, candidates: Tensor, rows: Tensor) -> Tensor:
        """[n,K], differentiable where gradients are enabled; else asked in chunks on a CPU."""
        size = self._chunk_size(candidates)
        if torch.is_grad_enabled() or len(rows) <= size:
            return self.oracle.logits(candidates, rows)
        parts = zip(candidates.split(size), rows.split(size), strict=True)
        return torch.cat([self.oracle.logits(points, some) for points, some in parts])

    def loss(self, logits: Tensor, rows: Tensor, loss: Loss, aims: Tensor | None = None) -> Tensor:
        """[n] values of ``loss``, towards ``aims`` [n], else the targets where there are some."""
        if aims is None and self.targets is not None:
            aims = self.targets[rows]
        return loss(logits, self.labels[rows], aims)

    def strongest_wrong(self, rows: Tensor) -> Tensor:
        """[n,K-1] the classes but the label, by falling logit of the clean image."""
        logits = self.logits(self.images[rows], rows)
        others = logits.scatter(1, self.labels[rows, None], -torch.inf)
        return others.argsort(dim=1, descending=True)[:, :-1]

    def start(self) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, and with gradient history their clean images [n,C,H,W] and logits [n,K].

        Costs no pass where the problem was opened ``from_clean``. The rows may hold samples that
        are not to be attacked: ``offer`` answers True for them.
        """
        with torch.enable_grad():
            if self._first is None:
                rows = self.open_rows
                inputs = self.images[rows].requires_grad_(True)
                return rows, inputs, self.logits(inputs, rows)
            rows, inputs, answer = self._first
            self._first = None
            return rows, inputs, self.oracle.cured(answer)

    def clean_gradient(self, loss: Loss) -> tuple[Tensor, Tensor]:
        """Open rows, and the gradient [n,C,H,W] of ``loss`` at their clean images.

        Costs no pass where the problem was opened with this ``clean_loss``.
        """
        if self._clean is not None:
            rows, gradient = self._clean
            kept = self._right[rows]
            return rows[kept], gradient[kept]
        rows, inputs, logits = self.start()
        with torch.enable_grad():
            values = self.loss(logits, rows, loss)
        gradient = self.differentiate(values, inputs, rows)
        kept = self._right[rows]
        return rows[kept], gradient[kept]

    def gradient(
        self, candidates: Tensor, rows: Tensor, loss: Loss, aims: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient [n,C,H,W] of ``loss`` (see there), the logits [n,K] and the loss [n].

        On a CPU the samples pass the model in chunks.
        """
        size = self._chunk_size(candidates)
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

    def _chunk_size(self, candidates: Tensor) -> int:
        """Samples per pass: chunks as equal as can be."""
        count = len(candidates)
        if candidates.device.type != "cpu" or not count:
            return max(count, 1)
        most = max(_FEWEST, _CHUNK // candidates[0].numel())
        return math.ceil(count / math.ceil(count / most))

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
        """
        self._backwards.index_add_(0, rows, torch.ones_like(rows))
        found = None
        if values.requires_grad:
            (found,) = torch.autograd.grad(
                values, inputs, torch.ones_like(values), retain_graph=again, allow_unused=True
            )
        if found is None:
            return torch.zeros_like(inputs)
        found = torch.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
        # Asking whether all are felt would make a GPU's host wait.
        if found.device.type != "cpu" or not self._felt[rows].all():
            self._felt[rows] |= (found != 0).flatten(1).any(dim=1)
        return found

    def fooled(self, logits: Tensor, rows: Tensor) -> Tensor:
        """[n] True where another class is above the label (the target above all others)."""
        # NaN compares as False: an answer that is not a number fools nobody.
        return (self.loss(logits, rows, margin) > 0) & logits.isfinite().all(dim=1)

    def fooled_by(self, candidates: Tensor, rows: Tensor) -> Tensor:
        """[n] whether these images fool the model; by majority of several looks if it is random."""
        if not self.oracle.random:
            return self.fooled(self.logits(candidates, rows), rows)
        votes = torch.zeros_like(rows)
        for _ in range(_VOTES):
            votes += self.fooled(self.logits(candidates, rows), rows)
        return votes > _VOTES // 2

    def offer(self, candidates: Tensor, rows: Tensor, logits: Tensor) -> Tensor:
        """Keep what fools the model; [n] True where nothing is left to do.

        That is where a kept image fools it rounded to 8 bits too, and where the sample is not to
        be attacked.
        """
        hits = (self.fooled(logits, rows) & self._right[rows]).nonzero().flatten()
        if self.oracle.random and len(hits):
            hits = hits[self.fooled_by(candidates[hits], rows[hits])]
        if len(hits):
            eight = self.fooled_by(rounded(candidates[hits]), rows[hits])
            grade = 1 + eight.to(torch.int8)
            new = hits[grade > self.grade[rows[hits]]]
            self.best[rows[new]] = candidates[new]
            self._predictions[rows[new]] = logits[new].argmax(dim=1)
            self.grade[rows[hits]] = torch.maximum(grade, self.grade[rows[hits]])
        return (self.grade[rows] == 2) | ~self._right[rows]

    def last(self, candidates: Tensor, rows: Tensor) -> None:
        """Offer the images that a search ends with; those that fail are kept as the attempt."""
        if not len(rows):
            return
        logits = self.logits(candidates, rows)
        self.offer(candidates, rows, logits)
        failed = self.grade[rows] == 0
        self.best[rows[failed]] = candidates[failed]
        self._predictions[rows[failed]] = logits[failed].argmax(dim=1)

    def close(self, attack: str, *more_notes: str) -> Adversarials:
        """Say what became of each sample."""
        blind = (self._backwards > 0) & ~self._felt & (self.grade == 0)
        self.best[blind] = self.images[blind]
        changed = (self.best != self.images).flatten(1).any(dim=1) & self._right
        self._predictions = torch.where(changed, self._predictions, self.clean_predictions)
        success = changed & (self.grade > 0)
        delta = (self.best - self.images).nan_to_num(0.0, 0.0, 0.0).flatten(2)
        return Adversarials(
            attack=attack,
            images=self.best,
            success=success,
            success_8bit=changed & (self.grade == 2),
            status=self._statuses(success, blind),
            l0=(delta != 0).any(dim=1).sum(dim=1).to(delta.dtype),
            l1=delta.abs().sum(dim=(1, 2)),
            l2=torch.linalg.vector_norm(delta.flatten(1), dim=1),
            linf=torch.linalg.vector_norm(delta.flatten(1), torch.inf, dim=1),
            clean_predictions=self.clean_predictions,
            predictions=self._predictions,
            forwards=self.oracle.forwards,
            backwards=self._backwards,
            notes=(*self.oracle.notes, *more_notes),
        )

    def _statuses(self, success: Tensor, blind: Tensor) -> tuple[Status, ...]:
        """Of each sample, the last of these that holds."""
        found: list[Status] = ["failed"] * len(success)
        holding: tuple[tuple[Tensor, Status], ...] = (
            (success, "succeeded"),
            (self.unconverged, "not converged"),
            (blind, "no gradient"),
            (~self._right, "already wrong"),
            (~self._sane, "not a number"),
        )
        for holds, status in holding:
            for index in holds.nonzero().flatten().tolist():
                found[index] = status
        return tuple(found)
