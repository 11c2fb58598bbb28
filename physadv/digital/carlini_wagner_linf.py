"""Carlini and Wagner's linf attack: a penalty on what sticks out beyond a falling bound."""

import math

import torch
from torch import Tensor

from physadv.checks import check_name
from physadv.digital.inputs import Model, check_count
from physadv.digital.norms import column, length
from physadv.digital.objectives import OBJECTIVES, Objective
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import Problem, opened
from physadv.digital.rows import only
from physadv.digital.shortest import keep_shortest

_FALL = 0.9  # the bound after a success, over the largest change there
_GAINING = 0.02  # a last quarter of rounds that gains more than this share has not converged
_PATIENCE = 4  # rounds without gain after which a sample is done


def carlini_wagner_linf(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    objective: str = "f6",
    rounds: int = 10,
    steps: int = 50,
    targets: Tensor | None = None,
) -> Adversarials:
    """The smallest largest change, by descent on c f + sum (|delta| - tau)+ with falling tau.

    After a round that fools the model within tau, tau falls to 0.9 of the largest change; after
    one that does not, c is doubled and tau brought half as near to what was found. Every round
    starts where the last one ended. The box [0,1] is kept by clipping.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        objective: f1 to f7, a key of ``objectives.OBJECTIVES``.
        rounds: Values of tau and c that are tried per sample.
        steps: Adam's steps in each.
        targets: [B] classes to reach; None for any wrong one.

    Raises:
        UserError: If an argument is out of range.

    References:
        Carlini & Wagner, Towards evaluating the robustness of neural networks, IEEE S&P 2017,
        section VI-C.
    """
    check_name("objective", objective, OBJECTIVES)
    check_count("rounds", rounds)
    check_count("steps", steps)
    f = OBJECTIVES[objective]
    with opened(model, images, labels, targets, from_clean=True) as problem:
        rows, bound, c = _linear_guess(problem, f)
        point = best = problem.clean(rows)
        size = torch.full_like(bound, torch.inf)
        idle, fall = torch.zeros_like(rows), torch.full_like(bound, _FALL)
        late = size
        images_found, samples = [], []
        for attempt in range(1, rounds + 1):
            if not len(rows):
                break
            before = size
            point, best, size, held = _descend(problem, rows, point, best, size, bound, c, f, steps)
            won = size <= torch.minimum(bound, 0.999 * before)
            fall = torch.where(size < before, fall, (1 + fall) / 2)
            bound = torch.where(size.isfinite(), fall * size, bound)
            c = torch.where(won, c, torch.where(held, c / 2, 2 * c))
            idle = torch.where(size < before, 0, idle + 1)
            if attempt == rounds - rounds // 4:
                late = size
            some = size.isfinite()
            over = (idle >= _PATIENCE) & some if attempt < rounds else idle >= 0
            if attempt == rounds:
                problem.unconverged[rows] = ~some | (size < (1 - _GAINING) * late)
            images_found.append(best[over & some])
            samples.append(rows[over & some])
            rows, point, best, size = only(~over, rows, point, best, size)
            bound, c, idle, late, fall = only(~over, bound, c, idle, late, fall)
        if samples:
            keep_shortest(problem, torch.cat(images_found), torch.cat(samples))
        return problem.close("carlini-wagner linf")


def _linear_guess(problem: Problem, f: Objective) -> tuple[Tensor, Tensor, Tensor]:
    """Rows whose objective has a gradient g, twice the bound f / |g|_1, and c = 1 / max |g|."""
    rows, inputs, logits = problem.start()
    with torch.enable_grad():
        values = problem.loss(logits, rows, f)
    gradient = problem.differentiate(values, inputs, rows)
    slope = length(gradient, "l1").clamp_min(1e-30)
    bound = (2 * values.detach() / slope).clamp(1e-3, 1)
    c = 1 / length(gradient, "linf").clamp_min(1e-10)
    kept = torch.isin(rows, problem.open_rows) & (gradient != 0).flatten(1).any(dim=1)
    return rows[kept], bound[kept], c[kept]


def _descend(
    problem: Problem,
    rows: Tensor,
    point: Tensor,
    best: Tensor,
    size: Tensor,
    bound: Tensor,
    c: Tensor,
    f: Objective,
    steps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One run of Adam with a rate of a fifth of the bound, falling.

    Returns the last point, the best, its largest change, and whether the last points fooled.
    """
    clean = problem.clean(rows)
    mean, square = torch.zeros_like(point), torch.zeros_like(point)
    held = torch.zeros_like(rows, dtype=torch.bool)
    for step in range(steps):
        with torch.enable_grad():
            variable = point.detach().requires_grad_(True)
            logits = problem.logits(variable, rows)
            excess = ((variable - clean).abs() - column(bound)).clamp_min(0).flatten(1).sum(dim=1)
            total = c * problem.loss(logits, rows, f) + excess
        gradient = problem.differentiate(total, variable, rows)
        lengths = length(point - clean, "linf")
        fooled = problem.fooled(logits.detach(), rows)
        shorter = fooled & (lengths < size)
        if 4 * step >= 3 * steps:
            held |= fooled
        size = torch.where(shorter, lengths, size)
        best = torch.where(column(shorter), point, best)
        mean.lerp_(gradient, 0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        pace = 0.2 * bound * (1 + math.cos(math.pi * step / steps)) / 2 / (1 - 0.9 ** (step + 1))
        spread = (square / (1 - 0.999 ** (step + 1))).sqrt_().add_(1e-12)
        point = (point - column(pace) * mean / spread).clamp(0, 1)
    return point, best, size, held
