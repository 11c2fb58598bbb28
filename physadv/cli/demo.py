"""demo: the whole road once, on the bundled scene and victim."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from physadv.artwork.files import load_artwork
from physadv.cli.console import err, out, progress_line
from physadv.cli.evaluate import record_evaluation
from physadv.cli.options import Device
from physadv.data.environment import choose_device
from physadv.evaluate.examples import write_views
from physadv.evaluate.grid import evaluate_grid
from physadv.evaluate.trials import TRIALS_NAME, load_trials, save_trials
from physadv.export.pdf import write_pdf
from physadv.optimize.generate import Recipe, generate
from physadv.optimize.problem import Settings
from physadv.report.html import write_report
from physadv.report.summary import summarise
from physadv.scene.catalog import load_grid, load_scene
from physadv.scene.faces import scene_face
from physadv.victim.catalog import load_victim

_STEPS, _DRAWS = 400, 40


def demo(
    run: Annotated[Path, typer.Option("--out", metavar="DIR", help="Run folder.")] = Path("demo"),
    resume: Annotated[bool, typer.Option(help="Continue an interrupted demo in --out.")] = False,
    device: Device = "auto",
) -> None:
    """Stickers that turn a stop sign into "Speed limit (80km/h)": artwork, PDF, judge, report."""
    try:
        _demo(run, resume, device)
    except KeyboardInterrupt:
        again = f"physadv demo --out {shlex.quote(str(run))} --resume"
        err.print(f"interrupted; continue with:\n  {again}", markup=False)
        raise typer.Exit(1) from None


def _demo(run: Path, resume: bool, device: str) -> None:
    scene = load_scene("stop_sign")
    grid = load_grid(scene.default_grid)
    chosen = choose_device(device)
    victim = load_victim("gtsrb-cnn").to(chosen)
    recipe = Recipe(target=scene.default_target, settings=Settings(steps=_STEPS))
    with progress_line() as line:
        generate(
            scene,
            [victim],
            recipe,
            run,
            resume=resume,
            device=chosen,
            command=shlex.join(["physadv", *sys.argv[1:]]),
            progress=line.optimiser(),
        )
        artwork = load_artwork(run)
        write_pdf(
            artwork,
            run / "print.pdf",
            width_mm=artwork.width_mm,
            page="a4",
            run_name=run.resolve().name,
            face=scene_face(scene, 512),
        )
        trials = evaluate_grid(
            artwork,
            scene,
            grid,
            victim,
            draws=_DRAWS,
            run_name=run.resolve().name,
            progress=lambda done, total: line.update("judge", done, total),
        )
    save_trials(run / TRIALS_NAME, trials)
    write_views(artwork, scene, victim, run / "views")
    record_evaluation(run, {"grid": grid.name, "victim": victim.name, "draws": _DRAWS, "seed": 0})
    write_report(run, face=scene_face(scene, 512))
    for text in headline(run):
        out.print(text, markup=False)


def headline(run: Path) -> list[str]:
    """Three lines: what was found, against what control, and where to look."""
    summary = summarise(load_trials(run / TRIALS_NAME))[0]
    return [
        str(summary),
        "These are simulated views of a drawn sign, not photographs of a print.",
        f"Look at {run / 'report.html'}; print {run / 'print.pdf'} at 100 %.",
    ]
