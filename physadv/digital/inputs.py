"""What an attack accepts, checked once and brought into one form."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from physadv.checks import UserError
from physadv.victim.protocol import ClassifierVictim

Model = Callable[[Tensor], Tensor] | ClassifierVictim
"""Images [B,C,H,W] in [0,1] -> logits [B,K]: an ``nn.Module``, a function or a named victim."""

_TOLERANCE = 1e-6  # what float arithmetic may leave outside [0,1]


def checked_images(images: Tensor) -> Tensor:
    """A contiguous float32 (or float64) copy of ``images`` [B,C,H,W], without gradient history.

    Values that are not finite stay: such a sample fails alone.

    Raises:
        UserError: If the tensor is not [B,C,H,W], not of a floating type, or outside [0,1].
    """
    if not isinstance(images, Tensor) or images.ndim != 4:
        got = f"shape {list(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise UserError("images to attack", got, "Give a tensor [B,C,H,W]; one image is [1,C,H,W].")
    if not images.is_floating_point():
        raise UserError(
            "images to attack",
            f"type {images.dtype}",
            "Give floats in [0,1]: images.float() / 255.",
        )
    kept = torch.float64 if images.dtype == torch.float64 else torch.float32
    copy = images.detach().to(kept, copy=True).contiguous()
    low, high = finite_range(copy)
    if low < -_TOLERANCE or high > 1 + _TOLERANCE:
        raise UserError(
            "images to attack",
            f"values from {low:.4g} to {high:.4g}",
            "Give pixels in [0,1]; the model normalises inside.",
        )
    # What is not finite stays: clamping would make infinity a pixel.
    return copy if low >= 0 and high <= 1 else torch.where(copy.isfinite(), copy.clamp(0, 1), copy)


def finite_range(values: Tensor) -> tuple[float, float]:
    """Least and largest of the finite values; 0 and 0 where there is none."""
    if not values.numel():
        return 0.0, 0.0
    low, high = (float(end) for end in values.aminmax())
    if math.isfinite(low) and math.isfinite(high):
        return low, high
    finite = values[values.isfinite()]
    return finite_range(finite)


def checked_classes(what: str, classes: Tensor, images: Tensor) -> Tensor:
    """``classes`` [B] as int64 on the images' device.

    Raises:
        UserError: If it is not one whole number from 0 up per image.
    """
    if not isinstance(classes, Tensor) or classes.shape != (len(images),):
        got = list(classes.shape) if isinstance(classes, Tensor) else type(classes).__name__
        raise UserError(
            what, f"{got} for {len(images)} images", "Give a tensor [B], one class index per image."
        )
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise UserError(what, f"type {classes.dtype}", "Give class indices as integers.")
    if len(classes) and classes.min() < 0:
        raise UserError(what, f"class {int(classes.min())}", "Count classes from 0.")
    return classes.detach().to(images.device, torch.int64)


def check_known(what: str, classes: Tensor, count: int) -> None:
    """Raise unless every class is below ``count``, the number of the model's outputs.

    Raises:
        UserError: If one is not.
    """
    if len(classes) and classes.max() >= count:
        raise UserError(
            what,
            f"class {int(classes.max())} of a model with {count} outputs",
            f"Give classes from 0 to {count - 1}.",
        )


def check_targets(targets: Tensor, labels: Tensor) -> None:
    """Raise if a target is the sample's own label.

    Raises:
        UserError: If one is.
    """
    same = (targets == labels).nonzero().flatten()
    if len(same):
        raise UserError(
            "targets",
            f"{len(same)} equal to the label, the first at sample {int(same[0])}",
            "Choose another class for them.",
        )


def check_count(what: str, value: int, low: int = 1) -> int:
    """``value`` if it is a whole number from ``low`` up.

    Raises:
        UserError: If it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise UserError(f"{what} = {value}", "not allowed", f"Give a whole number from {low} up.")
    return value
