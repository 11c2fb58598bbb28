"""generate, print, report: from a scene to paper and page."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import numpy.typing as npt
import typer

from physadv.artwork.files import load_artwork
from physadv.artwork.printer import load_profile
from physadv.checks import check_name
from physadv.cli.console import interrupted, out, progress_line
from physadv.cli.options import (
    Backgrounds,
    Device,
    Palette,
    Printer,
    RunFolder,
    Seed,
    VictimNames,
)
from physadv.data.environment import choose_device
from physadv.engine.heap import keep_freed_memory
from physadv.export.prints import print_run
from physadv.export.proof import VISIBLE, soft_proof, write_proof
from physadv.export.sheetfile import NAME as SHEET_FILE
from physadv.optimize.generate import Recipe
from physadv.optimize.generate import generate as generate_artwork
from physadv.optimize.problem import Settings
from physadv.report.html import write_report
from physadv.scene.catalog import load_scene
from physadv.scene.faces import FACES, draw_face, image_face
from physadv.types import Treatment
from physadv.victim.named import load_attacked

_FACE_PX = 512
_PRINTED: tuple[Treatment, ...] = ("adversarial", "blank", "noise")
_ACHIEVED = {
    "hide": "every victim is fooled",
    "misread": "every victim reads the target",
    "appear": "every victim sees the target",
}


class GoalName(StrEnum):
    """``physadv.types.Goal`` for the command line."""

    hide = "hide"
    misread = "misread"
    appear = "appear"


def generate(
    scene: Annotated[str, typer.Argument(metavar="SCENE", help="Scene by name or file.")],
    victim: VictimNames,
    target: Annotated[
        str,
        typer.Option(
            metavar="CLASS", help="Class to be read as (default: the scene's).", show_default=False
        ),
    ] = "",
    goal: Annotated[
        GoalName,
        typer.Option(
            help="What detectors are made to do: miss the sign, misread it as CLASS, or see CLASS "
            "appear on it. Classifiers are always made to read CLASS."
        ),
    ] = GoalName.hide,
    layout: Annotated[
        str,
        typer.Option(
            metavar="poster|stickers|graffiti|FILE", help="Where to stick; FILE is an SVG or PNG."
        ),
    ] = "stickers",
    palette: Palette = "rgb",
    max_area: Annotated[
        float, typer.Option(help="Largest share of the face that stickers may cover, 0 to 1.")
    ] = 0.20,
    stickers: Annotated[int, typer.Option(help="Largest number of stickers.", min=1, max=12)] = 4,
    printer: Printer = None,
    steps: Annotated[int, typer.Option(help="Steps of the optimiser.", min=1)] = Settings.steps,
    seed: Seed = 0,
    run: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="Run folder (default: runs/SCENE-LAYOUT-SEED)."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Continue the run in --out.")] = False,
    backgrounds: Backgrounds = None,
    device: Device = "auto",
) -> None:
    """Optimise printable artwork that fools every given classifier and detector."""
    loaded = load_scene(scene)
    keep_freed_memory()
    chosen = choose_device(device)
    victims = load_attacked(victim)
    folder = run or Path("runs") / f"{loaded.name}-{Path(layout).stem}-{seed}"
    recipe = Recipe(
        target=target or loaded.default_target,
        goal=goal.value,
        layout=layout,
        palette=palette,
        max_area=max_area,
        stickers=stickers,
        backgrounds=str(backgrounds or ""),
        printer=None if printer is None else load_profile(printer),
        settings=Settings(steps=steps, seed=seed),
    )
    command = shlex.join(["physadv", *sys.argv[1:]])
    try:
        with progress_line() as line:
            artwork = generate_artwork(
                loaded,
                victims,
                recipe,
                folder,
                resume=resume,
                device=chosen,
                command=command,
                progress=line.optimiser(),
            )
    except KeyboardInterrupt:
        raise interrupted(command, folder, resume=resume, named=run is not None) from None
    share = artwork.recipe["area_share"]
    out.print(
        f"{folder}: artwork covering {share:.1%} of the face; {_ACHIEVED[goal]} in "
        f"{artwork.recipe['held_out_success']:.1%} of the optimiser's held-out views.",
        markup=False,
    )
    out.print(f"Judge it: physadv evaluate grid {folder} --victim {victim[0]}", markup=False)


def print_pdf(
    run: RunFolder,
    width_mm: Annotated[
        float | None,
        typer.Option(
            help="Printed width of the sign's face in mm (default: the real size).",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        str,
        typer.Option(
            metavar="PAPER", help="a4, a3, letter, tabloid, or a size in mm like 610x914."
        ),
    ] = "a4",
    treatment: Annotated[
        str,
        typer.Option(
            metavar="adversarial|blank|noise|all",
            help="Print the artwork, or the controls to photograph beside it.",
        ),
    ] = "adversarial",
    fiducials: Annotated[
        bool | None,
        typer.Option(
            "--fiducials/--no-fiducials",
            help="Markers around the artwork from which photographs tell treatment, distance and "
            "angle; for stickers a card to hang beside them (default: around a patch where that "
            "takes no more paper).",
            show_default=False,
        ),
    ] = None,
    proof: Annotated[
        Path | None,
        typer.Option(
            metavar="PROFILE.icc",
            help="Also show what a printer with this ICC profile will lose of the colours.",
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.pdf", help="Output (default: RUN/print.pdf)."),
    ] = None,
) -> None:
    """Write a PDF that prints the artwork at exact size, in tiles or as cut-outs."""
    check_name("treatment", treatment, (*_PRINTED, "all"))
    artwork = load_artwork(run)
    path = file or run / "print.pdf"
    proofed = soft_proof(artwork, proof) if proof is not None else None
    prints = print_run(
        artwork,
        run,
        path,
        width_mm=artwork.width_mm if width_mm is None else width_mm,
        page=page,
        treatments=_PRINTED if treatment == "all" else (cast(Treatment, treatment),),
        fiducials=fiducials,
        face=carrier_face(artwork.carrier),
    )
    if proofed is not None:
        picture = path.with_name(f"{path.stem}-proof.png")
        write_proof(artwork, proofed, picture)
        out.print(
            f"{picture}: colours change by deltaE2000 {proofed.mean:.1f} on average, "
            f"{proofed.visible_share:.0%} of the area visibly (more than {VISIBLE:g}).",
            markup=False,
        )
    for pdf, summary in prints.pdfs.items():
        out.print(
            f"{pdf}: {summary.pages} pages. Print at 100 %, then measure the 100 mm ruler.",
            markup=False,
        )
    layout = prints.layout
    if prints.cards is not None:
        out.print(
            f"{prints.cards}: a card for each treatment. Hang it beside the sign; the artwork is "
            "in pieces, so no markers are printed on it.",
            markup=False,
        )
    elif layout is not None:
        out.print(
            f"Four markers of {layout.marker_mm:g} mm lie around the artwork: keep the white "
            f"border. {run / SHEET_FILE} tells where they are.",
            markup=False,
        )
    elif fiducials is None:
        out.print(
            "No markers on it; --fiducials adds them, or a card, so that photographs name their "
            "treatment.",
            markup=False,
        )


def report(run: RunFolder) -> None:
    """Write RUN/report.html from what the run folder holds; no victim is run."""
    face = carrier_face(load_artwork(run).carrier)
    out.print(str(write_report(run, face=face)), markup=False)


def carrier_face(carrier: str) -> npt.NDArray[np.uint8] | None:
    """Picture of the carrier for drawings; None if its image file is no longer there."""
    if carrier in FACES:
        return draw_face(carrier, _FACE_PX)
    return image_face(Path(carrier), _FACE_PX) if Path(carrier).is_file() else None
