"""Carlini and Wagner's l0 attack: l2 attacks on fewer and fewer pixels."""

import torch
from torch import Tensor

from physadv.checks import check_name
from physadv.digital.carlini_wagner import Search, default_rate, descend, first_constant
from physadv.digital.inputs import Model, check_count
from physadv.digital.losses import margin
from physadv.digital.objectives import OBJECTIVES
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import Problem, opened
from physadv.digital.rows import only

_SHARE = 0.4  # of the pixels in use, frozen at first in one round
_BOLD = 10.0  # c over that of the l2 attack: here the l2 length is only a means


def carlini_wagner_l0(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    objective: str = "f6",
    rounds: int = 20,
    steps: int = 25,
    targets: Tensor | None = None,
) -> Adversarials:
    """The fewest changed pixels: freeze those that matter least, and attack with the others.

    What a pixel matters is the product of its change and the objective's gradient. Where the
    remaining pixels do not suffice, half as many are frozen in the next round, down to one.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        objective: f1 to f7, a key of ``objectives.OBJECTIVES``.
        rounds: l2 attacks per sample.
        steps: Adam's steps in each.
        targets: [B] classes to reach; None for any wrong one.

    Raises:
        UserError: If an argument is out of range.

    References:
        Carlini & Wagner, Towards evaluating the robustness of neural networks, IEEE S&P 2017,
        section VI-B.
    """
    check_name("objective", objective, OBJECTIVES)
    check_count("rounds", rounds)
    check_count("steps", steps)
    f, rate = OBJECTIVES[objective], default_rate(steps)
    with opened(model, images, labels, targets, from_clean=True) as problem:
        rows, c = first_constant(problem, f)
        c = _BOLD * c
        best = problem.clean(rows)
        mask = torch.ones_like(best[:, :1], dtype=torch.bool)
        count = torch.full_like(c, torch.inf)
        share = torch.full_like(c, _SHARE)
        done = torch.zeros_like(rows, dtype=torch.bool)
        for attempt in range(rounds):
            if not len(rows):
                break
            clean = problem.clean(rows)
            start = torch.where(mask, best, clean)
            nothing = Search(start, torch.full_like(c, torch.inf), done, done)
            found = descend(problem, rows, nothing, c, f, steps=steps, rate=rate, mask=mask)
            used = (found.best != clean).any(dim=1, keepdim=True)
            fewer = used.flatten(1).sum(dim=1)
            better = found.size.isfinite() & (fewer < count)
            best = torch.where(better[:, None, None, None], found.best, best)
            count = torch.where(better, fewer, count)
            missed = ~better & count.isfinite()
            done = (missed & (share * count < 0.5)) | (count <= 1)
            share = torch.where(missed, share / 2, share)
            c = torch.where(better, c, 2 * c).clamp_max(1e12)
            if attempt == rounds - 1:
                problem.unconverged[rows] = ~done
                done = torch.ones_like(done)
            over = done & count.isfinite()
            problem.last(best[over], rows[over])
            rows, best, count, share, c, done = only(~done, rows, best, count, share, c, done)
            mask = _fewer_pixels(problem, rows, best, count, share)
        return problem.close("carlini-wagner l0")


def _fewer_pixels(
    problem: Problem, rows: Tensor, best: Tensor, count: Tensor, share: Tensor
) -> Tensor:
    """[n,1,H,W] the pixels in use without those, a share of them, that matter least."""
    clean = problem.clean(rows)
    if not len(rows):
        return torch.ones_like(clean[:, :1], dtype=torch.bool)
    gradient, _, _ = problem.gradient(best, rows, margin)
    change = best - clean
    matter = (gradient * change).abs().sum(dim=1, keepdim=True)
    matter = torch.where((change != 0).any(dim=1, keepdim=True), matter, -1.0)
    kept = (count - (share * count).floor().clamp_min(1)).clamp_min(1)
    ranks = matter.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
    chosen = (ranks < kept[:, None]).view_as(matter)
    return torch.where(count.isfinite()[:, None, None, None], chosen, True)
