"""Photographs that a camera took of printed artwork: each is found, placed and shown to victims."""

import io
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from physadv.calibrate.camera import CameraCalibration, camera_from_exif
from physadv.checks import UserError
from physadv.data.files import atomic_path
from physadv.data.photographs import PhotoFile, decode_photograph
from physadv.evaluate.capture_plan import CapturePlan
from physadv.evaluate.capture_reading import Victim, Wanted, check_classes, read_objects
from physadv.evaluate.journal import Journal, key_of
from physadv.evaluate.octagon import find_octagon
from physadv.evaluate.reading import Reading
from physadv.evaluate.renderer import cut_crop
from physadv.evaluate.shotlist import Shot
from physadv.evaluate.sighting import Sighting, look_over, sighting_from

Picture = npt.NDArray[np.uint8]

JOURNAL, THUMBS = "captures.jsonl", "thumbs"
_FORMAT = 2  # of the journal's records; a new one has everything judged again
_BATCH = 4  # pictures of phones have up to 48 megapixels
_THUMB_PX, _THUMB_QUALITY = 260, 80
_THUMB_FROM = 4  # times as many pixels along a side are averaged
_MARGIN = 0.15  # around a box, in thumbnails and when an octagon is looked for


@dataclass(frozen=True)
class CapturedObject:
    """One object in one photograph and what each victim read there, in the victims' order.

    ``problem`` says why it cannot count; nobody was asked then.
    """

    shot: Shot
    wanted: Wanted
    readings: tuple[Reading, ...]
    octagon: tuple[tuple[float, float], ...] | None = None
    problem: str = ""


@dataclass(frozen=True)
class Captured:
    """One photograph; ``problem`` says why it cannot be used. ``exif`` is its camera, as stored."""

    name: str
    sha256: str
    sighting: Sighting | None
    exif: CameraCalibration | None
    objects: tuple[CapturedObject, ...]
    problem: str = ""


@dataclass(frozen=True)
class _Seen:
    """What the reading threads hand on; ``rgb`` is None where nothing is left to be asked."""

    name: str
    sha256: str
    sighting: Sighting | None = None
    exif: CameraCalibration | None = None
    rgb: Picture | None = None
    problem: str = ""


def read_captures(
    files: Sequence[PhotoFile],
    victims: Sequence[Victim],
    plan: CapturePlan,
    folder: Path,
    *,
    workers: int = 2,
    progress: Callable[[int, int, str], None] = lambda done, total, words: None,
) -> Iterator[Captured]:
    """Read every photograph, in the order of the files; memory does not grow with their number.

    What was read is kept in ``folder`` as it comes, by the photograph's checksum: interrupted or
    with further photographs or victims, the same call only does what is left.

    Args:
        files: The photographs.
        victims: Who is asked.
        plan: What each photograph counts as.
        folder: Where the journal and small pictures are kept.
        workers: Threads that decode and look for sheets, at least 1.
        progress: Called with photographs done, all, and a rate in words.

    Raises:
        UserError: If a victim does not know a class, or the folder cannot be written.
    """
    journal = Journal(folder / JOURNAL)
    prints = key_of(
        _FORMAT,
        sorted(layout.geometry for layout in plan.layouts),
        sorted(layout.code for layout in plan.layouts),
    )
    seen: dict[str, str] = {}
    started, decoded = time.monotonic(), 0
    done = 0
    try:
        with ThreadPoolExecutor(workers) as pool:
            ahead: deque[Future[_Seen]] = deque()
            todo = iter(files)
            waiting: list[_Seen] = []

            def refill() -> None:
                # A bounded look ahead: as many pictures in memory as keep the threads busy.
                while len(ahead) < 2 * workers and (file := next(todo, None)) is not None:
                    ahead.append(pool.submit(_see, file, plan, victims, journal, prints))

            refill()
            while ahead or waiting:
                if ahead:
                    one = ahead.popleft().result()
                    refill()
                    if not one.problem and one.sha256 in seen:
                        one = replace(one, rgb=None, problem=f"the same file as {seen[one.sha256]}")
                    seen.setdefault(one.sha256, one.name)
                    decoded += one.rgb is not None
                    waiting.append(one)
                if ahead and len(waiting) < _BATCH:
                    continue
                for captured in _judge(waiting, victims, plan, journal, prints, folder):
                    done += 1
                    yield captured
                rate = decoded / max(time.monotonic() - started, 1e-9)
                progress(done, len(files), f"{rate:.1f} photographs a second" if decoded else "")
                waiting = []
    finally:
        journal.close()


def _see(
    file: PhotoFile,
    plan: CapturePlan,
    victims: Sequence[Victim],
    journal: Journal,
    prints: str,
) -> _Seen:
    """Read, and decode unless everything that is to be asked was asked before."""
    try:
        data = file.read()
    except (OSError, RuntimeError, ValueError) as error:
        return _Seen(file.name, "", problem=f"cannot be read ({error})")
    digest = sha256(data).hexdigest()
    known = journal.get(_sight_key(digest, prints))
    if known is not None:
        sighting = sighting_from(known, {layout.code: layout for layout in plan.layouts})
        exif = None if known["exif"] is None else _camera(known["exif"])
        if sighting.problem or all(
            journal.get(_reading_key(digest, prints, plan, victim, shot, sighting)) is not None
            for victim in victims
            for shot in plan.shots_of(file.name)
            if not plan.problem(shot, sighting)
        ):
            return _Seen(file.name, digest, sighting, exif)
    try:
        photograph = decode_photograph(file.name, data)
    except UserError as error:
        return _Seen(file.name, digest, problem=error.got)
    try:
        exif = camera_from_exif(io.BytesIO(data))
    except UserError:
        exif = None  # a RAW file, whose header Pillow does not read
    rgb, sighting = look_over(photograph.rgb, photograph.quarter_turns, plan.layouts)
    return _Seen(file.name, digest, sighting, exif, rgb)


def _judge(
    waiting: Sequence[_Seen],
    victims: Sequence[Victim],
    plan: CapturePlan,
    journal: Journal,
    prints: str,
    folder: Path,
) -> Iterator[Captured]:
    """Ask about the photographs of a batch that were not asked about before."""
    for one in waiting:
        if one.sighting is not None and one.rgb is not None:
            exif = None if one.exif is None else asdict(one.exif)
            journal.put(_sight_key(one.sha256, prints), {**one.sighting.to_dict(), "exif": exif})
    asked: list[tuple[str, Shot, Wanted, Picture]] = []
    for one in waiting:
        if one.rgb is None or one.sighting is None or one.sighting.problem or one.problem:
            continue
        for number, shot in enumerate(plan.shots_of(one.name)):
            if plan.problem(shot, one.sighting):
                continue
            wanted = plan.wanted(shot, one.sighting)
            asked.append((one.sha256, shot, wanted, one.rgb))
            _write_thumb(folder / THUMBS / f"{one.sha256[:24]}_{number}.jpg", one.rgb, wanted)
    sightings = {one.sha256: one.sighting for one in waiting if one.sighting is not None}
    for victim in victims:
        for _, _, wanted, _ in asked:
            check_classes(victim, wanted)
        found = read_objects(victim, [a[3] for a in asked], [a[2] for a in asked]) if asked else []
        for (digest, shot, wanted, rgb), reading in zip(asked, found, strict=True):
            key = _reading_key(digest, prints, plan, victim, shot, sightings[digest])
            outline = _outline(rgb, wanted, plan)
            journal.put(key, {"reading": asdict(reading), "octagon": outline})
    for one in waiting:
        problem = one.problem or ("" if one.sighting is None else one.sighting.problem)
        if problem or one.sighting is None:
            yield Captured(one.name, one.sha256, one.sighting, one.exif, (), problem)
            continue
        objects = [
            _from_journal(one, shot, one.sighting, victims, plan, journal, prints)
            for shot in plan.shots_of(one.name)
        ]
        yield Captured(one.name, one.sha256, one.sighting, one.exif, tuple(objects))


def _from_journal(
    one: _Seen,
    shot: Shot,
    sighting: Sighting,
    victims: Sequence[Victim],
    plan: CapturePlan,
    journal: Journal,
    prints: str,
) -> CapturedObject:
    wanted = plan.wanted(shot, sighting)
    problem = plan.problem(shot, sighting)
    if problem:
        return CapturedObject(shot, wanted, (), problem=problem)
    records = [
        journal.get(_reading_key(one.sha256, prints, plan, victim, shot, sighting))
        for victim in victims
    ]
    outline = records[0]["octagon"]
    return CapturedObject(
        shot,
        wanted,
        tuple(Reading(**record["reading"]) for record in records),
        None if outline is None else tuple((x, y) for x, y in outline),
    )


def _sight_key(digest: str, prints: str) -> str:
    return key_of("sight", digest, prints)


def _reading_key(
    digest: str, prints: str, plan: CapturePlan, victim: Victim, shot: Shot, sighting: Sighting
) -> str:
    """Everything that decides what a victim reads of an object in a photograph."""
    wanted = plan.wanted(shot, sighting)
    place = [None if p is None else p.round(3).tolist() for p in (wanted.box, wanted.point)]
    who = (victim.name, victim.weights_sha256)
    asked = (wanted.true_names, wanted.target, place, plan.sign_width_mm is not None)
    return key_of("reading", digest, prints, who, asked)


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


def _write_thumb(path: Path, rgb: Picture, wanted: Wanted) -> None:
    """A small picture of what was looked at, for the report."""
    if path.exists():
        return
    part = rgb if wanted.box is None else cut_crop(rgb, _wider(wanted.box, rgb))
    # Every so many pixels of a photograph are enough for an average; all would take 40 ms.
    step = max(1, max(part.shape) // (_THUMB_FROM * _THUMB_PX))
    image = Image.fromarray(part[::step, ::step])
    image.thumbnail((_THUMB_PX, _THUMB_PX), reducing_gap=2.0)
    with atomic_path(path) as temporary:
        image.save(temporary, quality=_THUMB_QUALITY)
