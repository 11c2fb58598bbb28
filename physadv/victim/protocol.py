"""What a classifier under attack is to the rest of the package."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor, nn

from physadv.checks import UserError, check_name


class Classifier(Protocol):
    """Anything that turns images into logits over named classes."""

    @property
    def name(self) -> str: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def weights_sha256(self) -> str: ...

    def logits(self, images: Tensor) -> Tensor:
        """[B,3,H,W] RGB sRGB in [0,1], any H and W -> [B,K], differentiable."""
        ...


@dataclass(frozen=True)
class ClassifierVictim:
    """A classifier with frozen weights, in eval mode; resize and normalisation are inside it.

    ``module`` maps [B,3,H,W] RGB sRGB in [0,1] of any size to [B,K] logits. ``class_names[i]``
    names output i. ``weights_sha256`` is the checksum of the weight file (of the parameters'
    bytes for a user's own module). ``input_px`` is the side of the square that the module
    resamples to, 0 if the module does not say. Parameters and buffers never change.
    """

    name: str
    class_names: tuple[str, ...]
    weights_sha256: str
    input_px: int
    module: nn.Module

    def __post_init__(self) -> None:
        self.module.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the weights are; the CPU for a module without any."""
        first = next(chain(self.module.parameters(), self.module.buffers()), None)
        return torch.device("cpu") if first is None else first.device

    def logits(self, images: Tensor) -> Tensor:
        """[B,K] logits for [B,3,H,W] images in [0,1]; gradients reach the images.

        Raises:
            UserError: If the images are not [B,3,H,W], or the module does not give one finite
                column per class name.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise UserError(
                f"logits of {self.name}",
                f"images of shape {list(images.shape)}",
                "Give RGB images as [B,3,H,W].",
            )
        logits = self.module(images)
        if logits.shape != (len(images), len(self.class_names)):
            raise UserError(
                f"logits of {self.name}",
                f"shape {list(logits.shape)} for {len(images)} images",
                f"Its module must return [B,{len(self.class_names)}], one column per class name.",
            )
        return logits

    def to(self, device: torch.device | str) -> "ClassifierVictim":
        """The same victim on ``device``; this one stays where it is."""
        if torch.device(device) == self.device:
            return self
        return replace(self, module=copy.deepcopy(self.module).to(device))

    def fit(self, images: Tensor) -> Tensor:
        """The module's own first step, resampling, where it has a method ``fit``; else nothing.

        ``module(images)`` equals ``module(fit(images))``, so that images of several sizes can be
        fitted one by one and read in one batch.
        """
        fit = getattr(self.module, "fit", None)
        return images if fit is None else fit(images)

    def class_index(self, name_or_index: str | int) -> int:
        """Output index of a class, by name (case does not matter) or by index.

        Raises:
            UsageError: If there is no such class; the message lists the known names.
        """
        text = str(name_or_index).strip()
        folded = [name.casefold() for name in self.class_names]
        if text.casefold() in folded:
            return folded.index(text.casefold())
        if text.isascii() and text.isdecimal() and int(text) < len(folded):
            return int(text)
        check_name(f"class of {self.name}", text, self.class_names)
        raise AssertionError("unreachable: an unknown class name passed the check")

    def first_known(self, names: Sequence[str]) -> int:
        """Index of the first of ``names`` that this victim has a class for.

        Raises:
            UserError: If it knows none of them.
        """
        folded = {name.casefold(): i for i, name in reversed(list(enumerate(self.class_names)))}
        for name in names:
            if name.casefold() in folded:
                return folded[name.casefold()]
        raise UserError(
            f"a class of {self.name} among {', '.join(map(repr, names))}",
            f"it knows only: {', '.join(self.class_names)}",
            "Add the class's name in this victim to the scene's true_class.",
        )
