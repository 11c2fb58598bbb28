"""Auto-PGD: projected gradient descent that chooses its own step sizes."""

import math
from itertools import count

import torch
from torch import Tensor

from physadv.checks import check_name
from physadv.digital.inputs import Model, check_count
from physadv.digital.losses import LOSSES, Loss, difference_ratio
from physadv.digital.norms import Norm, check_budget, column, steepest, within
from physadv.digital.outcome import Adversarials
from physadv.digital.pgd import random_start
from physadv.digital.problem import Problem, opened
from physadv.digital.rows import only

TARGETED_DLR = "targeted-dlr"
_MEMORY = 0.5  # of earlier gradients, each scaled to a mean of 1
_SHORTEST = 4  # a run on saved passes takes at least this part of the steps
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
    restarts: int | None = 1,
    loss: str = "cross-entropy",
    classes: int = 9,
    seed: int = 0,
) -> Adversarials:
    """PGD with momentum whose step size is halved, from the best point, when progress stalls.

    Two things differ from the reference, which comes to its small steps too late when it has few:
    no step is longer than twice the budget times a cosine that falls to 0 over the run, and the
    momentum is that of gradients, not of points. A sample is done once it fools the model as it is
    and rounded to 8 bits.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        eps: Largest change, on the scale of [0,1] pixels, in ``norm``.
        norm: linf, l2 or l1.
        steps: Gradient steps per run.
        targets: [B] classes to reach; None for any wrong one.
        restarts: Runs from other random starts; None for as many as the passes pay for that
            samples did not use because they were done early. All together then cost as much as
            one run of every sample to its end; what a sample gets depends on its batch.
        loss: A key of ``losses.LOSSES``, or ``targeted-dlr``: one run towards each of the
            ``classes`` strongest wrong classes of the clean image, any of which counts.
        classes: How many, for ``targeted-dlr``.
        seed: With the sample's pixels, decides the starts.

    Raises:
        UserError: If an argument is out of range.

    References:
        Croce & Hein, Reliable evaluation of adversarial robustness with an ensemble of diverse
        parameter-free attacks, ICML 2020, algorithm 1 and section 4. Dong et al., Boosting
        adversarial attacks with momentum, CVPR 2018 (of gradients).
    """
    check_budget(norm, eps)
    check_name("loss", loss, [*LOSSES, TARGETED_DLR])
    check_count("steps", steps)
    if restarts is not None:
        check_count("restarts", restarts)
    check_count("classes", classes)
    with opened(model, images, labels, targets) as problem:
        rows = problem.open_rows
        aims: list[Tensor | None] = [None]
        if loss == TARGETED_DLR and len(rows):
            ranked = torch.zeros_like(problem.labels)[:, None].repeat(1, problem.oracle.classes - 1)
            ranked[rows] = problem.strongest_wrong(rows)
            aims = list(ranked[:, :classes].unbind(dim=1))
        towards = difference_ratio if loss == TARGETED_DLR else LOSSES[loss]
        saved = steps * len(aims) * len(rows) if restarts is None else None
        for restart in count() if restarts is None else range(restarts):
            for aim in aims:
                rows = problem.open_rows
                length = steps
                if saved is not None and len(rows):
                    length = min(steps, saved // len(rows))
                if not len(rows) or _SHORTEST * length < steps:
                    return problem.close("apgd")
                before = problem.gradients
                _run(
                    problem,
                    rows,
                    None if aim is None else aim[rows],
                    towards,
                    eps,
                    norm,
                    length,
                    restart,
                    seed,
                )
                if saved is not None:
                    saved -= problem.gradients - before
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
    """One run; ``aims`` [n] are classes to go for, None for the problem's own."""
    clean = problem.clean(rows)
    point = random_start(problem, rows, eps, norm, "apgd", restart, seed=seed)
    size = torch.full_like(point[:, 0, 0, 0], 2 * eps)
    best, way = point, torch.zeros_like(point)
    best_way = way
    value = best_value = torch.full_like(size, -torch.inf)
    rising = torch.zeros_like(size)
    old_size, old_best = size, best_value
    checkpoints, passed = _checkpoints(steps), 0
    for step in range(steps):
        before, tried = value, point
        gradient, logits, value = problem.gradient(point, rows, loss, aims)
        way = _MEMORY * way + _evened(gradient)
        rising += value > before
        better = value > best_value
        best = torch.where(column(better), point, best)
        best_way = torch.where(column(better), way, best_way)
        best_value = torch.where(better, value, best_value)
        if step in checkpoints:
            stalled = rising < _RISING * (step - passed)
            stuck = (old_size == size) & (old_best == best_value)
            halved = stalled | stuck
            old_size, old_best = size, best_value
            size = torch.where(halved, size / 2, size)
            point = torch.where(column(halved), best, point)
            way = torch.where(column(halved), best_way, way)
            rising, passed = torch.zeros_like(rising), step
        if problem.due(step):
            kept = ~problem.offer(tried, rows, logits)
            if not kept.all():
                rows, clean, point, way, best, best_way = only(
                    kept, rows, clean, point, way, best, best_way
                )
                best_value, value, rising, size, old_size, old_best = only(
                    kept, best_value, value, rising, size, old_size, old_best
                )
                aims = None if aims is None else aims[kept]
        if not len(rows):
            return
        pace = size.clamp_max(eps * (1 + math.cos(math.pi * step / steps)))
        point = within(point + column(pace) * steepest(way, point, norm), clean, eps, norm)
    problem.last(point, rows)


def _evened(gradient: Tensor) -> Tensor:
    """Each sample's gradient divided by its mean absolute value; a zero stays zero."""
    mean = gradient.abs().flatten(1).mean(dim=1)
    return gradient / column(torch.where(mean > 0, mean, 1))


def _checkpoints(steps: int) -> set[int]:
    """Steps after which progress is judged: closer and closer together (section 3.1)."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return {int(-(-share * steps // 1)) for share in shares[1:]}
