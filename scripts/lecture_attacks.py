"""The network and the attacks of the introduction's table, as the library behind it had them.

Attacks are on normalised images [B,1,28,28] (mean .1307, deviation .3081), without clipping, so
that the results are no pictures: ``reproduce_lecture.py`` shows the same attacks on pixels beside
them. Every function takes the model on normalised images, the images and the labels [B].
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from physadv.victim.mnist import MEAN, STD, LeNet

Model = Callable[[Tensor], Tensor]

EPS = 0.3
BIM_STEPS, BIM_STEP = 10, 0.05
DEEPFOOL_STEPS, OVERSHOOT = 50, 0.02


class LectureLeNet(LeNet):
    """ReLU after the two poolings only: the three linear layers follow each other.

    The table does not say so, but nets like this fall to its FGSM and PGD as often as expected, and
    nets with ReLU between those layers, as the bundled one, more seldom.
    """

    def forward(self, images: Tensor) -> Tensor:
        """[B,1,28,28] in [0,1] -> [B,10] logits."""
        features = (images - MEAN) / STD
        features = F.relu(F.max_pool2d(self.conv1(features), 2))
        features = F.relu(F.max_pool2d(self.conv2(features), 2))
        return self.output(self.fc2(self.fc1(features.flatten(1))))


def noise(model: Model, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform noise of half width ``EPS``."""
    drawn = torch.rand(images.shape, generator=generator)
    return images + EPS * (2 * drawn - 1)


def semantic(model: Model, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """The normalised image negated: black becomes a grey of .26, white falls below black."""
    return -images


def fgsm(model: Model, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """One step of ``EPS``."""
    return images + EPS * slope(model, images, labels).sign()


def bim(model: Model, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """What the table calls PGD: ten steps from the image itself."""
    point = images
    for _ in range(BIM_STEPS):
        ahead = point + BIM_STEP * slope(model, point, labels).sign()
        point = images + (ahead - images).clamp(-EPS, EPS)
    return point


def deepfool(model: Model, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Away from the predicted class, whether it is right or not; all ten borders are looked at.

    References:
        Moosavi-Dezfooli, Fawzi & Frossard, CVPR 2016, algorithm 2, as in their own code.
    """
    with torch.no_grad():
        own = model(images).argmax(dim=1)
    result, total = images.clone(), torch.zeros_like(images)
    rows = torch.arange(len(images))
    for _ in range(DEEPFOOL_STEPS):
        if not len(rows):
            break
        total[rows] += _to_nearest_border(model, result[rows], own[rows])
        result[rows] = images[rows] + (1 + OVERSHOOT) * total[rows]
        with torch.no_grad():
            rows = rows[model(result[rows]).argmax(dim=1) == own[rows]]
    return result


def _to_nearest_border(model: Model, points: Tensor, own: Tensor) -> Tensor:
    """[n,1,28,28] steps to the nearest border of the linearised model."""
    inputs = points.requires_grad_(True)
    logits = model(inputs)
    slopes = torch.stack(
        [
            torch.autograd.grad(logits[:, k].sum(), inputs, retain_graph=True)[0]
            for k in range(logits.shape[1])
        ],
        dim=1,
    )
    each = torch.arange(len(own))
    ways = slopes - slopes[each, own][:, None]  # [n,K,1,28,28]
    gaps = (logits - logits.gather(1, own[:, None])).detach().abs()
    lengths = ways.flatten(2).norm(dim=2).clamp_min(1e-12)
    distances = (gaps / lengths).scatter(1, own[:, None], torch.inf)
    nearest = distances.argmin(dim=1)
    size = (gaps[each, nearest] + 1e-4) / lengths[each, nearest].square()
    return size[:, None, None, None] * ways[each, nearest]


def slope(model: Model, images: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the cross entropy by the images."""
    inputs = images.detach().requires_grad_(True)
    loss = F.cross_entropy(model(inputs), labels, reduction="sum")
    return torch.autograd.grad(loss, inputs)[0]


LECTURE: dict[str, Callable[[Model, Tensor, Tensor, torch.Generator], Tensor]] = {
    "noise": noise,
    "semantic": semantic,
    "FGSM": fgsm,
    "PGD": bim,
    "DeepFool": deepfool,
}
