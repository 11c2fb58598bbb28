"""A model held still while it is attacked, and put back as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import Tensor, nn

from physadv.digital.inputs import Model
from physadv.victim.protocol import ClassifierVictim


@contextmanager
def frozen(model: Model) -> Iterator[tuple[Callable[[Tensor], Tensor], tuple[str, ...]]]:
    """The model in eval mode with frozen parameters, and notes of what had to be done for that.

    Dropout and batch normalisation in train mode would make the model random and couple the
    samples of a batch; gradients of parameters would cost time and stay behind. Every module's
    mode and every parameter's ``requires_grad`` are put back at the end.
    """
    call = model.module if isinstance(model, ClassifierVictim) else model
    if not isinstance(call, nn.Module):
        yield call, ()
        return
    training = [module for module in call.modules() if module.training]
    learning = [parameter for parameter in call.parameters() if parameter.requires_grad]
    notes = ("the model was in train mode: attacked in eval mode",) if training else ()
    try:
        call.eval()
        for parameter in learning:
            parameter.requires_grad_(False)
        yield call, notes
    finally:
        for module in training:
            module.training = True
        for parameter in learning:
            parameter.requires_grad_(True)


def asked(call: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The model's answer to a copy of ``images``, which it is given in its own type."""
    home = home_of(call)
    return call(images.to(images.dtype if home is None else home[1], copy=True))


def home_of(call: Callable[[Tensor], Tensor]) -> tuple[torch.device, torch.dtype] | None:
    """Device and type of a module's first floating parameter or buffer; None if it has none."""
    if not isinstance(call, nn.Module):
        return None
    for tensor in chain(call.parameters(), call.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return None
