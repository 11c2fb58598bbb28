"""Photographs that a camera took of printed artwork: each is found, placed and shown to victims."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from physadv.calibrate.camera import CameraCalibration
from physadv.checks import check_range
from physadv.data.files import atomic_path
from physadv.data.photographs import PhotoFile
from physadv.engine.threads import in_threads
from physadv.evaluate.capture_look import Onlooker, PhotoLook, read_files
from physadv.evaluate.capture_plan import CapturePlan
from physadv.evaluate.capture_reading import Victim, Wanted, check_classes
from physadv.evaluate.journal import Journal
from physadv.evaluate.reading import Reading
from physadv.evaluate.shotlist import Shot
from physadv.evaluate.sighting import Sighting
from physadv.victim.threads import MOST_THREADS, one_thread_each

JOURNAL, THUMBS = "captures.jsonl", "thumbs"
_THUMB_QUALITY = 80


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


def read_captures(
    files: Sequence[PhotoFile],
    victims: Sequence[Victim],
    plan: CapturePlan,
    folder: Path,
    *,
    workers: int | None = None,
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
        workers: Photographs that are read side by side, each on one processor, 1 to 256; by
            default as many as torch uses threads, up to 8. Results do not depend on it. Each
            takes memory for its photograph, and half as much again.
        progress: Called with photographs done, all, and a rate in words.

    Raises:
        UserError: If a victim does not know a class, or the folder cannot be written.
    """
    threads = min(torch.get_num_threads(), MOST_THREADS) if workers is None else workers
    check_range("workers", threads, 1, 256)
    _check_stated(files, victims, plan)
    journal = Journal(folder / JOURNAL)
    started, decoded = time.monotonic(), 0
    try:
        onlooker = Onlooker(victims, plan, journal, threads)
        prepare = partial(torch.set_num_threads, 1)
        looks = in_threads(
            onlooker.look, read_files(files), threads, ahead=threads, prepare=prepare
        )
        with one_thread_each(), closing(looks):
            for done, one in enumerate(looks, start=1):
                decoded += one.fresh
                _keep(one, journal, folder)
                yield _captured(one, onlooker)
                rate = decoded / max(time.monotonic() - started, 1e-9)
                progress(done, len(files), f"{rate:.1f} photographs a second" if decoded else "")
    finally:
        journal.close()


def _check_stated(files: Sequence[PhotoFile], victims: Sequence[Victim], plan: CapturePlan) -> None:
    """Before any photograph is read: does every victim know the classes that need no sheet?"""
    unseen = Sighting(0, 0, 0)
    stated = {}
    for shot in (shot for file in files for shot in plan.shots_of(file.name)):
        if not plan.problem(shot, unseen):
            wanted = plan.wanted(shot, unseen)
            stated[wanted.true_names, wanted.targets] = wanted
    for wanted in stated.values():
        for victim in victims:
            check_classes(victim, wanted)


def _keep(one: PhotoLook, journal: Journal, folder: Path) -> None:
    # Pictures first: what the journal has is not looked at again.
    for number, picture in one.thumbs.items():
        path = folder / THUMBS / f"{one.sha256[:24]}_{number}.jpg"
        if not path.exists():
            with atomic_path(path) as temporary:
                picture.save(temporary, quality=_THUMB_QUALITY)
    for key, record in one.records.items():
        journal.put(key, record)


def _captured(one: PhotoLook, onlooker: Onlooker) -> Captured:
    problem = one.problem or ("" if one.sighting is None else one.sighting.problem)
    if problem or one.sighting is None:
        return Captured(one.name, one.sha256, one.sighting, one.exif, (), problem)
    objects = tuple(
        _from_journal(one, shot, one.sighting, onlooker)
        for shot in onlooker.plan.shots_of(one.name)
    )
    return Captured(one.name, one.sha256, one.sighting, one.exif, objects)


def _from_journal(
    one: PhotoLook, shot: Shot, sighting: Sighting, onlooker: Onlooker
) -> CapturedObject:
    wanted = onlooker.plan.wanted(shot, sighting)
    problem = onlooker.plan.problem(shot, sighting)
    if problem:
        return CapturedObject(shot, wanted, (), problem=problem)
    records = [
        onlooker.journal.get(onlooker.reading_key(one.sha256, victim, shot, sighting))
        for victim in onlooker.victims
    ]
    outline = records[0]["octagon"]
    return CapturedObject(
        shot,
        wanted,
        tuple(Reading(**record["reading"]) for record in records),
        None if outline is None else tuple((x, y) for x, y in outline),
    )
