"""Films of an approach as tables for the terminal and as JSON."""

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from physadv.report import text
from physadv.report.drive_by import Drive, DriveSummary, outcome, place
from physadv.report.drivewords import frames_words, headline
from physadv.report.rates import Difference, Rate

_LEGEND = (
    "known: confirmed, and remembered from then on. late: videos in which that is never, or not "
    "before the braking point, of those that tell."
)
_TIGHT: Any = {"pad_edge": False, "padding": (0, 1, 0, 0)}


def drive_tables(found: DriveSummary) -> list[Table]:
    """One row a video; then by treatment, and the artwork minus its controls."""
    tables = [_videos(found), _treatments(found)]
    return [*tables, _contrasts(found)] if found.contrasts else tables


def _videos(found: DriveSummary) -> Table:
    table = Table(box=box.SIMPLE, **_TIGHT, title=Text(headline(found)), title_justify="left")
    table.add_column("film", overflow="fold", min_width=9)
    for name in ("not\nread", *(("as\ntarget",) if found.aimed else ())):
        table.add_column(name, justify="right", overflow="fold")
    for name in ("first\nread", "not for", "known"):
        table.add_column(name, justify="right", overflow="fold")
    for speed_kmh, braking_m in found.speeds:
        table.add_column(
            f"{speed_kmh:g} km/h\n{braking_m:.1f}{text.NBSP}m", justify="right", overflow="fold"
        )
    group = ""
    for drive in found.drives:
        film = drive.film
        if film["treatment"] != group:
            group = film["treatment"]
            table.add_section()
            table.add_row(Text(group, style="bold"))
        rates = (drive.fooled, drive.target) if found.aimed else (drive.fooled,)
        table.add_row(
            Text(film["film"]),
            *(_plain(rate) for rate in rates),
            place(film["first_hit_m"], film["first_hit_s"]),
            place(film["longest_missed_m"], film["longest_missed_s"]),
            place(film["confirmed_m"], film["confirmed_s"]),
            *_outcomes(found, drive),
        )
    return table


def _outcomes(found: DriveSummary, drive: Drive) -> list[str]:
    known = {(s["speed_kmh"], s["braking_m"]): outcome(s) for s in drive.film["speeds"]}
    return [known.get(speed, text.NONE) for speed in found.speeds]


def _treatments(found: DriveSummary) -> Table:
    table = Table(box=box.SIMPLE, **_TIGHT, caption=_LEGEND, caption_justify="left")
    names = ["not\nread", *(["as\ntarget"] if found.aimed else []), "never\nknown"]
    table.add_column("videos with", no_wrap=True)
    table.add_column("n", justify="right", overflow="fold")
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    for speed_kmh, _ in found.speeds:
        table.add_column(f"late\n{speed_kmh:g} km/h", justify="right", overflow="fold")
    for one in found.treatments.values():
        rates = (one.fooled, one.target) if found.aimed else (one.fooled,)
        table.add_row(
            one.treatment,
            f"{len(one.drives)}",
            *(frames_words(rate) for rate in rates),
            _of(one.unconfirmed),
            *(_of(braking.late) for braking in one.braking),
        )
    return table


def _contrasts(found: DriveSummary) -> Table:
    table = Table(box=box.SIMPLE, **_TIGHT)
    table.add_column("artwork minus, points")
    for name in ("not\nread", *(("as\ntarget",) if found.aimed else ())):
        table.add_column(name, justify="right", overflow="fold")
    for speed_kmh, _ in found.speeds:
        table.add_column(f"late\n{speed_kmh:g} km/h", justify="right", overflow="fold")
    for one in found.contrasts:
        rates = (one.fooled, one.target) if found.aimed else (one.fooled,)
        table.add_row(one.control, *(_points(value) for value in (*rates, *one.late)))
    return table


def _plain(rate: Rate) -> str:
    return f"{text.counts(rate)}\n{text.percent(rate.value)}" if rate.n else text.NONE


def _of(rate: Rate) -> str:
    if not rate.n:
        return text.NONE
    limits = "" if rate.interval is None else f"\n{text.bare(rate.interval)}"
    return f"{rate.k} of {rate.n}{limits}"


def _points(value: Difference | None) -> str:
    if value is None:
        return text.NONE
    return f"{text.points(value.value)}\n{text.points_interval(value.interval)}"


def records(found: DriveSummary) -> dict[str, object]:
    """For JSON."""

    def rate(value: Rate) -> dict[str, object]:
        limits = None if value.interval is None else [value.interval.low, value.interval.high]
        return {"k": value.k, "n": value.n, "interval": limits, "method": value.method}

    def gain(value: Difference | None) -> dict[str, object] | None:
        if value is None:
            return None
        limits = None if value.interval is None else [value.interval.low, value.interval.high]
        return {"difference": value.value, "interval": limits, "method": value.method}

    def speeds(values: tuple[Any, ...]) -> dict[str, Any]:
        named = zip(found.speeds, values, strict=True)
        return {f"{speed_kmh:g} km/h": value for (speed_kmh, _), value in named}

    return {
        "victim": found.victim,
        "crop": found.crop,
        "true_class": found.true_class,
        "target_class": found.target_class,
        "treatments": {
            name: {
                "videos": len(one.drives),
                "not_read": rate(one.fooled),
                "target": rate(one.target),
                "effective_size": None if one.effective is None else round(one.effective, 1),
                "never_confirmed": rate(one.unconfirmed),
                "target_confirmed": rate(one.target_confirmed),
                "not_in_time": speeds(
                    tuple(
                        {**rate(b.late), "never": b.never, "not_known": len(b.untold)}
                        for b in one.braking
                    )
                ),
            }
            for name, one in found.treatments.items()
        },
        "effects": [
            {
                "control": one.control,
                "not_read": gain(one.fooled),
                "target": gain(one.target),
                "not_in_time": speeds(tuple(gain(value) for value in one.late)),
            }
            for one in found.contrasts
        ],
        "films": [dict(drive.film) for drive in found.drives],
    }
