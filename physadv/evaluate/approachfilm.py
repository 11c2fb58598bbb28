"""A rendered drive towards a sign as films, with the truth of every frame beside them."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import printed_colours
from physadv.calibrate.camera import save_camera
from physadv.checks import UserError
from physadv.data.boxes import FrameBox, write_boxes
from physadv.data.files import atomic_path
from physadv.evaluate.approach import Approach, Truth, camera_of, render, truths
from physadv.evaluate.conditions import sample_conditions
from physadv.evaluate.judging import check_carrier
from physadv.evaluate.renderer import SignTexture
from physadv.evaluate.simulations import (
    BOXES,
    Frames,
    Progress,
    Write,
    begin,
    no_progress,
    write_films,
)
from physadv.scene.schema import Scene
from physadv.seeding import generator_for
from physadv.types import Treatment

Picture = npt.NDArray[np.uint8]

TRUTH, CAMERA = "truth.csv", "camera.json"
_LABEL, _ORIGIN = "stop sign", "rendered"
_COLUMNS = ("frame", "time_s", "distance_m", "along_m", "x1", "y1", "x2", "y2")


def simulate_approach(
    scene: Scene,
    approach: Approach,
    out: Path,
    write: Write,
    *,
    artwork: Artwork | None = None,
    treatments: Sequence[Treatment] = ("clean",),
    street: Picture | None = None,
    seed: int = 0,
    about: Mapping[str, Any],
    replace: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Render a drive, once for each treatment, and write what is known of it.

    All treatments share scenery, light, optics and noise: one draw from the scene's ``judge``
    ranges. A call that was interrupted goes on after the last film that it finished.

    Args:
        scene: Face, camera, and the judge's ranges.
        approach: The drive.
        out: Folder for ``TREATMENT.mp4``, ``truth.csv``, ``boxes.csv``, ``camera.json`` and
            ``simulation.json``.
        write: Encodes frames into a new file at a path.
        artwork: What is stuck on the sign; needed by every treatment but clean.
        treatments: What to render.
        street: [H,W,3] uint8 RGB photograph of what is behind the sign; None draws something.
        seed: Seed of scenery, conditions and noise.
        about: What else decides the films' content (street, encoder), for the manifest.
        replace: Whether another simulation in ``out`` may be lost.
        progress: Called as (task, frames done, of how many).

    Returns:
        The manifest.

    Raises:
        UserError: If the sign is not seen, a treatment needs an artwork, the artwork is for
            another carrier, or ``out`` holds other films.
    """
    if artwork is None and any(treatment != "clean" for treatment in treatments):
        raise UserError(
            f"render {', '.join(treatments)}",
            "there is no artwork",
            "Give --run, or render the clean sign alone.",
        )
    if artwork is not None:
        check_carrier(scene, artwork)
    known = truths(scene, approach)
    key = {
        "scene": scene.model_dump(mode="json", exclude={"folder"}),
        "approach": asdict(approach),
        "artwork": None if artwork is None else artwork.sha256,
        "seed": seed,
        **about,
    }
    said = {"frames": len(known), "size_px": [scene.camera.width_px, scene.camera.height_px]}
    said |= {"distance_m": [known[0].distance_m, known[-1].distance_m]}
    said |= {"sign_width_mm": scene.carrier.width_mm}
    manifest = begin(out, key, said, treatments, replace=replace)
    save_camera(camera_of(scene), out / CAMERA)
    write_truth(out / TRUTH, known)
    conditions = sample_conditions(scene.judge, generator_for(seed, "approach conditions"))
    mask = np.zeros((scene.mask_texels, scene.mask_texels), bool)
    sign = SignTexture(scene, mask if artwork is None else artwork.mask)

    def frames(treatment: Treatment) -> Frames:
        colours = None
        if artwork is not None and treatment != "clean":
            colours = printed_colours(artwork, treatment)
        pictures = render(scene, approach, sign, colours, conditions, street=street, seed=seed)
        for one, picture in zip(known, pictures, strict=True):
            yield one.time_s, picture
            progress(f"render {treatment}", one.frame + 1, len(known))

    write_films(out, manifest, treatments, frames, write)
    label = _LABEL if _LABEL in scene.carrier.true_class else ""
    boxes = [FrameBox(one.frame, one.box, label, 1.0, _ORIGIN) for one in known]
    write_boxes(out / BOXES, [(one["file"], boxes) for one in manifest["films"].values()])
    return manifest


def write_truth(path: Path, known: Sequence[Truth]) -> None:
    """Write frame, time, distances, box and outline as CSV, atomically, with full precision."""
    corners = [f"corner{n}_{axis}" for n in range(1, len(known[0].outline) + 1) for axis in "xy"]
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*_COLUMNS, *corners])
        for one in known:
            values = [one.time_s, one.distance_m, one.along_m, *one.box, *one.outline.ravel()]
            writer.writerow([one.frame, *(repr(float(value)) for value in values)])


def read_truth(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """The columns of a file that ``write_truth`` wrote, by name: [N] each."""
    with path.open(newline="", encoding="utf-8") as stream:
        header, *rows = list(csv.reader(stream))
    return dict(zip(header, np.array(rows, dtype=np.float64).T, strict=True))
