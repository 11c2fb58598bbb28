"""Films of an approach as plots: what was read along the way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from physadv.report.drive_by import Drive, DriveSummary
from physadv.report.svg import (
    COLOURS,
    INK,
    VERDICT_COLOURS,
    new_figure,
    style,
    svg_text,
)

Array = npt.NDArray[np.float64]
WIDTH_PX = 918
_FEW_LANES = 6
_LANE_PX, _ROW_PX = 96, 17
_GAP = 3.0
"""Samples that lie this many usual steps apart leave a gap in the strip."""


@dataclass(frozen=True)
class Lane:
    """One video's samples along the axis: ``at`` [K] metres or seconds, in the order driven."""

    drive: Drive
    at: Array
    scores: Array
    verdicts: tuple[str, ...]
    confirmed: float | None
    target_confirmed: float | None
    left_out: int


@dataclass(frozen=True)
class Timeline:
    """A plot, how many samples it has no place for, and whether it shows the scores."""

    svg: str
    by_distance: bool
    left_out: int
    scores: bool


def timelines(found: DriveSummary, trials: pl.DataFrame) -> list[Timeline]:
    """What was read along the way, a lane for each video: those with distances, then the others.

    A sample without a distance between two that have one is placed by its time; others are left
    out of the plot.
    """
    lanes = [_lane(drive, _samples(found, drive, trials)) for drive in found.drives]
    plots = []
    for by_distance in (True, False):
        own = [lane for lane, metres in lanes if metres is by_distance and len(lane.at)]
        if own:
            left_out = sum(lane.left_out for lane in own)
            plots.append(
                Timeline(
                    _timeline(found, own, by_distance), by_distance, left_out, _tall_lanes(own)
                )
            )
    return plots


def _samples(found: DriveSummary, drive: Drive, trials: pl.DataFrame) -> pl.DataFrame:
    return trials.filter(
        (pl.col("source") == "video")
        & (pl.col("victim") == found.victim)
        & (pl.col("crop") == found.crop)
        & (pl.col("group") == drive.film["film"])
    ).sort("frame")


def _lane(drive: Drive, rows: pl.DataFrame) -> tuple[Lane, bool]:
    times = rows["time_s"].cast(pl.Float64).to_numpy()
    metres = rows["distance_m"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    known = np.isfinite(metres)
    by_distance = int(known.sum()) >= 2
    at = times
    if by_distance:
        at = np.interp(times, times[known], metres[known], left=np.nan, right=np.nan)
    placed = np.isfinite(at)
    unit = "m" if by_distance else "s"
    lane = Lane(
        drive,
        at[placed],
        rows["score"].to_numpy()[placed],
        tuple(rows.filter(pl.Series(placed))["verdict"]),
        drive.film[f"confirmed_{unit}"],
        drive.film[f"target_confirmed_{unit}"],
        int((~placed).sum()),
    )
    return lane, by_distance


def _timeline(found: DriveSummary, lanes: Sequence[Lane], by_distance: bool) -> str:
    with style(f"timeline {found.victim} {found.crop} {by_distance}"):
        if _tall_lanes(lanes):
            figure = new_figure(WIDTH_PX, _LANE_PX * len(lanes) + 96)
            panels = list(figure.subplots(len(lanes), 1, sharex=True, squeeze=False)[:, 0])
            for axes, lane in zip(panels, lanes, strict=True):
                _tall(axes, lane)
        else:
            figure = new_figure(WIDTH_PX, _ROW_PX * len(lanes) + 96)
            panels = [figure.add_subplot()]
            _rows(panels[0], lanes)
        _limits(found, panels[-1], lanes, by_distance)
        if by_distance:
            _braking(found, panels)
        panels[-1].set_xlabel("distance to the object, m" if by_distance else "time, s")
        _key(figure, found, lanes)
        return svg_text(figure, f"What {found.victim} read along the way, a lane for each video")


def _tall_lanes(lanes: Sequence[Lane]) -> bool:
    return len(lanes) <= _FEW_LANES


def _limits(found: DriveSummary, axes: Axes, lanes: Sequence[Lane], by_distance: bool) -> None:
    ends = [float(value) for lane in lanes for value in (lane.at.min(), lane.at.max())]
    if not by_distance:
        axes.set_xlim(min(ends), max(*ends, min(ends) + 1e-3))
        return
    far = max(*ends, *(braking for _, braking in found.speeds), 1.0)
    axes.set_xlim(far * 1.02, 0)


def _braking(found: DriveSummary, panels: Sequence[Axes]) -> None:
    looks: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 2))}
    for speed_kmh, braking_m in found.speeds:
        for axes in panels:
            axes.axvline(braking_m, zorder=1.5, **looks)
        panels[0].annotate(
            f"{speed_kmh:g} km/h",
            (braking_m, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 14 if len(panels) > 1 or panels[0].get_title(loc="left") else 3),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=9,
        )


def _tall(axes: Axes, lane: Lane) -> None:
    _strip(axes, lane, -0.42, 0.26)
    axes.plot(lane.at, lane.scores, color="#b8b8b8", linewidth=0.9, zorder=2)
    colours = [VERDICT_COLOURS[verdict] for verdict in lane.verdicts]
    axes.scatter(lane.at, lane.scores, s=14, c=colours, linewidths=0, zorder=3, clip_on=False)
    axes.set_ylim(-0.62, 1.04)
    axes.set_yticks([0, 0.5, 1], ["0", "", "1"])
    axes.grid(axis="y", color="#ececec", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_bounds(0, 1)
    axes.tick_params(labelsize=9)
    film = lane.drive.film
    words = axes.set_title(
        f"{film['treatment']} · {_short(film['film'], 70)}", loc="left", fontsize=10, pad=3
    )
    words.set_parse_math(False)
    words.set_color(COLOURS[film["treatment"]])
    words.set_fontweight("bold")


def _rows(axes: Axes, lanes: Sequence[Lane]) -> None:
    for row, lane in enumerate(lanes):
        _strip(axes, lane, row - 0.36, 0.62)
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    labels = [
        f"{_short(lane.drive.film['film'], 30)} · {lane.drive.film['treatment']}" for lane in lanes
    ]
    axes.set_yticks(range(len(lanes)), labels, fontsize=9)
    for label, lane in zip(axes.get_yticklabels(), lanes, strict=True):
        label.set_parse_math(False)
        label.set_color(COLOURS[lane.drive.film["treatment"]])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _strip(axes: Axes, lane: Lane, low: float, height: float) -> None:
    """The verdicts side by side, and from the moment of confirmation on a line below them."""
    edges = _edges(lane.at)
    cells = [Rectangle((float(a), low), float(b - a), height) for a, b in edges]
    colours = [VERDICT_COLOURS[verdict] for verdict in lane.verdicts]
    axes.add_collection(
        PatchCollection(cells, facecolors=colours, edgecolors=colours, linewidths=0.2, zorder=1)
    )
    down = axes.get_ylim()[0] > axes.get_ylim()[1]
    base = low + height if down or height > 0.3 else low
    away = 0.13 if height > 0.3 else -0.09
    for moment, colour in (
        (lane.confirmed, INK),
        (lane.target_confirmed, VERDICT_COLOURS["target"]),
    ):
        if moment is not None:
            level = base + away * (1.6 if colour != INK else 1)
            last = float(lane.at[-1])
            axes.plot([moment, last], [level, level], color=colour, linewidth=2.2, zorder=4)
            axes.plot([moment], [level], marker="o", markersize=4.5, color=colour, zorder=5)


def _edges(at: Array) -> npt.NDArray[np.float64]:
    """Where each sample's cell begins and ends: half way to its neighbours, none across a gap."""
    if len(at) == 1:
        return np.array([[at[0] - 0.25, at[0] + 0.25]])
    steps = np.diff(at)
    usual = float(np.median(np.abs(steps)))
    half = np.clip(steps, -_GAP * usual, _GAP * usual) / 2
    before, after = np.concatenate([half[:1], half]), np.concatenate([half, half[-1:]])
    return np.stack([at - before, at + after], axis=1)


def _key(figure: Figure, found: DriveSummary, lanes: Sequence[Lane]) -> None:
    names = {"hit": f"read as {found.true_class}", "target": f"as {found.target_class}"}
    names |= {"misclassified": "as another class", "missed": "not found"}
    seen = {verdict for lane in lanes for verdict in lane.verdicts}
    entries: list[Any] = [
        Patch(color=colour, label=names[verdict])
        for verdict, colour in VERDICT_COLOURS.items()
        if verdict in seen
    ]
    dot: dict[str, Any] = {"marker": "o", "markersize": 4.5, "linewidth": 2.2}
    axes = figure.axes[0]
    if any(lane.confirmed is not None for lane in lanes):
        entries += axes.plot([], [], color=INK, label="confirmed", **dot)
    if any(lane.target_confirmed is not None for lane in lanes):
        entries += axes.plot(
            [], [], color=VERDICT_COLOURS["target"], label="confirmed as the target", **dot
        )
    legend = figure.legend(
        handles=entries, frameon=False, fontsize=10, loc="outside lower center", ncols=6
    )
    for entry in legend.get_texts():
        entry.set_parse_math(False)


def _short(name: str, most: int) -> str:
    """Both ends of a long name: films differ in either."""
    half = most // 2
    return name if len(name) <= most else f"{name[:half]}…{name[1 - half :]}"
