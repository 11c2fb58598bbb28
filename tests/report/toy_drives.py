"""Films of an approach made up: a car nears a stop sign, read better the nearer it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from physadv.evaluate.trials import trials_frame
from physadv.types import Trial

SPEEDS_KMH = (20.0, 30.0, 50.0)
LEAST, OF = 3, 5
_READ_FROM_M = {"clean": 52.0, "noise": 46.0, "adversarial": 9.0}
FACTS: dict[str, Any] = {
    "command": "physadv evaluate drive-by *.mp4 --victim yolov8n --object-height 762",
    "sampling": "every 10th frame",
    "confirm": [LEAST, OF],
    "reaction_s": 1.0,
    "deceleration_mps2": 4.0,
    "started": "2026-11-24 01:22",
    "how": [("victims", "yolov8n, sha256 f59b3d83"), ("took", "41 s")],
    "skipped": [],
}


def braking_m(speed_kmh: float) -> float:
    v = speed_kmh / 3.6
    return v + v * v / 8


def confirmed(right: Sequence[bool]) -> int | None:
    """The first sample that ends OF in a row with LEAST right, by trying all."""
    for end in range(len(right)):
        if sum(right[max(0, end - OF + 1) : end + 1]) >= LEAST:
            return end
    return None


def drive(
    name: str,
    treatment: str,
    *,
    victim: str = "yolov8n",
    verdicts: Sequence[str] | None = None,
    from_m: float = 72.0,
    known: bool = True,
    target: str = "person",
    seed: int = 0,
) -> tuple[list[Trial], dict[str, Any]]:
    """Trials of a film driven at 18 km/h and looked at three times a second, and its record."""
    random = np.random.default_rng([seed, len(name), *name.encode()])
    count = int((from_m - 4.0) / (5.0 / 3)) if verdicts is None else len(verdicts)
    times = np.arange(count) / 3
    metres = from_m - 5.0 * times
    if verdicts is None:
        reach = _READ_FROM_M[treatment] * random.uniform(0.8, 1.15)
        chance = 1 / (1 + np.exp((metres - reach) / 4))
        other = ["target" if treatment == "adversarial" and target else "misclassified", "missed"]
        verdicts = [
            "hit" if random.random() < p else other[int(random.random() < 0.6)] for p in chance
        ]
    names = {"hit": "stop sign", "target": target, "misclassified": "kite", "missed": ""}
    trials = [
        Trial(
            run="",
            artwork="",
            victim=victim,
            source="video",
            treatment=treatment,
            verdict=verdict,
            predicted_class=names[verdict],
            true_class="stop sign",
            target_class=target,
            score=float(random.uniform(0.5, 0.95) if verdict == "hit" else random.uniform(0, 0.3)),
            distance_m=float(at) if known else None,
            crop="whole",
            group=name,
            frame=10 * number,
            time_s=float(time),
        )
        for number, (at, time, verdict) in enumerate(zip(metres, times, verdicts, strict=True))
    ]
    right = [verdict == "hit" for verdict in verdicts]
    aimed = [verdict == "target" for verdict in verdicts]
    moments = {
        "first_hit": right.index(True) if any(right) else None,
        "confirmed": confirmed(right),
        "target_confirmed": confirmed(aimed),
    }
    record: dict[str, Any] = {
        "film": name,
        "treatment": treatment,
        "victim": victim,
        "crop": "whole",
        "samples": count,
        **{kind: list(verdicts).count(kind) for kind in names},
    }
    for what, at in moments.items():
        record[f"{what}_s"] = None if at is None else float(times[at])
        record[f"{what}_m"] = None if at is None or not known else float(metres[at])
    longest = max((len(run) for run in "".join(".x"[not r] for r in right).split(".")), default=0)
    record["longest_missed_s"] = longest / 3
    record["longest_missed_m"] = longest * 5 / 3 if known else None
    record["speeds"] = [_speed(v, right, metres, known) for v in SPEEDS_KMH]
    return trials, record | {
        "distance_source": "box" if known else "none",
        "height_px": [11.4, 190.0],
        "track": {"samples": count, "sighted": count - 2, "of": count, "finder": victim},
        "fault": "",
        "notes": [] if known else ["The focal length is not known: give --camera or --fov."],
    }


def _speed(
    speed_kmh: float, right: Sequence[bool], metres: np.ndarray, known: bool
) -> dict[str, Any]:
    step = max(1, round(speed_kmh / 18))
    taken = list(range(0, len(right), step))
    at = confirmed([right[i] for i in taken])
    where = None if at is None or not known else float(metres[taken[at]])
    own: dict[str, Any] = {
        "speed_kmh": speed_kmh,
        "braking_m": braking_m(speed_kmh),
        "looks": len(taken) if known else 0,
        "confirmed_m": where,
        "in_time": None,
        "why": "",
    }
    if not known:
        return own | {"why": "its distances are not known"}
    if metres[0] < own["braking_m"]:
        return own | {"why": f"the object is followed only from {metres[0]:.0f} m on"}
    return own | {"in_time": where is not None and where >= own["braking_m"]}


def gather(
    drives: Sequence[tuple[list[Trial], dict[str, Any]]],
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    return trials_frame([t for trials, _ in drives for t in trials]), [f for _, f in drives]


def few(victim: str = "yolov8n") -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """One video a treatment."""
    return gather(
        [drive(f"{t}_01.mp4", t, victim=victim) for t in ("clean", "noise", "adversarial")]
    )


def many(victim: str = "yolov8n") -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Ten videos a treatment; of one no distance is known, one begins too near."""
    made = []
    for treatment in ("clean", "noise", "adversarial"):
        for number in range(1, 11):
            odd = treatment != "clean"
            made.append(
                drive(
                    f"{treatment}_{number:02d}.mp4",
                    treatment,
                    victim=victim,
                    known=not (odd and number == 4),
                    from_m=31.0 if odd and number == 7 else 72.0 - number,
                )
            )
    return gather(made)
