"""One run, start to finish: victims and layout in, a run folder with printable artwork out."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from physadv.artwork.files import JSON_NAME, Artwork, load_artwork, save_artwork
from physadv.artwork.masks import area_share, load_mask
from physadv.artwork.palette import check_printer, palette_record
from physadv.artwork.parameterization import FreeRgb, parameterization_of
from physadv.artwork.printer import PrinterProfile
from physadv.artwork.rectangles import fit_rectangles, rectangles_mask
from physadv.checks import UserError, check_name, check_range
from physadv.imaging.backgrounds import background_pool
from physadv.imaging.framing import as_crops, as_windows
from physadv.optimize.checkpoint import load_checkpoint
from physadv.optimize.eot import ViewsTask
from physadv.optimize.loop import Result, optimise
from physadv.optimize.opponents import (
    ClassifierOpponent,
    DetectorOpponent,
    artwork_target,
    opponents_of,
)
from physadv.optimize.problem import Audience, Problem, Settings, Weights
from physadv.optimize.run import (
    new_manifest,
    open_run,
    record_results,
    recorded_options,
)
from physadv.optimize.task import Progress
from physadv.scene.faces import face_reference, scene_face
from physadv.scene.schema import Scene
from physadv.types import GOALS, Goal
from physadv.victim.detector import DetectorVictim
from physadv.victim.precision import computes_in_bfloat16
from physadv.victim.protocol import ClassifierVictim

FIND, FIT = "find", "fit"
_FIND_SHARE = 0.3  # of the steps
_FIND_WEIGHTS = Weights(nps=0.0, tv=0.0, perceptibility=20.0, perceptibility_norm=1)
_MIN_STICKER_TEXELS = 16
_WINDOW_POOL = 64


@dataclass(frozen=True)
class Recipe:
    """What to make: everything besides scene and victims that determines the artwork.

    Classifiers are to read ``target``; ``goal`` is what detectors are made to do. ``printer`` says
    what becomes of colours on paper.
    """

    target: str
    goal: Goal = "hide"
    layout: str = "stickers"
    palette: str = "rgb"
    max_area: float = 0.20
    stickers: int = 4
    backgrounds: str = ""
    printer: PrinterProfile | None = None
    settings: Settings = field(default_factory=Settings)
    weights: Weights = field(default_factory=Weights)

    def options(self) -> dict[str, Any]:
        """Plain values for ``run.json``; two runs with equal options make the same artwork."""
        return recorded_options(self)


def generate(
    scene: Scene,
    victims: Sequence[ClassifierVictim | DetectorVictim],
    recipe: Recipe,
    out: Path | str,
    *,
    resume: bool = False,
    device: torch.device | str = "cpu",
    command: str = "physadv.generate",
    progress: Progress | None = None,
) -> Artwork:
    """Optimise artwork and write it, its history and its manifest into the folder ``out``.

    Args:
        scene: What is attacked and how it is seen.
        victims: Classifiers, detectors or both; the artwork must fool them all.
        recipe: Target, layout, colours and settings.
        out: Run folder; made if missing, must be empty unless ``resume``.
        resume: Continue the run in ``out`` from its last checkpoint, with the same recipe.
        device: Where to compute.
        command: Recorded in the manifest.
        progress: Called as (stage, step, steps, figures).

    Returns:
        The artwork with the best success on held-out views.

    Raises:
        UserError: If ``out`` holds another run, the mask is empty, or the recipe does not fit.
        UsageError: If the target or layout is unknown.

    References:
        Eykholt et al., Robust Physical-World Attacks on Deep Learning Visual Classification,
        CVPR 2018 (RP2): EOT-like sampling, two-stage stickers, NPS.
    """
    device = torch.device(device)
    check_range("max_area", recipe.max_area, 0.0, 1.0, low_open=True)
    check_printer(recipe.palette, recipe.printer is not None)
    check_range("steps", recipe.settings.steps, 1, 1_000_000)
    victims = [victim.to(device) for victim in victims]
    check_name("goal", recipe.goal, GOALS)
    opponents = opponents_of(scene, victims, recipe.target, recipe.goal)
    target = artwork_target(recipe.target, recipe.goal, bool(opponents[0]))
    parameterization = parameterization_of(recipe.palette, scene.colour_texels)
    face = scene_face(scene, scene.mask_texels)
    on_face = face[..., 3] > 127
    # All that can be wrong with the request is found before the run folder is touched.
    mask = None if recipe.layout == "stickers" else load_mask(recipe.layout, on_face)
    audiences = _audiences(scene, *opponents, recipe, device)
    described = scene.model_dump(mode="json", exclude={"folder"})
    described["carrier"]["face"] = face_reference(scene)
    manifest = new_manifest(
        command,
        described,
        victims,
        target=target,
        layout=recipe.layout,
        seed=recipe.settings.seed,
        options=recipe.options(),
    )
    if opponents[1]:
        manifest.options["bfloat16"] = computes_in_bfloat16(device)
    manifest.options["face_sha256"] = hashlib.sha256(face.tobytes()).hexdigest()
    if mask is not None:
        manifest.options["mask_sha256"] = hashlib.sha256(mask.tobytes()).hexdigest()
    folder = open_run(Path(out), manifest, resume=resume)
    if resume and (folder / JSON_NAME).exists():
        artwork = load_artwork(folder)
        record_results(folder, artwork, 0.0)
        return artwork
    started = time.monotonic()
    problem = Problem(
        scene,
        audiences,
        torch.from_numpy(face.copy()).permute(2, 0, 1).float().div(255).to(device),
        _mask_tensor(on_face).to(device),
        parameterization,
        recipe.weights,
        device,
        recipe.printer,
    )
    if mask is None:
        # Where stickers matter is told by how far colours must leave the face's own, which a
        # printer would change as well.
        unprinted = replace(problem, printer=None)
        mask = _find_stickers(unprinted, recipe, on_face, folder, progress)
    problem = replace(problem, mask=_mask_tensor(mask).to(device))
    result = optimise(
        ViewsTask(problem, recipe.settings),
        recipe.settings,
        stage=FIT,
        folder=folder,
        progress=progress,
    )
    artwork = _artwork(problem, recipe, target, result, mask, area_share(mask, on_face))
    save_artwork(artwork, folder)
    record_results(folder, artwork, time.monotonic() - started)
    return artwork


def _audiences(
    scene: Scene,
    classifiers: Sequence[ClassifierOpponent],
    detectors: Sequence[DetectorOpponent],
    recipe: Recipe,
    device: torch.device,
) -> tuple[Audience, ...]:
    """Classifiers see crops; detectors of each scale see windows at it."""
    settings = recipe.settings
    folder = Path(recipe.backgrounds) if recipe.backgrounds else None
    found = []
    if classifiers:
        pool = background_pool(settings.seed, settings.size_px, folder).to(device)
        found.append(
            Audience(tuple(classifiers), as_crops, settings.views, settings.held_out_views, pool)
        )
    by_scale: dict[float, list[DetectorOpponent]] = {}
    for opponent in detectors:
        if not opponent.victim.takes(settings.window_px, settings.window_px):
            raise UserError(
                f"windows of {settings.window_px} px for {opponent.name}",
                f"it takes {opponent.victim.fitting.sides}",
                "Choose another window_px.",
            )
        scale = opponent.victim.window_scale(scene.camera.height_px, scene.camera.width_px)
        by_scale.setdefault(scale, []).append(opponent)
    for scale, alike in sorted(by_scale.items()):
        pool = background_pool(settings.seed, settings.window_px, folder, _WINDOW_POOL).to(device)
        counts = settings.windows, settings.held_out_windows
        keys = (f"scale {scale:.4f}",)
        found.append(Audience(tuple(alike), as_windows(scale), *counts, pool, keys))
    return tuple(found)


def _mask_tensor(mask: np.ndarray) -> Tensor:
    return torch.from_numpy(mask.astype(np.float32))[None]


def _find_stickers(
    problem: Problem, recipe: Recipe, face: np.ndarray, folder: Path, progress: Progress | None
) -> np.ndarray:
    """[T,T] mask of rectangles where an L1-penalised attack on the whole face changes most.

    References:
        Eykholt et al. 2018 (RP2), section 3.2.
    """
    checkpoint = load_checkpoint(folder)
    if checkpoint is not None and checkpoint.stage == FIT:
        return checkpoint.tensors["mask"][0].numpy() > 0.5
    steps = max(1, round(recipe.settings.steps * _FIND_SHARE))
    settings = replace(recipe.settings, steps=steps)
    whole = replace(
        problem,
        parameterization=FreeRgb(problem.scene.colour_texels),
        weights=_FIND_WEIGHTS,
    )
    result = optimise(
        ViewsTask(whole, settings),
        settings,
        stage=FIND,
        initial=whole.face_colours.clone(),
        folder=folder,
        progress=progress,
    )
    heat = (result.raw - whole.face_colours).abs().sum(0).cpu().numpy()
    factor = problem.scene.mask_texels // problem.scene.colour_texels
    heat = heat.repeat(factor, 0).repeat(factor, 1)
    rectangles = fit_rectangles(
        heat,
        face,
        max_area_share=recipe.max_area,
        count=recipe.stickers,
        min_side_px=_MIN_STICKER_TEXELS,
        grid_px=factor,
    )
    return rectangles_mask(rectangles, problem.scene.mask_texels) & face


def _artwork(
    problem: Problem, recipe: Recipe, target: str, result: Result, mask: np.ndarray, share: float
) -> Artwork:
    factor = problem.scene.mask_texels // problem.scene.colour_texels
    colours = (result.colours.detach().cpu().numpy() * 255).round().clip(0, 255).astype(np.uint8)
    rgb = colours.transpose(1, 2, 0).repeat(factor, 0).repeat(factor, 1)
    alpha = (mask * 255).astype(np.uint8)
    rgb = rgb * mask[..., None].astype(np.uint8)
    width = problem.scene.carrier.width_mm
    return Artwork(
        np.dstack([rgb, alpha]),
        width,
        width,
        face_reference(problem.scene),
        target,
        tuple(opponent.name for opponent in problem.opponents),
        {
            "goal": recipe.goal,
            "layout": recipe.layout,
            "palette": palette_record(recipe.palette),
            "area_share": round(share, 4),
            "colour_texels": problem.scene.colour_texels,
            "seed": recipe.settings.seed,
            "steps": recipe.settings.steps,
            "held_out_success": result.success,
        },
    )
