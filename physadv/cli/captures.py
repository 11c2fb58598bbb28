"""evaluate captures: photographs of prints, taken with a camera."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from physadv.calibrate.camera import load_camera
from physadv.checks import UsageError, UserError
from physadv.cli.capturefiles import keep_captures
from physadv.cli.console import out, progress_line
from physadv.cli.options import Device, FovDeg, JudgedNames, TrueNames, parse_treatment
from physadv.data.environment import choose_device
from physadv.data.photographs import PhotoFile, photo_files
from physadv.evaluate.annotations import read_coco_boxes
from physadv.evaluate.capture_plan import CapturePlan, printed_runs
from physadv.evaluate.capture_trials import CaptureTable
from physadv.evaluate.captures import read_captures
from physadv.evaluate.shotlist import ShotList, read_shotlist
from physadv.scene.catalog import load_grid
from physadv.victim.named import load_judged


def captures(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Photographs, in subfolders too, or a ZIP.")
    ],
    victim: JudgedNames,
    result: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Where results go. Called again with the same one, only new photographs and "
            "victims are read.",
        ),
    ],
    run: Annotated[
        list[Path] | None,
        typer.Option(help="Run whose prints are in the photographs; may be repeated."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="file, treatment, distance_m or distance_ft, yaw_deg, pitch_deg, roll_deg, "
            "session, true_class, target_class, left, top, right, bottom (px); any of them.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS=THEIRS",
            help="The manifest's name for a column, e.g. yaw_deg=angle; may be repeated.",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Split cells by this column as well; may be repeated."),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(metavar="COCO.json", help="Boxes of the objects; file names as in FOLDER."),
    ] = None,
    truth: TrueNames = None,
    target: Annotated[
        str,
        typer.Option(
            metavar="CLASS",
            help="The attacker's class, or \"nothing\" (default: the run's).",
            show_default=False,
        ),
    ] = "",
    same: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=CLASS[|CLASS]",
            help="What the manifest's class is called by the victims; may be repeated.",
        ),
    ] = None,
    treatment: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Treatment of photographs that no marker, manifest or folder tells: clean, "
            "blank, noise, control or adversarial.",
        ),
    ] = "",
    camera: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help="From `physadv calibrate camera` (default: the EXIF focal length, coarse).",
        ),
    ] = None,
    fov_deg: FovDeg = None,
    sign_width_mm: Annotated[
        float | None,
        typer.Option(
            help="Width of the stop sign: without a sheet, its octagon gives the pose.",
            show_default=False,
        ),
    ] = None,
    object_height_mm: Annotated[
        float | None,
        typer.Option(
            help="Height of the object: its box gives a coarse distance.", show_default=False
        ),
    ] = None,
    grid: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="Sort into this grid's cells, not round values."),
    ] = "",
    workers: Annotated[
        int | None,
        typer.Option(
            help="Photographs read side by side, each on one processor (default: as many as torch "
            "uses, up to 8).",
            min=1,
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Read photographs of prints with victims: rates by distance and angle, with controls.

    Treatment and pose come from the sheets' markers, else from the manifest or folder names
    (adversarial, noise, blank, clean, control).
    """
    files = photo_files(folder)
    listed = _manifest(manifest, column or [], by or [], files)
    plan = _plan(
        run or [],
        listed,
        boxes,
        truth or [],
        target,
        same or [],
        treatment,
        camera,
        fov_deg,
        sign_width_mm,
        object_height_mm,
        grid,
    )
    if (
        not plan.truth
        and not plan.printed
        and not any(shot.true_class for shots in plan.shots.values() for shot in shots)
    ):
        raise UsageError(
            "judge photographs", "nothing says what is right to read", "Give --truth or --run."
        )
    chosen = choose_device(device)
    victims = [load_judged(name).to(chosen) for name in victim]
    table = CaptureTable()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with progress_line() as line:
        for captured in read_captures(
            files,
            victims,
            plan,
            result,
            workers=workers,
            progress=lambda done, total, words: line.update("photographs", done, total, words),
        ):
            table.add(captured, plan, victims)
    missing = sorted(set(plan.shots) - {file.name for file in files})
    table.skipped += [(name, f"in the manifest, but not in {folder}") for name in missing]
    if not table.trials:
        why = Counter(reason for _, reason in table.skipped).most_common(1)
        raise UserError(
            f"judge the {len(files)} photographs in {folder}",
            f"none can be used ({why[0][0] if why else 'there is none'})",
            "Give a manifest, folders named after treatments, or --treatment.",
        )
    keep_captures(folder, result, table, plan, [v.name for v in victims], started)


def _manifest(
    path: Path | None, columns: list[str], by: list[str], files: list[PhotoFile]
) -> ShotList:
    if path is None:
        if columns or by:
            raise UsageError("--column or --by", "no --manifest", "Give the CSV file too.")
        return ShotList({})
    pairs = dict(_pair(text, "--column") for text in columns)
    listed = read_shotlist(path, pairs, by)
    names = {file.name for file in files}
    if listed.shots and not names & set(listed.shots):
        raise UserError(
            f"manifest {path}",
            f"it lists {next(iter(listed.shots))} and others, the folder holds {files[0].name} "
            "and others; no name is in both",
            "Names are paths below the folder, with slashes.",
        )
    for note in listed.notes:
        out.print(f"{path}: {note}", markup=False)
    return listed


def _plan(
    runs: list[Path],
    listed: ShotList,
    boxes: Path | None,
    truth: list[str],
    target: str,
    same: list[str],
    treatment: str,
    camera: Path | None,
    fov_deg: float | None,
    sign_width_mm: float | None,
    object_height_mm: float | None,
    grid: str,
) -> CapturePlan:
    known = parse_treatment(treatment)
    if camera is not None and fov_deg is not None:
        raise UsageError("--camera and --fov-deg", "both", "Give one of them.")
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for name, _, (x, y, width, height) in read_coco_boxes(boxes) if boxes is not None else ():
        found.setdefault(name, []).append((x, y, x + width, y + height))
    aliases = {
        name.casefold(): tuple(part.strip() for part in classes.split("|"))
        for name, classes in (_pair(text, "--same") for text in same)
    }
    printed, layouts = printed_runs(runs)
    return CapturePlan(
        printed,
        layouts,
        listed.shots,
        {name: tuple(values) for name, values in found.items()},
        tuple(truth),
        target,
        known,
        aliases,
        None if camera is None else load_camera(camera),
        fov_deg,
        sign_width_mm,
        object_height_mm,
        tuple((c.distance_m, c.yaw_deg) for c in load_grid(grid).cells) if grid else (),
    )


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip() and value.strip()):
        raise UsageError(f"{option} {text!r}", "not NAME=VALUE", "Write it with one equals sign.")
    return name.strip(), value.strip()
