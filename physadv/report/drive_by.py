"""Films of an approach: how often the object is not read, and whether a car knows of it in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from physadv.report import text
from physadv.report.rates import Difference, Rate, pooled_rate, rate_of
from physadv.report.summary import ARTWORK
from physadv.stats.intervals import MIN_CLUSTERS, difference_of
from physadv.stats.stratified import effective_size
from physadv.types import CAPTURED, NOTHING

Film = Mapping[str, Any]
Counts = tuple[int, int]
ORDER = tuple(reversed(CAPTURED))
"""Treatments as they are told: the artwork first, then its controls."""


@dataclass(frozen=True)
class Braking:
    """Cars of one speed, over the videos of one treatment.

    ``late`` counts videos in which the object is not confirmed ``braking_m`` before it, of those
    that tell; in ``never`` of them it is not confirmed at all. ``untold`` names the other videos,
    and why they do not tell.
    """

    speed_kmh: float
    braking_m: float
    late: Rate
    never: int
    untold: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Drive:
    """One video: samples not read right (``fooled``), or read as the target, of all; ``film`` is
    its record. One video has no interval: its samples are not independent."""

    fooled: Rate
    target: Rate
    film: Film


@dataclass(frozen=True)
class TreatmentDrives:
    """The videos of one treatment.

    ``fooled`` and ``target`` are over the samples of all, with an interval over videos from
    ``MIN_CLUSTERS`` of them on. ``effective`` is how many independent samples those behind
    ``fooled`` are worth, None below that many videos, which do not tell how alike samples are.
    ``unconfirmed`` and ``target_confirmed`` count videos in which the object is never confirmed,
    and in which it is confirmed as the target.
    """

    treatment: str
    drives: tuple[Drive, ...]
    fooled: Rate
    target: Rate
    effective: float | None
    unconfirmed: Rate
    target_confirmed: Rate
    braking: tuple[Braking, ...]


@dataclass(frozen=True)
class DriveContrast:
    """The artwork minus a control: samples ``fooled`` and read as ``target``, and for each speed
    the videos not confirmed in time (``late``). None where one of the two has too few videos.
    """

    control: str
    fooled: Difference | None
    target: Difference | None
    late: tuple[Difference | None, ...]


@dataclass(frozen=True)
class DriveSummary:
    """One victim's reading of the videos; ``speeds`` are (km/h, braking point in m), slow first."""

    victim: str
    crop: str
    true_class: str
    target_class: str
    speeds: tuple[tuple[float, float], ...]
    treatments: Mapping[str, TreatmentDrives]
    contrasts: tuple[DriveContrast, ...]

    @property
    def aimed(self) -> bool:
        """Whether the attacker wants a class to be read."""
        return bool(self.target_class) and self.target_class != NOTHING

    @property
    def drives(self) -> list[Drive]:
        """All videos, the artwork's first."""
        return [drive for found in self.treatments.values() for drive in found.drives]


def summarise_drives(trials: pl.DataFrame, films: Sequence[Film]) -> list[DriveSummary]:
    """A summary for each victim. Samples are counted from Trials, moments taken from ``films``.

    The interval of a rate over samples is a bootstrap over videos, since the samples of one are
    not independent; where all videos have one rate, which leaves a bootstrap without width, it is
    Wilson's with each video as one trial (``rates.pooled_rate``). Counts of videos have Wilson's.
    Differences combine the two intervals as independent ones. Below ``MIN_CLUSTERS`` videos of a
    treatment nothing has an interval, and no difference is made.

    Args:
        trials: Those with source "video": one row per sample and victim, ``group`` the film.
        films: One record per film and victim, as ``drive_trials.film_records`` gives.

    Raises:
        ValueError: If the records are not of these Trials.
    """
    rows = trials.filter(pl.col("source") == "video")
    by_victim: dict[tuple[str, str], list[Film]] = {}
    for film in films:
        by_victim.setdefault((film["victim"], film["crop"]), []).append(film)
    told = {(film["victim"], film["crop"], film["film"]) for film in films}
    strangers = set(rows.select("victim", "crop", "group").unique().rows()) - told
    if strangers or len(told) != len(films):
        raise ValueError(f"Trials without one record of their film: {sorted(strangers) or films}")
    return [_summary(rows, *key, own) for key, own in by_victim.items()]


def _summary(rows: pl.DataFrame, victim: str, crop: str, films: list[Film]) -> DriveSummary:
    rows = rows.filter((pl.col("victim") == victim) & (pl.col("crop") == crop))
    speeds = tuple(
        sorted({(one["speed_kmh"], one["braking_m"]) for film in films for one in film["speeds"]})
    )
    present = {film["treatment"] for film in films}
    treatments: dict[str, TreatmentDrives] = {
        name: _treatment(name, rows, [f for f in films if f["treatment"] == name], speeds)
        for name in ORDER
        if name in present
    }
    classes = rows["true_class"].unique(maintain_order=True).to_list()
    targets = [name for name in rows["target_class"].unique(maintain_order=True) if name]
    return DriveSummary(
        victim,
        crop,
        " or ".join(classes) or "the object",
        " or ".join(targets),
        speeds,
        treatments,
        _contrasts(treatments),
    )


def _treatment(
    name: str, rows: pl.DataFrame, films: list[Film], speeds: Sequence[tuple[float, float]]
) -> TreatmentDrives:
    drives = tuple(_drive(rows.filter(pl.col("group") == film["film"]), film) for film in films)
    fooled = {d.film["film"]: (d.fooled.k, d.fooled.n) for d in drives}
    target = {d.film["film"]: (d.target.k, d.target.n) for d in drives}
    rate = _over_videos(fooled)
    return TreatmentDrives(
        name,
        drives,
        rate,
        _over_videos(target),
        _worth(rate, fooled),
        _of_videos([film["confirmed_s"] is None for film in films]),
        _of_videos([film["target_confirmed_s"] is not None for film in films]),
        tuple(_braking(films, *speed) for speed in speeds),
    )


def _drive(rows: pl.DataFrame, film: Film) -> Drive:
    n = len(rows)
    hits, targets = (int((rows["verdict"] == name).sum()) for name in ("hit", "target"))
    if (n, hits, targets) != (film["samples"], film["hit"], film["target"]):
        raise ValueError(
            f"{film['film']}, {film['victim']}: Trials have {n} samples, {hits} hits, {targets} "
            f"read as target, the record {film['samples']}, {film['hit']}, {film['target']}"
        )
    return Drive(Rate(n - hits, n, method="none"), Rate(targets, n, method="none"), film)


def _braking(films: Sequence[Film], speed_kmh: float, braking_m: float) -> Braking:
    own = [
        (film["film"], one)
        for film in films
        for one in film["speeds"]
        if (one["speed_kmh"], one["braking_m"]) == (speed_kmh, braking_m)
    ]
    told = [one for _, one in own if one["in_time"] is not None]
    return Braking(
        speed_kmh,
        braking_m,
        _of_videos([not one["in_time"] for one in told]),
        sum(not one["in_time"] and one["confirmed_m"] is None for one in told),
        tuple((film, one["why"]) for film, one in own if one["in_time"] is None),
    )


def _over_videos(by_video: Mapping[str, Counts]) -> Rate:
    counted = {film: count for film, count in by_video.items() if count[1]}
    if len(counted) >= MIN_CLUSTERS:
        return pooled_rate(counted)
    k, n = (sum(count[i] for count in counted.values()) for i in (0, 1))
    return Rate(k, n, method=f"none: {text.plural(len(counted), 'video')}")


def _worth(rate: Rate, by_video: Mapping[str, Counts]) -> float | None:
    if rate.interval is None:
        return None
    # Where the interval takes each video for one trial, so does the size.
    counted = {film: count for film, count in by_video.items() if count[1]}
    return float(len(counted)) if rate.method.startswith("Wilson,") else effective_size(counted)


def _of_videos(happened: Sequence[bool]) -> Rate:
    if len(happened) >= MIN_CLUSTERS:
        return rate_of(sum(happened), len(happened))
    return Rate(sum(happened), len(happened), method=f"none: {text.plural(len(happened), 'video')}")


def _contrasts(treatments: Mapping[str, TreatmentDrives]) -> tuple[DriveContrast, ...]:
    if ARTWORK not in treatments:
        return ()
    others = [one for name, one in treatments.items() if name != ARTWORK]
    found = (_contrast(treatments[ARTWORK], other) for other in others)
    return tuple(one for one in found if any((one.fooled, one.target, *one.late)))


def _contrast(own: TreatmentDrives, control: TreatmentDrives) -> DriveContrast:
    late = zip(own.braking, control.braking, strict=True)
    return DriveContrast(
        control.treatment,
        _minus(own.fooled, control.fooled),
        _minus(own.target, control.target),
        tuple(_minus(a.late, b.late) for a, b in late),
    )


def _minus(first: Rate, second: Rate) -> Difference | None:
    if first.value is None or second.value is None or not (first.interval and second.interval):
        return None
    limits = difference_of(first.value, first.interval, second.value, second.interval)
    return Difference(first.value - second.value, limits, f"{first.method}; {second.method}")


def outcome(speed: Mapping[str, Any]) -> str:
    """Whether a car of a speed knew of the object: in time, too late, never or not known."""
    if speed["in_time"] is None:
        return "not known"
    if speed["in_time"]:
        return "in time"
    return "never" if speed["confirmed_m"] is None else "too late"


def place(metres: float | None, seconds: float | None, without: str = "never") -> str:
    """Where something happened, or when if the distance is not known."""
    if metres is not None:
        return f"{metres:.1f}{text.NBSP}m"
    return without if seconds is None else f"{seconds:.1f}{text.NBSP}s"
