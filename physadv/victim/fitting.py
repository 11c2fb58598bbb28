"""How pictures of any size are brought into a detector's input, and boxes back to the pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

Picture = npt.NDArray[np.uint8]

PADDING = 114  # grey level that YOLOs are trained to see beyond the image


class Fitted(Protocol):
    """How pictures of one size are brought into the input."""

    def batch(self, pictures: Sequence[Picture], device: torch.device) -> Tensor:
        """Pictures [H,W,3] uint8 RGB -> [B,3,h,w] in [0,1], as the detector's package does it."""
        ...

    def fit(self, images: Tensor) -> Tensor:
        """[B,3,H,W] in [0,1] -> [B,3,h,w], differentiable."""
        ...

    def back(self, boxes: Tensor) -> Tensor:
        """Boxes [...,4] xyxy from input pixels to the picture's."""
        ...


class Fitting(Protocol):
    """A detector's rule for pictures of any size.

    ``windows`` says that parts cut out of a picture at the scale of the input look to the detector
    as they do within the whole picture; ``sides`` tells a user which images the network takes.
    """

    @property
    def windows(self) -> bool: ...

    @property
    def sides(self) -> str: ...

    def takes(self, height: int, width: int) -> bool:
        """Whether the network takes images of that size, in input pixels."""
        ...

    def scale(self, height: int, width: int) -> float:
        """Input pixels per picture pixel, along y."""
        ...

    def of(self, height: int, width: int) -> Fitted:
        """For pictures of one size."""
        ...


@dataclass(frozen=True)
class Letterboxed:
    """Ultralytics' rule: the longer side becomes ``input_px``, grey fills the last ``stride``."""

    input_px: int
    stride: int = 32
    windows = True

    @property
    def sides(self) -> str:
        """What the network takes, in words."""
        return f"sides that are multiples of {self.stride}"

    def takes(self, height: int, width: int) -> bool:
        """Whether both sides are multiples of the stride."""
        return height % self.stride == 0 and width % self.stride == 0

    def scale(self, height: int, width: int) -> float:
        """Input pixels per picture pixel, before rounding to whole pixels."""
        return self.input_px / max(height, width)

    def of(self, height: int, width: int) -> "Letterbox":
        """For pictures of one size."""
        return Letterbox.of(height, width, self.input_px, self.stride)


@dataclass(frozen=True)
class ShorterSide:
    """Torchvision's rule: the shorter side becomes ``shorter_px``, the longer at most ``most_px``.

    The network pads to multiples of its stride by itself.
    """

    shorter_px: int
    most_px: int
    windows = True
    sides = "sides of any length"

    def takes(self, height: int, width: int) -> bool:
        """Any size."""
        return height > 0 and width > 0

    def scale(self, height: int, width: int) -> float:
        """Input pixels per picture pixel, before rounding to whole pixels."""
        return min(self.shorter_px / min(height, width), self.most_px / max(height, width))

    def of(self, height: int, width: int) -> "Resized":
        """For pictures of one size."""
        scale = self.scale(height, width)
        sides = (max(math.floor(side * scale), 1) for side in (height, width))
        return Resized(height, width, *sides)


@dataclass(frozen=True)
class Squashed:
    """SSD's rule: every picture becomes ``input_height`` x ``input_width`` px, whatever its shape.

    A window cut from a picture has neither the proportions nor the place that the network would
    see, so there are no windows.
    """

    input_height: int
    input_width: int
    windows = False

    @property
    def sides(self) -> str:
        """What the network takes, in words."""
        return f"h = {self.input_height} and w = {self.input_width}"

    def takes(self, height: int, width: int) -> bool:
        """Whether it is the one size."""
        return (height, width) == (self.input_height, self.input_width)

    def scale(self, height: int, width: int) -> float:
        """Input pixels per picture pixel, along y."""
        return self.input_height / height

    def of(self, height: int, width: int) -> "Resized":
        """For pictures of one size."""
        return Resized(height, width, self.input_height, self.input_width)


@dataclass(frozen=True)
class Resized:
    """A picture of ``height`` x ``width`` px resampled to ``inner_height`` x ``inner_width``."""

    height: int
    width: int
    inner_height: int
    inner_width: int

    def batch(self, pictures: Sequence[Picture], device: torch.device) -> Tensor:
        """Pictures [height,width,3] uint8 -> [B,3,inner_height,inner_width] in [0,1]."""
        return self.fit(_to_tensor(pictures, device))

    def fit(self, images: Tensor) -> Tensor:
        """[B,3,height,width] in [0,1] -> [B,3,inner_height,inner_width], differentiable."""
        size = (self.inner_height, self.inner_width)
        return F.interpolate(images, size, mode="bilinear", align_corners=False)

    def back(self, boxes: Tensor) -> Tensor:
        """Boxes [...,4] xyxy from input pixels to the picture's."""
        ratio = self.width / self.inner_width, self.height / self.inner_height
        return boxes * boxes.new_tensor(ratio * 2)


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

    def batch(self, pictures: Sequence[Picture], device: torch.device) -> Tensor:
        """Pictures [height,width,3] uint8 -> [B,3,outer_height,outer_width] in [0,1]."""
        return _to_tensor([self.fit_picture(picture) for picture in pictures], device)

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


def _to_tensor(pictures: Sequence[Picture], device: torch.device) -> Tensor:
    batch = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(device) / 255
    return batch.contiguous()
