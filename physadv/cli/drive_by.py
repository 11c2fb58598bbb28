"""evaluate drive-by: films of an approach."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from physadv.calibrate.camera import load_camera
from physadv.checks import UsageError, UserError
from physadv.cli.console import goes_on, progress_line
from physadv.cli.drivefiles import keep_drives
from physadv.cli.driveoptions import (
    check_cameras,
    check_cases,
    check_distance,
    finders_for,
    parse_anchor,
    parse_rule,
    true_names,
)
from physadv.cli.options import Device, FovDeg, JudgedNames, TrueNames, parse_treatment
from physadv.data.environment import choose_device
from physadv.data.films import is_camera
from physadv.engine.local import Report, engine_of
from physadv.evaluate.capture_plan import printed_runs
from physadv.evaluate.drive_by import Drive, film_of, judge_film
from physadv.evaluate.drive_film import annotate_film, annotated_path
from physadv.evaluate.drive_plan import Car, DrivePlan, FilmCase
from physadv.evaluate.filmlist import film_cases, read_film_list
from physadv.evaluate.trackchoice import Choice


def drive_by(
    victim: JudgedNames,
    result: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Where results go. Called again with the same one, nothing is looked at twice; "
            "the report is on the films given.",
        ),
    ],
    videos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="VIDEO...",
            help="Films, folders of frames, or camera:N. Their names or folders say what they "
            "show: clean.mp4, noise/pass_2.mov, adversarial_3.mp4.",
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Films instead: file, treatment, boxes, speed_log, log_start_s, anchor_s, "
            "anchor_m.",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Run whose artwork is in the films: its classes are meant, its markers looked for."
        ),
    ] = None,
    truth: TrueNames = None,
    target: Annotated[
        str,
        typer.Option(
            metavar="CLASS", help="The attacker's class (default: the run's).", show_default=False
        ),
    ] = "",
    treatment: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Treatment of films that do not say: clean, blank, noise, control or adversarial.",
        ),
    ] = "",
    every: Annotated[int, typer.Option(help="Look at every Nth frame.", min=1, metavar="N")] = 10,
    fps: Annotated[
        float | None,
        typer.Option(help="Look at so many frames a second instead.", show_default=False),
    ] = None,
    finder: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Detector that finds the object, better not a victim; may be repeated (default: "
            "the victims' own, or yolov8n if there is none and no markers).",
            show_default=False,
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Where the object is, instead of finders: file, frame, x1, y1, x2, y2.",
        ),
    ] = None,
    follow: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help="Which of several objects: largest, longest, left, right, or TIME:X,Y.",
        ),
    ] = "largest",
    object_height_mm: Annotated[
        float | None,
        typer.Option(help="Height of the object: its box gives distances.", show_default=False),
    ] = None,
    sign_width_mm: Annotated[
        float | None,
        typer.Option(
            help="Width of a stop sign instead: the edge of its red field gives distances.",
            show_default=False,
        ),
    ] = None,
    camera: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="From `physadv calibrate camera`.")
    ] = None,
    fov_deg: FovDeg = None,
    speed_log: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV|GPX",
            help="Distances from the car's own log: time_s and speed_kmh, speed_mps, speed_mph "
            "or travelled_m; or a GPX track.",
        ),
    ] = None,
    log_start_s: Annotated[float, typer.Option(help="The log's time at the first frame.")] = 0.0,
    distance_at: Annotated[
        str,
        typer.Option(
            metavar="TIME=METRES",
            help="How far the object was at a time of the film, for the log.",
            show_default=False,
        ),
    ] = "",
    monotone: Annotated[
        bool, typer.Option("--monotone", help="The car only came nearer: distances never grow.")
    ] = False,
    confirm: Annotated[
        str,
        typer.Option(metavar="M/N", help="The object is known from M hits in N samples on."),
    ] = "3/5",
    speed_kmh: Annotated[
        list[float] | None,
        typer.Option(help="Speeds whose braking points are judged; may be repeated (20, 30, 50)."),
    ] = None,
    reaction_s: Annotated[float, typer.Option(help="Time until the brakes act.")] = 1.0,
    deceleration_mps2: Annotated[float, typer.Option(help="Of the car.")] = 4.0,
    annotate: Annotated[
        bool, typer.Option("--annotate", help="Write films with what was read drawn in.")
    ] = False,
    frame_rate: Annotated[
        float | None,
        typer.Option(help="At which the pictures of a folder were taken.", show_default=False),
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long to look through a camera.")] = 60.0,
    workers: Annotated[int, typer.Option(help="Films judged side by side.", min=1)] = 1,
    json_out: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False,
    device: Device = "auto",
) -> None:
    """Judge films of an approach: what is read, from how far away, and in time to brake or not.

    The object is found, followed and ranged; every victim reads it in each sampled frame. A rate
    of frames misleads where a car latches what it has once seen: M-of-N confirmation and the
    braking point tell what matters.
    """
    chosen = parse_treatment(treatment)
    if manifest is not None and (videos or boxes is not None or speed_log is not None):
        raise UsageError("--manifest", "films, boxes or a log as well", "Give one or the other.")
    if manifest is None and not videos:
        raise UsageError("judge films", "none given", "Give films, or --manifest.")
    runs, layouts = printed_runs([run] if run is not None else [])
    printed = runs[0] if runs else None
    if manifest is not None:
        cases = read_film_list(manifest)
    else:
        cases = film_cases(
            videos or [],
            treatment=chosen,
            boxes=boxes,
            speed_log=speed_log,
            log_start_s=log_start_s,
            anchor=parse_anchor(distance_at),
            marked=bool(layouts),
        )
    check_cases(cases, manifest, given=(distance_at, log_start_s))
    on = str(choose_device(device))
    marked = bool(layouts) and printed is not None and not printed.worn
    boxed = all(case.boxes is not None for case in cases)
    plan = DrivePlan(
        tuple(dict.fromkeys(victim)),
        true_names(truth or [], printed),
        target or ("" if printed is None else printed.target),
        printed,
        layouts,
        finders_for(finder or [], victim, on, marked=marked, boxed=boxed),
        every,
        fps,
        frame_rate,
        seconds,
        Choice.parse(follow),
        None if camera is None else load_camera(camera),
        fov_deg,
        object_height_mm,
        sign_width_mm,
        monotone,
        Car(
            *parse_rule(confirm),
            tuple(speed_kmh or (20.0, 30.0, 50.0)),
            reaction_s,
            deceleration_mps2,
        ),
        on,
    )
    check_distance(plan)
    check_cameras(cases, plan)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    drives: list[Drive] = []
    with goes_on("what was seen is kept"), progress_line() as line:
        for drive in engine_of(workers).map(
            partial(_judge, plan=plan, out=result, annotate=annotate), cases, line.update
        ):
            drives.append(drive)
    if not any(drive.records for drive in drives):
        raise UserError(
            "judge films",
            "; ".join(f"{drive.case.name}: {drive.problem}" for drive in drives),
            "Nothing was written but what was seen.",
        )
    keep_drives(result, drives, plan, started, json_out=json_out)


def _judge(case: FilmCase, report: Report, *, plan: DrivePlan, out: Path, annotate: bool) -> Drive:
    """One film, as a task of an engine."""
    try:
        drive = judge_film(case, plan, out, report)
    except UserError as error:
        # One film's fault must not cost the others' results.
        return Drive(case, problem=_one_line(error))
    if not annotate or drive.followed is None or is_camera(case.source):
        return drive
    undrawn = []
    for victim, readings in drive.readings.items():
        try:
            annotate_film(
                annotated_path(out, case.name, victim),
                film_of(case, plan),
                drive.followed,
                victim,
                readings,
                plan.car,
                partial(report, f"draw {case.name} ({victim})"),
            )
        except UserError as error:  # what was judged stands without its picture
            undrawn.append(_one_line(error))
    return replace(drive, undrawn=tuple(undrawn))


def _one_line(error: UserError) -> str:
    return f"{error.asked}: {error.got}. {error.do}"
