"""The Square attack: random search with squares, from scores alone."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from physadv.checks import check_name, check_range
from physadv.digital.inputs import Model, check_count
from physadv.digital.losses import LOSSES
from physadv.digital.norms import check_budget, column, within
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import opened
from physadv.digital.rows import only

_HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries


def square(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: Literal["linf"] = "linf",
    queries: int = 1000,
    area: float = 0.3,
    targets: Tensor | None = None,
    loss: str = "margin",
    seed: int = 0,
) -> Adversarials:
    """Try squares of constant change at random places; keep each that helps. No gradient is used.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        eps: Largest change of any element.
        norm: linf.
        queries: Looks at the model per sample, the first of stripes included.
        area: First square's share of the image; it shrinks as the queries go by.
        targets: [B] classes to reach; None for any wrong one.
        loss: A key of ``losses.LOSSES``.
        seed: With the sample's pixels, decides the squares.

    Raises:
        UserError: If an argument is out of range.

    References:
        Andriushchenko, Croce, Flammarion & Hein, Square attack: a query-efficient black-box
        adversarial attack via random search, ECCV 2020, algorithms 1 and 2.
    """
    check_name("norm of square", norm, ("linf",))
    check_budget(norm, eps)
    check_name("loss", loss, LOSSES)
    check_count("queries", queries)
    check_range("area", area, 0, 1, low_open=True)
    with opened(model, images, labels, targets, gradients=False) as problem:
        rows = problem.open_rows
        if not len(rows):
            return problem.close("square")
        clean = problem.clean(rows)
        channels, height, width = clean.shape[1:]
        drawn = [
            _draws(generator, queries, channels, width)
            for generator in problem.generators(rows, "square", seed=seed)
        ]
        stripes = torch.from_numpy(np.stack([stripe for stripe, _, _ in drawn])).to(clean)
        places = torch.from_numpy(np.stack([place for _, place, _ in drawn])).to(clean)
        signs = torch.from_numpy(np.stack([sign for _, _, sign in drawn])).to(clean)
        y = torch.arange(height, device=clean.device)[None, :, None]
        x = torch.arange(width, device=clean.device)[None, None, :]
        point = within(clean + eps * stripes[:, :, None, :], clean, eps, norm)
        value = torch.full_like(clean[:, 0, 0, 0], -torch.inf)
        for query in range(queries):
            candidate = point
            if query:
                side = _side(area, query / queries, height, width)
                top = (places[:, query, 0] * (height - side + 1)).floor()[:, None, None]
                left = (places[:, query, 1] * (width - side + 1)).floor()[:, None, None]
                inside = (y >= top) & (y < top + side) & (x >= left) & (x < left + side)
                patch = clean + eps * signs[:, query, :, None, None]
                candidate = torch.where(inside[:, None], patch, point).clamp(0, 1)
            logits = problem.logits(candidate, rows)
            values = problem.loss(logits, rows, LOSSES[loss])
            better = values > value
            value = torch.where(better, values, value)
            point = torch.where(column(better), candidate, point)
            if problem.due(query):
                kept = ~problem.offer(candidate, rows, logits)
                if not kept.all():
                    rows, clean, point, value = only(kept, rows, clean, point, value)
                    places, signs = only(kept, places, signs)
                if not len(rows):
                    break
        problem.last(point, rows)
        return problem.close("square")


def _draws(
    generator: np.random.Generator, queries: int, channels: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signs of the stripes [C,W], places [queries,2] in [0,1), signs of the squares [queries,C]."""
    stripes = generator.choice([-1.0, 1.0], (channels, width))
    places = generator.uniform(size=(queries, 2))
    return stripes, places, generator.choice([-1.0, 1.0], (queries, channels))


def _side(area: float, progress: float, height: int, width: int) -> int:
    """Side of a square in pixels: its area is halved at fixed shares of the queries."""
    halvings = sum(progress > at / 10_000 for at in _HALVED_AT)
    side = round((area / 2**halvings * height * width) ** 0.5)
    return min(max(side, 1), height, width)
