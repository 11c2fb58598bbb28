"""One estimate of the expectation over transformations: render views, ask the victims, sum up."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from physadv.artwork.parameterization import Parameterization
from physadv.artwork.printability import (
    non_printability_score,
    perceptibility,
    total_variation,
)
from physadv.artwork.printer import printable_colours
from physadv.imaging.render import render_views
from physadv.imaging.texture import Sheet, composite
from physadv.imaging.views import Views, sample_views
from physadv.objective.terms import Terms
from physadv.optimize.problem import Audience, Problem, Settings
from physadv.optimize.task import Estimate


def render_artwork(audience: Audience, sheet: Sheet, colours: Tensor, views: Views) -> Tensor:
    """[B,3,s,s] what an audience sees of ``colours`` [3,C,C] on ``sheet`` under ``views``."""
    texture = composite(sheet, colours, views.print_gain, views.print_offset, views.size_px)
    return render_views(texture, views, audience.backgrounds)


def estimate(
    problem: Problem, colours: Tensor, draws: Sequence[Views], settings: Settings
) -> Estimate:
    """Loss terms of ``colours`` [3,C,C] over a batch of views, differentiable in ``colours``.

    Args:
        problem: What is optimised against whom.
        colours: [3,C,C] in [0,1].
        draws: The views of each audience.
        settings: Gives the classifiers' margin.

    Returns:
        The terms; success is that of the audience that is fooled least.

    References:
        Athalye et al. 2018, eq. 1; Eykholt et al. 2018 (RP2), eq. 3.
    """
    values: dict[str, Tensor] = {}
    weights: dict[str, float] = {}
    successes = []
    seen = colours if problem.printer is None else problem.printer.apply(colours)
    for audience, sheet, views in zip(problem.audiences, problem.sheets, draws, strict=True):
        images = render_artwork(audience, sheet, seen, views)
        boxes = torch.from_numpy(views.boxes).to(images, non_blocking=True)
        fooled = torch.ones(len(views), dtype=torch.bool, device=colours.device)
        for opponent in audience.opponents:
            losses, success = opponent.judge(images, boxes, settings.kappa)
            values[opponent.name] = losses.mean()
            weights[opponent.name] = 1 / len(problem.opponents)
            fooled &= success
        successes.append(fooled.float().mean())
    stuck = problem.colour_mask
    if problem.weights.nps:
        palette = printable_colours(problem.printer, colours)
        values["nps"] = non_printability_score(seen, palette, stuck)
        weights["nps"] = problem.weights.nps
    if problem.weights.tv:
        values["tv"] = total_variation(colours, stuck)
        weights["tv"] = problem.weights.tv
    # Logged even where it has no weight; then it takes no part in the gradient.
    weighted = problem.weights.perceptibility > 0
    delta = (colours if weighted else colours.detach()) - problem.face_colours
    values["perceptibility"] = perceptibility(delta, stuck, problem.weights.perceptibility_norm)
    weights["perceptibility"] = problem.weights.perceptibility
    return Estimate(Terms(values, weights), torch.stack(successes).min())


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
        draws = [self._views(a, a.count, stage, step) for a in self.problem.audiences]
        return estimate(self.problem, colours, draws, self.settings)

    def held_out(self, colours: Tensor) -> tuple[float, float]:
        """Success and summed loss on the fixed views; no training step draws them."""
        result = estimate(self.problem, colours, self._held_out_views, self.settings)
        loss = sum(float(result.terms.values[o.name]) for o in self.problem.opponents)
        return float(result.success), loss

    @cached_property
    def _held_out_views(self) -> list[Views]:
        return [self._views(a, a.held_out_count, "held out") for a in self.problem.audiences]

    def _views(self, audience: Audience, count: int, *keys: str | int) -> Views:
        return sample_views(
            self.problem.scene,
            count,
            audience.size_px,
            seed=self.settings.seed,
            keys=(*keys, *audience.keys),
            pool=len(audience.backgrounds),
            device=self.problem.device,
            framing=audience.framing,
            printer=self.problem.printer,
        )
