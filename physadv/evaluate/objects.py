"""Detectors on photographs of people and things: all treatments on the same placements."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import stuck_colours
from physadv.checks import UserError
from physadv.data.coco import AnnotatedPhoto
from physadv.data.files import read_image_rgb
from physadv.data.instances import hidden_by_others, read_instances
from physadv.evaluate.conditions import Conditions, sample_conditions
from physadv.evaluate.detections import Judgement
from physadv.evaluate.exposure import encode
from physadv.evaluate.gallery import Look, write_gallery
from physadv.evaluate.matching import look_at
from physadv.evaluate.patching import Place, draw_place, stick_patch
from physadv.evaluate.trials import DRAW_STRIDE
from physadv.scene.objects import ObjectScene
from physadv.seeding import generator_for
from physadv.types import TREATMENTS, Detections, Treatment, Trial
from physadv.victim.detector import DetectorVictim

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_FLOOR = 0.01  # least confidence that is kept
_HEIGHTS_PX = (0, 100, 200, 300, 400, 600)


@dataclass(frozen=True)
class ObjectResult:
    """One Trial per object and treatment, all that the detector reported as rows of the detection
    store, and (name, reason) for what was left out."""

    trials: list[Trial]
    detections: pl.DataFrame
    skipped: list[tuple[str, str]]


@dataclass(frozen=True)
class _Staged:
    """A photograph with the draws that all of its treatments share."""

    photo: AnnotatedPhoto
    picture: Picture
    chosen: npt.NDArray[np.int64]
    places: list[Place]
    hidden: list[npt.NDArray[np.bool_] | None]
    conditions: Conditions
    draw: int


@dataclass(frozen=True)
class _Context:
    """What all Trials of a judgement share."""

    artwork: Artwork
    victim: DetectorVictim
    true_index: int
    group: str
    run_name: str


def evaluate_objects(
    artwork: Artwork,
    scene: ObjectScene,
    photos: Sequence[AnnotatedPhoto],
    victim: DetectorVictim,
    *,
    group: str,
    draws: int = 1,
    seed: int = 0,
    run_name: str = "",
    progress: Callable[[int, int], None] | None = None,
    gallery_folder: Path | None = None,
) -> ObjectResult:
    """Composite clean, blank, noise and artwork onto every object and ask the detector.

    All objects of a photograph carry the patch at once. Treatments of one draw share places,
    light, noise and file.

    Args:
        artwork: The patch.
        scene: Where it sits, and the judge's ranges.
        photos: Photographs that the artwork was not optimised on.
        victim: Who is asked.
        group: Name of the set, recorded in every Trial.
        draws: Times that every photograph is used, each with new draws.
        seed: Judge's seed.
        run_name: Recorded in every Trial.
        progress: Called as (done, total) in photographs.
        gallery_folder: Where before/after pictures with boxes go; None draws none.

    Returns:
        Trials whose ``score`` is the strongest confidence of the true class on the object, whose
        verdict holds at confidence 0.25, whose ``cell`` is the object's height in pixels of the
        victim's input, and whose ``sha256`` is the photograph's.

    Raises:
        UserError: If no object is high enough, or a photograph is given twice.
        UsageError: If the victim has no class for the object.
    """
    true_index = victim.first_known(scene.true_class)
    _check_distinct(group, photos)
    judgement = Judgement(victim.name, artwork.sha256, group)
    context = _Context(artwork, victim, true_index, group, run_name)
    looks: list[Look] = []
    trials: list[Trial] = []
    rows: list[pl.DataFrame] = []
    skipped: list[tuple[str, str]] = []
    total = len(photos) * draws
    for done, staged in enumerate(_staged(scene, photos, draws, seed, skipped), start=1):
        pictures = _pictures(staged, artwork, seed)
        found = dict(zip(pictures, victim.detect(list(pictures.values()), _FLOOR), strict=True))
        look = Look(staged.photo, staged.draw, found, _trials(context, staged, found))
        trials += look.trials
        rows.append(judgement.detected(look.photo.sha256, look.draw, found, victim.class_names))
        if staged.draw == 0:
            looks.append(look)
            high = _high(scene, look.photo)
            ignored = np.concatenate([look.photo.boxes[~high], look.photo.crowds])
            name, boxes = victim.class_names[true_index], look.photo.boxes[high]
            rows.append(judgement.annotated(look.photo.sha256, name, boxes, ignored))
        if progress is not None:
            progress(done, total)
    if not trials:
        raise UserError(
            f"objects of {group}",
            f"none is at least {scene.least_height:.0%} of its photograph's height",
            "Give photographs taken from nearer, or lower the scene's least_height.",
        )
    if gallery_folder is not None:

        def seen_again(look: Look) -> dict[Treatment, Picture]:
            picture = read_image_rgb(look.photo.path)
            return _pictures(_stage(scene, look.photo, picture, look.draw, seed), artwork, seed)

        write_gallery(gallery_folder, looks, seen_again, victim.class_names, seed=seed)
    return ObjectResult(trials, pl.concat(rows), skipped)


def _trials(context: _Context, staged: _Staged, found: dict[Treatment, Detections]) -> list[Trial]:
    """Verdicts on the chosen objects of one photograph, by treatment."""
    victim, names = context.victim, context.victim.class_names
    scale = context.victim.scale(staged.photo.height, staged.photo.width)
    trials = []
    for treatment, detections in found.items():
        for number in staged.chosen:
            box = staged.photo.boxes[number]
            look = look_at(box, detections, context.true_index)
            verdict = look.verdict()
            read = names[context.true_index] if verdict == "hit" else "nothing"
            if verdict == "misclassified":
                read = names[look.other]
            trials.append(
                Trial(
                    run=context.run_name,
                    artwork=context.artwork.sha256,
                    victim=victim.name,
                    source="objects",
                    treatment=treatment,
                    verdict=verdict,
                    predicted_class=read,
                    true_class=names[context.true_index],
                    target_class=context.artwork.target,
                    score=look.score,
                    cell=_height_bin((box[3] - box[1]) * scale),
                    roll_deg=None,
                    pose_source="none",
                    crop="whole",
                    group=context.group,
                    frame=staged.draw * DRAW_STRIDE + int(number),
                    iou=look.iou,
                    near_score=look.near_score,
                    sha256=staged.photo.sha256,
                )
            )
    return trials


def looks_at(scene: ObjectScene, photos: Sequence[AnnotatedPhoto]) -> int:
    """How many Trials a judgement of these photographs gives a draw, if all can be read."""
    return len(TREATMENTS) * sum(int(_high(scene, photo).sum()) for photo in photos)


def _high(scene: ObjectScene, photo: AnnotatedPhoto) -> npt.NDArray[np.bool_]:
    """Which of the photograph's objects are high enough to be judged, [P]."""
    high: npt.NDArray[np.bool_] = (
        photo.boxes[:, 3] - photo.boxes[:, 1] >= scene.least_height * photo.height
    )
    return high


def _check_distinct(group: str, photos: Sequence[AnnotatedPhoto]) -> None:
    """Refuse a photograph that occurs twice: its people would count double, as if independent."""
    names: dict[str, str] = {}
    for photo in photos:
        if photo.sha256 in names:
            raise UserError(
                f"objects of {group}",
                f"{photo.name} and {names[photo.sha256]} are the same photograph",
                "Leave one of them out.",
            )
        names[photo.sha256] = photo.name


def _staged(
    scene: ObjectScene,
    photos: Sequence[AnnotatedPhoto],
    draws: int,
    seed: int,
    skipped: list[tuple[str, str]],
) -> Iterator[_Staged]:
    for photo in photos:
        high = _high(scene, photo)
        skipped += [
            (photo.labels[n], "lower than the scene's least_height") for n in np.flatnonzero(~high)
        ]
        if not high.any():
            continue
        try:
            picture = read_image_rgb(photo.path)
        except UserError as error:
            skipped.append((photo.name, error.got))
            continue
        for draw in range(draws):
            yield _stage(scene, photo, picture, draw, seed)


def _stage(
    scene: ObjectScene, photo: AnnotatedPhoto, picture: Picture, draw: int, seed: int
) -> _Staged:
    chosen = np.flatnonzero(_high(scene, photo))
    generator = generator_for(seed, "judge objects", photo.sha256, draw)
    places = [draw_place(scene, photo.boxes[n], generator) for n in chosen]
    conditions = sample_conditions(scene.judge, generator)
    instances = read_instances(photo) if scene.occlusion else None
    hidden = [
        None if instances is None else hidden_by_others(instances, photo.mask_values[n])
        for n in chosen
    ]
    return _Staged(photo, picture, chosen, places, hidden, conditions, draw)


def _pictures(staged: _Staged, artwork: Artwork, seed: int) -> dict[Treatment, Picture]:
    """The photograph under every treatment."""
    return {treatment: _picture(staged, artwork, treatment, seed) for treatment in TREATMENTS}


def _picture(staged: _Staged, artwork: Artwork, treatment: Treatment, seed: int) -> Picture:
    """The photograph under one treatment; every treatment draws the same noise."""
    picture = staged.picture
    keys = (staged.photo.sha256, staged.draw)
    prints = generator_for(seed, "judge noise print", *keys)
    texels = int(artwork.recipe.get("colour_texels", len(artwork.rgba)))
    colours = stuck_colours(treatment, artwork, texels, prints)
    if colours is not None:
        for number, (place, hidden) in enumerate(zip(staged.places, staged.hidden, strict=True)):
            sensor = generator_for(seed, "judge sensor", *keys, number)
            picture = stick_patch(picture, colours, place, staged.conditions, sensor, hidden)
    return encode(picture, staged.conditions.jpeg_quality)


def _height_bin(height_px: float) -> str:
    low = max(edge for edge in _HEIGHTS_PX if edge <= height_px)
    higher = [edge for edge in _HEIGHTS_PX if edge > height_px]
    return f"{low} to {higher[0]} px" if higher else f"{low} px and more"
