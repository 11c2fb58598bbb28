"""Films of an approach: the object is found, followed, ranged and read by every victim."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from physadv.calibrate.fiducials import FoundSheet
from physadv.checks import UserError
from physadv.data.boxes import read_boxes
from physadv.data.film import Film
from physadv.data.films import open_film
from physadv.evaluate.capture_reading import Wanted, class_indices
from physadv.evaluate.drive_plan import DrivePlan, FilmCase
from physadv.evaluate.drive_ranges import range_track
from physadv.evaluate.drive_reading import Victim, reading_of, wanted_of
from physadv.evaluate.drive_trials import Followed, film_records, film_trials
from physadv.evaluate.filmlooks import (
    Answering,
    Asker,
    ChainAsker,
    Clock,
    CropAsker,
    DetectorAsker,
    OutlineAsker,
    detections_of,
    look_at_film,
)
from physadv.evaluate.filmsheets import (
    SheetAsker,
    box_by_sheet,
    sheets_of,
    treatment_by_sheets,
)
from physadv.evaluate.journal import key_of
from physadv.evaluate.looklog import LookLog, check_same_samples
from physadv.evaluate.matching import CONFIDENCE
from physadv.evaluate.reading import Reading
from physadv.evaluate.tracks import (
    NOTHING_SIGHTED,
    WEAK_CONFIDENCE,
    Sightings,
    Track,
    find_tracks,
    merge_sightings,
    track_of_boxes,
)
from physadv.types import Treatment, Trial
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.named import load_judged
from physadv.victim.protocol import ClassifierVictim

Array = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

LOOKS = "looks"
_FORMAT = 1  # of the logs; a new one has everything looked at again
_LEAST_CROP_PX = 4.0
_SLACK_PX = 2.0


@dataclass(frozen=True)
class Drive:
    """What was read in one film.

    ``readings`` are each victim's, in the samples of the track; ``records`` has one dictionary
    for each victim. ``problem`` says why nothing could be judged; ``fault`` why the film ended
    early.
    """

    case: FilmCase
    followed: Followed | None = None
    readings: dict[str, tuple[Reading, ...]] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()
    records: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    fault: str = ""
    problem: str = ""


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
        UserError: If a name is unknown to a victim, boxes or camera do not fit, or the folder
            cannot be written. A film that cannot be opened or does not show the object is told in
            ``problem``, so that others can be judged.
    """
    victims = [load_victim_on(name, plan.device) for name in plan.victims]
    detectors = _detectors(victims, plan, boxes_given=case.boxes is not None)
    try:
        film = film_of(case, plan)
    except UserError as error:
        return Drive(case, problem=f"{error.got}. {error.do}")
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
            return Drive(case, notes=film.notes, problem=fault or "it has no samples")
        sheets = [sheets_of(rows, plan.layouts) for rows in clock.rows] if plan.layouts else []
        treatment, problem = _treatment(case, sheets)
        if treatment is None:
            return Drive(case, notes=film.notes, fault=fault, problem=problem)
        finders = logs if case.boxes is None else {}
        track = _track(case, plan, film, clock, detectors, finders, sheets)
        if track is None:
            who = ", ".join((*finders, *(["markers"] if plan.layouts else [])))
            words = f"{' or '.join(plan.true_names)} was never found in it, by {who}"
            return Drive(case, notes=film.notes, fault=fault, problem=words)
        places = {frames[s]: b for s, b in zip(track.samples.tolist(), track.boxes, strict=True)}
        known, outlines = _look_again(film, plan, victims, places, log_of, progress, case.name)
        passed |= known
        at = np.asarray(times)[track.samples]
        camera = plan.camera_of(film.width_px, film.height_px)
        ranges = range_track(case, plan, camera, track, at, sheets, outlines)
        notes = film.notes if camera is None or not camera.note else (*film.notes, camera.note)
        followed = Followed(treatment, frames, times, track, ranges, tuple(finders), notes, fault)
        readings = {}
        for victim in victims:
            wanted = wanted_of(victim, plan)
            readings[victim.name] = tuple(
                reading_of(
                    victim,
                    passed[victim.name],
                    frame,
                    Wanted(wanted.true_names, wanted.target, box),
                )
                for frame, box in places.items()
            )
    return Drive(
        case,
        followed,
        readings,
        tuple(film_trials(case, plan, followed, victims, readings)),
        tuple(film_records(case, plan, followed, victims, readings)),
        followed.notes,
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


def _detectors(
    victims: Sequence[Victim], plan: DrivePlan, *, boxes_given: bool
) -> dict[str, DetectorVictim]:
    """Every detector that looks, by name: the victims' own, and those that only find."""
    found: dict[str, DetectorVictim] = {}
    for victim in victims:
        if isinstance(victim, ChainVictim):
            found[victim.detector.name] = victim.detector
        elif isinstance(victim, DetectorVictim):
            found[victim.name] = victim
    for name in () if boxes_given else plan.finders:
        one = load_victim_on(name, plan.device)
        if not isinstance(one, DetectorVictim):
            raise UserError(f"find objects with {name}", "it is no detector", "Give a detector.")
        found.setdefault(name, one)
    return found


def _log(out: Path, film: Film, asker: Answering) -> LookLog:
    name = key_of(_FORMAT, film.identity, asker.key)[:24]
    about = {"film": film.name, "asker": asker.key.split(" [")[0]}
    return LookLog(out / LOOKS / f"{name}.jsonl", about, asker.width)


def _treatment(
    case: FilmCase, sheets: Sequence[Sequence[FoundSheet]]
) -> tuple[Treatment | None, str]:
    """What a film shows, or why that is not clear."""
    try:
        marked = treatment_by_sheets(sheets)
    except UserError as error:
        return None, f"its markers tell several treatments: {error.got}"
    if case.treatment is None:
        return marked, "" if marked else "neither its name nor its markers say what it shows"
    if marked not in (None, case.treatment):
        return None, f"its name or manifest says {case.treatment}, its markers say {marked}"
    return case.treatment, ""


def _track(
    case: FilmCase,
    plan: DrivePlan,
    film: Film,
    clock: LookLog,
    detectors: dict[str, DetectorVictim],
    finders: dict[str, LookLog],
    sheets: Sequence[Sequence[FoundSheet]],
) -> Track | None:
    if case.boxes is not None:
        boxes = read_boxes(case.boxes, Path(case.source).name)
        edge = max(float(one.box[2:].max()) for one in boxes.values())
        if edge > max(film.width_px, film.height_px) + _SLACK_PX:
            raise UserError(
                f"boxes of {case.name} in {case.boxes}",
                f"they reach to {edge:.0f} px, the film has {film.width_px} x {film.height_px} px",
                "Give the boxes of this film, in its own pixels.",
            )
        return track_of_boxes(boxes, clock.frames)
    classes = {name: class_indices(detectors[name], plan.true_names) for name in finders}
    sightings = []
    for sample in range(len(clock.frames)):
        seen = [NOTHING_SIGHTED]
        for name, log in finders.items():
            found = detections_of(log.rows[sample])
            own = np.isin(found.classes, classes[name]) & (found.scores >= WEAK_CONFIDENCE)
            seen.append(Sightings(found.boxes[own], found.scores[own]))
        for sheet in sheets[sample] if sheets else ():
            box = box_by_sheet(sheet, plan.printed)
            if box is not None:
                seen.append(Sightings(box[None], np.ones(1)))
        sightings.append(merge_sightings(seen))
    return plan.choice.of(find_tracks(clock.times_s, sightings), clock.times_s)


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
