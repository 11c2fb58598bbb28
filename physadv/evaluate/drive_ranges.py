"""Which of the sources of distance a film has, and what they say of the followed object."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from physadv.calibrate.camera import CameraCalibration
from physadv.calibrate.fiducials import FoundSheet
from physadv.data.speedlog import SpeedLog, read_speed_log
from physadv.evaluate.drive_plan import DrivePlan, FilmCase
from physadv.evaluate.filmsheets import depth_by_sheet
from physadv.evaluate.ranging import (
    Measured,
    Ranges,
    RangeSource,
    measure_boxes,
    ranges_from,
    ranges_from_log,
    unknown_ranges,
)
from physadv.evaluate.tracks import Track

Array = npt.NDArray[np.float64]


def range_track(
    case: FilmCase,
    plan: DrivePlan,
    camera: CameraCalibration | None,
    track: Track,
    at_s: Array,
    sheets: Sequence[Sequence[FoundSheet]],
) -> Ranges:
    """Distances of a followed object.

    A speed log goes before what is seen in the picture; there, markers go before boxes, sample by
    sample.

    Args:
        case: The film.
        plan: What is known of camera and object.
        camera: The camera for the film's size; None if its focal length is unknown.
        track: The object.
        at_s: [K] times of its samples.
        sheets: Printed sheets in each of the film's samples; empty if none are looked for.

    Raises:
        UserError: If a speed log is wrong, or nothing ties it to the object.
    """
    measured, source = _measured(plan, camera, track, at_s, sheets)
    if case.speed_log is not None:
        log = read_speed_log(case.speed_log)
        onto_film = SpeedLog(log.times_s - case.log_start_s, log.travelled_m)
        return ranges_from_log(at_s, onto_film, case.anchor, measured)
    if measured is None:
        return unknown_ranges(len(at_s))
    return ranges_from(at_s, measured, source, monotone=plan.monotone)


def _measured(
    plan: DrivePlan,
    camera: CameraCalibration | None,
    track: Track,
    at_s: Array,
    sheets: Sequence[Sequence[FoundSheet]],
) -> tuple[Measured | None, RangeSource]:
    if camera is None:
        return None, "none"
    measured = None
    if plan.object_height_mm is not None:
        measured = measure_boxes(at_s, track.boxes, track.sighted, plan.object_height_mm, camera)
    by_sheet = {
        place: found[0]
        for place, sample in enumerate(track.samples.tolist())
        if sheets and (found := [d for s in sheets[sample] if (d := depth_by_sheet(s, camera))])
    }
    if not by_sheet:
        return measured, "none" if measured is None else "box"
    nothing = np.full(len(at_s), np.nan)
    distance, sd = (nothing, nothing) if measured is None else (measured.distance_m, measured.sd_m)
    distance, sd = distance.copy(), sd.copy()
    for place, (metres, error) in by_sheet.items():
        distance[place], sd[place] = metres, error
    return Measured(distance, sd, camera.focal_sd), "fiducial"
