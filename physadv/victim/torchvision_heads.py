"""Decoded candidates of torchvision's detectors, differentiable to the pixels.

Torchvision's own ``forward`` thresholds and suppresses without gradients; here each family's heads
are decoded as there, step by step, and nothing is dropped but the proposals that Faster R-CNN's
second stage never sees.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.models.detection.ssd import SSD

from physadv.victim.detector import DetectorOutput
from physadv.victim.fitting import Fitting, ShorterSide, Squashed
from physadv.victim.suppression import EveryPair

Heads = tuple[DetectorOutput, ...]

_ABSENT = -100.0  # logit of the rows that fill an image up to the most proposals of its batch
_LEAST_BOX_PX = 1e-2  # Faster R-CNN drops narrower ones


class TorchvisionModule(nn.Module):
    """One of torchvision's detectors without its resize, thresholds and suppression.

    Faster R-CNN has two heads: the boxes that it reports and, ``class_agnostic``, the objectness of
    its proposals, which an attack that hides an object may lower as well (the proposal attack in
    the code of Chen et al., ShapeShifter, ECML-PKDD 2018).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Heads:
        """[B,3,h,w] in [0,1] at the network's own scale -> one output a head."""
        network: Any = self.network
        height, width = images.shape[-2:]
        stride = network.transform.size_divisible
        normal = network.transform.normalize(images)
        padded = F.pad(normal, (0, -width % stride, 0, -height % stride))
        features = network.backbone(padded)
        if isinstance(features, Tensor):
            features = {"0": features}
        # Anchors and boxes take the maps' precision: half would round them to several pixels.
        maps = {name: features[name].float() for name in features}
        listed = ImageList(padded, [(height, width)] * len(images))
        return _decoder_of(network)(network, listed, maps)


def fitting_of(network: nn.Module) -> Fitting:
    """How the network's own transform resizes."""
    transform: Any = network.transform
    if transform.fixed_size is not None:
        width, height = transform.fixed_size
        return Squashed(height, width)
    return ShorterSide(transform.min_size[-1], transform.max_size)


def reporting_of(network: Any) -> EveryPair:
    """How the network itself thresholds and suppresses."""
    if isinstance(network, FasterRCNN):
        heads = network.roi_heads
        return EveryPair(heads.nms_thresh, heads.detections_per_img, least_px=_LEAST_BOX_PX)
    return EveryPair(
        network.nms_thresh,
        network.detections_per_img,
        network.topk_candidates,
        per="class" if isinstance(network, SSD) else "level",
    )


def has_background(network: nn.Module) -> bool:
    """Whether class 0 competes in a softmax, and so is none of the classes reported."""
    return isinstance(network, FasterRCNN | SSD)


def foreground_log_odds(logits: Tensor) -> Tensor:
    """[...,K] log-odds of softmax probabilities of [...,1+K] logits, the background's left out.

    log p - log(1 - p) is the logit less the log-sum-exp of all others; it is finite and has a
    gradient however near p is to 1.
    """
    is_strongest = torch.zeros_like(logits, dtype=torch.bool)
    is_strongest.scatter_(-1, logits.argmax(dim=-1, keepdim=True), True)
    others = logits.masked_fill(is_strongest, -torch.inf).logsumexp(dim=-1, keepdim=True)
    log_p = logits.log_softmax(dim=-1)
    # All but the strongest have p <= 1/2, where this is exact.
    below = log_p - torch.log1p(-log_p.exp().clamp(max=0.5))
    return torch.where(is_strongest, logits - others, below)[..., 1:]


def geometric_mean_log_odds(first: Tensor, second: Tensor) -> Tensor:
    """Log-odds of sqrt(a b) for probabilities a and b given as logits.

    With x = a b: 1 - x = (1 - a) + a (1 - b), and 1 - sqrt(x) = (1 - x) / (1 + sqrt(x)).
    """
    log_root = (F.logsigmoid(first) + F.logsigmoid(second)) / 2
    log_rest = torch.logaddexp(F.logsigmoid(-first), F.logsigmoid(first) + F.logsigmoid(-second))
    return log_root - log_rest + torch.log1p(log_root.exp())


def _decoder_of(network: Any) -> Callable[[Any, ImageList, dict[str, Tensor]], Heads]:
    for family, decode in _DECODERS.items():
        if isinstance(network, family):
            return decode
    known = ", ".join(family.__name__ for family in _DECODERS)
    raise TypeError(f"{type(network).__name__} is none of {known}")


def _faster_rcnn(network: Any, images: ImageList, maps: dict[str, Tensor]) -> Heads:
    rpn, heads = network.rpn, network.roi_heads
    count = len(images.image_sizes)
    objectness, offsets = rpn.head(list(maps.values()))
    per_level = [level[0].numel() for level in objectness]
    objectness, offsets = concat_box_prediction_layers(
        [level.float() for level in objectness], [level.float() for level in offsets]
    )
    anchors = rpn.anchor_generator(images, list(maps.values()))
    objectness = objectness.view(count, -1)
    found = rpn.box_coder.decode(offsets, anchors).view(count, -1, 4)
    # As in torchvision, the second stage takes the places of proposals as given.
    proposals, _ = rpn.filter_proposals(found.detach(), objectness, images.image_sizes, per_level)
    # The pooler keeps what it made of the first image's size.
    heads.box_roi_pool.scales = heads.box_roi_pool.map_levels = None
    pooled = heads.box_roi_pool(maps, proposals, images.image_sizes)
    logits, offsets = heads.box_predictor(heads.box_head(pooled))
    logits = foreground_log_odds(logits.float())
    classes = logits.shape[1]
    boxes = heads.box_coder.decode_single(offsets.float(), torch.cat(proposals))
    boxes = boxes.reshape(len(logits), 1 + classes, 4)[:, 1:]
    kept = [len(own) for own in proposals]
    most = max(*kept, 1)
    return (
        DetectorOutput(
            torch.stack([F.pad(b, (0, 0, 0, 0, 0, most - len(b))) for b in boxes.split(kept)]),
            torch.stack(
                [F.pad(x, (0, 0, 0, most - len(x)), value=_ABSENT) for x in logits.split(kept)]
            ),
        ),
        DetectorOutput(
            found, objectness[..., None].expand(-1, -1, classes), tuple(per_level), True
        ),
    )


def _retinanet(network: Any, images: ImageList, maps: dict[str, Tensor]) -> Heads:
    features = list(maps.values())
    raw = network.head(features)
    boxes = _decode(network, raw["bbox_regression"], images, features)
    return (DetectorOutput(boxes, raw["cls_logits"].float(), _levels(features, boxes)),)


def _fcos(network: Any, images: ImageList, maps: dict[str, Tensor]) -> Heads:
    features = list(maps.values())
    raw = network.head(features)
    logits = geometric_mean_log_odds(raw["cls_logits"].float(), raw["bbox_ctrness"].float())
    anchors = torch.stack(network.anchor_generator(images, features))
    boxes = network.box_coder.decode(raw["bbox_regression"].float(), anchors)
    return (DetectorOutput(boxes, logits, _levels(features, boxes)),)


def _ssd(network: Any, images: ImageList, maps: dict[str, Tensor]) -> Heads:
    features = list(maps.values())
    raw = network.head(features)
    boxes = _decode(network, raw["bbox_regression"], images, features)
    return (DetectorOutput(boxes, foreground_log_odds(raw["cls_logits"].float())),)


def _decode(network: Any, offsets: Tensor, images: ImageList, features: list[Tensor]) -> Tensor:
    """[B,N,4] boxes from offsets [B,N,4] to the anchors."""
    anchors = torch.cat(network.anchor_generator(images, features))
    boxes: Tensor = network.box_coder.decode_single(offsets.float().flatten(0, 1), anchors)
    return boxes.view_as(offsets)


def _levels(features: list[Tensor], boxes: Tensor) -> tuple[int, ...]:
    """Candidates of each feature map."""
    cells = [level.shape[-2] * level.shape[-1] for level in features]
    return tuple(count * boxes.shape[1] // sum(cells) for count in cells)


_DECODERS: dict[type[nn.Module], Callable[[Any, ImageList, dict[str, Tensor]], Heads]] = {
    FasterRCNN: _faster_rcnn,
    RetinaNet: _retinanet,
    FCOS: _fcos,
    SSD: _ssd,
}
