"""From the trial table alone to the figures that are reported."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl
from rich import box
from rich.table import Table
from rich.text import Text

from physadv.checks import UserError
from physadv.report import text
from physadv.report.describe import SHOWN, success_sentence
from physadv.report.rates import Effect, Mean, Rate, effect_of, mean_over, pooled_rate, rate_of
from physadv.types import NOTHING, TREATMENTS

CLEAN_FLOOR = 0.8
"""A cell whose clean hit rate has a Wilson lower bound below this is marked "clean fails"."""

ARTWORK = "adversarial"
CONTROLS = ("noise", "blank")
_BY = ("source", "victim", "artwork", "group", "crop", "defence", "true_class", "target_class")
_DRAW = ("cell", "frame")
# An object that is to be hidden is hidden when it is missed, and when it is misread.
_SUCCESS = (pl.col("verdict") == "target") | (
    (pl.col("target_class") == NOTHING) & (pl.col("verdict") != "hit")
)
# Draws stray from their cell, so the cell's name and not the draw's pose says where it stands.
_CELL_NAME = re.compile(r"(?P<distance>[\d.]+(?:e[+-]?\d+)?) m, (?P<yaw>-?[\d.]+) deg")


@dataclass(frozen=True)
class Outcome:
    """What became of one treatment.

    ``hit``: views read as the true class, of all. ``target``: views where the attacker got what he
    wanted, of those whose clean counterpart was read as the true class (RP2's ASR): the target is
    read, or, where the target is "nothing", the object is not found as what it is; ``error``
    likewise for any wrong class or none. The last two have n = 0 where no clean view was hit or
    judged.
    """

    hit: Rate
    target: Rate
    error: Rate


@dataclass(frozen=True)
class CellSummary:
    """One stratum of a grid, by treatment. ``distance_m`` and ``yaw_deg`` are the cell's own."""

    name: str
    distance_m: float | None
    yaw_deg: float | None
    clean_fails: bool
    outcomes: Mapping[str, Outcome]


@dataclass(frozen=True)
class VictimSummary:
    """One victim looking at one artwork on one grid or photo folder with one crop rule.

    ``pooled`` counts all views of a treatment together; ``means`` are unweighted means over the
    cells of the target rate; ``means_passing`` leave out the cells where the clean sign fails.
    """

    victim: str
    source: str
    group: str
    crop: str
    artwork: str
    defence: str
    true_class: str
    target_class: str
    cells: tuple[CellSummary, ...]
    pooled: Mapping[str, Outcome]
    means: Mapping[str, Mean | None]
    means_passing: Mapping[str, Mean | None]
    clean_mean: Mean | None
    effects: tuple[Effect, ...]

    @property
    def treatments(self) -> tuple[str, ...]:
        """Treatments that were judged, in the order clean, blank, noise, adversarial."""
        return tuple(name for name in TREATMENTS if name in self.pooled)

    @property
    def failing_cells(self) -> int:
        """Cells where the victim cannot be trusted with the clean sign."""
        return sum(cell.clean_fails for cell in self.cells)

    @property
    def headline(self) -> str:
        """One sentence with the figure, its interval and the control."""
        outcome = self.pooled.get(ARTWORK)
        if outcome is None or outcome.target.n == 0:
            return (
                f"{self.victim}: no view with the artwork whose clean counterpart was read right."
            )
        rate = outcome.target
        kind = "simulated view" if self.source == "grid" else f"{self.source} view"
        if self.source == "photo" and rate.method == "Wilson":
            kind = "photograph"
        limits = f", 95 % CI {text.interval(rate.interval)}" if rate.interval else ""
        what = success_sentence(self.target_class, self.true_class)
        sentence = (
            f"{self.victim} {what} in {rate.k:,} of "
            f"{text.plural(rate.n, kind)} ({text.percent(rate.value)}{limits})"
        )
        noise = self.pooled.get("noise")
        if noise is not None and noise.target.n:
            sentence += (
                f", against {text.percent(noise.target.value)} with a noise print of the same shape"
            )
        return sentence + "."

    @property
    def leads(self) -> bool:
        """Whether this is the crop rule that headlines: all but the jittered one."""
        return self.crop != "jittered"

    def __str__(self) -> str:
        return self.headline.replace(text.NBSP, " ")


def summarise(trials: pl.DataFrame) -> list[VictimSummary]:
    """Figures for every victim, source, group and crop rule in a trial table.

    Grid draws are independent trials. Of photographs, several looks at one photograph form a
    cluster; see :func:`physadv.report.rates.pooled_rate`.

    Args:
        trials: Columns of ``physadv.evaluate.trials.SCHEMA``.

    Returns:
        Grids first, then photographs; exact crops before jittered ones.

    Raises:
        UserError: If a draw occurs twice with the same treatment.
    """
    twice = trials.group_by(*_BY, *_DRAW, "treatment").len().filter(pl.col("len") > 1)
    if len(twice):
        row = twice.sort(*_BY, *_DRAW).row(0, named=True)
        raise UserError(
            f"trials of {row['victim']} on {row['group']}, cell {row['cell']!r}, "
            f"draw {row['frame']}, {row['treatment']}, crop {row['crop']}",
            f"{row['len']} rows for one look",
            "Judge the artwork again into a fresh trials.parquet.",
        )
    parts = trials.partition_by(*_BY, as_dict=True, maintain_order=True)
    found = [_summary(dict(zip(_BY, key, strict=True)), part) for key, part in parts.items()]
    return sorted(found, key=_rank)


def summary_table(summaries: Iterable[VictimSummary]) -> Table:
    """The summaries as a table that fits 80 columns, a row each."""
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        caption="artwork, noise, blank: read as the target (to be hidden: not found), of views "
        "whose clean view is read right; with 95 % intervals",
        caption_justify="left",
    )
    for name in ("victim", "judged on"):
        table.add_column(name, overflow="fold")
    for name in ("clean\nright", "artwork", "noise", "blank", "artwork\n- noise"):
        table.add_column(name, justify="right", no_wrap=True)
    for summary in summaries:
        noise = next((e for e in summary.effects if e.control == "noise"), None)
        cells = [
            summary.victim,
            f"{summary.group or summary.source}\n{SHOWN.get(summary.crop, summary.crop)}",
            text.percent(_value(summary, "clean", "hit")),
            _with_interval(summary, ARTWORK),
            text.percent(_value(summary, "noise", "target")),
            text.percent(_value(summary, "blank", "target")),
            text.NONE if noise is None else text.points(noise.value),
        ]
        table.add_row(*(Text(cell.replace(text.NBSP, " ")) for cell in cells))
    return table


def _rank(summary: VictimSummary) -> tuple[bool, str, str, bool, str, str]:
    grid, exact = summary.source == "grid", summary.crop == "exact"
    return not grid, summary.source, summary.group, not exact, summary.crop, summary.victim


def _value(summary: VictimSummary, treatment: str, kind: str) -> float | None:
    outcome = summary.pooled.get(treatment)
    return None if outcome is None else getattr(outcome, kind).value


def _with_interval(summary: VictimSummary, treatment: str) -> str:
    outcome = summary.pooled.get(treatment)
    if outcome is None or not outcome.target.n:
        return text.NONE
    rate = outcome.target
    limits = f"\n{text.interval(rate.interval)}" if rate.interval else ""
    return f"{text.counts(rate)}  {text.percent(rate.value)}{limits}"


def _summary(key: dict[str, str], trials: pl.DataFrame) -> VictimSummary:
    seen = _against_clean(trials, clustered=key["source"] != "grid")
    cells = _cells(seen)
    clusters = _counts(seen, "cluster")
    pooled = {
        treatment: Outcome(
            *(
                pooled_rate({c: (row[k], row[n]) for c, row in rows.items()})
                for k, n in (("hit", "n"), ("target", "base"), ("error", "base"))
            )
        )
        for treatment, rows in clusters.items()
    }
    passing = [cell for cell in cells if not cell.clean_fails]
    means = {name: _mean(cells, name, "target") for name in pooled}
    effects = (
        effect_of(control, _pairs(seen, control), means[ARTWORK], means[control])
        for control in CONTROLS
        if ARTWORK in pooled and control in pooled
    )
    return VictimSummary(
        **key,
        cells=cells,
        pooled=pooled,
        means=means,
        means_passing={name: _mean(passing, name, "target") for name in pooled},
        clean_mean=_mean(cells, "clean", "hit"),
        effects=tuple(effect for effect in effects if effect is not None),
    )


def _against_clean(trials: pl.DataFrame, clustered: bool) -> pl.DataFrame:
    """One row a view: is its clean counterpart hit, and which views belong together."""
    clean = trials.filter(pl.col("treatment") == "clean").select(
        *_DRAW, base=pl.col("verdict") == "hit", photo="sha256"
    )
    draw = pl.concat_str(pl.col("cell"), pl.col("frame").cast(pl.String), separator="\x1f")
    photo = pl.when(pl.col("photo").fill_null("") != "").then(pl.col("photo")).otherwise(draw)
    return trials.join(clean, on=_DRAW, how="left").with_columns(
        base=pl.col("base").fill_null(False), cluster=photo if clustered else draw
    )


def _counts(seen: pl.DataFrame, by: str) -> dict[str, dict[str, dict[str, int]]]:
    """Counts by treatment and by the values of a column."""
    hit, base = pl.col("verdict") == "hit", pl.col("base")
    table = seen.group_by("treatment", by, maintain_order=True).agg(
        n=pl.len(),
        hit=hit.sum(),
        base=base.sum(),
        target=(base & _SUCCESS).sum(),
        error=(base & ~hit).sum(),
    )
    found: dict[str, dict[str, dict[str, int]]] = {}
    for row in table.iter_rows(named=True):
        found.setdefault(row["treatment"], {})[row[by]] = row
    return found


def _cells(seen: pl.DataFrame) -> tuple[CellSummary, ...]:
    counted = _counts(seen, "cell")
    where = seen.group_by("cell", maintain_order=True).agg(
        pl.col("distance_m").median(), pl.col("yaw_deg").median()
    )
    cells = []
    for name, distance_m, yaw_deg in where.iter_rows():
        named = _CELL_NAME.fullmatch(name)
        if named:
            distance_m, yaw_deg = float(named["distance"]), float(named["yaw"])
        outcomes = {
            treatment: Outcome(
                rate_of(rows[name]["hit"], rows[name]["n"]),
                rate_of(rows[name]["target"], rows[name]["base"]),
                rate_of(rows[name]["error"], rows[name]["base"]),
            )
            for treatment, rows in counted.items()
            if name in rows
        }
        cells.append(CellSummary(name, distance_m, yaw_deg, _clean_fails(outcomes), outcomes))
    return tuple(sorted(cells, key=_place))


def _clean_fails(outcomes: Mapping[str, Outcome]) -> bool:
    clean = outcomes.get("clean")
    return clean is None or clean.hit.interval is None or clean.hit.interval.low < CLEAN_FLOOR


def _place(cell: CellSummary) -> tuple[float, float, float, str]:
    far = float("inf")
    distance_m = far if cell.distance_m is None else cell.distance_m
    yaw_deg = far if cell.yaw_deg is None else cell.yaw_deg
    return distance_m, abs(yaw_deg), yaw_deg, cell.name


def _mean(cells: Iterable[CellSummary], treatment: str, kind: str) -> Mean | None:
    return mean_over(
        [getattr(cell.outcomes[treatment], kind) for cell in cells if treatment in cell.outcomes]
    )


def _pairs(seen: pl.DataFrame, control: str) -> list[tuple[str, bool, bool]]:
    """(cluster, artwork succeeds, control succeeds) for draws that saw both, clean read right."""

    def outcomes(treatment: str) -> pl.DataFrame:
        rows = seen.filter((pl.col("treatment") == treatment) & pl.col("base"))
        return rows.select(*_DRAW, "cluster", success=_SUCCESS)

    joined = outcomes(ARTWORK).join(outcomes(control), on=_DRAW, suffix="_control")
    return list(joined.select("cluster", "success", "success_control").iter_rows())
