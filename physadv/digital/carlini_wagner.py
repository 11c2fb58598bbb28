"""Carlini and Wagner's l2 attack, with any of their seven objective functions."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from physadv.checks import check_name, check_range
from physadv.digital.inputs import Model, check_count
from physadv.digital.norms import column, length
from physadv.digital.objectives import OBJECTIVES, Objective
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import Problem, opened
from physadv.digital.rows import only
from physadv.digital.shortest import keep_shortest

_INSIDE = 0.003  # black and white start this far inside the tanh's range: below half a grey level
_SPAN = 2 * math.atanh(1 - _INSIDE)
_BEYOND = 4.0  # first c over the c that solves the linearised problem
_GAINING = 0.02  # a last round that shortens by more than this share has not converged


@dataclass
class Search:
    """What descents have found so far, for n samples.

    ``best`` [n,C,H,W] and ``size`` [n], its l2 length (infinite where nothing fools the model);
    ``held`` [n] whether the last quarter of the last descent fooled the model; ``moving`` [n]
    whether that descent brought the objective down by a twentieth.
    """

    best: Tensor
    size: Tensor
    held: Tensor
    moving: Tensor


def carlini_wagner(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    objective: str = "f6",
    rounds: int = 5,
    steps: int = 100,
    step_size: float | None = None,
    constant: float | None = None,
    targets: Tensor | None = None,
) -> Adversarials:
    """The smallest l2 change, by descent on ||delta||^2 + c f with a search for c.

    The model is shown images rounded to 8 bits, so that what is found survives a file. A round
    starts from the best image so far, where there is one; a sample is done with the first round
    after the second that gains nothing. Samples that their last round still improved by more than
    2 %, or that it brought nearer without success, are "not converged".

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        objective: f1 to f7, a key of ``objectives.OBJECTIVES``.
        rounds: Values of c that are tried per sample.
        steps: Adam's steps in each.
        step_size: First step of Adam in tanh space, falling to nearly 0 over a round; None for
            three times what crosses that space within a round.
        constant: First c; None for four times that which solves the linearised problem.
        targets: [B] classes to reach; None for any wrong one.

    Raises:
        UserError: If an argument is out of range.

    References:
        Carlini & Wagner, Towards evaluating the robustness of neural networks, IEEE S&P 2017,
        sections IV and V.
    """
    check_name("objective", objective, OBJECTIVES)
    check_count("rounds", rounds)
    check_count("steps", steps)
    rate = default_rate(steps) if step_size is None else check_range("step_size", step_size, 0, 10)
    if constant is not None:
        check_range("constant", constant, 0, 1e10, low_open=True)
    f = OBJECTIVES[objective]
    with opened(model, images, labels, targets, from_clean=True) as problem:
        rows, c = first_constant(problem, f)
        if constant is not None:
            c = torch.full_like(c, constant)
        low, high = torch.zeros_like(c), torch.full_like(c, torch.inf)
        found = Search(problem.clean(rows), high.clone(), rows < 0, rows < 0)
        kept: list[Tensor] = []
        samples: list[Tensor] = []
        for attempt in range(1, rounds + 1):
            if not len(rows):
                break
            before = found.size
            found = descend(problem, rows, found, c, f, steps=steps, rate=rate)
            high = torch.where(found.held, torch.minimum(high, c), high)
            low = torch.where(found.held, low, torch.maximum(low, c))
            c = torch.where(high.isfinite(), (low + high) / 2, 10 * c)
            some = found.size.isfinite()
            gaining = found.size < (1 - _GAINING) * before
            problem.unconverged[rows] = torch.where(some, gaining, found.moving)
            # The first two rounds bracket c; from then on, one without gain is a sample's last.
            over = some & (found.size == before) if attempt > 2 else rows < 0
            if attempt == rounds:
                over = torch.ones_like(over)
            kept.append(found.best[over & some])
            samples.append(rows[over & some])
            rows, c, low, high = only(~over, rows, c, low, high)
            found = Search(*only(~over, found.best, found.size, found.held, found.moving))
        if samples:
            keep_shortest(problem, torch.cat(kept), torch.cat(samples))
        return problem.close("carlini-wagner l2")


def default_rate(steps: int) -> float:
    """Adam's first step: with a rate that falls like a cosine, half of it is the mean."""
    return min(3 * 2 * _SPAN / 2 / steps, 0.5)


def first_constant(problem: Problem, f: Objective) -> tuple[Tensor, Tensor]:
    """Rows whose objective has a gradient, and four times the c that solves the linear problem.

    For f falling linearly with slope g, the least ||delta||^2 + c f reaches f = 0 at
    c = 2 f / ||g||^2.
    """
    rows, inputs, logits = problem.start()
    with torch.enable_grad():
        values = problem.loss(logits, rows, f)
    gradient = problem.differentiate(values, inputs, rows)
    slope = length(gradient, "l2").double()
    c = (2 * _BEYOND * values.detach() / slope.square()).clamp(1e-6, 1e10).to(gradient.dtype)
    attackable = torch.isin(rows, problem.open_rows) & (slope > 0)
    return rows[attackable], c[attackable]


def descend(
    problem: Problem,
    rows: Tensor,
    found: Search,
    c: Tensor,
    f: Objective,
    *,
    steps: int,
    rate: float,
    mask: Tensor | None = None,
) -> Search:
    """One run of Adam from the best images so far; only pixels under ``mask`` [n,1,H,W] move."""
    clean = problem.clean(rows)
    best, size = found.best, found.size
    variable = torch.atanh((2 * best - 1) * (1 - _INSIDE))
    mean, square = torch.zeros_like(variable), torch.zeros_like(variable)
    held = torch.zeros_like(found.held)
    first = torch.zeros_like(size)
    quarter = steps - max(1, steps // 4)
    values = first
    for step in range(steps):
        curve = torch.tanh(variable)
        # Forward the image (curve + 1) / 2 rounded to 8 bits, backward as if it had not been.
        point = (curve * 127.5).add_(127.5).round_().div_(255)
        if mask is not None:
            point = torch.where(mask, point, clean)
        delta = point - clean
        gradient, logits, values = problem.gradient(point, rows, f)
        fooled, lengths = problem.fooled(logits, rows), length(delta, "l2")
        shorter = fooled & (lengths < size)
        size = torch.where(shorter, lengths, size)
        best = torch.where(column(shorter), point, best)
        if step == 0:
            first = values
        if step >= quarter:
            held |= fooled
        slope = curve.square_().neg_().add_(1).mul_(0.5)
        gradient = (gradient * column(c)).add_(delta, alpha=2).mul_(slope)
        if mask is not None:
            gradient = gradient * mask
        mean.lerp_(gradient, 0.1)
        square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        pace = rate * (1 + 0.99 * math.cos(math.pi * step / steps)) / 2
        spread = (square / (1 - 0.999 ** (step + 1))).sqrt_().add_(1e-8)
        variable.addcdiv_(mean, spread, value=-pace / (1 - 0.9 ** (step + 1)))
    return Search(best, size, held, values < 0.95 * first)
