"""DeepFool: step after step to the nearest border of the linearised model."""

from typing import Literal

import torch
from torch import Tensor

from physadv.checks import check_name, check_range
from physadv.digital.inputs import Model, check_count
from physadv.digital.norms import column
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import Problem, opened
from physadv.digital.rows import only
from physadv.digital.shortest import keep_shortest

_FOLLOWED = 2  # borders looked at after the first step: those that the last slopes make nearest


def deepfool(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    norm: Literal["l2", "linf"] = "l2",
    steps: int = 50,
    candidates: int = 20,
    overshoot: float = 0.02,
) -> Adversarials:
    """The smallest change that crosses the nearest border, found by repeated linearisation.

    What crosses is then brought to the shortest length, along its own direction, that fools the
    model also after rounding to 8 bits. There is no target to choose.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        norm: Length to keep small: l2 or linf.
        steps: Most linearisations of one sample.
        candidates: Classes whose borders the first step looks at, the label's own included. The
            paper looks at ten; of the 43 classes of traffic signs the nearest is often another.
        overshoot: How far behind the linear border a step goes, as a share of its length.

    Raises:
        UserError: If an argument is out of range.

    References:
        Moosavi-Dezfooli, Fawzi & Frossard, DeepFool: a simple and accurate method to fool deep
        neural networks, CVPR 2016, algorithm 2.
    """
    check_name("norm", norm, ("l2", "linf"))
    check_count("steps", steps)
    check_count("candidates", candidates, 2)
    check_range("overshoot", overshoot, 0, 10)
    with opened(model, images, labels, from_clean=True) as problem:
        found: list[Tensor] = []
        crossed: list[Tensor] = []
        rows, point, logits = problem.start()
        # Lengths of the borders' slopes, from when each was last looked at.
        slopes = torch.ones_like(logits.detach())
        looked_at = min(candidates, logits.shape[1]) - 1
        done = torch.zeros_like(rows, dtype=torch.bool)
        for number in range(steps):
            if not len(rows):
                break
            step = _step_to_border(problem, rows, point, logits, slopes, looked_at, norm)
            looked_at = min(looked_at, _FOLLOWED)
            step = torch.where(column(done), 0, step)
            point = (point.detach() + (1 + overshoot) * step).clamp_(0, 1)
            done = problem.fooled(problem.logits(point, rows), rows)
            if problem.due(number) or number == steps - 1:
                for here, some in zip((found, crossed), only(done, point, rows), strict=True):
                    here.append(some)
                rows, point, slopes, done = only(~done, rows, point, slopes, done)
            point.requires_grad_(True)
            with torch.enable_grad():
                logits = problem.logits(point, rows)
        if crossed:
            keep_shortest(problem, torch.cat(found), torch.cat(crossed))
        return problem.close("deepfool")


def _step_to_border(
    problem: Problem,
    rows: Tensor,
    point: Tensor,
    logits: Tensor,
    slopes: Tensor,
    looked_at: int,
    norm: str,
) -> Tensor:
    """[n,C,H,W] shortest steps to linearised borders; ``slopes`` [n,K] is brought up to date."""
    labels = problem.labels[rows]
    expected = (logits.detach().gather(1, labels[:, None]) - logits.detach()) / slopes
    expected.scatter_(1, labels[:, None], torch.inf)
    others = expected.topk(looked_at, dim=1, largest=False).indices
    with torch.enable_grad():
        gaps = (logits.gather(1, labels[:, None]) - logits.gather(1, others)).unbind(dim=1)
    shortest = torch.full_like(point[:, 0, 0, 0], torch.inf)
    step = torch.zeros_like(point)
    for n, gap in enumerate(gaps):
        slope = -problem.differentiate(gap, point, rows, again=n + 1 < len(gaps))
        size = torch.linalg.vector_norm(slope.flatten(1), 2 if norm == "l2" else 1, dim=1)
        slopes.scatter_(1, others[:, n : n + 1], size.clamp_min(1e-12)[:, None])
        distance = (gap.detach().abs() + 1e-4) / size
        nearer = (size > 0) & (distance < shortest)
        shortest = torch.where(nearer, distance, shortest)
        way = slope / column(size) if norm == "l2" else slope.sign()
        step = torch.where(column(nearer), column(distance) * way, step)
    return step
