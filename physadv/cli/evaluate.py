"""evaluate grid, evaluate photos: look at the victims through the judge."""

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
    Replace,
    RunFolder,
    Seed,
    VictimNames,
)
from physadv.data.environment import choose_device
from physadv.data.files import read_json, write_json
from physadv.evaluate.examples import write_views
from physadv.evaluate.frames import evaluate_frames
from physadv.evaluate.grid import evaluate_grid
from physadv.evaluate.photos import evaluate_photos
from physadv.evaluate.trials import TRIALS_NAME, load_trials, save_trials
from physadv.report.describe import unprinted_words
from physadv.report.recall import precision_table, recall_of, recall_table
from physadv.report.summary import summarise, summary_table
from physadv.scene.catalog import load_grid, load_scene
from physadv.scene.schema import Scene
from physadv.types import CROPS, TREATMENTS, Trial
from physadv.victim.catalog import load_victim
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
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

app = typer.Typer(
    help="Judge an artwork with controls and intervals.",
    no_args_is_help=True,
    add_completion=False,
)


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
    replace: Replace = False,
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
        check_replacing(run, "grid", opponent.name, cells.name, looks * shown, replace)
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
        keep(run, trials, opponent, scene=loaded.name, grid=cells.name, draws=draws, seed=seed)
        if number == 0:
            write_views(
                artwork, loaded, opponent, run / "views", seed=seed, backgrounds=backgrounds
            )
    show(run)


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
        keep(run, result.trials, opponent, scene=loaded.name, folder=str(folder), seed=seed)
    show(run)


def check_replacing(
    run: Path,
    source: str,
    victim: str,
    group: str,
    looks: int,
    replace: bool,
    photographs: frozenset[str] = frozenset(),
) -> None:
    """Refuse to replace a larger judgement by a smaller one unless that was asked for.

    Args:
        run: The run folder.
        source: Kind of the judgement, as in its Trials.
        victim: Who is to be asked.
        group: On what.
        looks: How many Trials it will give.
        replace: Whether a loss was asked for.
        photographs: SHA-256 of the photographs to be judged, where there are some: a judgement of
            others under the same name would be lost as well.

    Raises:
        UserError: If Trials would be lost.
    """
    if replace or not (run / TRIALS_NAME).exists():
        return
    known = load_trials(run / TRIALS_NAME).filter(
        (pl.col("source") == source) & (pl.col("victim") == victim) & (pl.col("group") == group)
    )
    asked = f"judge {victim} on {group} with {looks} looks"
    if len(known) > looks:
        raise UserError(
            asked,
            f"{run / TRIALS_NAME} holds {len(known)} looks of them, which would be lost",
            "Ask for as many --draws, copy the run, or give --replace.",
        )
    others = set(known["sha256"]) - photographs
    if photographs and others:
        raise UserError(
            asked,
            f"{run / TRIALS_NAME} holds looks at {len(others)} other photographs under that name, "
            "which would be lost",
            "Rename the folder of these photographs, copy the run, or give --replace.",
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


def keep(
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


def show(run: Path) -> None:
    """Print the tables of every judgement that the run holds."""
    trials = load_trials(run / TRIALS_NAME)
    for found in recall_of(run):
        out.print(recall_table(found))
        precision = precision_table(found)
        if precision is not None:
            out.print(precision)
    others = summarise(trials.filter(pl.col("source") != "objects"))
    if others:
        out.print(summary_table(others))
    if words := unprinted_words(read_json(run / "run.json")):
        out.print(words, markup=False)
    out.print(f"Trials are in {run / TRIALS_NAME}. For the report: physadv report {run}")
