"""Paint-in: an artwork and its controls painted into a real film, to rehearse before printing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import printed_colours
from physadv.checks import UserError
from physadv.data.boxes import FrameBox, write_boxes
from physadv.data.files import atomic_path, read_json, sha256_of, write_json
from physadv.evaluate.painters import Painter, PatchPainter, SignPainter, Worn, smooth_worn, wear
from physadv.evaluate.placements import load_placements, save_placements
from physadv.evaluate.signtrack import Placed, check_face, sight, smooth_track
from physadv.scene.objects import ObjectScene
from physadv.scene.schema import Scene
from physadv.types import Treatment

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]
Frames = Iterator[tuple[float, Picture]]
Progress = Callable[[str, int, int], None]
Placements = dict[int, Placed] | dict[int, Worn]

FORMAT = "physadv paint-in 1"
MANIFEST, BOXES, PLACEMENTS = "simulation.json", "boxes.csv", "placements.csv"
_SLACK_PX = 2.0
_ORIGIN = "paint-in"


@dataclass(frozen=True)
class Film:
    """A film that can be read more than once.

    ``read`` begins anew and yields (time_s, picture [H,W,3] uint8 RGB) of every frame; ``count``
    is about how many there are.
    """

    name: str
    width_px: int
    height_px: int
    count: int
    read: Callable[[], Frames]


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
    write: Callable[[Path, Frames], None],
    *,
    about: Mapping[str, Any],
    replace: bool = False,
    progress: Progress = lambda name, done, total: None,
) -> dict[str, Any]:
    """Write one film for each treatment, their boxes, and what was measured and done.

    A call that was interrupted goes on after the last film that it finished.

    Args:
        job: What is painted.
        film: The clean film.
        boxes: The object's box in each frame that shows it; the others stay as they are.
        out: Folder for ``TREATMENT.mp4``, ``boxes.csv``, ``placements.csv``, ``simulation.json``.
        write: Encodes frames into a new file at a path.
        about: What else decides the films' content (checksums, encoder), for the manifest.
        replace: Whether another paint-in in ``out`` may be lost.
        progress: Called as (task, frames done, of how many).

    Returns:
        The manifest.

    Raises:
        UserError: If the boxes are not of this film, no frame shows the object, or ``out`` holds
            other films.
    """
    _check_boxes(film, boxes)
    key = {"artwork": job.artwork.sha256, "seed": job.seed, "grain": job.grain, **about}
    manifest = _begin(out, key, job, film, replace)
    placements = _placements(job, film, boxes, out, manifest, progress)
    painter = _painter(job, placements)
    name = {treatment: f"{treatment}.mp4" for treatment in job.treatments}
    for treatment in job.treatments:
        path = out / name[treatment]
        known = manifest["films"].get(treatment)
        if known and path.is_file() and sha256_of(path) == known["sha256"]:
            continue
        with atomic_path(path) as temporary:
            write(temporary, _painted(job, film, painter, treatment, progress))
        manifest["films"][treatment] = {"file": path.name, "sha256": sha256_of(path)}
        write_json(out / MANIFEST, manifest)
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


def _begin(
    out: Path, key: dict[str, Any], job: PaintIn, film: Film, replace: bool
) -> dict[str, Any]:
    """The manifest to go on with: that of the same paint-in, or a new one."""
    path = out / MANIFEST
    films = [out / f"{treatment}.mp4" for treatment in job.treatments]
    if path.is_file() and not replace:
        found = read_json(path)
        if isinstance(found, dict) and found.get("format") == FORMAT and found.get("key") == key:
            return found
        raise UserError(
            f"write films into {out}",
            "it holds those of another simulation",
            "Choose another --out, or give --replace.",
        )
    if not replace and (there := [film.name for film in films if film.exists()]):
        raise UserError(
            f"write films into {out}",
            f"{', '.join(there)} are there already",
            "Choose another --out, or give --replace.",
        )
    manifest = {
        "format": FORMAT,
        "key": key,
        "run": job.run,
        "scene": job.scene.name,
        "target": job.artwork.target,
        "film": film.name,
        "size_px": [film.width_px, film.height_px],
        "films": {},
    }
    (out / PLACEMENTS).unlink(missing_ok=True)
    write_json(path, manifest)
    return manifest


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
    for number, (_, picture) in enumerate(film.read()):
        count = number + 1
        if number in boxes:
            box = boxes[number].box
            if isinstance(job.scene, Scene):
                one: Any = sight(picture, box, job.scene.carrier.face)
            else:
                one = wear(picture, box)
            if one is not None:
                found[number] = one
        progress("find the object", count, max(film.count, count))
    frames = np.array(sorted(boxes), dtype=np.int64)
    if isinstance(job.scene, Scene):
        return count, smooth_track(found, frames, film.width_px, film.height_px)
    return count, smooth_worn(found, frames)


def _painter(job: PaintIn, placements: Placements) -> Painter:
    if isinstance(job.scene, Scene):
        placed = cast("dict[int, Placed]", placements)
        return SignPainter(placed, job.artwork.mask, job.grain, job.seed)
    return PatchPainter(cast("dict[int, Worn]", placements), job.scene, job.seed)


def _painted(
    job: PaintIn, film: Film, painter: Painter, treatment: Treatment, progress: Progress
) -> Frames:
    colours = None if treatment == "clean" else printed_colours(job.artwork, treatment)
    for number, (time_s, picture) in enumerate(film.read()):
        shown = picture if colours is None else painter.paint(number, picture, colours)
        yield time_s, shown
        progress(f"paint {treatment}", number + 1, max(film.count, number + 1))


def _ranges(numbers: list[int]) -> list[str]:
    """Frame numbers as "3-7", "9"."""
    ends = [n for a, b in pairwise([None, *numbers, None]) if a is None or b is None or b != a + 1
            for n in (a, b) if n is not None]  # fmt: skip
    pairs = zip(ends[::2], ends[1::2], strict=True)
    return [f"{a}-{b}" if a != b else str(a) for a, b in pairs]


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
