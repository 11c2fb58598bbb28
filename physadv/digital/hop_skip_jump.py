"""HopSkipJump: along the border of the label's region, from decisions alone."""

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from physadv.checks import UserError, check_name
from physadv.digital.inputs import Model, check_count, checked_images
from physadv.digital.norms import column, length, unit
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import Problem, opened
from physadv.digital.shortest import keep_shortest

_TRIES = 50  # random images tried for a start
_AT_ONCE = 8  # probes of a sample in one pass
_HALVINGS = 12  # of a step that leaves the region


def hop_skip_jump(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    norm: Literal["l2", "linf"] = "l2",
    iterations: int = 20,
    probes: int = 60,
    targets: Tensor | None = None,
    starts: Tensor | None = None,
    seed: int = 0,
) -> Adversarials:
    """A small change from the model's decisions: go to the border, feel its direction, step along.

    Args:
        model: Images to logits; only the highest is used.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        norm: Length to keep small: l2 or linf.
        iterations: Steps along the border.
        probes: Looks that feel the border's direction in the first step; more in later ones, with
            the square root of their number.
        targets: [B] classes to reach; None for any wrong one.
        starts: [B,C,H,W] images that the model misreads (targeted: reads as the target), e.g.
            photographs of another class; None to look for some among uniform noise.
        seed: With the sample's pixels, decides starts and probes.

    Raises:
        UserError: If an argument is out of range.

    References:
        Chen, Jordan & Wainwright, HopSkipJumpAttack: a query-efficient decision-based attack,
        IEEE S&P 2020, algorithm 2.
    """
    check_name("norm", norm, ("l2", "linf"))
    check_count("iterations", iterations)
    check_count("probes", probes)
    if starts is not None:
        starts = checked_images(starts)
        if starts.shape != images.shape:
            raise UserError(
                "starts", f"shape {list(starts.shape)} for {list(images.shape)}", "Give one each."
            )
    with opened(model, images, labels, targets, gradients=False) as problem:
        starts = None if starts is None else starts.to(problem.images)
        rows = problem.open_rows
        generators = np.array(problem.generators(rows, "hop", seed=seed), dtype=object)
        point, some = _find_starts(problem, rows, generators, starts)
        rows, point, generators = rows[some], point[some], generators[some.cpu().numpy()]
        if not len(rows):
            return problem.close("hop-skip-jump")
        clean = problem.clean(rows)
        elements = clean[0].numel()
        # How near the border a bisection ends, over the way from the image (section IV-C).
        precision = elements**-1.5 if norm == "l2" else elements**-2.0
        point = _to_border(problem, rows, clean, point, norm, precision)
        for iteration in range(1, iterations + 1):
            distance = length(point - clean, norm)
            share = elements**0.5 * precision if norm == "l2" else elements * precision
            reach = (0.1 if iteration == 1 else max(share, 1e-4)) * distance
            count = round(probes * math.sqrt(iteration))
            way = _border_direction(problem, rows, point, reach, count, generators)
            way = unit(way) if norm == "l2" else way.sign()
            pace = distance / math.sqrt(iteration)
            ahead, fooled = point, torch.zeros_like(rows, dtype=torch.bool)
            for _ in range(_HALVINGS):
                left = (~fooled).nonzero().flatten()
                if not len(left):
                    break
                tried = (point[left] + column(pace[left]) * way[left]).clamp(0, 1)
                good = problem.fooled_by(tried, rows[left])
                ahead = ahead.index_copy(0, left[good], tried[good])
                fooled[left[good]] = True
                pace[left] = torch.where(good, pace[left], pace[left] / 2)
            ahead = _to_border(problem, rows, clean, ahead, norm, precision)
            nearer = length(ahead - clean, norm) < distance
            point = torch.where(column(nearer), ahead, point)
        keep_shortest(problem, point, rows)
        return problem.close("hop-skip-jump")


def _find_starts(
    problem: Problem, rows: Tensor, generators: np.ndarray, starts: Tensor | None
) -> tuple[Tensor, Tensor]:
    """[n,C,H,W] images that fool the model, and [n] for which samples there is one."""
    if starts is not None:
        return starts[rows], problem.fooled_by(starts[rows], rows) if len(rows) else rows > 0
    found, some = problem.clean(rows), torch.zeros_like(rows, dtype=torch.bool)
    for _ in range(_TRIES):
        left = (~some).nonzero().flatten()
        if not len(left):
            break
        shape = found.shape[1:]
        drawn = [generators[int(n)].uniform(size=shape).astype(np.float32) for n in left]
        tried = torch.from_numpy(np.stack(drawn)).to(found)
        good = problem.fooled_by(tried, rows[left])
        found[left[good]], some[left[good]] = tried[good], True
    return found, some


def _to_border(
    problem: Problem, rows: Tensor, clean: Tensor, point: Tensor, norm: str, precision: float
) -> Tensor:
    """The points between image and ``point`` that only just fool the model."""
    low = torch.zeros_like(clean[:, 0, 0, 0])
    high = torch.ones_like(low) if norm == "l2" else length(point - clean, "linf")
    farthest = high.clone()
    for _ in range(max(1, math.ceil(-math.log2(max(precision, 1e-5))))):
        middle = (low + high) / 2
        good = problem.fooled_by(_between(clean, point, middle, norm), rows)
        low, high = torch.where(good, low, middle), torch.where(good, middle, high)
    border = _between(clean, point, high, norm)
    return torch.where(column(high < farthest), border, point)


def _between(clean: Tensor, point: Tensor, where: Tensor, norm: str) -> Tensor:
    if norm == "l2":
        return torch.lerp(clean, point, column(where))
    return torch.minimum(torch.maximum(point, clean - column(where)), clean + column(where))


def _border_direction(
    problem: Problem,
    rows: Tensor,
    point: Tensor,
    reach: Tensor,
    count: int,
    generators: np.ndarray,
) -> Tensor:
    """[n,C,H,W] the mean of random directions, weighed by whether they fool (equation 16)."""
    total, plain = torch.zeros_like(point), torch.zeros_like(point)
    votes = torch.zeros_like(reach)
    shape, done = point.shape[1:], 0
    while done < count:
        now = min(_AT_ONCE, count - done)
        drawn = np.stack([g.standard_normal((now, *shape), dtype=np.float32) for g in generators])
        probes = torch.from_numpy(drawn).to(point)
        probes = unit(probes.flatten(0, 1)).view_as(probes)
        looked = (point[:, None] + reach[:, None, None, None, None] * probes).clamp(0, 1)
        probes = (looked - point[:, None]) / reach.clamp_min(1e-12)[:, None, None, None, None]
        good = problem.fooled_by(looked.flatten(0, 1), rows.repeat_interleave(now))
        sign = 2.0 * good.view(len(rows), now).to(point.dtype) - 1
        total += (sign[:, :, None, None, None] * probes).sum(dim=1)
        plain += probes.sum(dim=1)
        votes += sign.sum(dim=1)
        done += now
    # Subtracting the mean vote lowers the variance; where all agree there is nothing to subtract.
    mean = votes / count
    mean = torch.where(mean.abs() < 1, mean, 0)
    return total - column(mean) * plain
