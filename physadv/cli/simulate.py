"""simulate drive-by, simulate approach: films to rehearse with before anything is printed."""

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from physadv.artwork.files import load_artwork
from physadv.checks import UsageError, UserError, check_name
from physadv.cli.console import err, goes_on, out, progress_line
from physadv.cli.options import RunFolder, Seed
from physadv.data.boxes import read_boxes
from physadv.data.files import read_image_rgb, read_json, sha256_of
from physadv.data.films import is_camera, open_film
from physadv.data.videowriter import write_video
from physadv.evaluate.approach import Approach
from physadv.evaluate.approachfilm import CAMERA, TRUTH, simulate_approach
from physadv.evaluate.finding import find_boxes
from physadv.evaluate.paintin import PaintIn, paint_in
from physadv.evaluate.simulations import BOXES
from physadv.evaluate.trackchoice import RULES, Choice
from physadv.scene.catalog import load_scene
from physadv.scene.faces import FACES, StopFace
from physadv.scene.objects import ObjectScene
from physadv.scene.schema import Scene
from physadv.types import TREATMENTS, Treatment
from physadv.victim.detector import DetectorVictim
from physadv.victim.named import load_named

app = typer.Typer(
    help="Make films to rehearse with before anything is printed.",
    no_args_is_help=True,
    add_completion=False,
)

Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the films go.")]
Treatments = Annotated[
    list[str] | None,
    typer.Option(
        "--treatment",
        metavar="NAME",
        help=f"One of {', '.join(TREATMENTS)}; may be repeated (default: all that can be made).",
        show_default=False,
    ),
]
Quality = Annotated[
    int, typer.Option(help="H.264 constant rate factor: 0 is lossless, 23 usual.", min=0, max=51)
]
ReplaceFilms = Annotated[
    bool, typer.Option("--replace", help="Let another simulation in the folder be lost.")
]


@app.command("drive-by")
def drive_by(
    run: RunFolder,
    video: Annotated[
        str,
        typer.Argument(
            metavar="VIDEO", help="Film of the clean object, or a folder of its frames."
        ),
    ],
    folder: Out,
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Where the object is, instead of a finder: file, frame, x1, y1, x2, y2.",
        ),
    ] = None,
    finder: Annotated[
        str, typer.Option(metavar="NAME", help="Detector that finds the object.")
    ] = "yolov8n",
    follow: Annotated[
        str,
        typer.Option(
            metavar="RULE",
            help=f"Which of several objects: {', '.join(RULES)}, or TIME:X,Y.",
        ),
    ] = "largest",
    treatment: Treatments = None,
    frame_rate: Annotated[
        float | None,
        typer.Option(help="At which the pictures of a folder were taken.", show_default=False),
    ] = None,
    grain: Annotated[
        bool, typer.Option("--grain", help="Give prints the noise of the sign's red field.")
    ] = False,
    crf: Quality = 18,
    seed: Seed = 0,
    replace: ReplaceFilms = False,
) -> None:
    """Paint a run's artwork and its controls into a real film of the clean sign or person.

    The object is found and followed, unless its boxes are given. Light, blur and corners are read
    off it in each frame and smoothed. The clean film is written again as well, so that all have
    been through the same encoder.
    """
    if is_camera(video):
        raise UsageError(f"paint into {video}", "a camera's film is there only once", "Film first.")
    artwork = load_artwork(run)
    job = PaintIn(artwork, _scene_of(run), run.resolve().name, _treatments(treatment), grain, seed)
    film = open_film(video, frame_rate=frame_rate)
    choice = Choice.parse(follow)
    for note in film.notes:
        err.print(note, markup=False)
    with goes_on("films that were finished are kept"), progress_line() as line:
        if boxes is not None:
            found, origin = read_boxes(boxes, film.name), sha256_of(boxes)
        else:
            seer = _finder(finder)
            found = find_boxes(film, seer, job.true_names, choice, line.update)
            origin = f"{seer.name} {seer.weights_sha256}, {follow}"
        manifest = paint_in(
            job,
            film,
            found,
            folder,
            partial(write_video, crf=crf),
            about={"boxes": origin, "crf": crf},
            replace=replace,
            progress=line.update,
        )
    painted, boxed = manifest["frames_painted"], manifest["frames_with_box"]
    out.print(f"painted {painted} of {boxed} frames that have a box", markup=False)
    if manifest["frames_not_painted"]:
        left = ", ".join(manifest["frames_not_painted"])
        out.print(f"left as they are: frames {left} (object not recognised)", markup=False)
    for name, (least, middle, most) in manifest["measured"].items():
        out.print(f"  {name:10} {least:g} to {most:g}, median {middle:g}", markup=False)
    _tell(folder, manifest, ["--boxes", folder / BOXES, "--run", run])


@app.command("approach")
def approach(
    folder: Out,
    scene: Annotated[
        str | None,
        typer.Argument(
            metavar="SCENE",
            help="Scene of a sign, by name or file (default: that of --run, else stop_sign).",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run whose artwork is stuck on the sign."),
    ] = None,
    treatment: Treatments = None,
    speed_kmh: Annotated[float, typer.Option(help="Speed of the car.")] = 30.0,
    start_m: Annotated[float, typer.Option(help="Where it starts, along the road.")] = 75.0,
    end_m: Annotated[float, typer.Option(help="Where it ends.")] = 5.0,
    fps: Annotated[float, typer.Option(help="Frames a second.")] = 30.0,
    lateral_m: Annotated[float, typer.Option(help="Sign's middle right of the camera.")] = 3.0,
    height_m: Annotated[float, typer.Option(help="Sign's middle above the camera.")] = 0.9,
    turn_deg: Annotated[float, typer.Option(help="Face turned towards the camera's side.")] = 0.0,
    shutter_s: Annotated[float, typer.Option(help="Exposure of a frame.")] = 0.002,
    background: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTO",
            help="A road without signs, behind the sign; on a drawn one detectors see little.",
        ),
    ] = None,
    crf: Quality = 18,
    seed: Seed = 0,
    replace: ReplaceFilms = False,
) -> None:
    """Render a drive towards a sign with OpenCV, and write the truth of every frame.

    Distance, box and corners of the sign are known exactly: what measures them can be tested.
    """
    artwork = None if run is None else load_artwork(run)
    drive = Approach(speed_kmh, start_m, end_m, fps, lateral_m, height_m, turn_deg, shutter_s)
    shown = _treatments(treatment) if treatment or artwork is not None else ("clean",)
    sign = _sign_scene(scene, run)
    street = None if background is None else read_image_rgb(background)
    behind = None if background is None else sha256_of(background)
    with goes_on("films that were finished are kept"), progress_line() as line:
        manifest = simulate_approach(
            sign,
            drive,
            folder,
            partial(write_video, crf=crf),
            artwork=artwork,
            treatments=shown,
            street=street,
            seed=seed,
            about={"background": behind, "crf": crf},
            replace=replace,
            progress=line.update,
        )
    far, near = manifest["distance_m"]
    out.print(
        f"{manifest['frames']} frames from {far:.2f} m to {near:.2f} m; distance, box and corners "
        f"of each are in {folder / TRUTH}",
        markup=False,
    )
    known: list[object] = ["--camera", folder / CAMERA]
    # Where it can be told, a sign's edge says more than a detector's box.
    edged = isinstance(FACES.get(sign.carrier.face), StopFace)
    known += ["--sign-width-mm" if edged else "--object-height-mm", f"{sign.carrier.width_mm:g}"]
    truth = [word for name in sign.carrier.true_class for word in ("--truth", name)]
    _tell(folder, manifest, known + (truth if run is None else ["--run", run]))


def _treatments(names: list[str] | None) -> tuple[Treatment, ...]:
    """What is asked for, once each and in the usual order; all if nothing is."""
    for name in names or ():
        check_name("treatment", name, TREATMENTS)
    return tuple(name for name in TREATMENTS if not names or name in names)


def _finder(name: str) -> DetectorVictim:
    """A detector by name."""
    found = load_named(name)
    if not isinstance(found, DetectorVictim):
        raise UsageError(f"find objects with {name}", "it is no detector", "Give a detector.")
    return found


def _scene_of(run: Path) -> Scene | ObjectScene:
    """The scene that a run was made with."""
    recorded = read_json(run / "run.json")
    try:
        scene = recorded["scene"]
        kind = ObjectScene if scene.get("kind") == "objects" else Scene
        return kind.model_validate(scene)
    except (AttributeError, KeyError, TypeError, ValidationError) as error:
        raise UserError(
            f"the scene of {run}",
            f"run.json does not hold it ({type(error).__name__})",
            "Give a run that `physadv generate` or `physadv patch` made.",
        ) from error


def _sign_scene(name: str | None, run: Path | None) -> Scene:
    """The scene that a drive is rendered from."""
    if name is not None or run is None:
        return load_scene(name or "stop_sign")
    scene = _scene_of(run)
    if isinstance(scene, ObjectScene):
        raise UserError(
            f"drive towards the scene {scene.name}",
            "it is made of photographs of objects, not of a sign",
            "Paint its patch into a film with `physadv simulate drive-by`.",
        )
    return scene


def _tell(folder: Path, manifest: dict[str, Any], known: list[object]) -> None:
    """Say what was written, and how to judge it with what is ``known``."""
    films = [one["file"] for one in manifest["films"].values()]
    out.print(
        f"{folder}: {', '.join(films)}; the object's boxes are in {folder / BOXES}", markup=False
    )
    words = [*(folder / name for name in films), *known]
    command = shlex.join(["physadv", "evaluate", "drive-by", *map(str, words)])
    out.print(f"judge with:\n  {command} --victim NAME --out FOLDER", markup=False)
