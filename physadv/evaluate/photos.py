"""Photographs of real signs: the artwork composited onto each, and the same table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import stuck_colours
from physadv.checks import UserError
from physadv.data.files import atomic_path, read_image_rgb, sha256_of, write_json
from physadv.data.photos import list_photos
from physadv.evaluate.annotations import read_coco_boxes, read_corners
from physadv.evaluate.compositing import match_lighting, stick
from physadv.evaluate.judging import Question, ask, jittered_box, trial
from physadv.evaluate.matching import overlaps
from physadv.evaluate.octagon import face_to_photo, find_octagon
from physadv.evaluate.renderer import cut_crop
from physadv.scene.faces import FACES, octagon, scene_face
from physadv.scene.pose import bounding_box, project
from physadv.scene.schema import Scene
from physadv.seeding import generator_for
from physadv.types import TREATMENTS, Trial
from physadv.victim.protocol import ClassifierVictim

Array = npt.NDArray[np.float64]

_SEARCH_MARGIN = 0.08
_MIN_BOX_IOU = 0.7
_FACE_PX = 512
_GALLERY = 12


@dataclass(frozen=True)
class PhotoResult:
    """Trials of the photographs that could be used, and why each other one could not."""

    trials: list[Trial]
    skipped: list[tuple[str, str]]


@dataclass(frozen=True)
class _Sign:
    """One sign in one photograph; ``corners`` is None where ``reason`` says why."""

    path: Path
    name: str
    corners: Array | None
    reason: str = ""


def _annotated(folder: Path, corners: Path) -> Iterator[_Sign]:
    for name, points in read_corners(corners).items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{corners}: {name}", f"not in {folder}", "Check the file column.")
        yield _Sign(path, name, points)


def _in_boxes(folder: Path, face: str) -> Iterator[_Sign]:
    """Signs in the boxes of a COCO ``annotations.json``."""
    for name, label, (x, y, width, height) in read_coco_boxes(folder / "annotations.json"):
        photo = read_image_rgb(folder / name)
        left, top = (
            max(0, int(x - _SEARCH_MARGIN * width)),
            max(0, int(y - _SEARCH_MARGIN * height)),
        )
        right, bottom = (
            int(x + (1 + _SEARCH_MARGIN) * width) + 1,
            int(y + (1 + _SEARCH_MARGIN) * height) + 1,
        )
        if left >= min(right, photo.shape[1]) or top >= min(bottom, photo.shape[0]):
            yield _Sign(folder / name, label, None, "its box lies outside the photograph")
            continue
        corners = find_octagon(photo[top:bottom, left:right], face)
        if corners is None:
            yield _Sign(folder / name, label, None, "no octagon found in its box")
            continue
        corners = corners + np.array([left, top])
        box = np.array([x, y, x + width, y + height])
        if overlaps(bounding_box(corners), box[None])[0] < _MIN_BOX_IOU:
            yield _Sign(folder / name, label, None, "the octagon found does not fill its box")
            continue
        yield _Sign(folder / name, label, corners)


def _searched(folder: Path, face: str) -> Iterator[_Sign]:
    for path in list_photos(folder):
        name = str(path.relative_to(folder))
        try:
            corners = find_octagon(read_image_rgb(path), face)
        except UserError as error:
            yield _Sign(path, name, None, error.got)
            continue
        yield _Sign(path, name, corners, "no octagon found" if corners is None else "")


def _signs(folder: Path, corners: Path | None, face: str) -> Iterator[_Sign]:
    if not folder.is_dir():
        raise UserError(f"photographs in {folder}", "no such folder", "Check the path.")
    if corners is not None:
        return _annotated(folder, corners)
    if (folder / "annotations.json").is_file():
        return _in_boxes(folder, face)
    return _searched(folder, face)


def evaluate_photos(
    artwork: Artwork,
    scene: Scene,
    folder: Path,
    victim: ClassifierVictim,
    *,
    corners: Path | None = None,
    seed: int = 0,
    run_name: str = "",
    progress: Callable[[int], None] | None = None,
    gallery_folder: Path | None = None,
) -> PhotoResult:
    """Composite clean, blank, noise and artwork onto real sign photographs and ask the victim.

    Args:
        artwork: What is stuck on the signs.
        scene: Gives the face whose border and colours the signs have, and the true class.
        folder: Photographs; with a COCO ``annotations.json`` its boxes are searched, otherwise
            the largest sign of each photograph.
        victim: Who is asked.
        corners: CSV of corners (``read_corners``) to use instead of searching.
        seed: Seed of noise prints and jittered crops.
        run_name: Recorded in every Trial.
        progress: Called with the number of signs done.
        gallery_folder: Where the first composites and ``gallery.json`` go; None writes none.

    Returns:
        The Trials (``frame`` counts signs; crops exact and jittered) and the signs not used.

    Raises:
        UserError: If the folder or annotation cannot be read, or no sign can be used.
        UsageError: If the victim does not know the artwork's target.
    """
    question = Question.of(scene, artwork, victim)
    face_name = scene.carrier.face
    if face_name not in FACES:
        raise UserError(
            f"photographs of the face {face_name}",
            "signs are found and lit by the red and white of a drawn stop sign",
            f"Use a scene whose carrier.face is one of {', '.join(FACES)}.",
        )
    face = scene_face(scene, _FACE_PX)
    trials: list[Trial] = []
    skipped: list[tuple[str, str]] = []
    gallery: list[dict[str, object]] = []
    used = 0
    # Many sets keep their pictures in a folder called images: its parent's name tells them apart.
    group = "/".join(folder.resolve().parts[-2:])
    for sign in _signs(folder, corners, face_name):
        if sign.corners is None:
            skipped.append((sign.name, sign.reason))
            continue
        photo = read_image_rgb(sign.path)
        lighting = match_lighting(photo, sign.corners, face)
        if lighting is None:
            skipped.append((sign.name, "its red and white cannot be told apart"))
            continue
        generator = generator_for(seed, "photos", sign.name)
        outline = _outline(sign.corners)
        boxes = {"exact": bounding_box(outline)}
        boxes["jittered"] = jittered_box(boxes["exact"], generator)
        images = {}
        for treatment in TREATMENTS:
            colours = stuck_colours(treatment, artwork, scene.colour_texels, generator)
            images[treatment] = (
                photo
                if colours is None
                else stick(photo, sign.corners, colours, artwork.mask, lighting)
            )
        digest = sha256_of(sign.path)
        for crop, box in boxes.items():
            crops = [cut_crop(image, box) for image in images.values()]
            for treatment, answer in zip(images, ask(victim, crops), strict=True):
                found = trial(
                    question,
                    artwork,
                    answer,
                    treatment,
                    run=run_name,
                    source="photo",
                    pose_source="none",
                    crop=crop,
                    group=group,
                    frame=used,
                    sha256=digest,
                )
                trials.append(found)
                if gallery_folder is not None and crop == "exact" and used < _GALLERY:
                    name = f"{used:03d}_{treatment}.png"
                    with atomic_path(gallery_folder / name) as temporary:
                        Image.fromarray(cut_crop(images[treatment], _wider(box))).save(temporary)
                    gallery.append(
                        {
                            "file": name,
                            "photo": sign.name,
                            "treatment": treatment,
                            "victim": victim.name,
                            "predicted": found.predicted_class,
                            "score": round(found.score, 4),
                        }
                    )
        used += 1
        if progress is not None:
            progress(used)
    if not used:
        why = skipped[0][1] if skipped else "there is none"
        raise UserError(
            f"photographs in {folder}",
            f"no sign can be used ({why})",
            "Give --corners with the signs' corners.",
        )
    if gallery_folder is not None:
        write_json(gallery_folder / "gallery.json", gallery)
    return PhotoResult(trials, skipped)


def _outline(corners: Array) -> Array:
    """[8,2] octagon of a sign given by either kind of corners."""
    if len(corners) == 8:
        return corners

    return project(face_to_photo(corners), octagon())


def _wider(box: Array) -> Array:
    size = box[2:] - box[:2]
    return np.concatenate([box[:2] - 0.15 * size, box[2:] + 0.15 * size])
