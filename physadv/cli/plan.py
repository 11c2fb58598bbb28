"""plan captures: a field test that will show what it is meant to."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from physadv.artwork.files import load_artwork
from physadv.calibrate.camera import camera_from_fov, load_camera
from physadv.checks import UsageError
from physadv.cli.console import out
from physadv.cli.options import Seed
from physadv.evaluate.session import (
    SessionPlan,
    photographs_needed,
    plan_session,
    write_shots_csv,
)
from physadv.evaluate.shotlist import treatment_named
from physadv.export.fieldplan import write_field_plan
from physadv.export.sheetfile import SheetLayout, load_layouts
from physadv.scene.catalog import load_grid
from physadv.types import Treatment
from physadv.units import M_PER_FOOT

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Plan a field test: how many photographs, from where.",
)
PDF, CSV = "plan.pdf", "shots.csv"


@app.callback()
def _group() -> None:
    """Commands of ``physadv plan``."""


@app.command()
def captures(
    folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the plan goes.")],
    grid: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Distances and angles.")
    ] = "rp2_lab",
    run: Annotated[
        Path | None,
        typer.Option(help="Run whose prints are photographed: sizes of target and markers."),
    ] = None,
    width_mm: Annotated[
        float | None, typer.Option(help="Width of the target instead.", show_default=False)
    ] = None,
    half_width: Annotated[
        float, typer.Option(help="Wanted half width of each cell's 95 % interval, as a share.")
    ] = 0.17,
    rate: Annotated[
        float, typer.Option(help="Expected success rate; 0.5 is the safe guess.")
    ] = 0.5,
    sessions: Annotated[int, typer.Option(help="Sessions on different days or places.", min=1)] = 3,
    alike: Annotated[
        float,
        typer.Option(
            help="How alike photographs of one session are: intraclass correlation, 0 to 0.99."
        ),
    ] = 0.0,
    treatment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What is shown; may be repeated (default: clean, noise, adversarial).",
            show_default=False,
        ),
    ] = None,
    camera: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="From `physadv calibrate camera`: sizes in pixels."),
    ] = None,
    fov_deg: Annotated[
        float | None,
        typer.Option(help="Horizontal field of view instead, with --picture.", show_default=False),
    ] = None,
    picture: Annotated[
        str, typer.Option(metavar="WxH", help="Size of the photographs, px, with --fov-deg.")
    ] = "4032x3024",
    page: Annotated[str, typer.Option(help="Paper.")] = "a4",
    seed: Seed = 0,
) -> None:
    """Say how many photographs are needed, and write a randomised shot list as PDF and CSV."""
    treatments = _treatments(treatment or ["clean", "noise", "adversarial"])
    cells = [(cell.distance_m, cell.yaw_deg) for cell in load_grid(grid).cells]
    layout: SheetLayout | None = None
    if run is not None:
        width_mm = width_mm or load_artwork(run).width_mm
        layouts = load_layouts([run]) if (run / "sheet.json").is_file() else ()
        layout = layouts[-1] if layouts else None
        if layout is not None:
            width_mm = layout.width_mm
    focal = _focal_px(camera, fov_deg, picture)
    needed = photographs_needed(half_width, rate=rate, sessions=sessions, alike=alike)
    plan = plan_session(
        cells,
        treatments,
        needed,
        sessions=sessions,
        rate=rate,
        alike=alike,
        width_mm=width_mm,
        focal_px=focal,
        layout=layout,
        seed=seed,
    )
    notes = _notes(plan, treatments, sessions, rate)
    title = "Field test" if run is None else f"Field test of {run.resolve().name}"
    pages = write_field_plan(folder / PDF, title, plan.stations, plan.visits, notes, page=page)
    write_shots_csv(folder / CSV, plan)
    _print(plan, notes, focal is not None)
    out.print(f"{folder / PDF} ({pages} pages) and {folder / CSV}", markup=False)


def _treatments(names: list[str]) -> list[Treatment]:
    found = []
    for name in names:
        known = treatment_named(name)
        if known is None:
            raise UsageError(
                f"treatment {name!r}",
                "not one that is known",
                "Use clean, blank, noise, control or adversarial.",
            )
        if known not in found:
            found.append(known)
    return found


def _focal_px(camera: Path | None, fov_deg: float | None, picture: str) -> float | None:
    if camera is not None and fov_deg is not None:
        raise UsageError("--camera and --fov-deg", "both", "Give one of them.")
    if camera is not None:
        return load_camera(camera).fx
    if fov_deg is None:
        return None
    match = re.fullmatch(r"\s*(\d{2,6})\s*[xX×]\s*(\d{2,6})\s*", picture)
    if match is None:
        raise UsageError(f"picture {picture!r}", "not WIDTHxHEIGHT", "Write it like 4032x3024.")
    return camera_from_fov(fov_deg, int(match[1]), int(match[2])).fx


def _notes(plan: SessionPlan, treatments: list[Treatment], sessions: int, rate: float) -> list[str]:
    each = plan.per_cell // sessions
    return [
        f"{plan.per_cell} photographs of each of {', '.join(treatments)} from each of "
        f"{len(plan.stations)} stations, {each} a session in {sessions} sessions: "
        f"{plan.photographs} in all. At a success rate of {rate:.0%} the 95 % interval of a cell "
        f"is then +-{100 * plan.half_width:.0f} points.",
        "Tape distances run from the camera to the target's middle; 'out' and 'right' are measured "
        "on the floor from the point below it, straight out and to the right as one faces it "
        "(negative: left). Move and put back the camera between photographs. Keep focus and zoom, "
        "switch off stabilisation, and note the light.",
    ]


def _print(plan: SessionPlan, notes: list[str], sized: bool) -> None:
    for note in notes[:1]:
        out.print(note, markup=False)
    table = Table("station", "tape m", "ft", "yaw", "out m", "right m", box=box.SIMPLE)
    if sized:
        table.add_column("target px", justify="right")
        table.add_column("cell px", justify="right")
    for one in plan.stations:
        row = [
            one.name,
            f"{one.distance_m:.2f}",
            f"{one.distance_m / M_PER_FOOT:.1f}",
            f"{one.yaw_deg:g}",
            f"{one.along_m:.2f}",
            f"{one.across_m:+.2f}",
        ]
        if sized:
            row.append("-" if one.target_px is None else f"{one.target_px:.0f}")
            row.append("-" if one.cell_px is None else f"{one.cell_px:.1f}")
        table.add_row(*row)
    out.print(table)
    for one in plan.stations:
        if one.warning:
            out.print(f"Station {one.name}: {one.warning}.", markup=False)
    if not sized:
        out.print("For sizes in pixels give --camera or --fov-deg.", markup=False)
