"""One estimate of the expectation over transformations: render views, ask the victims, sum up."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from physadv.artwork.palette import PRINTABLE_30
from physadv.artwork.parameterization import Parameterization
from physadv.artwork.printability import (
    non_printability_score,
    perceptibility,
    total_variation,
)
from physadv.imaging.render import render_views
from physadv.imaging.texture import composite
from physadv.imaging.views import Views, sample_views
from physadv.objective.classification import targeted_margin
from physadv.objective.terms import Terms
from physadv.optimize.problem import Problem, Settings
from physadv.optimize.task import Estimate


def render_artwork(problem: Problem, colours: Tensor, views: Views) -> Tensor:
    """[B,3,s,s] what the victims see of ``colours`` [3,C,C] under ``views``."""
    texture = composite(problem.sheet, colours, views.print_gain, views.print_offset, views.size_px)
    return render_views(texture, views, problem.backgrounds)


def estimate(problem: Problem, colours: Tensor, views: Views, settings: Settings) -> Estimate:
    """Loss terms of ``colours`` [3,C,C] over a batch of views, differentiable in ``colours``.

    References:
        Athalye et al. 2018, eq. 1; Eykholt et al. 2018 (RP2), eq. 3.
    """
    images = render_artwork(problem, colours, views)
    values: dict[str, Tensor] = {}
    weights: dict[str, float] = {}
    fooled = torch.ones(len(views), dtype=torch.bool, device=colours.device)
    for opponent in problem.opponents:
        logits = opponent.victim.logits(images)
        loss = targeted_margin(logits, opponent.target_index, settings.kappa).mean()
        values[opponent.victim.name] = loss
        weights[opponent.victim.name] = 1 / len(problem.opponents)
        fooled &= logits.detach().argmax(dim=1) == opponent.target_index
    stuck = problem.colour_mask
    if problem.weights.nps:
        palette = PRINTABLE_30.to(colours)
        values["nps"] = non_printability_score(colours[:, stuck].T, palette)
        weights["nps"] = problem.weights.nps
    if problem.weights.tv:
        values["tv"] = total_variation(colours, stuck)
        weights["tv"] = problem.weights.tv
    # Logged even where it has no weight; then it takes no part in the gradient.
    weighted = problem.weights.perceptibility > 0
    delta = (colours if weighted else colours.detach()) - problem.face_colours
    values["perceptibility"] = perceptibility(delta, stuck, problem.weights.perceptibility_norm)
    weights["perceptibility"] = problem.weights.perceptibility
    return Estimate(Terms(values, weights), float(fooled.float().mean()))


@dataclass(frozen=True)
class ViewsTask:
    """A ``Problem`` as a task of the loop: rendered views, drawn by (seed, stage, step)."""

    problem: Problem
    settings: Settings

    @property
    def parameterization(self) -> Parameterization:
        """The problem's."""
        return self.problem.parameterization

    @property
    def device(self) -> torch.device:
        """Where the views are rendered."""
        return self.problem.device

    @property
    def mask(self) -> Tensor:
        """[1,T,T] where something is stuck."""
        return self.problem.mask

    def estimate(self, colours: Tensor, stage: str, step: int) -> Estimate:
        """Terms of one batch of views."""
        views = self._views(self.settings.views, stage, step)
        return estimate(self.problem, colours, views, self.settings)

    def held_out(self, colours: Tensor) -> tuple[float, float]:
        """Success and summed margin loss on the fixed views; no training step draws them."""
        result = estimate(self.problem, colours, self._held_out_views, self.settings)
        margin = sum(float(result.terms.values[o.victim.name]) for o in self.problem.opponents)
        return result.success, margin

    @cached_property
    def _held_out_views(self) -> Views:
        return self._views(self.settings.held_out_views, "held out")

    def _views(self, count: int, *keys: str | int) -> Views:
        return sample_views(
            self.problem.scene,
            count,
            self.settings.size_px,
            seed=self.settings.seed,
            keys=keys,
            pool=len(self.problem.backgrounds),
            device=self.device,
        )
