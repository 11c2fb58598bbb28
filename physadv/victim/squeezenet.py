"""SqueezeNet on ImageNet's 1,000 classes, with the weights of Deep Compression."""

import torch
from torch import Tensor, nn
from torchvision.models import SqueezeNet1_0_Weights, squeezenet1_0

from physadv.victim.resize import fit_input

WEIGHTS = "weights/squeezenet1_0_deepcompression.safetensors"


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0 as its authors released it: BGR from 0 to 255 minus a mean colour.

    Whole pictures are squashed to the input's square; nothing is cropped away.

    References:
        Iandola et al., SqueezeNet, 2016; Han et al., Deep Compression, ICLR 2016; code and weights:
        github.com/songhan/SqueezeNet-Deep-Compression (BSD).
    """

    input_px = 227
    mean_bgr: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.class_names = tuple(SqueezeNet1_0_Weights.IMAGENET1K_V1.meta["categories"])
        self.network = squeezenet1_0(weights=None)
        mean = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
        self.register_buffer("mean_bgr", mean, persistent=False)

    def fit(self, images: Tensor) -> Tensor:
        """Resample [B,3,H,W] to the input's size; what fits is returned as it is."""
        return fit_input(images, self.input_px)

    def forward(self, images: Tensor) -> Tensor:
        """[B,3,H,W] in [0,1] -> [B,1000] logits."""
        return self.network(255 * self.fit(images).flip(1) - self.mean_bgr)
