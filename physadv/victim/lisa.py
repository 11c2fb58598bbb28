"""RP2's released LISA-CNN: 17 US sign classes on 32x32 pixels."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from physadv.checks import UserError
from physadv.victim.resize import fit_input

WEIGHTS = "weights/lisa_cnn_rp2.safetensors"


class LisaCnn(nn.Module):
    """The three-convolution network that RP2 attacks; output 0 is not used by any class.

    References:
        Eykholt et al., Robust Physical-World Attacks on Deep Learning Visual Classification,
        CVPR 2018; code and weights: github.com/evtimovi/robust_physical_perturbations (MIT).
    """

    input_px = 32

    def __init__(self, classes: int = 18) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 8, stride=2, padding=3)
        self.conv2 = nn.Conv2d(64, 128, 6, stride=2)
        self.conv3 = nn.Conv2d(128, 128, 5)
        self.fc = nn.Linear(512, classes)

    def fit(self, images: Tensor) -> Tensor:
        """Resample [B,3,H,W] to the input's size; what fits is returned as it is."""
        return fit_input(images, self.input_px)

    def forward(self, images: Tensor) -> Tensor:
        """[B,3,H,W] in [0,1] -> [B,classes] logits."""
        features = self.fit(images)
        for convolution in (self.conv1, self.conv2, self.conv3):
            features = convolution(features).relu()
        return self.fc(features.flatten(1))


def read_class_names(path: Path) -> tuple[str, ...]:
    """The 18 class names from the weight file's metadata.

    Raises:
        UserError: If the file is no safetensors file or does not carry them.
    """
    try:
        with safe_open(path, "pt") as stream:
            names = json.loads((stream.metadata() or {})["names"])
        return tuple(names[str(index)] for index in range(len(names)))
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(
            f"class names in {path}",
            f"not in the file's metadata ({error})",
            "Get the file again; its metadata must hold 'names'.",
        ) from error
