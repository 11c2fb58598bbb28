"""patch, import: attacks on object detectors."""

import shlex
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from physadv.artwork.printer import load_profile
from physadv.cli.console import interrupted, out, progress_line
from physadv.cli.options import Device, Palette, Printer, Seed
from physadv.data.coco import read_coco
from physadv.data.environment import choose_device
from physadv.optimize.objects import HideSettings
from physadv.optimize.patches import PatchRecipe, make_patch
from physadv.scene.catalog import load_object_scene
from physadv.victim.detectors import import_folder, load_detector
from physadv.victim.importing import import_yolo

DetectorNames = Annotated[
    list[str],
    typer.Option(
        "--victim",
        metavar="NAME",
        help="Detector by name (see `physadv victims`); may be repeated.",
    ),
]
PhotoSets = Annotated[
    list[Path],
    typer.Option("--data", metavar="COCO.json", help="Photographs with boxes; may be repeated."),
]


class EnsembleName(StrEnum):
    """``physadv.objective.ensemble.Ensemble`` for the command line."""

    mean = "mean"
    max = "max"
    random = "random"


class HidingName(StrEnum):
    """``physadv.objective.detection.Hiding`` for the command line."""

    hide = "hide"
    recall = "recall"


def patch(
    scene: Annotated[
        str, typer.Argument(metavar="SCENE", help="Scene of objects by name or file.")
    ],
    victim: DetectorNames,
    data: PhotoSets,
    size: Annotated[
        float | None,
        typer.Option(
            help="Side of the patch as a share of the box's diagonal or height, as the scene "
            "says (default: the scene's).",
            show_default=False,
        ),
    ] = None,
    palette: Palette = "rgb",
    share: Annotated[
        float,
        typer.Option(help="Part of each set to optimise on; the rest is left for the judge."),
    ] = 0.6,
    printer: Printer = None,
    steps: Annotated[
        int, typer.Option(help="Steps of the optimiser, 8 crops each.", min=1)
    ] = HideSettings.steps,
    learning_rate: Annotated[
        float,
        typer.Option(
            help="Step size at the beginning, in pixel values; with --start a third of the "
            "default leaves more of that patch as it is.",
            min=0.0001,
            max=1.0,
        ),
    ] = HideSettings.learning_rate,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="Earlier run whose patch is the first guess (default: grey noise).",
            show_default=False,
        ),
    ] = None,
    ensemble: Annotated[
        EnsembleName,
        typer.Option(
            help="Loss of several victims: their mean, that of the one fooled least, or that of "
            "one a step, drawn by lot, which costs less."
        ),
    ] = EnsembleName.mean,
    loss: Annotated[
        HidingName,
        typer.Option(
            help="What is minimised: how strongly objects are seen, or how many are found at "
            "confidence 0.4, which sharpens a patch that already hides some (--start)."
        ),
    ] = HidingName.hide,
    seed: Seed = 0,
    run: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="Run folder (default: runs/SCENE-SEED)."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue the run in --out.")] = False,
    device: Device = "auto",
) -> None:
    """Optimise a printable patch that hides the scene's objects from every given detector."""
    loaded = load_object_scene(scene)
    if size is not None:
        loaded = loaded.resized(size)
    chosen = choose_device(device)
    victims = [load_detector(name) for name in victim]
    sets = [read_coco(path, loaded.true_class) for path in data]
    folder = run or Path("runs") / f"{loaded.name}-{seed}"
    profile = None if printer is None else load_profile(printer)
    settings = replace(
        HideSettings(),
        steps=steps,
        learning_rate=learning_rate,
        final_learning_rate=min(HideSettings.final_learning_rate, learning_rate),
        seed=seed,
        ensemble=ensemble.value,
        loss=loss.value,
    )
    command = shlex.join(["physadv", *sys.argv[1:]])
    try:
        with progress_line() as line:
            artwork = make_patch(
                loaded,
                victims,
                sets,
                PatchRecipe(palette, share, str(start or ""), profile, settings),
                folder,
                resume=resume,
                device=chosen,
                command=command,
                progress=line.optimiser(),
            )
    except KeyboardInterrupt:
        raise interrupted(command, folder, resume=resume, named=run is not None) from None
    out.print(
        f"{folder}: a patch of {artwork.width_mm:g} mm. Of the optimiser's held-out objects that "
        f"are found without it, {artwork.recipe['held_out_success']:.1%} are not found at "
        "confidence 0.4; the patch was chosen by that figure, so judge it on others.",
        markup=False,
    )
    sources = " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    out.print(f"Judge it: physadv evaluate objects {folder} --victim {victim[0]} {sources}")


def import_detector(
    file: Annotated[Path, typer.Argument(metavar="FILE.pt", help="Ultralytics checkpoint.")],
    name: Annotated[
        str,
        typer.Option(help="Name to give it (default: the file's).", show_default=False),
    ] = "",
) -> None:
    """Import an official YOLO checkpoint as a victim, without running any code in it."""
    path = import_yolo(file, import_folder(), name)
    victim = load_detector(path.stem)
    out.print(
        f"{path.stem}: {len(victim.class_names)} classes, weights in {path}\n"
        f"sha256 {victim.weights_sha256}\n"
        f"Attack it: physadv patch person_thys --victim {path.stem} --data COCO.json",
        markup=False,
    )
