"""One attack's samples: which are open, what was found for each, and what became of it."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from physadv.digital.freezing import frozen
from physadv.digital.inputs import (
    Model,
    check_targets,
    checked_classes,
    checked_images,
)
from physadv.digital.losses import Loss
from physadv.digital.oracle import PROBED, written_into
from physadv.digital.outcome import Adversarials, statuses
from physadv.digital.passes import Passes, far
from physadv.digital.rows import only, picked
from physadv.seeding import generator_for

_GPU_INTERVAL = 10  # steps between two looks at what is done: each makes the host wait
_GPU_FIRST = (1, 3, 6)  # and these, when most are done with
_WORTH_ARRANGING = 2 * PROBED  # samples: with fewer, finding out costs more than it saves
_VOTES = 9  # looks at an image where the model is random


_BLIND = (
    "no gradient reached some images: that they were not fooled says nothing about robustness; "
    "square and hop-skip-jump need none"
)


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
    gradients: bool = True,
) -> Iterator["Problem"]:
    """A problem whose model is frozen for as long as the block runs.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        targets: [B] classes to reach; None for any wrong one.
        from_clean: The first gradient is taken at the clean images: keep the first pass for it.
        clean_loss: As ``from_clean``, where it is known which loss that gradient will be of.
        gradients: Whether any will be taken.

    Raises:
        UserError: If images, labels, targets or the model's answers are not what they must be.
    """
    with frozen(model) as (call, notes), torch.inference_mode(False), torch.no_grad():
        images = checked_images(images)
        labels = checked_classes("labels", labels, images)
        if targets is not None:
            targets = checked_classes("targets", targets, images)
            check_targets(targets, labels)
        yield Problem(call, images, labels, targets, notes, from_clean, clean_loss, gradients)


class Problem(Passes):
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
        gradients: bool,
    ) -> None:
        super().__init__(call, images, labels, targets, notes)
        self.best = images.clone()
        self.grade = torch.zeros(len(images), dtype=torch.int8, device=images.device)
        """0 nothing found, 1 ``best`` fools the model, 2 it does so rounded to 8 bits too."""
        self.clean_predictions = torch.full_like(labels, -1)
        self.unconverged = torch.zeros_like(labels, dtype=torch.bool)
        self._clean_loss = clean_loss
        self._first: tuple[Tensor, Tensor, Tensor] | None = None
        self._clean: tuple[Tensor, Tensor] | None = None
        self._sane = images.flatten(1).sum(dim=1).isfinite()
        rows = self._sane.nonzero().flatten()
        if len(rows):
            if len(rows) >= _WORTH_ARRANGING:
                self.oracle.arrange(self.clean(rows[:PROBED]), rows[:PROBED], gradients=gradients)
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
        whole = len(rows) == len(self.images)
        inputs = self.images.detach() if whole else self.clean(rows)
        before = inputs[:PROBED].clone()
        inputs.requires_grad_(from_clean)
        if clean_loss is None:
            with torch.set_grad_enabled(from_clean):
                answer = self.asked_first(inputs, rows)
        else:
            answer, gradient = self.asked_with_gradient(inputs, rows, clean_loss)
        # Writes that torch does not count, as through numpy; the images themselves were shown.
        if not torch.equal(inputs[:PROBED], before):
            raise written_into()
        self.oracle.examine(inputs, rows, answer)
        if not self.oracle.random:
            if clean_loss is not None and not self.oracle.cures:
                self._clean = rows, gradient
            elif from_clean:
                self._first = rows, inputs, answer
        return answer.detach()

    @property
    def open_rows(self) -> Tensor:
        """Samples that can be attacked and are not settled."""
        return (self._right & (self.grade < 2)).nonzero().flatten()

    def generators(self, rows: Tensor, *keys: str | int, seed: int) -> list[np.random.Generator]:
        """One generator a row, keyed by the sample's pixels, not by its place in the batch."""
        pixels = self.clean(rows).cpu().numpy()
        digests = [hashlib.sha256(one.tobytes()).hexdigest() for one in pixels]
        return [generator_for(seed, *keys, digest) for digest in digests]

    def due(self, step: int) -> bool:
        """Whether to look for samples that are done: at every step, on a GPU at fewer and fewer."""
        if not far(self.images.device) or step in _GPU_FIRST:
            return True
        return step % _GPU_INTERVAL == _GPU_INTERVAL - 1

    def strongest_wrong(self, rows: Tensor) -> Tensor:
        """[n,K-1] the classes but the label, by falling logit of the clean image."""
        logits = self.logits(self.clean(rows), rows)
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
                inputs = self.clean(rows).requires_grad_(True)
                return rows, inputs, self.logits(inputs, rows)
            rows, inputs, answer = self._first
            self._first = None
            return rows, inputs, self.oracle.cured(answer)

    def clean_gradient(self) -> tuple[Tensor, Tensor]:
        """Open rows, and the gradient [n,C,H,W] of the ``clean_loss`` at their clean images.

        Costs no pass but where the model is random, or needs a cure.
        """
        assert self._clean_loss is not None, "open the problem with a clean_loss"
        if self._clean is None:
            rows, inputs, logits = self.start()
            with torch.enable_grad():
                values = self.loss(logits, rows, self._clean_loss)
            gradient = self.differentiate(values, inputs, rows)
        else:
            rows, gradient = self._clean
        rows, gradient = only(self._right[rows], rows, gradient)
        return rows, gradient

    def fooled(self, logits: Tensor, rows: Tensor) -> Tensor:
        """[n] True where the model does not give the label (gives the target), but a number."""
        given = logits.argmax(dim=1)
        fooled = given != self.labels[rows] if self.targets is None else given == self.targets[rows]
        return fooled & logits.isfinite().all(dim=1)

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
            hits = hits[self.fooled_by(picked(candidates, hits), rows[hits])]
        if len(hits):
            shown = picked(candidates, hits)
            as_file = rounded(shown)
            # What is in 8 bits already has been seen; the first says so of most.
            seen = torch.equal(as_file[0], shown[0]) and torch.equal(as_file, shown)
            if seen and not self.oracle.random:
                eight = torch.ones_like(hits, dtype=torch.bool)
            else:
                eight = self.fooled_by(as_file, rows[hits])
            grade, known = 1 + eight.to(torch.int8), self.grade[rows[hits]]
            better = (grade > known).nonzero().flatten()
            new = hits[better]
            if len(new) < len(hits):
                shown = picked(shown, better)
            self.best.index_copy_(0, rows[new], shown)
            self._predictions[rows[new]] = logits[new].argmax(dim=1)
            self.grade[rows[hits]] = torch.maximum(grade, known)
        return (self.grade[rows] == 2) | ~self._right[rows]

    def last(self, candidates: Tensor, rows: Tensor) -> None:
        """Offer the images that a search ends with; those that fail are kept as the attempt."""
        if not len(rows):
            return
        logits = self.logits(candidates, rows)
        self.offer(candidates, rows, logits)
        failed = (self.grade[rows] == 0).nonzero().flatten()
        self.best.index_copy_(0, rows[failed], picked(candidates, failed))
        self._predictions[rows[failed]] = logits[failed].argmax(dim=1)

    def close(self, attack: str, *more_notes: str) -> Adversarials:
        """Say what became of each sample."""
        blind = (self._backwards > 0) & ~self._felt & (self.grade == 0)
        self.best[blind] = self.images[blind]
        if (blind & self._right).any():
            more_notes = (*more_notes, _BLIND)
        sizes = (self.best - self.images).abs_().flatten(2)
        l1 = sizes.sum(dim=(1, 2))
        if not l1.isfinite().all():
            l1 = sizes.nan_to_num_(0.0, 0.0, 0.0).sum(dim=(1, 2))
        pixels = sizes.squeeze(1) if sizes.shape[1] == 1 else sizes.sum(dim=1)
        l0 = pixels.sign().sum(dim=1)
        changed = (l0 > 0) & self._right
        self._predictions = torch.where(changed, self._predictions, self.clean_predictions)
        success = changed & (self.grade > 0)
        return Adversarials(
            attack=attack,
            images=self.best,
            success=success,
            success_8bit=changed & (self.grade == 2),
            status=statuses(
                len(success),
                (success, "succeeded"),
                (self.unconverged, "not converged"),
                (blind, "no gradient"),
                (~self._right, "already wrong"),
                (~self._sane, "not a number"),
            ),
            l0=l0,
            l1=l1,
            l2=torch.linalg.vector_norm(sizes.flatten(1), dim=1),
            linf=sizes.amax(dim=(1, 2)),
            clean_predictions=self.clean_predictions,
            predictions=self._predictions,
            forwards=self.oracle.forwards,
            backwards=self._backwards + self.oracle.backwards,
            notes=(*self.oracle.notes, *more_notes),
        )
