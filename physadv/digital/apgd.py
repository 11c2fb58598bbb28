"""Auto-PGD: projected gradient descent that chooses its own step sizes."""

import torch
from torch import Tensor

from physadv.checks import check_name
from physadv.digital.inputs import Model, check_count
from physadv.digital.losses import LOSSES, Loss, difference_ratio
from physadv.digital.norms import Norm, check_budget, column, steepest, within
from physadv.digital.outcome import Adversarials
from physadv.digital.pgd import random_start
from physadv.digital.problem import Problem, opened

TARGETED_DLR = "targeted-dlr"
_KEPT = 0.75  # share of a step that is new; the rest is momentum
_RISING = 0.75  # share of rising steps below which the step size is halved


def apgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: Norm = "linf",
    steps: int = 100,
    targets: Tensor | None = None,
    restarts: int = 1,
    loss: str = "cross-entropy",
    classes: int = 9,
    seed: int = 0,
) -> Adversarials:
    """PGD with momentum whose step size is halved, from the best point, when progress stalls.

    A sample is done once it fools the model as it is and rounded to 8 bits.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        eps: Largest change, on the scale of [0,1] pixels, in ``norm``.
        norm: linf, l2 or l1.
        steps: Gradient steps per run.
        targets: [B] classes to reach; None for any wrong one.
        restarts: Runs from other random starts.
        loss: A key of ``losses.LOSSES``, or ``targeted-dlr``: one run towards each of the
            ``classes`` strongest wrong classes of the clean image, any of which counts.
        classes: How many, for ``targeted-dlr``.
        seed: With the sample's pixels, decides the starts.

    Raises:
        UserError: If an argument is out of range.

    References:
        Croce & Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, ICML 2020, algorithm 1 and section 4.
    """
    check_budget(norm, eps)
    check_name("loss", loss, [*LOSSES, TARGETED_DLR])
    check_count("steps", steps)
    check_count("restarts", restarts)
    check_count("classes", classes)
    with opened(model, images, labels, targets) as problem:
        for restart in range(restarts):
            rows = problem.open_rows
            if not len(rows):
                break
            if loss != TARGETED_DLR:
                _run(problem, rows, None, LOSSES[loss], eps, norm, steps, restart, seed)
                continue
            ranked = problem.strongest_wrong(rows)[:, :classes]
            for aim in ranked.unbind(dim=1):
                left = (problem.grade[rows] < 2).nonzero().flatten()
                if len(left):
                    aims = aim[left], difference_ratio
                    _run(problem, rows[left], *aims, eps, norm, steps, restart, seed)
        return problem.close("apgd")


def _run(
    problem: Problem,
    rows: Tensor,
    aims: Tensor | None,
    loss: Loss,
    eps: float,
    norm: Norm,
    steps: int,
    restart: int,
    seed: int,
) -> None:
    """One run of algorithm 1; ``aims`` [n] are classes to go for, None for the problem's own."""
    clean = problem.images[rows]
    point = random_start(problem, rows, eps, norm, "apgd", restart, seed=seed)
    size = torch.full_like(point[:, 0, 0, 0], 2 * eps)
    best = previous = point
    best_gradient = torch.zeros_like(point)
    value = best_value = torch.full_like(size, -torch.inf)
    rising = torch.zeros_like(size)
    old_size, old_best = size, best_value
    checkpoints, passed = _checkpoints(steps), 0
    for step in range(steps):
        before = value
        gradient, logits, value = problem.gradient(point, rows, loss, aims)
        rising += value > before
        better = value > best_value
        best = torch.where(column(better), point, best)
        best_gradient = torch.where(column(better), gradient, best_gradient)
        best_value = torch.where(better, value, best_value)
        if step in checkpoints:
            stalled = rising < _RISING * (step - passed)
            stuck = (old_size == size) & (old_best == best_value)
            halved = stalled | stuck
            old_size, old_best = size, best_value
            size = torch.where(halved, size / 2, size)
            point = torch.where(column(halved), best, point)
            gradient = torch.where(column(halved), best_gradient, gradient)
            rising, passed = torch.zeros_like(rising), step
        if problem.due(step):
            kept = ~problem.offer(point, rows, logits)
            if not kept.all():
                rows, clean, point, previous = rows[kept], clean[kept], point[kept], previous[kept]
                best, best_gradient, gradient = best[kept], best_gradient[kept], gradient[kept]
                value, best_value, rising = value[kept], best_value[kept], rising[kept]
                size, old_size, old_best = size[kept], old_size[kept], old_best[kept]
                aims = None if aims is None else aims[kept]
        if not len(rows):
            return
        ahead = point + column(size) * steepest(gradient, point, norm)
        ahead = within(ahead, clean, eps, norm)
        if step:
            ahead = point + _KEPT * (ahead - point) + (1 - _KEPT) * (point - previous)
            ahead = within(ahead, clean, eps, norm)
        previous, point = point, ahead
    problem.last(point, rows)


def _checkpoints(steps: int) -> set[int]:
    """Steps after which progress is judged: closer and closer together (section 3.1)."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return {int(-(-share * steps // 1)) for share in shares[1:]}
