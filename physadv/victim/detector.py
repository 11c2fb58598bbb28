"""What an object detector under attack is to the rest of the package."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from physadv.checks import UserError, check_name, check_range
from physadv.types import Detections
from physadv.victim.suppression import strongest, suppress

Picture = npt.NDArray[np.uint8]

PADDING = 114  # grey level that YOLOs are trained to see beyond the image


@dataclass(frozen=True)
class DetectorOutput:
    """Every candidate of one head, before any threshold or suppression.

    ``boxes`` [B,N,4] xyxy in pixels of the images given; ``class_logits`` [B,N,K], whose sigmoid
    is the confidence.
    """

    boxes: Tensor
    class_logits: Tensor


@dataclass(frozen=True)
class Letterbox:
    """How an image of ``height`` x ``width`` px is fitted into a detector's input.

    It is scaled by ``scale_y``, ``scale_x`` to ``inner_height`` x ``inner_width`` and padded with
    grey by ``left``, ``top`` to ``outer_height`` x ``outer_width``, the least multiples of the
    stride: ultralytics' rectangular inference.
    """

    height: int
    width: int
    inner_height: int
    inner_width: int
    left: int
    top: int
    outer_height: int
    outer_width: int

    @staticmethod
    def of(height: int, width: int, input_px: int, stride: int) -> "Letterbox":
        """The letterbox of an image whose longer side becomes ``input_px``."""
        ratio = min(input_px / height, input_px / width)
        inner_height, inner_width = max(round(height * ratio), 1), max(round(width * ratio), 1)
        pad_y, pad_x = (input_px - side for side in (inner_height, inner_width))
        pad_y, pad_x = pad_y % stride, pad_x % stride
        top, left = round(pad_y / 2 - 0.1), round(pad_x / 2 - 0.1)
        return Letterbox(
            height,
            width,
            inner_height,
            inner_width,
            left,
            top,
            inner_height + pad_y,
            inner_width + pad_x,
        )

    @property
    def scale_x(self) -> float:
        """Input pixels per image pixel along x."""
        return self.inner_width / self.width

    @property
    def scale_y(self) -> float:
        """Input pixels per image pixel along y."""
        return self.inner_height / self.height

    def back(self, boxes: Tensor) -> Tensor:
        """Boxes [...,4] xyxy from input pixels to the image's."""
        shift = boxes.new_tensor([self.left, self.top, self.left, self.top])
        scale = boxes.new_tensor([self.scale_x, self.scale_y, self.scale_x, self.scale_y])
        return (boxes - shift) / scale

    def fit_picture(self, picture: Picture) -> Picture:
        """[height,width,3] uint8 -> [outer_height,outer_width,3] uint8."""
        size = (self.inner_width, self.inner_height)
        if picture.shape[1::-1] != size:
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        below = self.outer_height - self.inner_height - self.top
        right = self.outer_width - self.inner_width - self.left
        grey = (PADDING, PADDING, PADDING)
        return cv2.copyMakeBorder(
            picture, self.top, below, self.left, right, cv2.BORDER_CONSTANT, value=grey
        )

    def fit(self, images: Tensor) -> Tensor:
        """[B,3,height,width] in [0,1] -> [B,3,outer_height,outer_width], differentiable."""
        size = (self.inner_height, self.inner_width)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", align_corners=False)
        below = self.outer_height - self.inner_height - self.top
        right = self.outer_width - self.inner_width - self.left
        return F.pad(images, (self.left, right, self.top, below), value=PADDING / 255)


@dataclass(frozen=True)
class DetectorVictim:
    """An object detector with frozen weights, in eval mode; letterboxing is inside it.

    ``module`` maps [B,3,h,w] RGB sRGB in [0,1], h and w multiples of ``stride``, to a tuple of
    ``DetectorOutput``: one per head, the head that judges first. ``suppressed`` says that this
    head needs no non-maximum suppression. Images are scaled so that their longer side is
    ``input_px``. Parameters and buffers never change.
    """

    name: str
    class_names: tuple[str, ...]
    weights_sha256: str
    input_px: int
    module: nn.Module
    suppressed: bool = False
    stride: int = 32

    def __post_init__(self) -> None:
        self.module.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        first = next(chain(self.module.parameters(), self.module.buffers()), None)
        return torch.device("cpu") if first is None else first.device

    def to(self, device: torch.device | str) -> "DetectorVictim":
        """The same victim on ``device``; this one stays where it is."""
        if torch.device(device) == self.device:
            return self
        return replace(self, module=copy.deepcopy(self.module).to(device))

    def first_known(self, names: Sequence[str]) -> int:
        """Index of the first of ``names`` that this detector has a class for.

        Raises:
            UsageError: If it knows none of them.
        """
        folded = [known.casefold() for known in self.class_names]
        for name in names:
            if name.casefold() in folded:
                return folded.index(name.casefold())
        check_name(f"class of {self.name}", names[0], self.class_names)
        raise AssertionError("unreachable: an unknown class name passed the check")

    def candidates(self, images: Tensor) -> tuple[DetectorOutput, ...]:
        """All heads' candidates for images at the network's own pixel scale; differentiable.

        Args:
            images: [B,3,h,w] in [0,1], sides multiples of ``stride``; not resampled.

        Raises:
            UserError: If the shape does not fit.
        """
        bad = images.ndim != 4 or images.shape[1] != 3
        if bad or any(side % self.stride for side in images.shape[-2:]):
            raise UserError(
                f"candidates of {self.name}",
                f"images of shape {list(images.shape)}",
                f"Give [B,3,h,w] with sides that are multiples of {self.stride}.",
            )
        heads: tuple[DetectorOutput, ...] = self.module(images)
        return heads

    def outputs(self, images: Tensor) -> tuple[DetectorOutput, ...]:
        """All heads' candidates for [B,3,H,W] images of any size; boxes in their pixels."""
        box = Letterbox.of(images.shape[-2], images.shape[-1], self.input_px, self.stride)
        return tuple(
            DetectorOutput(box.back(head.boxes), head.class_logits)
            for head in self.candidates(box.fit(images))
        )

    @torch.no_grad()
    def detect(
        self, pictures: Sequence[Picture], confidence: float = 0.25, iou: float = 0.7
    ) -> list[Detections]:
        """What the detector reports on pictures [H,W,3] uint8 RGB of any sizes.

        Args:
            pictures: Equal sizes share a batch.
            confidence: Least confidence to report, in (0, 1).
            iou: Boxes of one class that overlap a stronger one by more than this are dropped.

        Returns:
            One ``Detections`` a picture, strongest first, boxes clipped to the picture.
        """
        check_range("confidence", confidence, 0.0, 1.0)
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(pictures):
            by_size.setdefault(picture.shape[:2], []).append(index)
        found: dict[int, Detections] = {}
        for (height, width), same in by_size.items():
            box = Letterbox.of(height, width, self.input_px, self.stride)
            fitted = np.stack([box.fit_picture(pictures[i]) for i in same])
            batch = torch.from_numpy(fitted).permute(0, 3, 1, 2).to(self.device) / 255
            head = self.candidates(batch.contiguous())[0]
            scores = head.class_logits.sigmoid()
            limit = head.boxes.new_tensor([width, height, width, height])
            for n, index in enumerate(same):
                if self.suppressed:
                    kept = strongest(head.boxes[n], scores[n], confidence)
                else:
                    kept = suppress(head.boxes[n], scores[n], confidence, iou)
                boxes = box.back(kept.boxes).clamp(min=0).minimum(limit)
                found[index] = Detections(
                    boxes.cpu().double().numpy(),
                    kept.scores.cpu().double().numpy(),
                    kept.classes.cpu().numpy(),
                )
        return [found[index] for index in range(len(pictures))]
