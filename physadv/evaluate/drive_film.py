"""A judged film with what one victim read drawn in."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from physadv.data.files import atomic_path
from physadv.data.film import Film, Frame
from physadv.data.prefetch import read_ahead
from physadv.data.videowriter import write_video
from physadv.evaluate.annotated import Marks, annotate
from physadv.evaluate.confirmation import confirmed_at
from physadv.evaluate.drive_plan import Car
from physadv.evaluate.drive_trials import Followed
from physadv.evaluate.journal import key_of
from physadv.evaluate.reading import Reading

ANNOTATED = "annotated"
_CRF, _PRESET = 23, "superfast"


def annotated_path(out: Path, film: str, victim: str) -> Path:
    """Where the annotated film of one film and victim is written."""
    whole = f"{film} {victim}"
    name = re.sub(r"[^A-Za-z0-9._+-]+", "_", f"{Path(film).with_suffix('')}_{victim}")
    # Films and victims whose names differ in what a file name cannot hold stay apart.
    plain = f"{name} {Path(film).suffix}" == f"{Path(film).stem}_{victim} .mp4"
    return out / ANNOTATED / (f"{name}.mp4" if plain else f"{name}_{key_of(whole)[:6]}.mp4")


def annotate_film(
    path: Path,
    film: Film,
    followed: Followed,
    victim: str,
    readings: tuple[Reading, ...],
    car: Car,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the samples of a film, at their own times, with what was read drawn in.

    Args:
        path: The film to write, H.264 in MP4.
        film: The film that was judged, sampled alike.
        followed: The object in it.
        victim: Whose readings they are.
        readings: One for each sample of the track.
        car: When an object counts as confirmed, and the speeds whose braking points are marked.
        report: Called with samples done, and of how many.

    Raises:
        UserError: If the film cannot be written.
    """
    marks = partial(_marks, followed, victim, readings, _confirmations(readings, car))
    braking = _braking(followed, car)

    def drawn() -> Iterator[Frame]:
        # A film that was damaged is drawn as far as it was judged.
        for sample, frame in zip(range(len(followed.frames)), film.frames(), strict=False):
            yield replace(frame, rgb=annotate(frame.rgb, marks(sample, braking)))
            report(sample + 1, len(followed.frames))

    # Frames are decoded and drawn while others are encoded.
    frames = ((frame.time_s, frame.rgb) for frame in read_ahead(drawn()))
    with atomic_path(path) as temporary:
        write_video(temporary, frames, crf=_CRF, preset=_PRESET)


def _confirmations(readings: tuple[Reading, ...], car: Car) -> tuple[int | None, int | None]:
    """Positions in the track at which the object and the attacker's class are confirmed."""
    hit, target = (
        confirmed_at([reading.verdict == verdict for reading in readings], car.least, car.of)
        for verdict in ("hit", "target")
    )
    return hit, target


def _braking(followed: Followed, car: Car) -> tuple[tuple[int, str], ...]:
    """Samples of the track at which the object has come within a braking distance."""
    distance = followed.ranges.distance_m
    found = []
    for speed in car.speeds_kmh:
        within = np.flatnonzero(distance <= car.braking_m(speed))
        if len(within) and within[0] > 0:
            found.append((int(within[0]), f"{speed:g} km/h"))
    return tuple(found)


def _marks(
    followed: Followed,
    victim: str,
    readings: tuple[Reading, ...],
    confirmed: tuple[int | None, int | None],
    sample: int,
    braking: tuple[tuple[int, str], ...],
) -> Marks:
    track = followed.track
    # The last sample of the track up to this one.
    place = int(np.searchsorted(track.samples, sample, side="right")) - 1
    about = Marks(
        victim,
        followed.treatment,
        followed.times_s[sample],
        history=[reading.verdict for reading in readings[: max(0, place + 1)]],
        total=len(readings),
        confirmed=_from(confirmed[0], place),
        target_confirmed=_from(confirmed[1], place),
        braking=braking,
    )
    if place < 0 or track.samples[place] != sample:
        return about
    reading = readings[place]
    distance = float(followed.ranges.distance_m[place])
    return replace(
        about,
        verdict=reading.verdict,
        predicted_class=reading.predicted,
        score=reading.score,
        distance_m=distance if np.isfinite(distance) else None,
        box=_corners(track.boxes[place]),
    )


def _from(moment: int | None, place: int) -> bool:
    return moment is not None and place >= moment


def _corners(box: npt.NDArray[np.float64]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in box)
    return left, top, right, bottom
