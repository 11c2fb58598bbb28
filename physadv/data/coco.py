"""Photographs with boxes: COCO json, read with every item that cannot be used named."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.data.files import NOT_AN_IMAGE, open_image, read_json, sha256_of

Array = npt.NDArray[np.float64]

_ORIENTATION = 0x0112  # EXIF tag
_SIDEWAYS = (5, 6, 7, 8)
_LEAST_SERIES = 10


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photograph and the boxes of one class in it.

    ``boxes`` [P,4] xyxy in pixels, clipped to the photograph; ``labels`` names each box;
    ``mask`` is the file of instance masks and ``mask_values`` [P] the values of the boxes in it,
    where there is one. ``crowds`` [C,4] are regions with uncounted objects of the class.
    """

    path: Path
    name: str
    sha256: str
    width: int
    height: int
    boxes: Array
    labels: tuple[str, ...]
    mask: Path | None = None
    mask_values: tuple[int, ...] = ()
    crowds: Array = field(default_factory=lambda: np.zeros((0, 4)))


@dataclass(frozen=True)
class AnnotatedPhotos:
    """The photographs of a COCO file that can be used, and (name, reason) for what cannot."""

    photos: tuple[AnnotatedPhoto, ...]
    skipped: tuple[tuple[str, str], ...]


def read_coco(
    path: Path, class_names: Sequence[str], *, exclude: frozenset[str] = frozenset()
) -> AnnotatedPhotos:
    """Photographs that show one of ``class_names``, from a COCO json.

    Boxes that reach beyond the photograph are clipped. Crowds, boxes without area inside the
    photograph, files that are missing, no images, of another size than annotated or listed twice,
    and photographs of ``exclude`` are skipped and listed.

    Args:
        path: The json; file names are relative to its folder.
        class_names: Accepted category names; case does not matter.
        exclude: SHA-256 of photographs to leave out.

    Raises:
        UserError: If the file cannot be read, lacks a key, has no such category, or nothing in it
            can be used.
    """
    content = read_json(path)
    wanted = {name.casefold() for name in class_names}
    try:
        categories = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        ids = {key for key, name in categories.items() if name.casefold() in wanted}
        if not ids:
            raise UserError(
                f"{path}: category {' or '.join(class_names)}",
                f"it has {', '.join(categories.values())}",
                "Give annotations of the scene's object, or another scene.",
            )
        grouped: dict[object, list[dict[str, object]]] = {}
        for entry in content["annotations"]:
            if entry["category_id"] in ids:
                grouped.setdefault(entry["image_id"], []).append(entry)
        images = [(image, grouped.get(image["id"], [])) for image in content["images"]]
        photos: list[AnnotatedPhoto] = []
        skipped: list[tuple[str, str]] = []
        for image, entries in images:
            if entries:
                photo = _photo(path.parent, image, entries, exclude, skipped)
                if photo is None:
                    continue
                twin = next((p.name for p in photos if p.sha256 == photo.sha256), None)
                if twin is not None:
                    skipped.append((photo.name, f"the same photograph as {twin}"))
                    continue
                photos.append(photo)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"read {path}",
            f"not COCO annotations ({type(error).__name__}: {error})",
            "It needs images with id, file_name, width and height, annotations with image_id, "
            "category_id and bbox, and categories.",
        ) from error
    if not photos:
        why = f"; first: {skipped[0][0]}, {skipped[0][1]}" if skipped else ""
        raise UserError(
            f"photographs in {path}", f"none can be used{why}", "Give others, or mend these."
        )
    return AnnotatedPhotos(tuple(photos), tuple(skipped))


def _photo(
    folder: Path,
    image: dict[str, object],
    entries: list[dict[str, object]],
    exclude: frozenset[str],
    skipped: list[tuple[str, str]],
) -> AnnotatedPhoto | None:
    name = str(image["file_name"])
    width, height = int(float(str(image["width"]))), int(float(str(image["height"])))
    file = folder / name
    if not file.is_file():
        skipped.append((name, "no such file"))
        return None
    found = _size_of(file)
    if found != (width, height):
        is_size = "not a readable image" if found is None else f"{found[0]} x {found[1]} px"
        skipped.append((name, f"{is_size}, annotated as {width} x {height}"))
        return None
    sha256 = sha256_of(file)
    if sha256 in exclude:
        skipped.append((name, "the artwork was optimised on it"))
        return None
    boxes: list[list[float]] = []
    crowds: list[list[float]] = []
    labels: list[str] = []
    values: list[int] = []
    for entry in entries:
        label = f"{name}#{entry.get('id', len(labels))}"
        x, y, w, h = (float(value) for value in entry["bbox"])  # type: ignore[attr-defined]
        x1, x2 = np.clip([x, x + w], 0, width)
        y1, y2 = np.clip([y, y + h], 0, height)
        has_area = x2 - x1 >= 1 and y2 - y1 >= 1
        if entry.get("iscrowd"):
            skipped.append((label, "a crowd"))
            crowds += [[x1, y1, x2, y2]] if has_area else []
        elif not has_area:
            skipped.append((label, f"box {x:g}, {y:g}, {w:g}, {h:g} has no area in the photograph"))
        else:
            boxes.append([x1, y1, x2, y2])
            labels.append(label)
            values.append(int(str(entry.get("mask_value", 0))))
    if not boxes:
        return None
    mask = folder / str(image["mask"]) if image.get("mask") else None
    if mask is not None and _size_of(mask) != (width, height):
        skipped.append(
            (str(image["mask"]), f"no mask of {width} x {height} px; {name} is used bare")
        )
        mask = None
    return AnnotatedPhoto(
        file,
        name,
        sha256,
        width,
        height,
        np.array(boxes, np.float64),
        tuple(labels),
        mask,
        tuple(values),
        np.array(crowds, np.float64).reshape(-1, 4),
    )


def _size_of(file: Path) -> tuple[int, int] | None:
    """Width and height as seen upright, from the file's header; None if it is no image."""
    try:
        with open_image(file) as image:
            turned = image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS
            return (image.height, image.width) if turned else (image.width, image.height)
    except NOT_AN_IMAGE:
        return None


def split_scenes(
    photos: Sequence[AnnotatedPhoto], share: float
) -> tuple[list[AnnotatedPhoto], list[AnnotatedPhoto]]:
    """Cut photographs into a first part of about ``share`` and the rest, by scene.

    Neighbours in a data set's numbering often show the same people at the same place, so each
    series (names that differ in their digits only) is cut once, in the order of its names. Series
    of fewer than ten photographs are cut together. Two or more photographs leave one on each side.
    """
    series: dict[str, list[AnnotatedPhoto]] = {}
    for photo in sorted(photos, key=lambda photo: photo.name):
        key = "".join(" " if letter.isdigit() else letter for letter in photo.name)
        series.setdefault(" ".join(key.split()), []).append(photo)
    large = [members for members in series.values() if len(members) >= _LEAST_SERIES]
    small = [
        photo for members in series.values() if len(members) < _LEAST_SERIES for photo in members
    ]
    first: list[AnnotatedPhoto] = []
    rest: list[AnnotatedPhoto] = []
    for members in [*large, sorted(small, key=lambda photo: photo.name)]:
        cut = round(share * len(members))
        first += members[:cut]
        rest += members[cut:]
    if len(photos) > 1 and 0 < share < 1:
        if not first:
            first.append(rest.pop(0))
        elif not rest:
            rest.append(first.pop())
    return first, rest
