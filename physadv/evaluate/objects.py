"""Detectors on photographs of people and things: all treatments on the same placements."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import stuck_colours
from physadv.checks import UserError
from physadv.data.coco import AnnotatedPhoto
from physadv.data.files import atomic_path, read_image_rgb, write_json
from physadv.evaluate.conditions import Conditions, sample_conditions
from physadv.evaluate.exposure import encode
from physadv.evaluate.matching import CONFIDENCE, look_at
from physadv.evaluate.patching import Place, draw_place, stick_patch
from physadv.scene.objects import ObjectScene
from physadv.seeding import generator_for
from physadv.types import TREATMENTS, Detections, Treatment, Trial
from physadv.victim.detector import DetectorVictim

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_FLOOR = 0.01  # least confidence that is kept
_GALLERY = 8
_HEIGHTS_PX = (0, 100, 200, 300, 400, 600)


@dataclass(frozen=True)
class ObjectResult:
    """One Trial per object and treatment, and (name, reason) for what was left out."""

    trials: list[Trial]
    skipped: list[tuple[str, str]]


@dataclass(frozen=True)
class _Staged:
    """A photograph with the draws that all of its treatments share."""

    photo: AnnotatedPhoto
    picture: Picture
    chosen: npt.NDArray[np.int64]
    places: list[Place]
    conditions: Conditions
    draw: int


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
        UserError: If no object is high enough.
        UsageError: If the victim has no class for the object.
    """
    true_index = victim.first_known(scene.true_class)
    trials: list[Trial] = []
    skipped: list[tuple[str, str]] = []
    shown: list[dict[str, object]] = []
    total = len(photos) * draws
    for done, staged in enumerate(_staged(scene, photos, draws, seed, skipped), start=1):
        pictures = {t: _picture(staged, artwork, t, seed) for t in TREATMENTS}
        found = dict(zip(pictures, victim.detect(list(pictures.values()), _FLOOR), strict=True))
        scale = victim.input_px / max(staged.photo.width, staged.photo.height)
        for treatment, detections in found.items():
            for number in staged.chosen:
                box = staged.photo.boxes[number]
                look = look_at(box, detections, true_index)
                verdict = look.verdict()
                read = victim.class_names[true_index] if verdict == "hit" else "nothing"
                if verdict == "misclassified":
                    read = victim.class_names[look.other]
                trials.append(
                    Trial(
                        run=run_name,
                        artwork=artwork.sha256,
                        victim=victim.name,
                        source="objects",
                        treatment=treatment,
                        verdict=verdict,
                        predicted_class=read,
                        true_class=victim.class_names[true_index],
                        target_class=artwork.target,
                        score=look.score,
                        cell=_height_bin((box[3] - box[1]) * scale),
                        roll_deg=None,
                        pose_source="none",
                        crop="whole",
                        group=group,
                        frame=staged.draw * 1_000_000 + int(number),
                        iou=look.iou,
                        near_score=look.near_score,
                        sha256=staged.photo.sha256,
                    )
                )
        if gallery_folder is not None and len(shown) < _GALLERY * len(TREATMENTS):
            shown += _show(staged, pictures, found, victim, gallery_folder)
        if progress is not None:
            progress(done, total)
    if not trials:
        raise UserError(
            f"objects of {group}",
            f"none is at least {scene.least_height:.0%} of its photograph's height",
            "Give photographs taken from nearer, or lower the scene's least_height.",
        )
    if gallery_folder is not None:
        write_json(gallery_folder / "gallery.json", shown)
    return ObjectResult(trials, skipped)


def _staged(
    scene: ObjectScene,
    photos: Sequence[AnnotatedPhoto],
    draws: int,
    seed: int,
    skipped: list[tuple[str, str]],
) -> Iterator[_Staged]:
    for photo in photos:
        high = photo.boxes[:, 3] - photo.boxes[:, 1] >= scene.least_height * photo.height
        skipped += [
            (photo.labels[n], "lower than the scene's least_height") for n in np.flatnonzero(~high)
        ]
        chosen = np.flatnonzero(high)
        if not len(chosen):
            continue
        try:
            picture = read_image_rgb(photo.path)
        except UserError as error:
            skipped.append((photo.name, error.got))
            continue
        for draw in range(draws):
            generator = generator_for(seed, "judge objects", photo.sha256, draw)
            places = [draw_place(scene, photo.boxes[n], generator) for n in chosen]
            conditions = sample_conditions(scene.judge, generator)
            yield _Staged(photo, picture, chosen, places, conditions, draw)


def _picture(staged: _Staged, artwork: Artwork, treatment: Treatment, seed: int) -> Picture:
    """The photograph under one treatment; every treatment draws the same noise."""
    picture = staged.picture
    keys = (staged.photo.sha256, staged.draw)
    prints = generator_for(seed, "judge noise print", *keys)
    texels = int(artwork.recipe.get("colour_texels", len(artwork.rgba)))
    colours = stuck_colours(treatment, artwork, texels, prints)
    if colours is not None:
        for number, place in enumerate(staged.places):
            sensor = generator_for(seed, "judge sensor", *keys, number)
            picture = stick_patch(picture, colours, place, staged.conditions, sensor)
    return encode(picture, staged.conditions.jpeg_quality)


def _height_bin(height_px: float) -> str:
    low = max(edge for edge in _HEIGHTS_PX if edge <= height_px)
    higher = [edge for edge in _HEIGHTS_PX if edge > height_px]
    return f"{low} to {higher[0]} px" if higher else f"{low} px and more"


def _show(
    staged: _Staged,
    pictures: dict[Treatment, Picture],
    found: dict[Treatment, Detections],
    victim: DetectorVictim,
    folder: Path,
) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    for treatment, picture in pictures.items():
        drawn = draw_detections(picture, found[treatment], victim.class_names)
        name = f"{Path(staged.photo.name).stem}_{staged.draw}_{treatment}.png"
        with atomic_path(folder / name) as temporary:
            Image.fromarray(drawn).save(temporary)
        entries.append(
            {
                "file": name,
                "photo": staged.photo.name,
                "treatment": treatment,
                "victim": victim.name,
            }
        )
    return entries


def draw_detections(
    picture: Picture,
    detections: Detections,
    class_names: Sequence[str],
    confidence: float = CONFIDENCE,
) -> Picture:
    """The picture with every detection at or above ``confidence`` drawn and named."""
    drawn = picture.copy()
    width = max(1, round(max(picture.shape[:2]) / 320))
    for box, score, index in zip(
        detections.boxes, detections.scores, detections.classes, strict=True
    ):
        if score < confidence:
            continue
        x1, y1, x2, y2 = (round(float(v)) for v in box)
        cv2.rectangle(drawn, (x1, y1), (x2, y2), (0, 200, 60), width)
        label = f"{class_names[int(index)]} {score:.2f}"
        scale = max(0.4, max(picture.shape[:2]) / 1400)
        (text_width, text_height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        top = max(y1, text_height + 6)
        corner = (x1 + text_width + 4, top)
        cv2.rectangle(drawn, (x1, top - text_height - 6), corner, (0, 200, 60), -1)
        cv2.putText(
            drawn,
            label,
            (x1 + 2, top - 4),
            cv2.FONT_HERSHEY_SIMPLEX,
            scale,
            (0, 0, 0),
            1,
            cv2.LINE_AA,
        )
    return drawn
