"""What an object detector under attack is to the rest of the package."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import torch
from torch import Tensor, nn

from physadv.checks import UserError, check_name, check_range
from physadv.types import Detections
from physadv.victim.fitting import Fitting, Picture
from physadv.victim.suppression import BestClass, Reporting, Scored


@dataclass(frozen=True)
class DetectorOutput:
    """Every candidate of one head, before any threshold or suppression.

    ``boxes`` [B,N,4] xyxy in pixels of the images given, or [B,N,K,4] where every class has a box
    of its own (``boxes_of`` serves both); ``class_logits`` [B,N,K], whose sigmoid is the
    confidence. ``levels`` are the candidates of each feature map, in order, where the detector
    sorts them by map. ``class_agnostic`` heads only say that something is there: they give all
    classes one logit.
    """

    boxes: Tensor
    class_logits: Tensor
    levels: tuple[int, ...] = ()
    class_agnostic: bool = False

    def boxes_of(self, class_index: int) -> Tensor:
        """[B,N,4] the candidates' boxes if they are of that class."""
        return self.boxes if self.boxes.ndim == 3 else self.boxes[:, :, class_index]


@dataclass(frozen=True)
class DetectorVictim:
    """An object detector with frozen weights, in eval mode; it takes images of any size.

    ``module`` maps [B,3,h,w] RGB sRGB in [0,1], of sizes that ``fitting`` brings about, to a tuple
    of ``DetectorOutput``: one per head, the head that judges first. ``reporting`` makes detections
    of that head's candidates. Parameters and buffers never change.
    """

    name: str
    class_names: tuple[str, ...]
    weights_sha256: str
    fitting: Fitting
    module: nn.Module
    reporting: Reporting = field(default_factory=BestClass)

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

    def scale(self, height: int, width: int) -> float:
        """Pixels of the input per pixel of an image of that size, along y."""
        return self.fitting.scale(height, width)

    def window_scale(self, height: int, width: int) -> float:
        """The scale at which windows cut from an image of that size are what the detector judges.

        Raises:
            UserError: If there is none, because whole images are squashed to one size.
        """
        if not self.fitting.windows:
            raise UserError(
                f"windows for {self.name}",
                f"it squashes whole pictures to {self.fitting.sides}, so that a part cut out of "
                "one is not what it judges",
                "Optimise on a detector that keeps proportions, and judge the artwork with this.",
            )
        return self.fitting.scale(height, width)

    def takes(self, height: int, width: int) -> bool:
        """Whether ``candidates`` takes images of that size."""
        return self.fitting.takes(height, width)

    def candidates(self, images: Tensor) -> tuple[DetectorOutput, ...]:
        """All heads' candidates for images at the network's own pixel scale; differentiable.

        Args:
            images: [B,3,h,w] in [0,1], of a size that the detector ``takes``; not resampled.

        Raises:
            UserError: If the shape does not fit.
        """
        bad = images.ndim != 4 or images.shape[1] != 3
        if bad or not self.takes(*images.shape[-2:]):
            raise UserError(
                f"candidates of {self.name}",
                f"images of shape {list(images.shape)}",
                f"Give [B,3,h,w] with {self.fitting.sides}.",
            )
        heads: tuple[DetectorOutput, ...] = self.module(images)
        return heads

    def outputs(self, images: Tensor) -> tuple[DetectorOutput, ...]:
        """All heads' candidates for [B,3,H,W] images of any size; boxes in their pixels."""
        fitted = self.fitting.of(images.shape[-2], images.shape[-1])
        return tuple(
            replace(head, boxes=fitted.back(head.boxes))
            for head in self.candidates(fitted.fit(images))
        )

    @torch.no_grad()
    def detect(
        self, pictures: Sequence[Picture], confidence: float = 0.25, iou: float | None = None
    ) -> list[Detections]:
        """What the detector reports on pictures [H,W,3] uint8 RGB of any sizes.

        Args:
            pictures: Equal sizes share a batch.
            confidence: Least confidence to report, in (0, 1).
            iou: Boxes of one class that overlap a stronger one by more than this are dropped; by
                default what the detector's own package uses.

        Returns:
            One ``Detections`` a picture, strongest first, boxes clipped to the picture.
        """
        check_range("confidence", confidence, 0.0, 1.0)
        by_size: dict[tuple[int, ...], list[int]] = {}
        for index, picture in enumerate(pictures):
            by_size.setdefault(picture.shape[:2], []).append(index)
        found: dict[int, Detections] = {}
        for (height, width), same in by_size.items():
            fitted = self.fitting.of(height, width)
            batch = fitted.batch([pictures[i] for i in same], self.device)
            head = self.candidates(batch)[0]
            scores = head.class_logits.sigmoid()
            limit = head.boxes.new_tensor([width, height, width, height])
            for n, index in enumerate(same):
                size = (batch.shape[-2], batch.shape[-1])
                candidates = Scored(head.boxes[n], scores[n], head.levels, size)
                kept = self.reporting.keep(candidates, confidence, iou)
                boxes = fitted.back(kept.boxes).clamp(min=0).minimum(limit)
                found[index] = Detections(
                    boxes.cpu().double().numpy(),
                    kept.scores.cpu().double().numpy(),
                    kept.classes.cpu().numpy(),
                )
        return [found[index] for index in range(len(pictures))]
