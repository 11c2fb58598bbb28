"""Hiding objects from detectors: one batch of crops with patches on, and its loss."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from physadv.artwork.parameterization import Parameterization
from physadv.artwork.printability import non_printability_score, total_variation
from physadv.artwork.printer import PrinterProfile, printable_colours
from physadv.imaging.crops import SHAPES, Crops, Target, cut_crops, visible
from physadv.imaging.tiles import Tiles, paste_tiles, render_tiles, sample_tiles
from physadv.objective.detection import HIDING, Hiding
from physadv.objective.ensemble import Ensemble, asked_of, weights_of
from physadv.objective.terms import Terms
from physadv.optimize.task import Estimate
from physadv.scene.objects import ObjectScene, Placement
from physadv.seeding import generator_for
from physadv.victim.detector import DetectorVictim
from physadv.victim.precision import in_bfloat16

_FOUND_LOGIT = -0.405  # confidence 0.4


@dataclass(frozen=True)
class HideSettings:
    """How long and how hard to optimise; see ``Settings`` for the schedule.

    ``crops`` images a step; ``loss`` names what is minimised for each object, one of
    ``objective.detection.HIDING``; ``half`` computes the network in bfloat16 where the device
    can; ``ensemble`` is the rule for several victims.
    """

    steps: int = 1000
    crops: int = 8
    seed: int = 0
    learning_rate: float = 0.03
    final_learning_rate: float = 1e-3
    checkpoint_every: int = 25
    held_out_every: int = 100
    loss: Hiding = "hide"
    nps: float = 0.01
    tv: float = 0.1
    half: bool = True
    ensemble: Ensemble = "mean"


@dataclass(frozen=True)
class HideTask:
    """Patches on objects in photographs, hidden from every victim.

    ``groups`` are the training objects by window shape, ``held_out_groups`` those by which the
    best artwork is chosen. ``printer`` is as in ``Problem``.
    """

    scene: ObjectScene
    victims: tuple[DetectorVictim, ...]
    class_indices: tuple[int, ...]
    parameterization: Parameterization
    groups: Sequence[Sequence[Target]]
    held_out_groups: Sequence[Sequence[Target]]
    settings: HideSettings
    device: torch.device
    printer: PrinterProfile | None = None

    @cached_property
    def mask(self) -> Tensor:
        """[1,C,C], all ones: the whole square is printed."""
        size = self.parameterization.size
        return torch.ones(1, size, size, device=self.device)

    def estimate(self, colours: Tensor, stage: str, step: int) -> Estimate:
        """Terms of one batch: crops of one window shape, drawn by (seed, stage, step)."""
        generator = generator_for(self.settings.seed, "objects", stage, step)
        counts = np.array([len(group) for group in self.groups], np.float64)
        which = int(generator.choice(len(SHAPES), p=counts / counts.sum()))
        group = self.groups[which]
        chosen = [group[i] for i in generator.integers(len(group), size=self.settings.crops)]
        rule = self.settings.ensemble
        lots = generator_for(self.settings.seed, "ensemble", stage, step)
        asked = asked_of(rule, len(self.victims), lots)
        losses, found = self._judge(colours, chosen, SHAPES[which], generator, asked)
        names = [self.victims[index].name for index in asked]
        values = {name: loss.mean() for name, loss in zip(names, losses, strict=True)}
        weights = dict(zip(names, weights_of(rule, list(values.values())), strict=True))
        if self.settings.nps:
            palette = printable_colours(self.printer, colours)
            values["nps"] = non_printability_score(self._on_paper(colours), palette)
            weights["nps"] = self.settings.nps
        if self.settings.tv:
            values["tv"] = total_variation(colours, self.mask[0] > 0)
            weights["tv"] = self.settings.tv
        return Estimate(Terms(values, weights), 1 - found.float().mean())

    def _on_paper(self, colours: Tensor) -> Tensor:
        return colours if self.printer is None else self.printer.apply(colours)

    def held_out(self, colours: Tensor) -> tuple[float, float]:
        """Share of the held-out objects found clean that no victim finds at 0.4, and the loss."""
        losses, found = self._held_out(colours)
        known = self._held_out_clean
        hidden = float((known & ~found).sum() / known.sum().clamp(min=1))
        return hidden, float(losses.mean())

    @cached_property
    def _held_out_clean(self) -> Tensor:
        """[P] whether any victim finds each held-out object without a patch."""
        return self._held_out(None)[1]

    @torch.no_grad()
    def _held_out(self, colours: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean losses [P] of the victims, and whether any finds each held-out object, [P]."""
        losses, found = [], []
        for which, group in enumerate(self.held_out_groups):
            for start in range(0, len(group), self.settings.crops):
                generator = generator_for(self.settings.seed, "objects held out", which, start)
                chosen = group[start : start + self.settings.crops]
                everyone = range(len(self.victims))
                loss, seen = self._judge(colours, chosen, SHAPES[which], generator, everyone)
                losses.append(torch.stack(loss).mean(0))
                found.append(seen)
        return torch.cat(losses), torch.cat(found)

    def _judge(
        self,
        colours: Tensor | None,
        targets: Sequence[Target],
        shape: tuple[int, int],
        generator: np.random.Generator,
        asked: Sequence[int],
    ) -> tuple[list[Tensor], Tensor]:
        """Losses [P] of the victims asked, and whether any of them finds each object, [P].

        ``colours`` None shows the objects without a patch.
        """
        crops = cut_crops(
            targets,
            shape,
            self.scene.least_height,
            generator,
            self.device,
            with_instances=self.scene.occlusion,
        )
        images = crops.images
        if colours is not None:
            tiles = place_patches(
                self.scene, self.scene.placement, crops, generator, self.device, self.printer
            )
            seen, coverage = render_tiles(self._on_paper(colours), tiles)
            if self.scene.occlusion:
                coverage = coverage * visible(crops, tiles)
            images = paste_tiles(images, seen, coverage, tiles)
        images = images.contiguous(memory_format=torch.channels_last)
        boxes = torch.from_numpy(crops.boxes).float().to(self.device, non_blocking=True)
        frame = torch.from_numpy(crops.frame).to(self.device, non_blocking=True)
        loss_of = HIDING[self.settings.loss]
        losses = []
        found = torch.zeros(len(boxes), dtype=torch.bool, device=self.device)
        for number in asked:
            victim, index = self.victims[number], self.class_indices[number]
            with in_bfloat16(self.device) if self.settings.half else nullcontext():
                heads = victim.candidates(images)
            judged = [loss_of(head, frame, boxes, index) for head in heads]
            losses.append(torch.stack([loss for loss, _ in judged]).mean(dim=0))
            found |= judged[0][1] > _FOUND_LOGIT
        return losses, found


def place_patches(
    scene: ObjectScene,
    placement: Placement,
    crops: Crops,
    generator: np.random.Generator,
    device: torch.device,
    printer: PrinterProfile | None = None,
) -> Tiles:
    """Draw a place on every object of the crops."""
    count = len(crops.boxes)
    size = crops.boxes[:, 2:] - crops.boxes[:, :2]
    base = np.hypot(*size.T) if scene.patch.share_of == "diagonal" else size[:, 1]
    side = base * scene.patch.share * placement.size.sample(generator, count)
    shift = generator.uniform(-1, 1, (count, 2)) * placement.shift
    centre = crops.boxes[:, :2] + (np.array(scene.patch.centre) + shift) * size
    roll = np.deg2rad(placement.roll_deg.sample(generator, count))
    return sample_tiles(
        scene.imaging, crops.frame, centre, side, roll, generator, device, placement.cloth, printer
    )
