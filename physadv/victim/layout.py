"""In which memory layout a convolutional network is shown its images."""

import torch
from torch import Tensor, nn


def gains_from_channels_last(model: object, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether ``model`` is a convolutional network on a processor, in single precision.

    There convolutions and poolings of images whose channels lie next to each other in memory are
    vectorised over them. A forward and backward pass of a small or light network takes up to a
    third less time, of a large one about as much; in other precisions some take more.
    """
    return (
        device.type == "cpu"
        and dtype is torch.float32
        and isinstance(model, nn.Module)
        and any(isinstance(module, nn.Conv2d) for module in model.modules())
    )


def channels_last(images: Tensor) -> Tensor:
    """The same [B,C,H,W] images, stored [B,H,W,C]; differentiable.

    One channel is stored the same way in both layouts; strides then say which is meant, and the
    network's features follow.
    """
    if images.shape[1] == 1:
        return images.contiguous().view(len(images), *images.shape[2:], 1).permute(0, 3, 1, 2)
    return images.contiguous(memory_format=torch.channels_last)
