"""The bundled digit classifier, trained on MNIST by ``scripts/train_lenet.py``."""

import torch.nn.functional as F
from torch import Tensor, nn

from physadv.victim.resize import fit_input

MEAN, STD = 0.1307, 0.3081
"""Of MNIST's training pixels in [0,1]: what the network subtracts and divides by."""


class LeNet(nn.Module):
    """Two 5x5 convolutions with pooling, then 256-120-84-10; 44,426 parameters.

    Takes grey images [B,1,H,W] as MNIST has them, or RGB [B,3,H,W], whose channels are averaged.

    References:
        LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document
        recognition, Proceedings of the IEEE 86, 1998, figure 2.
    """

    input_px = 28
    class_names = tuple("0123456789")

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(256, 120)
        self.fc2 = nn.Linear(120, 84)
        self.output = nn.Linear(84, 10)

    def fit(self, images: Tensor) -> Tensor:
        """Resample [B,C,H,W] to the input's size; what fits is returned as it is."""
        return fit_input(images, self.input_px)

    def forward(self, images: Tensor) -> Tensor:
        """[B,1,H,W] or [B,3,H,W] in [0,1] -> [B,10] logits."""
        grey = images if images.shape[1] == 1 else images.mean(dim=1, keepdim=True)
        features = (self.fit(grey) - MEAN) / STD
        features = F.relu(F.max_pool2d(self.conv1(features), 2))
        features = F.relu(F.max_pool2d(self.conv2(features), 2))
        features = F.relu(self.fc2(F.relu(self.fc1(features.flatten(1)))))
        return self.output(features)
