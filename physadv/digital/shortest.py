"""The shortest way along a ray from the clean image that fools the model and survives 8 bits."""

import torch
from torch import Tensor

from physadv.digital.norms import column
from physadv.digital.problem import Problem, rounded
from physadv.digital.rows import picked

_LONGER = (1.01, 1.03, 1.06, 1.1, 1.2, 1.4, 2.0, 3.0, 4.0)
_LEVELS = (0.51, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Largest changes, in grey levels, tried where the search ended below what a file can keep."""
_BEYOND = 1e-4  # of the length: at the border itself rounding decides, differently each time
_SHORTER = 0.94  # how far down the first look goes


def keep_shortest(problem: Problem, found: Tensor, rows: Tensor, *, looks: int = 5) -> None:
    """Move each found image along its ray from the clean one, and keep the result.

    An image that fools the model only as floats is lengthened, up to four times, until its rounding
    to 8 bits does too, and up to three grey levels where it started below one, since rounding
    removes a change below half a level; then the shortest length that still does both is searched
    for. Where no length does both, the image is kept as it was found. All end a ten-thousandth
    farther, where they still do what they did.

    Args:
        problem: Where the result is kept.
        found: [n,C,H,W] images that fool the model.
        rows: [n] their samples.
        looks: Steps of the search for a shorter length.
    """
    clean = problem.clean(rows)
    delta = found - clean
    high = torch.ones(len(rows)).to(clean)
    holds = _both(problem, found, rows)
    peak = 255 * delta.flatten(1).abs().amax(dim=1).clamp_min(1e-9)
    lengths = [torch.full_like(high, factor) for factor in _LONGER]
    lengths += [torch.where(peak < 1, level / peak, 0) for level in _LEVELS]
    for factors in lengths:
        todo = (~holds & (factors > 1)).nonzero().flatten()
        if not len(todo):
            continue
        images = (picked(clean, todo) + column(factors[todo]) * picked(delta, todo)).clamp(0, 1)
        better = _both(problem, images, rows[todo])
        high[todo[better]] = factors[todo[better]]
        holds[todo[better]] = True
    low = torch.zeros_like(high)
    for _ in range(looks):
        todo = holds.nonzero().flatten()
        if not len(todo):
            break
        untried = low[todo] == 0
        middle = torch.where(untried, _SHORTER * high[todo], (low[todo] + high[todo]) / 2)
        images = (picked(clean, todo) + column(middle) * picked(delta, todo)).clamp(0, 1)
        better = _both(problem, images, rows[todo])
        high[todo] = torch.where(better, middle, high[todo])
        low[todo] = torch.where(better, low[todo], middle)
    beyond = (clean + column(high * (1 + _BEYOND)) * delta).clamp(0, 1)
    left = (~problem.offer(beyond, rows, problem.logits(beyond, rows))).nonzero().flatten()
    best = torch.where(column(high == 1), found, (clean + column(high) * delta).clamp(0, 1))
    if len(left):
        best, rows = picked(best, left), rows[left]
        problem.offer(best, rows, problem.logits(best, rows))


def _both(problem: Problem, images: Tensor, rows: Tensor) -> Tensor:
    """[n] whether the rounded images fool the model, and of those, whether the floats do."""
    holds = problem.fooled_by(rounded(images), rows)
    some = holds.nonzero().flatten()
    if len(some):
        holds[some] = problem.fooled_by(picked(images, some), rows[some])
    return holds
