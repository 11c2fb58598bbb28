"""The two bundled traffic-sign classifiers, trained on GTSRB by ``scripts/train_gtsrb.py``."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physadv.victim.resize import fit_input


def _normalised(images: Tensor) -> Tensor:
    return (images - 0.5) / 0.25


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class GtsrbCnn(nn.Module):
    """Two-stage multi-scale CNN on 32x32 pixels: both stages' features feed the classifier.

    The line of RP2's GTSRB-CNN, with batch normalisation and two convolutions a stage. A learned
    1x1 colour transform comes first, as in Yadav's network. 0.52 M parameters, 40 M
    multiply-adds an image.

    References:
        Sermanet & LeCun, Traffic sign recognition with multi-scale convolutional networks,
        IJCNN 2011. Eykholt et al., Robust Physical-World Attacks on Deep Learning Visual
        Classification, CVPR 2018.
    """

    input_px = 32

    def __init__(self, classes: int = 43) -> None:
        super().__init__()
        self.colour = nn.Conv2d(3, 3, 1)
        self.stage1 = nn.Sequential(
            _convolution(3, 32, 5), _convolution(32, 32, 3), nn.MaxPool2d(2)
        )
        self.stage2 = nn.Sequential(
            _convolution(32, 64, 5), _convolution(64, 96, 3), nn.MaxPool2d(2)
        )
        self.dropout = nn.Dropout(0.3)
        self.hidden = nn.Linear(32 * 4 * 4 + 96 * 4 * 4, 192)
        self.output = nn.Linear(192, classes)

    def fit(self, images: Tensor) -> Tensor:
        """Resample [B,3,H,W] to the input's size; what fits is returned as it is."""
        return fit_input(images, self.input_px)

    def forward(self, images: Tensor) -> Tensor:
        """[B,3,H,W] in [0,1] -> [B,classes] logits."""
        first = self.stage1(self.colour(_normalised(self.fit(images))))
        second = self.stage2(first)
        pooled = [F.avg_pool2d(first, 4).flatten(1), F.avg_pool2d(second, 2).flatten(1)]
        features = self.dropout(torch.cat(pooled, dim=1))
        return self.output(self.dropout(F.relu(self.hidden(features))))


class _Block(nn.Module):
    """A basic residual block: two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        inner = F.relu(self.norm1(self.conv1(features)))
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(features))


class GtsrbResnet(nn.Module):
    """Compact residual network on 48x48 pixels; 0.68 M parameters, 50 M multiply-adds an image.

    References:
        He et al., Deep Residual Learning for Image Recognition, CVPR 2016.
    """

    input_px = 48

    def __init__(self, classes: int = 43) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 5, 2, padding=2, bias=False), nn.BatchNorm2d(32), nn.ReLU()
        )
        self.body = nn.Sequential(
            _Block(32, 32, 1),
            _Block(32, 64, 2),
            _Block(64, 64, 1),
            _Block(64, 128, 2),
            _Block(128, 128, 1),
        )
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(128, classes)

    def fit(self, images: Tensor) -> Tensor:
        """Resample [B,3,H,W] to the input's size; what fits is returned as it is."""
        return fit_input(images, self.input_px)

    def forward(self, images: Tensor) -> Tensor:
        """[B,3,H,W] in [0,1] -> [B,classes] logits."""
        features = self.body(self.stem(_normalised(self.fit(images))))
        return self.output(self.dropout(features.mean(dim=(2, 3))))
