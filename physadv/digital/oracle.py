"""The model as an attack sees it: asked, counted, examined once, and cured where it can be."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from physadv.checks import UserError
from physadv.digital.freezing import home_of
from physadv.victim.layout import channels_last, gains_from_channels_last

PROBED = 4  # samples that are asked twice
_NARROWEST, _USUAL, _WIDEST = 1.0, 32.0, 256.0  # highest minus lowest logit


def are_probabilities(answer: Tensor) -> bool:
    """Whether a model's answer [n,K] has been through a softmax: none below 0, rows that add to 1.

    Rows that are not finite say nothing.
    """
    answer = answer[answer.isfinite().all(dim=1)]
    return len(answer) > 0 and bool(
        (answer >= 0).all() & ((answer.sum(dim=1) - 1).abs() < 1e-3).all()
    )


def written_into() -> UserError:
    """What is said of a model that changes the images that it is shown."""
    return UserError(
        "the model",
        "it writes into the images that it is given",
        "Let it work on a copy: x = x - mean, not x.sub_(mean).",
    )


class Oracle:
    """Asks the model about samples of one batch; ``rows`` are their indices.

    ``arrange`` must come first, then ``examine``. Afterwards ``notes`` names what is unusual about
    the model, ``random`` says that it answers differently each time, and ``logits`` undoes a
    softmax at its end and brings saturated or vanishing logits to the usual scale: both leave every
    decision as it is, and give losses a gradient where there was none in float32.
    """

    def __init__(
        self, call: Callable[[Tensor], Tensor], images: Tensor, notes: Sequence[str]
    ) -> None:
        home = home_of(call)
        if home is not None and home[0] != images.device:
            raise UserError(
                "model and images",
                f"the model is on {home[0]}, the images are on {images.device}",
                "Bring both to one device with .to(...).",
            )
        self._call = call
        self._input_type = images.dtype if home is None else home[1]
        self._type = images.dtype
        self._softmax, self._factor = False, 1.0
        self._channels_last = False
        self._alone: Tensor | None = None  # the answers to ``PROBED`` samples by themselves
        self.random = False
        self.classes = 0
        self.notes = list(notes)
        kind = images.device.type
        if torch.is_autocast_enabled(kind):
            form = str(torch.get_autocast_dtype(kind)).removeprefix("torch.")
            self.notes.append(f"computed under autocast, in {form} where it applies")
        self.forwards = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        self.backwards = torch.zeros_like(self.forwards)
        """Gradients taken here, to find out about the model."""

    def arrange(self, images: Tensor, rows: Tensor, *, gradients: bool) -> None:
        """Show the model its images with channels last if it gains from that and can take it.

        A few images are asked about in both layouts: the answers must be the same but for
        rounding, and, if ``gradients`` are going to be asked for, the gradients too.
        """
        if not gains_from_channels_last(self._call, images.device, self._input_type):
            return
        try:
            plain, slope = self._tried(images, rows, gradients)
            self._channels_last = True
            turned, turned_slope = self._tried(images, rows, gradients)
            self._channels_last = _alike(turned, plain) and _near(turned_slope, slope)
        except Exception:  # what fails without channels last too does so again, where it is told
            self._channels_last = False
        else:
            self._alone = turned if self._channels_last else plain

    def _tried(self, images: Tensor, rows: Tensor, gradients: bool) -> tuple[Tensor, Tensor]:
        """Answers [n,K], and the gradient [n,C,H,W] of one mixture of them (zero if not asked)."""
        with torch.set_grad_enabled(gradients):
            inputs = images.detach().requires_grad_(gradients)
            answer = self.ask(inputs, rows)
        slope = None
        if answer.requires_grad:
            self.backwards.index_add_(0, rows, torch.ones_like(rows))
            # Of unlike parts: the sum of a softmax's outputs has no gradient.
            parts = torch.linspace(-1, 1, answer.shape[1]).to(answer).expand_as(answer)
            (slope,) = torch.autograd.grad(answer, inputs, parts, allow_unused=True)
        return answer.detach(), torch.zeros_like(images) if slope is None else slope

    def ask(self, candidates: Tensor, rows: Tensor) -> Tensor:
        """The model's own answer [n,K], in the images' type.

        Raises:
            UserError: If it is not one row of two columns or more per image, or if the model has
                written into the images.
        """
        self.forwards.index_add_(0, rows, torch.ones_like(rows))
        shown = candidates.to(self._input_type)
        answer = self._answer(channels_last(shown) if self._channels_last else shown)
        if not isinstance(answer, Tensor):
            raise UserError(
                "the model's answer",
                f"a {type(answer).__name__}",
                "Wrap the model so that it returns its logits [B,K] alone.",
            )
        if answer.ndim != 2 or len(answer) != len(candidates) or answer.shape[1] < 2:
            raise UserError(
                "the model's answer",
                f"shape {list(answer.shape)} for {len(candidates)} images",
                "It must return logits [B,K] with K from 2 up.",
            )
        self.classes = answer.shape[1]
        return answer.to(self._type)

    def _answer(self, shown: Tensor) -> object:
        """What the model returns, once it is sure that ``shown`` is as it was."""
        version = shown._version
        try:
            answer = self._call(shown)
        except RuntimeError as error:
            # Torch does not let a model write into images whose gradient is asked for.
            if not shown.requires_grad or not self._writes_into(shown.detach().clone()):
                raise
            raise written_into() from error
        if shown._version != version:
            raise written_into()
        return answer

    @torch.no_grad()
    def _writes_into(self, images: Tensor) -> bool:
        version = images._version
        self._call(images)
        return images._version != version

    def cured(self, answer: Tensor) -> Tensor:
        """Logits that losses can work with, from the model's own answer."""
        if self._softmax:
            answer = answer.clamp_min(torch.finfo(answer.dtype).tiny).log()
        return answer if self._factor == 1 else answer * self._factor

    def logits(self, candidates: Tensor, rows: Tensor) -> Tensor:
        """``ask`` and ``cured`` in one."""
        return self.cured(self.ask(candidates, rows))

    @property
    def cures(self) -> bool:
        """Whether ``cured`` changes anything."""
        return self._softmax or self._factor != 1

    def examine(self, images: Tensor, rows: Tensor, answer: Tensor) -> None:
        """Find out what is unusual, from the raw answers [n,K] to clean images [n,C,H,W]."""
        raw = answer.detach()
        self._probe(images.detach()[:PROBED], rows[:PROBED], raw[:PROBED])
        raw = raw[raw.isfinite().all(dim=1)]
        if not len(raw):
            return
        if are_probabilities(raw):
            self._softmax = True
            self.notes.append(
                "the model ends in a softmax: attacked through the logarithm of its output"
            )
        logits = self.cured(raw)
        self._find_scale(logits.amax(dim=1) - logits.amin(dim=1))

    def _probe(self, images: Tensor, rows: Tensor, known: Tensor) -> None:
        """Ask about a few samples again, alone: is the answer the same?"""
        again = self.ask(images, rows) if self._alone is None else self._alone
        if _alike(again, known):
            return
        difference = float((again - known).abs().amax())
        third = self.ask(images, rows)
        self.random = not _alike(again, third, 1e-5)
        self.notes.append(
            f"the model is random: answers to one image differ by up to {difference:.3g}; success "
            "is the majority of several looks"
            if self.random
            else "the model's answer for a sample depends on the batch that it is in, by up to "
            f"{difference:.3g}: figures hold for these batches only"
        )

    def _find_scale(self, spread: Tensor) -> None:
        """Shrink logits that saturate every softmax, and stretch those that move none.

        One factor for all samples: how their losses compare, and every direction, stays.
        """
        spread = spread[spread > 0]
        middle = float(spread.median()) if len(spread) else _USUAL
        if _NARROWEST <= middle <= _WIDEST:
            return
        # A power of ten undoes exactly what a model scaled by one has done.
        self._factor = 10.0 ** round(math.log10(_USUAL / middle))
        self.notes.append(
            f"logits {'saturated' if middle > _WIDEST else 'vanishing'} (highest minus lowest is "
            f"{middle:.3g}): attacked after multiplying them by {self._factor:.3g}"
        )


def _near(gradients: Tensor, known: Tensor) -> bool:
    """Whether gradients are the same but for a few values that hang on rounding, as at a kink."""
    gradients, known = (one.nan_to_num(0.0, 0.0, 0.0) for one in (gradients, known))
    norm = torch.linalg.vector_norm
    return bool(norm(gradients - known) <= 0.1 * norm(known))


def _alike(answers: Tensor, known: Tensor, tolerance: float = 1e-3) -> bool:
    """Whether two answers are the same but for rounding; NaN is like NaN."""
    scale = float(known.nan_to_num(0.0, 0.0, 0.0).abs().amax())
    return torch.allclose(answers, known, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
