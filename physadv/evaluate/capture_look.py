"""What one thread makes of one photograph: its sheet, and what victims read there."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from physadv.calibrate.camera import CameraCalibration, camera_from_exif
from physadv.checks import UserError
from physadv.data.photographs import PhotoFile, decode_photograph
from physadv.evaluate.capture_plan import CapturePlan
from physadv.evaluate.capture_reading import Victim, Wanted, check_classes, read_objects
from physadv.evaluate.journal import Journal, key_of
from physadv.evaluate.octagon import find_octagon
from physadv.evaluate.renderer import cut_crop
from physadv.evaluate.shotlist import Shot
from physadv.evaluate.sighting import Sighting, look_over, sighting_from
from physadv.victim.threads import Turns, one_each, own_module

Picture = npt.NDArray[np.uint8]

_FORMAT = 3  # of the journal's records; a new one has everything judged again
_THUMB_PX = 260
_THUMB_FROM = 4  # times as many pixels along a side are averaged
_MARGIN = 0.15  # around a box, in thumbnails and when an octagon is looked for


@dataclass(frozen=True)
class PhotoLook:
    """One photograph; ``problem`` says why it cannot be used.

    ``records`` are for the journal, ``thumbs`` small pictures by the object's number; both are
    only of what was not known before. ``fresh`` tells that it was decoded.
    """

    name: str
    sha256: str
    sighting: Sighting | None = None
    exif: CameraCalibration | None = None
    records: dict[str, Any] = field(default_factory=dict)
    thumbs: dict[int, Image.Image] = field(default_factory=dict)
    fresh: bool = False
    problem: str = ""


@dataclass(frozen=True)
class PhotoBytes:
    """What a file holds."""

    name: str
    data: bytes
    sha256: str


def read_files(files: Iterable[PhotoFile]) -> Iterator[PhotoBytes | PhotoLook]:
    """The files' bytes, or why there is nothing to look at; files that repeat another are such."""
    seen: dict[str, str] = {}
    for file in files:
        try:
            data = file.read()
        except (OSError, RuntimeError, ValueError) as error:
            yield PhotoLook(file.name, "", problem=f"cannot be read ({error})")
            continue
        digest = sha256(data).hexdigest()
        if digest in seen:
            yield PhotoLook(file.name, digest, problem=f"the same file as {seen[digest]}")
        else:
            seen[digest] = file.name
            yield PhotoBytes(file.name, data, digest)


class Onlooker:
    """Looks at photographs, but not at what the journal has already; in several threads at once.

    Each of ``threads`` has modules of its own, if they can be copied; else they take turns.
    """

    def __init__(
        self, victims: Sequence[Victim], plan: CapturePlan, journal: Journal, threads: int
    ) -> None:
        self.victims, self.plan, self.journal = tuple(victims), plan, journal
        self._looking = Turns(
            one_each(self.victims, lambda all_: tuple(map(own_module, all_)), threads)
        )

    @cached_property
    def _prints(self) -> str:
        layouts = self.plan.layouts
        return key_of(
            _FORMAT,
            sorted(layout.geometry for layout in layouts),
            sorted(layout.code for layout in layouts),
        )

    def look(self, file: PhotoBytes | PhotoLook) -> PhotoLook:
        """Read a photograph, and decode it unless all that is to be asked was asked before.

        Raises:
            UserError: If a victim does not know a class.
        """
        if isinstance(file, PhotoLook):
            return file
        data, digest = file.data, file.sha256
        known = self.journal.get(self._sight_key(digest))
        if known is not None:
            layouts = {layout.code: layout for layout in self.plan.layouts}
            sighting = sighting_from(known, layouts)
            exif = None if known["exif"] is None else _camera(known["exif"])
            if sighting.problem or not self._unread(file.name, digest, sighting):
                return PhotoLook(file.name, digest, sighting, exif)
        try:
            photograph = decode_photograph(file.name, data)
        except UserError as error:
            return PhotoLook(file.name, digest, problem=error.got)
        try:
            exif = camera_from_exif(io.BytesIO(data))
        except UserError:
            exif = None  # a RAW file, whose header Pillow does not read
        sighting, righting = look_over(photograph.rgb, photograph.quarter_turns, self.plan.layouts)
        records: dict[str, Any] = {}
        if known is None:
            camera = None if exif is None else asdict(exif)
            records[self._sight_key(digest)] = {**sighting.to_dict(), "exif": camera}
        unread = {} if sighting.problem else self._unread(file.name, digest, sighting)
        thumbs = {}
        if unread:
            rgb = righting.of(photograph.rgb)
            thumbs = {n: _thumb(rgb, self.plan.wanted(s, sighting)) for n, (s, _) in unread.items()}
            with self._looking.taken() as own:
                for shot, places in unread.values():
                    wanted = self.plan.wanted(shot, sighting)
                    outline = _outline(rgb, wanted, self.plan)
                    for victim in (own[place] for place in places):
                        check_classes(victim, wanted)
                        (reading,) = read_objects(victim, [rgb], [wanted])
                        key = self.reading_key(digest, victim, shot, sighting)
                        records[key] = {"reading": asdict(reading), "octagon": outline}
        return PhotoLook(file.name, digest, sighting, exif, records, thumbs, fresh=True)

    def _unread(
        self, name: str, digest: str, sighting: Sighting
    ) -> dict[int, tuple[Shot, list[int]]]:
        """The photograph's objects, by number, that some victims have not read, and which."""
        found = {}
        for number, shot in enumerate(self.plan.shots_of(name)):
            if self.plan.problem(shot, sighting):
                continue
            left = [
                place
                for place, victim in enumerate(self.victims)
                if self.journal.get(self.reading_key(digest, victim, shot, sighting)) is None
            ]
            if left:
                found[number] = (shot, left)
        return found

    def _sight_key(self, digest: str) -> str:
        return key_of("sight", digest, self._prints)

    def reading_key(self, digest: str, victim: Victim, shot: Shot, sighting: Sighting) -> str:
        """Everything that decides what a victim reads of an object in a photograph."""
        wanted = self.plan.wanted(shot, sighting)
        place = [None if p is None else p.round(3).tolist() for p in (wanted.box, wanted.point)]
        who = (victim.name, victim.weights_sha256)
        asked = (wanted.true_names, wanted.targets, place, self.plan.sign_width_mm is not None)
        return key_of("reading", digest, self._prints, who, asked)


def _camera(record: dict[str, Any]) -> CameraCalibration:
    return CameraCalibration(**{**record, "distortion": tuple(record["distortion"])})


def _outline(rgb: Picture, wanted: Wanted, plan: CapturePlan) -> list[list[float]] | None:
    """[8][2] corners of the sign in the object's box, where its width is known."""
    if plan.sign_width_mm is None:
        return None
    box = wanted.box if wanted.box is not None else np.array([0, 0, rgb.shape[1], rgb.shape[0]])
    around = _wider(box, rgb)
    corners = find_octagon(cut_crop(rgb, around))
    return None if corners is None else (corners + np.round(around[:2])).round(3).tolist()


def _wider(box: npt.NDArray[np.float64], rgb: Picture) -> npt.NDArray[np.float64]:
    size = box[2:] - box[:2]
    limit = np.array([rgb.shape[1], rgb.shape[0]], dtype=np.float64)
    low = np.clip(box[:2] - _MARGIN * size, 0, limit - 2)
    return np.concatenate([low, np.clip(box[2:] + _MARGIN * size, low + 2, limit)])


def _thumb(rgb: Picture, wanted: Wanted) -> Image.Image:
    """A small picture of what was looked at, for the report."""
    part = rgb if wanted.box is None else cut_crop(rgb, _wider(wanted.box, rgb))
    # Every so many pixels of a photograph are enough for an average; all would take 40 ms.
    step = max(1, max(part.shape) // (_THUMB_FROM * _THUMB_PX))
    image = Image.fromarray(part[::step, ::step])
    image.thumbnail((_THUMB_PX, _THUMB_PX), reducing_gap=2.0)
    return image
