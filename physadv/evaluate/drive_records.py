"""From what was read in a film's samples to what a car would have known, and when."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from physadv.evaluate.confirmation import confirmed_at, longest_run, looks_at_speed
from physadv.evaluate.drive_plan import Car
from physadv.evaluate.ranging import Ranges
from physadv.types import Verdict
from physadv.units import KMH_PER_MPS

Array = npt.NDArray[np.float64]

_SURE_SD = 2.0  # errors of a distance by which it must differ from the braking point
_FASTER = 1.25


def film_record(
    times_s: Sequence[float],
    verdicts: Sequence[Verdict],
    ranges: Ranges,
    car: Car,
    *,
    interval_s: float,
    missed_before_m: float | None,
) -> dict[str, Any]:
    """What one victim made of one film.

    Args:
        times_s: [K] of the samples in which the object is followed.
        verdicts: [K] one for each.
        ranges: [K] distances.
        car: Rule of confirmation, and braking.
        interval_s: Time between two samples of the film.
        missed_before_m: How far away the object was when the film began, if it was followed only
            later because the victim itself did not see it before; else None.

    Returns:
        Counts of verdicts; time and distance of the first hit and of the confirmation as the
        object and as the target; the longest run without a hit; and for each speed whether the
        object was confirmed before the braking point, None where the film does not tell.
    """
    hits = [verdict == "hit" for verdict in verdicts]
    targets = [verdict == "target" for verdict in verdicts]
    count = Counter(verdicts)
    record: dict[str, Any] = {"samples": len(hits)}
    record |= {name: count.get(name, 0) for name in get_args(Verdict)}
    first = hits.index(True) if any(hits) else None
    moments = {
        "first_hit": first,
        "confirmed": confirmed_at(hits, car.least, car.of),
        "target_confirmed": confirmed_at(targets, car.least, car.of),
    }
    for name, at in moments.items():
        record[f"{name}_s"] = None if at is None else float(times_s[at])
        record[f"{name}_m"] = None if at is None else _known(ranges.distance_m[at])
    ends = [*times_s, times_s[-1] + interval_s] if len(times_s) else []
    run = longest_run([not hit for hit in hits], ends)
    record |= {"longest_missed_s": 0.0, "longest_missed_m": None}
    if run is not None:
        first, after = run[0], run[1] + 1
        record["longest_missed_s"] = float(ends[after] - ends[first])
        gone = ranges.distance_m[first] - ranges.distance_m[min(after, len(hits) - 1)]
        record["longest_missed_m"] = _known(gone)
    record["speeds"] = [
        _at_speed(ranges, np.array(hits, dtype=bool), car, speed, interval_s, missed_before_m)
        for speed in car.speeds_kmh
    ]
    return record


def _at_speed(
    ranges: Ranges,
    all_hits: npt.NDArray[np.bool_],
    car: Car,
    speed_kmh: float,
    interval_s: float,
    missed_before_m: float | None,
) -> dict[str, Any]:
    """Whether a car of some speed would have known before its braking point, if the film tells."""
    braking = car.braking_m(speed_kmh)
    record: dict[str, Any] = {
        "speed_kmh": speed_kmh,
        "braking_m": braking,
        "looks": 0,
        "confirmed_m": None,
        "in_time": None,
        "why": "",
    }
    known = np.flatnonzero(np.isfinite(ranges.distance_m))
    if not len(known) or interval_s <= 0:
        return record | {"why": "its distances are not known"}
    nearing = np.minimum.accumulate(ranges.distance_m[known])
    speed_mps = speed_kmh / KMH_PER_MPS
    sequences = looks_at_speed(nearing, speed_mps, interval_s)
    hits = all_hits[known]
    moments = [confirmed_at(hits[taken].tolist(), car.least, car.of) for taken in sequences]
    confirmed = [None if m is None else int(t[m]) for m, t in zip(moments, sequences, strict=True)]
    late = [at is None or nearing[at] < braking for at in confirmed]
    before = confirmed_at(all_hits[: known[0]].tolist(), car.least, car.of)
    if before is not None and nearing[0] >= braking:
        return record | {"in_time": True}
    record["looks"] = len(sequences[0])
    if None not in confirmed:
        record["confirmed_m"] = float(min(nearing[at] for at in confirmed if at is not None))
    unsure = [
        at
        for at in confirmed
        if at is not None and abs(nearing[at] - braking) < _SURE_SD * ranges.sd_m[known[at]]
    ]
    if unsure:
        error = float(ranges.sd_m[known[unsure[0]]])
        return record | {"why": f"too close to tell: distances are good to {error:.1f} m"}
    if not any(late):
        return record | {"in_time": True}
    if not all(late):
        return record | {"why": "it depends on when the car looks first"}
    begins = max(float(nearing[0]), missed_before_m or 0.0)
    if begins < braking:
        return record | {"why": f"the object is followed only from {begins:.0f} m on"}
    if float(nearing[-1]) > braking:
        return record | {"why": f"the object is followed only to {float(nearing[-1]):.0f} m"}
    if all_hits[: known[0]].any():
        return record | {"why": f"distances are known only from {float(nearing[0]):.0f} m on"}
    steps = -np.diff(nearing)
    if len(steps) and float(np.median(steps)) > _FASTER * speed_mps * interval_s:
        return record | {"why": "the film was driven faster, and has too few looks"}
    return record | {"in_time": False}


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
