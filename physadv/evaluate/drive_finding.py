"""Who looks for the object in a film, and which objects they find."""

from collections.abc import Mapping, Sequence

import numpy as np

from physadv.calibrate.fiducials import FoundSheet
from physadv.checks import UserError
from physadv.data.boxes import FrameBox, check_boxes, read_boxes
from physadv.data.film import Film
from physadv.evaluate.capture_reading import class_indices
from physadv.evaluate.drive_plan import DrivePlan, FilmCase
from physadv.evaluate.drive_reading import Victim, detector_of
from physadv.evaluate.filmaskers import detections_of
from physadv.evaluate.filmsheets import box_by_sheet, treatment_by_sheets
from physadv.evaluate.looklog import LookLog
from physadv.evaluate.tracks import (
    NOTHING_SIGHTED,
    WEAK_CONFIDENCE,
    Sightings,
    Track,
    find_tracks,
    merge_sightings,
    track_of_boxes,
)
from physadv.types import Treatment
from physadv.victim.detector import DetectorVictim


def detectors_of(victims: Sequence[Victim], finders: Sequence[Victim]) -> dict[str, DetectorVictim]:
    """Every detector that looks at a film, by name: the victims' own, and those that only find.

    Raises:
        UserError: If a finder is no detector.
    """
    found: dict[str, DetectorVictim] = {}
    for victim in victims:
        eye = detector_of(victim)
        if eye is not None:
            found[eye.name] = eye
    for one in finders:
        if not isinstance(one, DetectorVictim):
            raise UserError(
                f"find objects with {one.name}", "it is no detector", "Give a detector."
            )
        found.setdefault(one.name, one)
    return found


def treatment_of(
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


def finders_of(case: FilmCase, plan: DrivePlan, logs: Mapping[str, LookLog]) -> dict[str, LookLog]:
    """Whose sightings tell where the object is: those asked for, else every victim that can."""
    if case.boxes is not None:
        return {}
    return {name: log for name, log in logs.items() if not plan.finders or name in plan.finders}


def given_boxes(case: FilmCase, film: Film) -> dict[int, FrameBox] | None:
    """The boxes that are known beforehand, by frame, if there are any.

    Raises:
        UserError: If they are not of this film.
    """
    if case.boxes is None:
        return None
    boxes = read_boxes(case.boxes, case.name)
    check_boxes(film, boxes, case.boxes)
    return boxes


def tracks_in(
    plan: DrivePlan,
    film: Film,
    given: Mapping[int, FrameBox] | None,
    clock: LookLog,
    detectors: Mapping[str, DetectorVictim],
    finders: Mapping[str, LookLog],
    sheets: Sequence[Sequence[FoundSheet]],
) -> list[Track]:
    """All objects of the true classes, or the one whose boxes are given."""
    if given is not None:
        return [track_of_boxes(given, clock.frames)]
    true = {name: class_indices(detectors[name], plan.true_names) for name in finders}
    target = plan.target.casefold()
    aims = {
        name: [i for i, c in enumerate(detectors[name].class_names) if c.casefold() == target]
        for name in finders
    }
    sightings = []
    for sample in range(len(clock.frames)):
        seen = [NOTHING_SIGHTED]
        for name, log in finders.items():
            found = detections_of(log.rows[sample])
            own = np.isin(found.classes, true[name])
            # What is read as the target may be the object, and carries its track on.
            good = (own | np.isin(found.classes, aims[name])) & (found.scores >= WEAK_CONFIDENCE)
            scores = np.where(own, found.scores, WEAK_CONFIDENCE)
            seen.append(Sightings(found.boxes[good], scores[good]))
        for sheet in sheets[sample] if sheets else ():
            box = box_by_sheet(sheet, plan.printed)
            if box is not None:
                seen.append(Sightings(box[None], np.ones(1)))
        sightings.append(merge_sightings(seen))
    return find_tracks(clock.times_s, sightings, (film.width_px, film.height_px))
