"""Paint-in: an artwork and its controls painted into a real film, to rehearse before printing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import printed_colours
from physadv.checks import UserError
from physadv.data.boxes import FrameBox, write_boxes
from physadv.data.files import write_json
from physadv.data.film import Film
from physadv.evaluate.painters import Painter, PatchPainter, SignPainter, Worn, smooth_worn, wear
from physadv.evaluate.placements import load_placements, save_placements
from physadv.evaluate.signtrack import Placed, check_face, sight, smooth_track
from physadv.evaluate.simulations import (
    BOXES,
    MANIFEST,
    Frames,
    Progress,
    Write,
    begin,
    no_progress,
    write_films,
)
from physadv.scene.objects import ObjectScene
from physadv.scene.schema import Scene
from physadv.types import Treatment

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]
Placements = dict[int, Placed] | dict[int, Worn]

PLACEMENTS = "placements.csv"
_SLACK_PX = 2.0
_ORIGIN = "paint-in"


@dataclass(frozen=True)
class PaintIn:
    """What is painted into a film, and how.

    ``run`` names the artwork's run. ``grain`` gives prints the noise of the sign. ``seed`` is that
    of the grain; the noise control is the same as ``physadv print`` makes.
    """

    artwork: Artwork
    scene: Scene | ObjectScene
    run: str
    treatments: Sequence[Treatment]
    grain: bool = False
    seed: int = 0

    @property
    def true_names(self) -> tuple[str, ...]:
        """What the object is called."""
        scene = self.scene
        return scene.carrier.true_class if isinstance(scene, Scene) else scene.true_class

    def __post_init__(self) -> None:
        if isinstance(self.scene, Scene):
            check_face(self.scene.carrier.face)
        elif self.grain:
            raise UserError(
                "grain on a patch",
                "grain is read off a sign's plain red field, and a person has none",
                "Leave it out.",
            )


def paint_in(
    job: PaintIn,
    film: Film,
    boxes: Mapping[int, FrameBox],
    out: Path,
    write: Write,
    *,
    about: Mapping[str, Any],
    replace: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Write one film for each treatment, their boxes, and what was measured and done.

    A call that was interrupted goes on after the last film that it finished.

    Args:
        job: What is painted.
        film: The clean film.
        boxes: The object's box in each frame that shows it; the others stay as they are.
        out: Folder for ``TREATMENT.mp4``, ``boxes.csv``, ``placements.csv``, ``simulation.json``.
        write: Encodes frames into a new file at a path.
        about: What else decides the films' content (boxes, encoder), for the manifest.
        replace: Whether another paint-in in ``out`` may be lost.
        progress: Called as (task, frames done, of how many).

    Returns:
        The manifest.

    Raises:
        UserError: If the boxes are not of this film, no frame shows the object, or ``out`` holds
            other films.
    """
    _check_boxes(film, boxes)
    key = {"artwork": job.artwork.sha256, "film": film.identity, "seed": job.seed}
    key |= {"grain": job.grain, **about}
    said = {
        "run": job.run,
        "scene": job.scene.name,
        "target": job.artwork.target,
        "film": film.name,
        "size_px": [film.width_px, film.height_px],
    }
    manifest = begin(out, key, said, job.treatments, replace=replace)
    placements = _placements(job, film, boxes, out, manifest, progress)
    painter = _painter(job, placements)
    write_films(
        out,
        manifest,
        job.treatments,
        lambda treatment: _painted(job, film, painter, treatment, progress),
        write,
    )
    shown = [
        FrameBox(n, box, boxes[n].label, 1.0, _ORIGIN)
        for n in placements
        if (box := painter.box(n)) is not None
    ]
    written = [one["file"] for one in manifest["films"].values()]
    write_boxes(out / BOXES, [(file, shown) for file in written])
    return manifest


def _check_boxes(film: Film, boxes: Mapping[int, FrameBox]) -> None:
    size = np.array([film.width_px, film.height_px])
    for one in boxes.values():
        if (one.box[:2] < -_SLACK_PX).any() or (one.box[2:] > size + _SLACK_PX).any():
            raise UserError(
                f"boxes of {film.name}",
                f"frame {one.frame}: {', '.join(f'{v:g}' for v in one.box)} lies outside its "
                f"{film.width_px} x {film.height_px} px",
                "Give boxes made on this film, in its own pixels.",
            )


def _placements(
    job: PaintIn,
    film: Film,
    boxes: Mapping[int, FrameBox],
    out: Path,
    manifest: dict[str, Any],
    progress: Progress,
) -> Placements:
    """Measured now, or read from the part of this paint-in that was done."""
    if (out / PLACEMENTS).is_file() and "frames" in manifest:
        return load_placements(out / PLACEMENTS)
    count, placements = _follow(job, film, boxes, progress)
    beyond = [n for n in boxes if n >= count]
    if beyond:
        raise UserError(
            f"boxes of {film.name}",
            f"they go on to frame {max(beyond)}, the film has {count} frames",
            "Give boxes made on this film, one row a frame, counted from 0.",
        )
    if not placements:
        raise UserError(
            f"paint into {film.name}",
            "nothing like the run's object was found in any of the boxes",
            "Check that the boxes are of that object, and that it is at least about 20 px high.",
        )
    save_placements(out / PLACEMENTS, placements)
    left = [n for n in boxes if n not in placements]
    manifest |= {
        "frames": count,
        "frames_with_box": len(boxes),
        "frames_painted": len(placements),
        "frames_not_painted": _ranges(left),
        "measured": _measured(placements),
    }
    write_json(out / MANIFEST, manifest)
    return placements


def _follow(
    job: PaintIn, film: Film, boxes: Mapping[int, FrameBox], progress: Progress
) -> tuple[int, Placements]:
    """How many frames the film has, and where the print goes in them."""
    found: dict[int, Any] = {}
    count = 0
    for frame in film.frames():
        count = frame.index + 1
        if frame.index in boxes:
            box = boxes[frame.index].box
            if isinstance(job.scene, Scene):
                one: Any = sight(frame.rgb, box, job.scene.carrier.face)
            else:
                one = wear(frame.rgb, box)
            if one is not None:
                found[frame.index] = one
        progress("find the object", count, max(film.frames_hint, count))
    frames = np.array(sorted(boxes), dtype=np.int64)
    if isinstance(job.scene, Scene):
        return count, smooth_track(found, frames, film.width_px, film.height_px)
    return count, smooth_worn(found, frames)


def _painter(job: PaintIn, placements: Placements) -> Painter:
    if isinstance(job.scene, Scene):
        placed = cast("dict[int, Placed]", placements)
        return SignPainter(placed, job.artwork.mask, job.grain, job.seed)
    return PatchPainter(cast("dict[int, Worn]", placements), job.scene)


def _painted(
    job: PaintIn, film: Film, painter: Painter, treatment: Treatment, progress: Progress
) -> Frames:
    colours = None if treatment == "clean" else printed_colours(job.artwork, treatment)
    for frame in film.frames():
        shown = frame.rgb if colours is None else painter.paint(frame.index, frame.rgb, colours)
        yield frame.time_s, shown
        done = frame.index + 1
        progress(f"paint {treatment}", done, max(film.frames_hint, done))


def _ranges(numbers: list[int]) -> list[str]:
    """Ascending frame numbers as "3-7", "9"."""
    parts = np.split(np.array(numbers), np.flatnonzero(np.diff(numbers) != 1) + 1)
    return [
        f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts if len(part)
    ]


def _measured(placements: Placements) -> dict[str, list[float]]:
    """Least, median and largest of what the placements say, for a person to look at."""
    series: dict[str, list[float]] = {}
    for one in placements.values():
        if isinstance(one, Placed):
            width = float(np.ptp(one.square[:, 0]))
            values = {"width_px": width, "blur_px": one.look.blur_px, "grain": one.look.grain}
            values |= {"gain": float(one.look.light.gain.mean())}
            values |= {"haze": float(one.look.light.offset[0])}
        else:
            values = {"height_px": float(one.box[3] - one.box[1]), "blur_px": one.blur_px}
            values |= {"black": one.black, "white": one.white}
        for name, value in values.items():
            series.setdefault(name, []).append(value)
    return {
        name: [round(float(v), 3) for v in np.percentile(values, (0, 50, 100))]
        for name, values in series.items()
    }
