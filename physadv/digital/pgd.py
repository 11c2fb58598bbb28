"""Projected gradient descent in linf, l2 and l1."""

import numpy as np
import torch
from torch import Tensor

from physadv.checks import check_name, check_range
from physadv.digital.inputs import Model, check_count
from physadv.digital.losses import LOSSES
from physadv.digital.norms import Norm, check_budget, draw_in_ball, steepest, within
from physadv.digital.outcome import Adversarials
from physadv.digital.problem import Problem, opened
from physadv.digital.rows import only


def random_start(
    problem: Problem, rows: Tensor, eps: float, norm: Norm, *keys: str | int, seed: int
) -> Tensor:
    """[n,C,H,W] points drawn from the ball around the clean images, within [0,1]."""
    clean = problem.clean(rows)
    generators = problem.generators(rows, *keys, seed=seed)
    drawn = [draw_in_ball(clean.shape[1:], eps, norm, generator) for generator in generators]
    return within(clean + torch.from_numpy(np.stack(drawn)).to(clean), clean, eps, norm)


def pgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    *,
    eps: float,
    norm: Norm = "linf",
    steps: int = 40,
    step_size: float | None = None,
    targets: Tensor | None = None,
    restarts: int = 1,
    from_random: bool = True,
    stop_at_success: bool = True,
    loss: str = "cross-entropy",
    seed: int = 0,
) -> Adversarials:
    """Repeated steps along the gradient, each brought back into the ball and [0,1].

    A sample is done, and not computed any more, once it fools the model as it is and rounded to
    8 bits; later restarts run on the others only.

    Args:
        model: Images to logits.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        eps: Largest change, on the scale of [0,1] pixels, in ``norm``.
        norm: linf, l2 or l1.
        steps: Gradient steps per restart.
        step_size: Length of one step in ``norm``; None for 2.5 eps / steps.
        targets: [B] classes to reach; None for any wrong one.
        restarts: Runs from other random starts.
        from_random: Start at a uniform draw from the ball; False: at the image (see ``bim``).
        stop_at_success: False takes every step on every sample, for more confident results.
        loss: A key of ``losses.LOSSES``.
        seed: With the sample's pixels, decides the starts.

    Raises:
        UserError: If an argument is out of range.

    References:
        Madry, Makelov, Schmidt, Tsipras & Vladu, Towards deep learning models resistant to
        adversarial attacks, ICLR 2018, section 2.1.
    """
    check_budget(norm, eps)
    check_name("loss", loss, LOSSES)
    check_count("steps", steps)
    check_count("restarts", restarts)
    size = 2.5 * eps / steps if step_size is None else check_range("step_size", step_size, 0, 1e6)
    with opened(model, images, labels, targets) as problem:
        for restart in range(restarts):
            rows = problem.open_rows
            if not len(rows):
                break
            clean = problem.clean(rows)
            point = clean
            if from_random:
                point = random_start(problem, rows, eps, norm, "pgd", restart, seed=seed)
            for step in range(steps):
                gradient, logits, _ = problem.gradient(point, rows, LOSSES[loss])
                if stop_at_success and problem.due(step):
                    kept = ~problem.offer(point, rows, logits)
                    if not kept.all():
                        rows, clean, point, gradient = only(kept, rows, clean, point, gradient)
                    if not len(rows):
                        break
                point = within(point + size * steepest(gradient, point, norm), clean, eps, norm)
            problem.last(point, rows)
        return problem.close("pgd")
