"""What an attack returns: images, and per sample what became of them."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from physadv.stats.intervals import Interval, wilson

Status = Literal[
    "succeeded", "failed", "not converged", "no gradient", "already wrong", "not a number"
]
STATUSES: tuple[Status, ...] = (
    "succeeded",
    "failed",
    "not converged",
    "no gradient",
    "already wrong",
    "not a number",
)
"""A partition of the samples.

``succeeded`` the model is fooled; ``failed`` it is not; ``not converged`` the search was still
gaining when its steps ran out (``success`` says whether it has found something by then);
``no gradient`` every gradient was zero and nothing was changed; ``already wrong`` the model did
not give the label to the clean image, so that there was nothing to attack; ``not a number`` the
image, or the model's answer to it, holds NaN or infinity."""

NOT_ATTACKED: frozenset[Status] = frozenset({"already wrong", "not a number"})


@dataclass(frozen=True)
class Adversarials:
    """The outcome of one attack on B samples; [B] tensors unless said otherwise.

    ``images`` [B,C,H,W] in [0,1]; a sample that was not attacked is returned as it came.
    ``success``: the model, asked once more about the returned image, does not give the label
    (targeted: gives the target). ``success_8bit``: the same for the image rounded to 8 bits, as
    any file keeps it. Samples that were not attacked have no success. ``l0`` counts pixels, a
    pixel that differs in several channels once; ``l1``, ``l2`` and ``linf`` are in units of the
    range [0,1]. ``clean_predictions`` and ``predictions`` are the model's classes before and
    after, -1 where it gave none. ``forwards`` and ``backwards`` count the model's passes over each
    sample, all checks included. ``notes`` names what was found wrong with the model and what was
    done about it.
    """

    attack: str
    images: Tensor
    success: Tensor
    success_8bit: Tensor
    status: tuple[Status, ...]
    l0: Tensor
    l1: Tensor
    l2: Tensor
    linf: Tensor
    clean_predictions: Tensor
    predictions: Tensor
    forwards: Tensor
    backwards: Tensor
    notes: tuple[str, ...] = ()

    @property
    def attacked(self) -> Tensor:
        """[B] True where there was something to attack: the clean image was read as labelled."""
        return torch.tensor(
            [status not in NOT_ATTACKED for status in self.status],
            dtype=torch.bool,
            device=self.images.device,
        )

    def rate(self, *, eight_bit: bool = False) -> tuple[int, int, Interval | None]:
        """Successes, samples attacked, and Wilson's 95 % interval (None if none was attacked).

        Samples are taken as independent; over frames of one sign the interval is too narrow.
        """
        k = int((self.success_8bit if eight_bit else self.success).sum())
        n = int(self.attacked.sum())
        return k, n, wilson(k, n) if n else None

    def mean(self, norm: Literal["l0", "l1", "l2", "linf"]) -> float:
        """Mean length of the successful perturbations; NaN if there is none."""
        return float(getattr(self, norm)[self.success].double().mean())

    def counts(self) -> dict[Status, int]:
        """How many samples ended in each status; statuses without a sample are left out."""
        found = Counter(self.status)
        return {status: found[status] for status in STATUSES if found[status]}

    def __str__(self) -> str:
        listed = ", ".join(f"{count} {status}" for status, count in self.counts().items())
        lines = [f"{self.attack}: {listed or 'no samples'}"]
        for name, eight_bit in (("success", False), ("success after 8 bits", True)):
            k, n, interval = self.rate(eight_bit=eight_bit)
            if interval is not None:
                limits = f"95 % {interval.low:.1%} to {interval.high:.1%}"
                lines.append(f"{name}: {k}/{n} = {k / n:.1%} ({limits})")
        return "\n".join([*lines, *self.notes])


def statuses(count: int, *holding: tuple[Tensor, Status]) -> tuple[Status, ...]:
    """Of each of ``count`` samples the last status that holds; ``failed`` where none does."""
    codes = torch.zeros(count, dtype=torch.int8, device=holding[0][0].device)
    for code, (holds, _) in enumerate(holding, start=1):
        codes.masked_fill_(holds, code)
    names: tuple[Status, ...] = ("failed", *(status for _, status in holding))
    return tuple(names[code] for code in codes.tolist())
