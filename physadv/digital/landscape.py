"""How the loss grows over PGD's steps from many starts around one image."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from physadv.checks import UserError, check_range
from physadv.digital.freezing import asked, frozen
from physadv.digital.inputs import Model, check_count, check_known, checked_classes, checked_images
from physadv.digital.losses import log_odds
from physadv.digital.norms import draw_in_ball, steepest, within
from physadv.seeding import generator_for


def loss_paths(
    model: Model,
    image: Tensor,
    label: int,
    *,
    eps: float,
    steps: int = 100,
    step_size: float | None = None,
    starts: int = 20,
    seed: int = 0,
) -> Tensor:
    """Cross entropy at every step of linf PGD from several random starts.

    No run stops at success. The steps follow the log of the odds, whose direction is that of the
    cross entropy and whose gradient does not underflow.

    Args:
        model: Images to logits.
        image: [C,H,W] in [0,1].
        label: Its class.
        eps: Largest change of a pixel value.
        steps: Gradient steps.
        step_size: Of one; None for 2.5 eps / steps.
        starts: Uniform draws from the ball.
        seed: Decides them.

    Returns:
        [starts, steps + 1] losses in nats, the start's first.

    Raises:
        UserError: If an argument is out of range, or the answer is not a number.

    References:
        Madry, Makelov, Schmidt, Tsipras & Vladu, Towards deep learning models resistant to
        adversarial attacks, ICLR 2018, figure 1.
    """
    check_range("eps", eps, 0, 1)
    check_count("steps", steps)
    check_count("starts", starts)
    size = 2.5 * eps / steps if step_size is None else check_range("step_size", step_size, 0, 1)
    clean = checked_images(image[None]).expand(starts, *image.shape)
    labels = checked_classes("label", torch.full((starts,), label), clean)
    draws = [
        draw_in_ball(clean.shape[1:], eps, "linf", generator_for(seed, "landscape", start))
        for start in range(starts)
    ]
    point = within(clean + torch.from_numpy(np.stack(draws)).to(clean), clean, eps, "linf")
    losses = []
    with frozen(model) as (call, _):
        for step in range(steps + 1):
            inputs = point.detach().requires_grad_(True)
            logits = asked(call, inputs).to(inputs.dtype)
            if step == 0:
                check_known("label", labels, logits.shape[1])
            odds = log_odds(logits, labels)
            losses.append(F.softplus(odds.detach()))
            if step < steps:
                (gradient,) = torch.autograd.grad(odds.sum(), inputs)
                point = within(point + size * steepest(gradient, point, "linf"), clean, eps, "linf")
    found = torch.stack(losses, dim=1)
    if not found.isfinite().all():
        raise UserError("the model's answer", "not a number", "Check the model and the image.")
    return found
