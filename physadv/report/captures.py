"""Photographs of prints: rates by treatment and cell, effects against controls, by session."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from rich import box
from rich.table import Table

from physadv.report import text
from physadv.report.rates import Rate, pooled_rate, rate_of
from physadv.report.summary import ARTWORK, CLEAN_FLOOR
from physadv.stats.intervals import MIN_CLUSTERS, Interval, difference_of, newcombe
from physadv.stats.stratified import Stratified, effective_size, stratified_difference
from physadv.types import CAPTURED, NOTHING

OUTCOMES = ("hit", "target", "misclassified", "missed")
OBJECT, TARGET = "the object", "the target"
"""What is read over several objects and targets."""
_CONTROLS = ("noise", "blank", "control", "clean")
Counts = tuple[int, int]


@dataclass(frozen=True)
class Contrast:
    """Success of the artwork minus that of a control.

    ``interval`` is Newcombe's, from the rates' intervals over sessions where both have them
    (``by_session``), else from those of independent photographs. ``adjusted`` is Mantel and
    Haenszel's over the cells that hold both, for independent photographs.
    """

    control: str
    value: float
    interval: Interval
    adjusted: Stratified | None
    by_session: bool = False


@dataclass(frozen=True)
class CaptureSummary:
    """One victim's reading of the photographs.

    ``outcomes`` counts each verdict by treatment; ``success`` is the attacker's: the target is
    read, or where none is named (or it is "nothing") the object is not read as what it is.
    ``pooled`` is success with its interval over sessions; ``sessions`` success in each, by
    treatment. ``cells`` holds right readings and ``success`` by cell and treatment;
    ``clean_fails`` are cells whose clean photographs are not reliably read right, so that nothing
    follows from the artwork's. ``effective`` is what the photographs are worth as independent
    ones, by treatment.
    """

    victim: str
    true_class: str
    target_class: str
    treatments: tuple[str, ...]
    outcomes: Mapping[str, Mapping[str, Rate]]
    pooled: Mapping[str, Rate]
    effective: Mapping[str, float]
    contrasts: tuple[Contrast, ...]
    cells: Mapping[str, Mapping[str, Rate]]
    cell_hits: Mapping[str, Mapping[str, Rate]]
    clean_fails: frozenset[str]
    sessions: Mapping[str, Mapping[str, Counts]]
    pose_sources: Mapping[str, int]

    @property
    def target_words(self) -> str:
        """The attacker's class, or classes, in words."""
        return self.target_class.replace("|", " or ")

    @property
    def aim(self) -> str:
        """What success is, in words."""
        if self.target_class == TARGET:
            return f"read as {TARGET}, or where none is named not as {self.true_class}"
        if self.target_class and self.target_class != NOTHING:
            return f"read as {self.target_words}"
        return f"not read as {self.true_class}"


def summarise_captures(trials: pl.DataFrame) -> list[CaptureSummary]:
    """Summaries from Trials alone: for each victim one of every object and target.

    Where a victim was shown several, one over all of them comes first; its cells are told apart by
    object and target. Photographs that name no target belong to every target of their object.
    """
    captured = trials.filter(pl.col("source") == "capture")
    found = []
    for (victim,), rows in captured.group_by(["victim"], maintain_order=True):
        single = []
        for (true_class,), part in rows.group_by(["true_class"], maintain_order=True):
            targets = [t for t in part["target_class"].unique(maintain_order=True) if t] or [""]
            for target in targets:
                own = part.filter(pl.col("target_class").is_in([target, ""]))
                single.append(_summary(own, str(victim), str(true_class), target))
        if len(single) > 1:
            aims = {one.target_class for one in single} - {NOTHING}
            arrow = pl.when(pl.col("target_class") == "").then(pl.lit("")).otherwise(pl.lit(" → "))
            words = pl.col("target_class").str.replace_all("|", " or ", literal=True)
            named = pl.col("true_class") + arrow + words
            where = (
                pl.when(pl.col("cell") == "all").then(pl.lit("")).otherwise(", " + pl.col("cell"))
            )
            pooled = rows.with_columns((named + where).alias("cell"))
            found.append(_summary(pooled, str(victim), OBJECT, TARGET if aims - {""} else ""))
        found += single
    return found


def _summary(rows: pl.DataFrame, victim: str, true_class: str, target: str) -> CaptureSummary:
    aimed = bool(target) and target != NOTHING
    aim = pl.col("target_class") if target == TARGET else pl.lit(target)
    rows = rows.with_columns(aim.str.to_lowercase().str.split("|").alias("aims"))
    read_as_aimed = (pl.col("aims").list.contains(pl.col("predicted_class").str.to_lowercase())) & (
        pl.col("verdict") != "hit"
    )
    # A clean photograph names no target, but may be read as one.
    rows = rows.with_columns(
        pl.when(read_as_aimed).then(pl.lit("target")).otherwise(pl.col("verdict")).alias("verdict")
        if aimed
        else pl.col("verdict")
    )
    missed = pl.col("verdict") != "hit"
    success = pl.col("verdict") == "target" if aimed else missed
    if target == TARGET:
        # Those without a target of their own are attacked, if at all, to be misread in any way.
        named = ~pl.col("target_class").is_in(["", NOTHING])
        success = pl.when(named).then(success).otherwise(missed)
    rows = rows.with_columns(success.alias("success"), (pl.col("verdict") == "hit").alias("hit"))
    present = set(rows["treatment"])
    treatments: tuple[str, ...] = tuple(name for name in CAPTURED if name in present)
    by = {name: rows.filter(pl.col("treatment") == name) for name in treatments}
    # Without sessions every photograph counts as taken on its own; the report says so.
    told = rows["group"].n_unique() > 1
    clusters = {name: _counts(part, "group" if told else "frame") for name, part in by.items()}
    cells = {name: _counts(part, "cell") for name, part in by.items()}
    hits = {name: _counts(part, "cell", "hit") for name, part in by.items()}
    order = sorted({cell for counted in cells.values() for cell in counted}, key=cell_order)
    pooled = {name: pooled_rate(counted) for name, counted in clusters.items()}
    return CaptureSummary(
        victim,
        true_class,
        target,
        treatments,
        {
            name: {
                verdict: rate_of(int((part["verdict"] == verdict).sum()), len(part))
                for verdict in OUTCOMES
            }
            for name, part in by.items()
        },
        pooled,
        {name: effective_size(counted) for name, counted in clusters.items()},
        _contrasts(cells, pooled if told else {}),
        _by_cell(cells, order),
        _by_cell(hits, order),
        frozenset(
            cell
            for cell in order
            if (rate := rate_of(*hits.get("clean", {}).get(cell, (0, 0)))).n
            and rate.interval is not None
            and rate.interval.low < CLEAN_FLOOR
        ),
        _sessions(by) if told else {},
        {str(k): int(n) for k, n in rows.group_by("pose_source").len().sort("pose_source").rows()},
    )


def _counts(rows: pl.DataFrame, by: str, what: str = "success") -> dict[str, Counts]:
    found = rows.group_by(by).agg(pl.col(what).sum().alias("k"), pl.len().alias("n")).sort(by)
    return {str(key): (int(k), int(n)) for key, k, n in found.rows()}


def _by_cell(
    counted: Mapping[str, Mapping[str, Counts]], order: Sequence[str]
) -> dict[str, dict[str, Rate]]:
    return {
        cell: {name: rate_of(*cells.get(cell, (0, 0))) for name, cells in counted.items()}
        for cell in order
    }


def _contrasts(
    cells: Mapping[str, Mapping[str, Counts]], pooled: Mapping[str, Rate]
) -> tuple[Contrast, ...]:
    if ARTWORK not in cells:
        return ()
    own = cells[ARTWORK]
    found = []
    for control in _CONTROLS:
        if control not in cells:
            continue
        other = cells[control]
        (k1, n1), (k2, n2) = (
            (sum(k for k, _ in part.values()), sum(n for _, n in part.values()))
            for part in (own, other)
        )
        names = sorted(set(own) | set(other))
        adjusted = stratified_difference(
            [own.get(name, (0, 0)) for name in names], [other.get(name, (0, 0)) for name in names]
        )
        own_limits, other_limits = (
            pooled[name].interval if name in pooled else None for name in (ARTWORK, control)
        )
        value = k1 / n1 - k2 / n2
        if own_limits is None or other_limits is None:
            found.append(Contrast(control, value, newcombe(k1, n1, k2, n2), adjusted))
            continue
        interval = difference_of(k1 / n1, own_limits, k2 / n2, other_limits)
        found.append(Contrast(control, value, interval, adjusted, by_session=True))
    return tuple(found)


def _sessions(by: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, Counts]]:
    counted = {name: _counts(part, "group") for name, part in by.items()}
    names = sorted({session for part in counted.values() for session in part})
    return {
        session: {name: part[session] for name, part in counted.items() if session in part}
        for session in names
    }


def cell_order(name: str) -> tuple[Any, ...]:
    """Sorts cells by distance, angle and what else they are split by."""
    numbers = [float(value) for value in re.findall(r"(-?[\d.]+) (?:m|deg)\b", name)]
    padded = [*numbers, 0.0, 0.0]
    return (padded[0], abs(padded[1]), padded[1], name)


def headline(found: CaptureSummary) -> str:
    """The result in one sentence."""
    if ARTWORK not in found.treatments:
        told = " ".join(
            f"{name}: {text.percent(rates['hit'].value)} ({rates['hit'].k}/{rates['hit'].n}) read "
            f"as {found.true_class}."
            for name, rates in found.outcomes.items()
        )
        return f"{found.victim}. {told}"
    rate = found.pooled[ARTWORK]
    words = (
        f"{found.victim}: {text.percent(rate.value)} of the photographs with the artwork "
        f"({rate.k}/{rate.n}) are {found.aim}"
    )
    if not found.contrasts:
        return f"{words}; without photographs of a control nothing says that the artwork does it."
    best = found.contrasts[0]
    return (
        f"{words}, {text.points(best.value)} points against {best.control} "
        f"({text.points_interval(best.interval)}{', over sessions' if best.by_session else ''})."
    )


def capture_tables(found: CaptureSummary) -> list[Table]:
    """For the terminal: outcomes by treatment, then success (or right readings) by cell."""
    names = {"hit": f"right: {found.true_class}", "target": f"read as {found.target_words}"}
    first = Table(box=box.SIMPLE, title=headline(found), title_justify="left")
    first.add_column("treatment")
    shown = [v for v in OUTCOMES if v != "target" or found.target_class]
    for verdict in shown:
        first.add_column(names.get(verdict, verdict), justify="right")
    if found.sessions:
        first.add_column(f"{found.aim}, over sessions", justify="right")
    for name, rates in found.outcomes.items():
        over = [_cell_text(found.pooled[name])] if found.sessions else []
        first.add_row(name, *(_cell_text(rates[verdict]) for verdict in shown), *over)
    attacked = ARTWORK in found.treatments
    rows = found.cells if attacked else found.cell_hits
    second = Table(box=box.SIMPLE)
    second.add_column(found.aim if attacked else f"read as {found.true_class}")
    for name in found.treatments:
        second.add_column(name, justify="right")
    for cell, by in rows.items():
        fails = "  clean fails" if cell in found.clean_fails else ""
        second.add_row(cell + fails, *(_cell_text(by[name]) for name in found.treatments))
    return [first, second] if len(rows) > 1 else [first]


def _cell_text(rate: Rate) -> str:
    if not rate.n:
        return text.NONE
    interval = "" if rate.interval is None else f" {text.bare(rate.interval)}"
    return f"{rate.k}/{rate.n} {text.percent(rate.value)}{interval}"


def cluster_note(found: CaptureSummary) -> str:
    """What the photographs are taken for: single looks, or those of sessions."""
    if not found.sessions:
        return (
            "No sessions are known, so every photograph counts as independent of the others. "
            "Intervals are too narrow if several were taken from one spot; put each session in a "
            "folder, or name it in the manifest."
        )
    many = len(found.sessions)
    if many < MIN_CLUSTERS:
        return (
            f"{text.plural(many, 'session')}: too few for an interval over sessions. The values of "
            "each are below; intervals elsewhere take photographs as independent."
        )
    return (
        f"Intervals over sessions are a bootstrap over {many} of them; others take photographs as "
        "independent, and are too narrow where those of a session are alike."
    )
