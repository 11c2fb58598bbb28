"""Which of the sources of distance a film has, and what they say of the followed object."""

from collections.abc import Mapping, Sequence

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
    outlines: Mapping[int, Array],
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
        outlines: [4] xyxy of a stop sign's edge, by place in the track, where it was looked for
            and found.

    Raises:
        UserError: If a speed log is wrong, or nothing ties it to the object.
    """
    measured, source = _measured(plan, camera, track, at_s, sheets, outlines)
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
    outlines: Mapping[int, Array],
) -> tuple[Measured | None, RangeSource]:
    if camera is None:
        return None, "none"
    measured: Measured | None = None
    source: RangeSource = "none"
    if plan.sign_width_mm is not None:
        boxes, found = track.boxes.copy(), np.zeros(len(at_s), dtype=bool)
        for place, box in outlines.items():
            boxes[place], found[place] = box, True
        measured = measure_boxes(at_s, boxes, found, plan.sign_width_mm, camera)
        source = "outline"
    elif plan.object_height_mm is not None:
        measured = measure_boxes(at_s, track.boxes, track.sighted, plan.object_height_mm, camera)
        source = "box"
    by_sheet = {
        place: seen[0]
        for place, sample in enumerate(track.samples.tolist())
        if sheets and (seen := [d for s in sheets[sample] if (d := depth_by_sheet(s, camera))])
    }
    if not by_sheet:
        return measured, source
    distance, sd = np.full((2, len(at_s)), np.nan)
    if measured is not None:
        distance, sd = measured.distance_m.copy(), measured.sd_m.copy()
    for place, (metres, error) in by_sheet.items():
        distance[place], sd[place] = metres, error
    return Measured(distance, sd, camera.focal_sd), "fiducial"
