"""Pictures for the page: as data URIs, small enough to send, sharp enough to print."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.data.files import read_json
from physadv.types import TREATMENTS

_PRINT_PX = 512
_PLAIN = (232, 232, 232)
_JPEG_FROM_PX = 160
GALLERY_TREATMENTS = ("clean", "adversarial")
"""Treatments of a photograph whose pictures are shown; the others appear in words."""

Array = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """An image as a ``data:`` URI with its size in its own pixels."""

    uri: str
    width_px: int
    height_px: int


@dataclass(frozen=True)
class View:
    """What the victim made of one view; ``frame`` is what the camera sees, ``crop`` its input."""

    frame: Picture | None
    crop: Picture | None
    predicted: str
    score: float


@dataclass(frozen=True)
class Strip:
    """The sign at a few distances: ``rows`` of treatment and a view (or None) for each column."""

    victim: str
    columns: tuple[tuple[float, float], ...]
    rows: tuple[tuple[str, tuple[View | None, ...]], ...]

    @property
    def ratio(self) -> float:
        """Width over height of the first frame; all are shown in that shape."""
        frames = (view.frame for _, views in self.rows for view in views if view is not None)
        first = next((frame for frame in frames if frame is not None), None)
        return 1.0 if first is None else round(first.width_px / first.height_px, 4)


@dataclass(frozen=True)
class Photo:
    """One real photograph: by treatment its picture, and (victim, class, score) of each look."""

    name: str
    looks: Mapping[str, tuple[Picture | None, tuple[tuple[str, str, float], ...]]]


def embed(image: Image.Image, *, lossy: bool = False) -> Picture:
    """Encode an image into the page."""
    stream = io.BytesIO()
    if lossy:
        image.convert("RGB").save(stream, "JPEG", quality=88, optimize=True)
    else:
        image.save(stream, "PNG", optimize=True)
    kind = "jpeg" if lossy else "png"
    coded = base64.b64encode(stream.getvalue()).decode("ascii")
    return Picture(f"data:image/{kind};base64,{coded}", image.width, image.height)


def picture_from(path: Path, width_px: int) -> Picture:
    """A picture file, at most ``width_px`` wide; small ones keep every pixel.

    Raises:
        UserError: If the file is missing or not an image.
    """
    try:
        with Image.open(path) as image:
            loaded = image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(
            f"picture {path}", f"cannot be read ({error})", "Judge the artwork again to write it."
        ) from error
    if loaded.width > width_px:
        height = max(1, round(loaded.height * width_px / loaded.width))
        loaded = loaded.resize((width_px, height), Image.Resampling.LANCZOS)
    return embed(loaded, lossy=loaded.width >= _JPEG_FROM_PX)


def artwork_picture(artwork: Artwork) -> Picture:
    """The artwork alone on plain grey, its texels as hard squares."""
    under = np.full((*artwork.rgba.shape[:2], 3), _PLAIN, np.uint8)
    return embed(_enlarged(_over(artwork.rgba, under)))


def sign_picture(artwork: Artwork, face: Array) -> Picture:
    """The artwork on its carrier, seen straight on.

    Args:
        artwork: What is stuck.
        face: [H, W, 4] uint8 RGBA picture of the carrier over the same square.
    """
    size = (_PRINT_PX, _PRINT_PX)
    carrier = np.asarray(Image.fromarray(face).resize(size, Image.Resampling.LANCZOS))
    white = np.full((*size, 3), 255, np.uint8)
    stuck = np.asarray(Image.fromarray(artwork.rgba).resize(size, Image.Resampling.NEAREST))
    return embed(Image.fromarray(_over(stuck, _over(carrier, white))))


def view_strip(folder: Path, columns: int = 5) -> Strip | None:
    """The sign at up to ``columns`` distances from near to far, then at the steepest angle.

    Of a distance the most frontal view is taken.

    Args:
        folder: ``views/`` of a run, with ``views.json``.
        columns: Distances to show.

    Returns:
        The strip of the first victim listed; None if the judge wrote no views.

    Raises:
        UserError: If ``views.json`` or a picture it names cannot be read.
    """
    entries = _entries(
        folder,
        "views.json",
        ("file", "treatment", "distance_m", "yaw_deg", "victim", "predicted", "score", "kind"),
    )
    if not entries:
        return None
    victim = entries[0]["victim"]
    own = [entry for entry in entries if entry["victim"] == victim]
    places: dict[float, float] = {}
    for entry in own:
        distance, yaw = float(entry["distance_m"]), float(entry["yaw_deg"])
        if distance not in places or abs(yaw) < abs(places[distance]):
            places[distance] = yaw
    near_to_far = sorted(places)
    steps = np.linspace(0, len(near_to_far) - 1, min(columns, len(near_to_far)))
    chosen = [(near_to_far[round(i)], places[near_to_far[round(i)]]) for i in steps]
    seen = {(float(entry["distance_m"]), float(entry["yaw_deg"])) for entry in own}
    steepest = max(seen, key=lambda place: (abs(place[1]), -place[0], place[1]))
    if steepest not in chosen:
        chosen.append(steepest)
    rows = []
    for treatment in TREATMENTS:
        views = [_view(folder, own, treatment, distance, yaw) for distance, yaw in chosen]
        if any(view is not None for view in views):
            rows.append((treatment, tuple(views)))
    return Strip(victim, tuple(chosen), tuple(rows))


def photo_gallery(folder: Path, shown: int) -> tuple[Photo, ...]:
    """Every photograph of ``gallery.json`` in its order; the first ``shown`` with their pictures.

    Raises:
        UserError: If ``gallery.json`` or a picture to be shown cannot be read.
    """
    keys = ("file", "photo", "treatment", "victim", "predicted", "score")
    entries = _entries(folder, "gallery.json", keys)
    by_photo: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        by_photo.setdefault(str(entry["photo"]), []).append(entry)
    photos = []
    for index, (name, own) in enumerate(by_photo.items()):
        looks: dict[str, tuple[Picture | None, tuple[tuple[str, str, float], ...]]] = {}
        for treatment in TREATMENTS:
            seen = [entry for entry in own if entry["treatment"] == treatment]
            if not seen:
                continue
            picture = None
            if index < shown and treatment in GALLERY_TREATMENTS:
                picture = picture_from(inside(folder, seen[0]["file"]), 300)
            read = tuple((e["victim"], str(e["predicted"]), float(e["score"])) for e in seen)
            looks[treatment] = (picture, read)
        photos.append(Photo(name, looks))
    return tuple(photos)


def _view(
    folder: Path,
    entries: Sequence[Mapping[str, Any]],
    treatment: str,
    distance_m: float,
    yaw_deg: float,
) -> View | None:
    here = {
        entry["kind"]: entry
        for entry in entries
        if entry["treatment"] == treatment
        and (float(entry["distance_m"]), float(entry["yaw_deg"])) == (distance_m, yaw_deg)
    }
    if not here:
        return None
    frame, crop = (
        picture_from(inside(folder, here[kind]["file"]), width) if kind in here else None
        for kind, width in (("frame", 400), ("crop", 128))
    )
    read = here.get("crop") or next(iter(here.values()))
    return View(frame, crop, str(read["predicted"]), float(read["score"]))


def _entries(folder: Path, name: str, keys: Sequence[str]) -> list[Mapping[str, Any]]:
    if not (folder / name).exists():
        return []
    entries = read_json(folder / name)
    if not isinstance(entries, list) or any(
        not isinstance(entry, dict) or not set(keys) <= set(entry) for entry in entries
    ):
        raise UserError(
            f"read {folder / name}",
            f"not a list of entries with {', '.join(keys)}",
            "Judge the artwork again to write it.",
        )
    return entries


def inside(folder: Path, name: str) -> Path:
    """The file called ``name`` in a folder.

    Raises:
        UserError: If the name leads out of it.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"picture {name!r}", f"lies outside {folder}", "Judge the artwork again to write it."
        )
    return path


def _over(rgba: Array, under: Array) -> Array:
    alpha = rgba[..., 3:].astype(np.float64) / 255
    mixed = rgba[..., :3] * alpha + under * (1 - alpha)
    return mixed.round().astype(np.uint8)


def _enlarged(rgb: Array) -> Image.Image:
    factor = max(1, _PRINT_PX // max(rgb.shape[:2]))
    return Image.fromarray(rgb.repeat(factor, 0).repeat(factor, 1))
