"""One run against detectors, start to finish: photographs in, a run folder with a patch out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from physadv.artwork.files import JSON_NAME, Artwork, load_artwork, save_artwork
from physadv.artwork.palette import check_printer, palette_record
from physadv.artwork.parameterization import parameterization_of
from physadv.artwork.printer import PrinterProfile
from physadv.checks import UserError, check_name, check_range
from physadv.data.coco import AnnotatedPhoto, AnnotatedPhotos, split_scenes
from physadv.data.files import read_json
from physadv.imaging.crops import SHAPES, targets_of
from physadv.objective.detection import HIDING
from physadv.optimize.loop import Result, optimise
from physadv.optimize.objects import HideSettings, HideTask
from physadv.optimize.run import (
    RUN_NAME,
    new_manifest,
    open_run,
    record_results,
    recorded_options,
)
from physadv.optimize.task import Progress
from physadv.scene.objects import ObjectScene
from physadv.types import NOTHING
from physadv.victim.detector import DetectorVictim
from physadv.victim.precision import computes_in_bfloat16

_HELD_OUT_SHARE = 0.15


@dataclass(frozen=True)
class PatchRecipe:
    """What to make: everything besides scene, victims and photographs that determines the patch.

    ``share`` is the part of the photographs that may be optimised on; the rest stays for the
    judge. ``start`` is the folder of an earlier run whose patch is the first guess; empty for
    grey noise. ``printer`` says what becomes of colours on paper.
    """

    palette: str = "rgb"
    share: float = 0.6
    start: str = ""
    printer: PrinterProfile | None = None
    settings: HideSettings = field(default_factory=HideSettings)

    def options(self) -> dict[str, Any]:
        """Plain values for ``run.json``; two runs with equal options make the same artwork."""
        return recorded_options(self)


def make_patch(
    scene: ObjectScene,
    victims: Sequence[DetectorVictim],
    data: Sequence[AnnotatedPhotos],
    recipe: PatchRecipe,
    out: Path | str,
    *,
    resume: bool = False,
    device: torch.device | str = "cpu",
    command: str = "physadv.make_patch",
    progress: Progress | None = None,
) -> Artwork:
    """Optimise a patch that hides the scene's objects from every victim.

    Args:
        scene: What is attacked and how it is seen.
        victims: One or more detectors.
        data: Sets of annotated photographs; ``recipe.share`` of each is used, cut by scene.
        recipe: Colours and settings.
        out: Run folder; made if missing, must be empty unless ``resume``.
        resume: Continue the run in ``out`` from its last checkpoint, with the same inputs.
        device: Where to compute.
        command: Recorded in the manifest.
        progress: Called as (stage, step, steps, figures).

    Returns:
        The patch that hides most held-out objects. ``run.json`` lists the SHA-256 of every
        photograph that took part, which the judge then leaves out.

    Raises:
        UserError: If ``out`` holds another run, a victim lacks the class, or no object is high
            enough.

    References:
        Thys, Van Ranst & Goedeme, Fooling automated surveillance cameras: adversarial patches to
        attack person detection, CVPRW 2019.
    """
    device = torch.device(device)
    check_range("share", recipe.share, 0.0, 1.0, low_open=True)
    check_printer(recipe.palette, recipe.printer is not None)
    check_range("steps", recipe.settings.steps, 1, 10_000_000)
    check_name("loss", recipe.settings.loss, HIDING)
    names = [victim.name for victim in victims]
    if len(set(names)) < len(names):
        raise UserError(f"victims {', '.join(names)}", "one is given twice", "Give each once.")
    indices = tuple(victim.first_known(scene.true_class) for victim in victims)
    used = [photo for part in data for photo in split_scenes(part.photos, recipe.share)[0]]
    used = list({photo.sha256: photo for photo in used}.values())
    scale_of = _window_scale(victims, used)
    training, held_out = split_scenes(used, 1 - _HELD_OUT_SHARE)
    groups = targets_of(training, scale_of, scene.least_height)
    held_out_groups = targets_of(held_out, scale_of, scene.least_height)
    for what, found in (("optimise on", groups), ("choose the best patch by", held_out_groups)):
        if not any(found):
            raise UserError(
                f"objects to {what}",
                f"none is at least {scene.least_height:.0%} of its photograph's height",
                "Give more photographs, or lower the scene's least_height.",
            )
    parameterization = parameterization_of(recipe.palette, scene.patch.texels)
    initial, seen = _first_guess(recipe, scene.patch.texels)
    manifest = new_manifest(
        command,
        scene.model_dump(mode="json", exclude={"folder"}),
        victims,
        target=NOTHING,
        layout="patch",
        seed=recipe.settings.seed,
        options=recipe.options()
        | {
            "photographs": sorted({photo.sha256 for photo in used} | set(seen)),
            "bfloat16": recipe.settings.half and computes_in_bfloat16(device),
        },
    )
    manifest.skipped.extend(f"{name}: {why}" for part in data for name, why in part.skipped)
    folder = open_run(Path(out), manifest, resume=resume)
    if resume and (folder / JSON_NAME).exists():
        artwork = load_artwork(folder)
        record_results(folder, artwork, 0.0)
        return artwork
    started = time.monotonic()
    on_device = []
    for victim in victims:
        moved = victim.to(device)
        moved.module.to(memory_format=torch.channels_last)
        on_device.append(moved)
    task = HideTask(
        scene,
        tuple(on_device),
        indices,
        parameterization,
        groups,
        held_out_groups,
        recipe.settings,
        device,
        recipe.printer,
    )
    result = optimise(
        task, recipe.settings, stage="fit", initial=initial, folder=folder, progress=progress
    )
    artwork = _artwork(scene, names, recipe, result)
    save_artwork(artwork, folder)
    record_results(folder, artwork, time.monotonic() - started)
    return artwork


def _first_guess(recipe: PatchRecipe, texels: int) -> tuple[Tensor | None, list[str]]:
    """Raw colours to start from, and the photographs that they have seen, which count as used."""
    if not recipe.start:
        return None, []
    folder = Path(recipe.start)
    artwork = load_artwork(folder)
    if recipe.palette != "rgb" or artwork.rgba.shape[:2] != (texels, texels):
        height, width = artwork.rgba.shape[:2]
        raise UserError(
            f"start from {folder}",
            f"its patch has {width} x {height} texels, this one {texels} and palette "
            f"{recipe.palette}",
            "Start from a patch of as many texels, with palette rgb.",
        )
    recorded = read_json(folder / RUN_NAME).get("options", {}).get("photographs")
    if not isinstance(recorded, list):
        raise UserError(
            f"start from {folder}",
            f"{RUN_NAME} does not list the photographs that it was optimised on",
            "Give a run of `physadv patch`, or the judge could not leave them out.",
        )
    colours = torch.from_numpy(artwork.rgba[..., :3].copy()).permute(2, 0, 1).float() / 255
    return colours.contiguous(), [str(entry) for entry in recorded]


def _window_scale(
    victims: Sequence[DetectorVictim], photos: Sequence[AnnotatedPhoto]
) -> Callable[[int, int], float]:
    """The scale, by a photograph's height and width, at which all victims judge its windows."""
    for victim in victims:
        scales = [victim.window_scale(photo.height, photo.width) for photo in photos]
        if scales != [victims[0].window_scale(photo.height, photo.width) for photo in photos]:
            raise UserError(
                f"victims {victims[0].name}, {victim.name}",
                "they scale photographs to different sizes",
                "Attack detectors of one input size together.",
            )
        if not all(victim.takes(*shape) for shape in SHAPES):
            raise UserError(
                f"victim {victim.name}",
                f"it takes images with {victim.fitting.sides}, and windows are of {SHAPES} px",
                "Give a detector with a stride of 32 px or less.",
            )
    return victims[0].window_scale


def _artwork(
    scene: ObjectScene, names: Sequence[str], recipe: PatchRecipe, result: Result
) -> Artwork:
    """The patch as printed: one texel a colour."""
    colours = (result.colours.detach().cpu().numpy() * 255).round().clip(0, 255).astype(np.uint8)
    opaque = np.full(colours.shape[1:], 255, np.uint8)
    return Artwork(
        np.dstack([colours.transpose(1, 2, 0), opaque]),
        scene.patch.width_mm,
        scene.patch.width_mm,
        f"patch:{scene.name}",
        NOTHING,
        tuple(names),
        {
            "layout": "patch",
            "palette": palette_record(recipe.palette),
            "colour_texels": scene.patch.texels,
            "seed": recipe.settings.seed,
            "steps": recipe.settings.steps,
            "held_out_success": result.success,
        },
    )
