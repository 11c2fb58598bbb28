"""Trials and records of a film, from what was read in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from physadv.evaluate.capture_reading import Wanted, crop_of
from physadv.evaluate.drive_plan import DrivePlan, FilmCase
from physadv.evaluate.drive_reading import Victim, detector_of, wanted_of
from physadv.evaluate.drive_records import film_record
from physadv.evaluate.ranging import Ranges
from physadv.evaluate.reading import Reading
from physadv.evaluate.tracks import Track
from physadv.types import Crop, Treatment, Trial

_LONGEST_BACK_S = 2.0
_HEIGHT = np.array([0.0, -1, 0, 1])  # of an xyxy box


@dataclass(frozen=True)
class Followed:
    """An object in a film: in which of the ``frames`` (numbers of the samples, at ``times_s``) it
    is where, and how far away. ``finders`` are those who found it, none where boxes were given;
    ``first_sight`` tells that they saw no object of its class before. ``sha256`` is the film's.
    """

    treatment: Treatment
    frames: tuple[int, ...]
    times_s: tuple[float, ...]
    track: Track
    ranges: Ranges
    finders: tuple[str, ...]
    first_sight: bool
    notes: tuple[str, ...]
    fault: str
    sha256: str


@dataclass(frozen=True)
class Unseen:
    """A film in whose samples, the ``frames``, no finder ever saw the object."""

    treatment: Treatment
    frames: tuple[int, ...]
    finders: tuple[str, ...]
    notes: tuple[str, ...]
    fault: str
    sha256: str


def film_records(
    case: FilmCase,
    plan: DrivePlan,
    followed: Followed,
    victims: Sequence[Victim],
    readings: Mapping[str, Sequence[Reading]],
) -> list[dict[str, Any]]:
    """What each victim made of a film; see ``drive_records.film_record``."""
    track, ranges = followed.track, followed.ranges
    at = _times(followed)
    steps = np.diff(followed.times_s)
    interval = float(np.median(steps)) if len(steps) else 0.0
    before = _far_at_start(followed)
    records = []
    for victim in victims:
        # Where the victim itself is among those who look for the object, not to be found before
        # its first sighting is to be missed.
        looked = followed.first_sight and _looks_itself(victim, followed.finders)
        record = film_record(
            at,
            [reading.verdict for reading in readings[victim.name]],
            ranges,
            plan.car,
            interval_s=interval,
            missed_before_m=before if looked else None,
        )
        records.append(_with_film(case, plan, followed, victim, record, track, ranges))
    return records


def unseen_record(
    case: FilmCase, plan: DrivePlan, unseen: Unseen, victim: Victim
) -> dict[str, Any]:
    """The record of a film in which the object was never found: never read, never confirmed.

    Its frames are in no rate, since nobody knows which of them show the object.
    """
    nothing = Ranges(np.zeros(0), np.zeros(0), "none")
    record = film_record([], [], nothing, plan.car, interval_s=0.0, missed_before_m=None)
    for speed in record["speeds"]:
        speed["why"] = f"the object was never found, by {_names(unseen.finders, plan)}"
    found = _with_film(case, plan, unseen, victim, record, None, nothing)
    found["notes"].append("the object was never found: its frames are in no rate")
    return found


def _with_film(
    case: FilmCase,
    plan: DrivePlan,
    film: Followed | Unseen,
    victim: Victim,
    record: Mapping[str, Any],
    track: Track | None,
    ranges: Ranges,
) -> dict[str, Any]:
    """A film's record with what is known of the film and of how the object was followed."""
    heights = [None, None] if track is None else [float(track.boxes[i] @ _HEIGHT) for i in (0, -1)]
    return {
        "film": case.name,
        "treatment": film.treatment,
        "victim": victim.name,
        "crop": _crop(victim, plan, track),
        **record,
        "distance_source": ranges.source,
        "height_px": heights,
        "track": {
            "samples": 0 if track is None else len(track.samples),
            "of": len(film.frames),
            "sighted": 0 if track is None else int(track.sighted.sum()),
            "finder": _names(film.finders, plan) or "boxes given",
            "by_victim": _looks_itself(victim, film.finders),
        },
        "distance_sd_m": _median(ranges.sd_m),
        "sha256": film.sha256,
        "fault": film.fault,
        "notes": list(film.notes),
    }


def _names(finders: Sequence[str], plan: DrivePlan) -> str:
    return ", ".join((*finders, *(["markers"] if plan.layouts else [])))


def _looks_itself(victim: Victim, finders: Sequence[str]) -> bool:
    """Whether a victim's own detector is among those who look for the object."""
    eye = detector_of(victim)
    return eye is not None and eye.name in finders


def film_trials(
    case: FilmCase,
    plan: DrivePlan,
    followed: Followed,
    victims: Sequence[Victim],
    readings: Mapping[str, Sequence[Reading]],
) -> list[Trial]:
    """One Trial for each victim and sample in which the object is followed."""
    track, ranges = followed.track, followed.ranges
    at = _times(followed)
    trials = []
    for victim in victims:
        wanted = wanted_of(victim, plan)
        crop = _crop(victim, plan, track)
        for place, reading in enumerate(readings[victim.name]):
            distance = float(ranges.distance_m[place])
            trials.append(
                Trial(
                    run="" if plan.printed is None else plan.printed.run,
                    artwork="" if plan.printed is None else plan.printed.artwork_sha256,
                    victim=victim.name,
                    source="video",
                    treatment=followed.treatment,
                    verdict=reading.verdict,
                    predicted_class=reading.predicted,
                    true_class=wanted.true_names[0],
                    target_class=wanted.target,
                    score=reading.score,
                    distance_m=distance if np.isfinite(distance) else None,
                    pose_source=ranges.source,
                    crop=crop,
                    group=case.name,
                    frame=followed.frames[int(track.samples[place])],
                    time_s=at[place],
                    iou=reading.iou,
                    near_score=reading.near_score,
                    sha256=followed.sha256,
                )
            )
    return trials


def _times(followed: Followed) -> list[float]:
    found: list[float] = np.asarray(followed.times_s)[followed.track.samples].tolist()
    return found


def _crop(victim: Victim, plan: DrivePlan, track: Track | None) -> Crop:
    box = np.zeros(4) if track is None else track.boxes[0]
    return crop_of(victim, Wanted(plan.true_names, box=box))


def _far_at_start(followed: Followed) -> float | None:
    """How far away the object was when the film began, at the speed at which it was first seen.

    None if it is followed from the first sample, its speed is not known, or that is so long ago
    that it may have been out of sight.
    """
    track, distances = followed.track, followed.ranges.distance_m
    known = np.flatnonzero(np.isfinite(distances))
    if int(track.samples[0]) == 0 or len(known) < 2:
        return None
    if _times(followed)[0] - followed.times_s[0] > _LONGEST_BACK_S:
        return None
    at, distance = np.array(_times(followed))[known], distances[known]
    early = at <= at[0] + 1.0
    if early.sum() < 2:
        return None
    slope = float(np.polyfit(at[early], distance[early], 1)[0])
    return float(distance[0] + max(0.0, -slope) * (at[0] - followed.times_s[0]))


def _median(values: npt.NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None
