"""Films of an approach: the object is found, followed, ranged and read by every victim."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from physadv.data.film import Film
from physadv.data.films import open_film
from physadv.evaluate.capture_reading import Wanted, class_indices
from physadv.evaluate.drive_finding import (
    detectors_of,
    finders_of,
    given_boxes,
    tracks_in,
    treatment_of,
)
from physadv.evaluate.drive_plan import DrivePlan, FilmCase
from physadv.evaluate.drive_ranges import range_track
from physadv.evaluate.drive_reading import (
    Victim,
    check_names,
    reading_of,
    untold_target,
    wanted_of,
)
from physadv.evaluate.drive_trials import (
    Followed,
    Unseen,
    film_records,
    film_trials,
    unseen_record,
)
from physadv.evaluate.filmaskers import (
    Answering,
    Asker,
    ChainAsker,
    Clock,
    CropAsker,
    DetectorAsker,
    OutlineAsker,
)
from physadv.evaluate.filmlooks import look_at_film
from physadv.evaluate.filmsheets import SheetAsker, sheets_of
from physadv.evaluate.journal import key_of
from physadv.evaluate.looklog import LookLog, check_same_samples
from physadv.evaluate.matching import CONFIDENCE
from physadv.evaluate.reading import Reading
from physadv.evaluate.trackchoice import other_objects
from physadv.types import Trial
from physadv.victim.chain import ChainVictim
from physadv.victim.named import load_judged
from physadv.victim.protocol import ClassifierVictim

Array = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

LOOKS = "looks"
_FORMAT = 3  # of the logs; a new one has everything looked at again
_LEAST_CROP_PX = 4.0


@dataclass(frozen=True)
class Drive:
    """What was read in one film.

    ``readings`` are each victim's, in the samples of the track; ``records`` has one dictionary
    for each victim. ``problem`` says why nothing could be judged; ``fault`` why the film ended
    early; ``undrawn`` why annotated films are missing.
    """

    case: FilmCase
    followed: Followed | None = None
    readings: dict[str, tuple[Reading, ...]] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    records: tuple[dict[str, Any], ...] = ()
    fault: str = ""
    problem: str = ""
    undrawn: tuple[str, ...] = ()


@lru_cache(maxsize=16)
def load_victim_on(name: str, device: str) -> Victim:
    """A victim on a device, loaded once in a process."""
    return load_judged(name).to(device)


def judge_film(
    case: FilmCase,
    plan: DrivePlan,
    out: Path,
    progress: Progress = lambda name, done, total: None,
) -> Drive:
    """Judge one film; what was seen is kept in ``out``, so that the same call goes on with it.

    Args:
        case: The film.
        plan: What is judged.
        out: Folder for the logs.
        progress: Called with the film's name, samples done, and about how many there are.

    Raises:
        UserError: If a class is unknown to a victim, the film cannot be read, boxes, log or camera
            do not fit, or the folder cannot be written.
    """
    victims = [load_victim_on(name, plan.device) for name in plan.victims]
    check_names(plan, victims)
    untold = f"no victim has a class {plan.target!r}: none can be misread as it"
    told = (untold,) if untold_target(plan, victims) else ()
    named = () if case.boxes is not None else plan.finders
    finders = [load_victim_on(name, plan.device) for name in named]
    detectors = detectors_of(victims, finders)
    film = film_of(case, plan)
    given = given_boxes(case, film)
    with ExitStack() as logs_open:

        def log_of(asker: Answering) -> LookLog:
            return logs_open.enter_context(_log(out, film, asker))

        logs = {name: log_of(DetectorAsker(one)) for name, one in detectors.items()}
        chains = [
            ChainAsker(v, class_indices(v.detector, plan.true_names), CONFIDENCE)
            for v in victims
            if isinstance(v, ChainVictim)
        ]
        chained = [(chain, log_of(chain), logs[chain.victim.detector.name]) for chain in chains]
        passed = {**logs, **{chain.victim.name: log for chain, log, _ in chained}}
        asked: list[tuple[Asker, LookLog]] = [
            (DetectorAsker(one), logs[name]) for name, one in detectors.items()
        ]
        first: Asker = SheetAsker(plan.layouts) if plan.layouts else Clock()
        if plan.layouts or not asked:
            asked.append((first, log_of(first)))
        clock = asked[-1][1]
        look_at_film(
            film,
            asked,
            chained,
            progress=partial(progress, case.name),
        )
        check_same_samples([log for _, log in asked])
        frames, times, fault = tuple(clock.frames), tuple(clock.times_s), clock.end or ""
        if not frames:
            return Drive(case, problem=fault or "it has no samples")
        sheets = [sheets_of(rows, plan.layouts) for rows in clock.rows] if plan.layouts else []
        treatment, problem = treatment_of(case, sheets)
        if treatment is None:
            return Drive(case, fault=fault, problem=problem)
        found_by = finders_of(case, plan, logs)
        tracks = tracks_in(plan, film, given, clock, detectors, found_by, sheets)
        if not tracks:
            sha256 = film.identity.split()[0]
            unseen = Unseen(treatment, frames, tuple(found_by), (*film.notes, *told), fault, sha256)
            records = [unseen_record(case, plan, unseen, victim) for victim in victims]
            return Drive(case, records=tuple(records), fault=fault)
        track = tracks[0] if case.boxes is not None else plan.choice.of(tracks, times)
        places = {frames[s]: b for s, b in zip(track.samples.tolist(), track.boxes, strict=True)}
        known, outlines = _look_again(film, plan, victims, places, log_of, progress, case.name)
        passed |= known
        at = np.asarray(times)[track.samples]
        camera = plan.camera_of(film.width_px, film.height_px)
        ranges = range_track(case, plan, camera, track, at, sheets, outlines)
        notes = (*film.notes, *told, *([camera.note] if camera is not None and camera.note else []))
        notes = (*notes, *other_objects(tracks, track))
        earlier = any(other.samples[0] < track.samples[0] for other in tracks)
        followed = Followed(
            treatment,
            frames,
            times,
            track,
            ranges,
            tuple(found_by),
            not earlier,
            notes,
            fault,
            film.identity.split()[0],
        )
        readings = {}
        for victim in victims:
            wanted = wanted_of(victim, plan)
            readings[victim.name] = tuple(
                reading_of(
                    victim,
                    passed[victim.name],
                    frame,
                    Wanted(wanted.true_names, wanted.targets, box),
                )
                for frame, box in places.items()
            )
    return Drive(
        case,
        followed,
        readings,
        tuple(film_trials(case, plan, followed, victims, readings)),
        tuple(film_records(case, plan, followed, victims, readings)),
        fault,
    )


def film_of(case: FilmCase, plan: DrivePlan) -> Film:
    """A case's film, sampled as planned.

    Raises:
        UserError: If it cannot be read.
    """
    return open_film(
        case.source,
        every=plan.every,
        fps=plan.fps,
        frame_rate=plan.frame_rate,
        seconds=plan.seconds,
    )


def _log(out: Path, film: Film, asker: Answering) -> LookLog:
    name = key_of(_FORMAT, film.identity, asker.key)[:24]
    about = {"film": film.name, "asker": asker.key.split(" [")[0]}
    return LookLog(out / LOOKS / f"{name}.jsonl", about, asker.width)


def _look_again(
    film: Film,
    plan: DrivePlan,
    victims: Sequence[Victim],
    places: dict[int, Array],
    log_of: Callable[[Answering], LookLog],
    progress: Progress,
    name: str,
) -> tuple[dict[str, LookLog], dict[int, Array]]:
    """A second passage, for what needs to know where the object is: classifiers, outlines.

    Returns:
        The classifiers' logs by name, and outlines [4] xyxy by place in the track.
    """
    limit = np.array([film.width_px, film.height_px] * 2, dtype=np.float64)
    shown = {frame: np.clip(box, 0, limit) for frame, box in places.items()}
    large = {f: b for f, b in shown.items() if (b[2:] - b[:2] >= _LEAST_CROP_PX).all()}
    asked: list[tuple[Asker, LookLog]] = []
    known = {}
    for victim in victims:
        if isinstance(victim, ClassifierVictim):
            asker = CropAsker(victim, large)
            known[victim.name] = log_of(asker)
            asked.append((asker, known[victim.name]))
    outlined = None
    if plan.sign_width_mm is not None:
        outliner = OutlineAsker(large)
        outlined = log_of(outliner)
        asked.append((outliner, outlined))
    if asked:
        look_at_film(film, asked, progress=partial(progress, f"{name} (where the object is)"))
    if outlined is None:
        return known, {}
    rows = [outlined.of(frame) for frame in places]
    return known, {n: row[0].astype(np.float64) for n, row in enumerate(rows) if len(row)}
