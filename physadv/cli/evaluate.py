"""evaluate grid, evaluate photos: look at the victims through the judge."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from pydantic import ValidationError

from physadv.artwork.files import load_artwork
from physadv.checks import UserError
from physadv.cli.console import out, progress_line
from physadv.cli.options import (
    Backgrounds,
    Device,
    JudgedNames,
    RunFolder,
    Seed,
    VictimNames,
)
from physadv.cli.patch import DetectorNames, PhotoSets
from physadv.data.coco import read_coco
from physadv.data.environment import choose_device
from physadv.data.files import read_json, write_json
from physadv.evaluate.examples import write_views
from physadv.evaluate.frames import evaluate_frames
from physadv.evaluate.grid import evaluate_grid
from physadv.evaluate.objects import evaluate_objects
from physadv.evaluate.photos import evaluate_photos
from physadv.evaluate.trials import TRIALS_NAME, load_trials, save_trials
from physadv.report.recall import recall_table, summarise_recall
from physadv.report.summary import summarise, summary_table
from physadv.scene.catalog import load_grid, load_scene
from physadv.scene.objects import ObjectScene
from physadv.scene.schema import Scene
from physadv.types import CROPS, TREATMENTS, Trial
from physadv.victim.catalog import load_victim
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.detectors import load_detector
from physadv.victim.named import load_judged
from physadv.victim.protocol import ClassifierVictim

SceneOption = Annotated[
    str,
    typer.Option(
        metavar="SCENE",
        help="Scene by name or file (default: the one that the run was made with).",
        show_default=False,
    ),
]

_TOLD = 10

app = typer.Typer(help="Judge an artwork with controls and intervals.", no_args_is_help=True)


class CropName(StrEnum):
    """``physadv.types.Crop`` for the command line."""

    exact = "exact"
    jittered = "jittered"


@app.command("grid")
def grid(
    run: RunFolder,
    victim: JudgedNames,
    scene: SceneOption = "",
    grid_name: Annotated[
        str,
        typer.Option(
            "--grid",
            metavar="GRID",
            help="Grid by name or file (default: the scene's).",
            show_default=False,
        ),
    ] = "",
    draws: Annotated[int, typer.Option(help="Draws in each cell.", min=1)] = 200,
    seed: Seed = 0,
    backgrounds: Backgrounds = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(help="Threads.", min=1)] = 2,
    crop: Annotated[
        list[CropName] | None,
        typer.Option(
            help="Cut the sign out by its exact or a jittered box (default: each).",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Let fewer views replace an earlier judgement.")
    ] = False,
) -> None:
    """Render the sign over a grid of distances and angles with OpenCV and ask the victims.

    Clean sign, blank card, noise print and artwork are seen on the same draws. Classifiers are
    shown crops, detectors and chains the camera's whole frames.
    """
    artwork = load_artwork(run)
    loaded = _scene_of(run, scene)
    cells = load_grid(grid_name or loaded.default_grid)
    chosen = choose_device(device)
    victims = [load_judged(name).to(chosen) for name in victim]
    crops = [name for name in CROPS if not crop or name in crop]
    looks = len(cells.cells) * draws * len(TREATMENTS)
    for opponent in victims:
        shown = len(crops) if isinstance(opponent, ClassifierVictim) else 1
        _check_replacing(run, opponent.name, cells.name, looks * shown, replace)
    for number, opponent in enumerate(victims):
        with progress_line() as line:
            common: dict[str, Any] = {
                "draws": draws,
                "seed": seed,
                "backgrounds": backgrounds,
                "run_name": run.resolve().name,
                "workers": workers,
                "progress": lambda done, total, name=opponent.name: line.update(
                    f"judge {name}", done, total
                ),
            }
            if isinstance(opponent, ClassifierVictim):
                trials = evaluate_grid(artwork, loaded, cells, opponent, crops=crops, **common)
            else:
                trials = evaluate_frames(artwork, loaded, cells, opponent, **common)
        _keep(run, trials, opponent, scene=loaded.name, grid=cells.name, draws=draws, seed=seed)
        if number == 0:
            write_views(
                artwork, loaded, opponent, run / "views", seed=seed, backgrounds=backgrounds
            )
    _show(run)


@app.command("photos")
def photos(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Photographs of real signs.")],
    victim: VictimNames,
    scene: SceneOption = "",
    corners: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Sign corners: file,x1,y1,...,x8,y8 (octagon, clockwise from the left end of "
            "the top edge) or 4 corners of its bounding square. Without it the octagon is found.",
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Composite the artwork onto photographs of real signs and ask the victims."""
    artwork = load_artwork(run)
    loaded = _scene_of(run, scene)
    chosen = choose_device(device)
    if (run / TRIALS_NAME).exists():
        load_trials(run / TRIALS_NAME)  # a damaged store is found before the work, not after it
    for number, opponent in enumerate([load_victim(name).to(chosen) for name in victim]):
        result = evaluate_photos(
            artwork,
            loaded,
            folder,
            opponent,
            corners=corners,
            seed=seed,
            run_name=run.resolve().name,
            gallery_folder=run / "gallery" if number == 0 else None,
        )
        for photo, reason in result.skipped if number == 0 else []:
            out.print(f"skipped {photo}: {reason}", markup=False)
        _keep(run, result.trials, opponent, scene=loaded.name, folder=str(folder), seed=seed)
    _show(run)


@app.command("objects")
def objects(
    run: RunFolder,
    victim: DetectorNames,
    data: PhotoSets,
    draws: Annotated[int, typer.Option(help="Times that every photograph is used.", min=1)] = 1,
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Composite the patch onto people or things in photographs and ask the detectors.

    Photographs that the patch was optimised on are left out. Clean photograph, grey card, noise
    print and patch are seen at the same places.
    """
    artwork = load_artwork(run)
    recorded = read_json(run / "run.json")
    scene = _object_scene_of(run, recorded)
    seen = frozenset(recorded.get("options", {}).get("photographs", []))
    chosen = choose_device(device)
    if (run / TRIALS_NAME).exists():
        load_trials(run / TRIALS_NAME)  # a damaged store is found before the work, not after it
    sets = [(path, read_coco(path, scene.true_class, exclude=seen)) for path in data]
    victims = [load_detector(name).to(chosen) for name in victim]
    for path, part in sets:
        tell_skipped(part.skipped)
        for opponent in victims:
            group = path.resolve().parent.name
            with progress_line() as line:
                result = evaluate_objects(
                    artwork,
                    scene,
                    part.photos,
                    opponent,
                    group=group,
                    draws=draws,
                    seed=seed,
                    run_name=run.resolve().name,
                    progress=lambda done, total, name=opponent.name: line.update(  # type: ignore[misc]
                        f"judge {name}", done, total
                    ),
                    gallery_folder=run / "gallery" / f"{group}-{opponent.name}",
                )
            if opponent is victims[0]:
                tell_skipped(result.skipped)
            _keep(
                run,
                result.trials,
                opponent,
                scene=scene.name,
                data=str(path),
                draws=draws,
                seed=seed,
            )
    _show(run)


def tell_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Say what was left out: each of a few, else how many for each reason."""
    if len(skipped) <= _TOLD:
        for name, reason in skipped:
            out.print(f"skipped {name}: {reason}", markup=False)
        return
    for reason, count in Counter(reason for _, reason in skipped).most_common():
        out.print(f"skipped {count}: {reason}", markup=False)


def _object_scene_of(run: Path, recorded: dict[str, Any]) -> ObjectScene:
    try:
        return ObjectScene.model_validate(recorded["scene"])
    except (KeyError, TypeError, ValidationError) as error:
        raise UserError(
            f"the scene of {run}",
            "run.json holds no scene of objects",
            "Give a run that `physadv patch` made; signs are judged by `evaluate grid`.",
        ) from error


def _check_replacing(run: Path, victim: str, group: str, looks: int, replace: bool) -> None:
    """Refuse to replace a larger judgement by a smaller one unless that was asked for."""
    if replace or not (run / TRIALS_NAME).exists():
        return
    known = load_trials(run / TRIALS_NAME).filter(
        (pl.col("source") == "grid") & (pl.col("victim") == victim) & (pl.col("group") == group)
    )
    if len(known) > looks:
        raise UserError(
            f"judge {victim} on {group} with {looks} looks",
            f"{run / TRIALS_NAME} holds {len(known)} looks of them, which would be lost",
            "Ask for as many --draws, copy the run, or give --replace.",
        )


def _scene_of(run: Path, name: str) -> Scene:
    """The scene called ``name``, or the run's own."""
    if name:
        return load_scene(name)
    recorded = read_json(run / "run.json")
    if recorded.get("scene", {}).get("kind") == "objects":
        raise UserError(
            f"the sign of {run}",
            "it holds a patch for objects in photographs",
            f"Judge it with: physadv evaluate objects {run} --victim NAME --data COCO.json",
        )
    try:
        return Scene.model_validate(recorded["scene"])
    except (KeyError, TypeError, ValidationError) as error:
        raise UserError(
            f"the scene of {run}", f"run.json does not hold it ({error})", "Give --scene."
        ) from error


def _keep(
    run: Path,
    trials: list[Trial],
    victim: ClassifierVictim | DetectorVictim | ChainVictim,
    **how: str | int,
) -> None:
    """Save trials, and say in the manifest how they came about."""
    save_trials(run / TRIALS_NAME, trials)
    record_evaluation(run, {"victim": victim.name, "weights_sha256": victim.weights_sha256, **how})


def record_evaluation(run: Path, how: dict[str, str | int]) -> None:
    """Add an entry to the list of evaluations in ``run.json``."""
    recorded = read_json(run / "run.json")
    entry = {"when": datetime.now(UTC).isoformat(timespec="seconds"), **how}
    recorded.setdefault("evaluations", []).append(entry)
    write_json(run / "run.json", recorded)


def _show(run: Path) -> None:
    trials = load_trials(run / TRIALS_NAME)
    for found in summarise_recall(trials):
        out.print(recall_table(found))
    others = summarise(trials.filter(pl.col("source") != "objects"))
    if others:
        out.print(summary_table(others))
    out.print(f"Trials are in {run / TRIALS_NAME}. For the report: physadv report {run}")
