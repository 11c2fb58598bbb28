"""The report's plots as SVG text: heat maps, success over distance, history."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from physadv.report import text
from physadv.report.describe import success_words
from physadv.report.rates import Rate, rate_of
from physadv.report.summary import ARTWORK, CellSummary, VictimSummary
from physadv.report.svg import COLOURS, FAINT, INK, MARKERS, new_figure, style, svg_text

Kind = Literal["hit", "target", "error"]

_CELL_PX, _ROW_PX, _WIDE_CELL_PX = 46.0, 33.0, 74.0
_MANY_COLUMNS = 5
_DARK = 0.27
_TERM_DASHES = ("-", "--", ":", "-.")
_TERM_COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


def heat_map(summary: VictimSummary, treatment: str, kind: Kind, label: str) -> str | None:
    """Rate by distance (rows, near to far) and yaw (columns), with k/n in every cell.

    Cells that the grid does not have stay hatched; a cell whose clean sign fails has a dashed
    frame.

    Args:
        summary: Figures of one victim on one grid.
        treatment: Which treatment to show.
        kind: ``hit`` of all views, ``target`` or ``error`` of those whose clean view was hit.
        label: Text for readers that cannot see the picture.

    Returns:
        An ``<svg>`` element; None if no cell has a place or the treatment was not judged.
    """
    placed = {
        (cell.distance_m, cell.yaw_deg): cell
        for cell in summary.cells
        if cell.distance_m is not None and cell.yaw_deg is not None and treatment in cell.outcomes
    }
    if not placed:
        return None
    distances = sorted({distance for distance, _ in placed})
    yaws = sorted({yaw for _, yaw in placed})
    cell_px = _CELL_PX if narrow(summary) else _WIDE_CELL_PX
    with style(f"heat {summary.victim} {summary.group} {summary.crop} {treatment} {kind}"):
        figure = new_figure(cell_px * len(yaws) + 64, _ROW_PX * len(distances) + 44)
        axes = figure.add_subplot()
        axes.set_xlim(0, len(yaws))
        axes.set_ylim(len(distances), 0)
        for row, distance in enumerate(distances):
            for column, yaw in enumerate(yaws):
                _cell(axes, column, row, placed.get((distance, yaw)), treatment, kind)
        axes.set_xticks(np.arange(len(yaws)) + 0.5, [text.degrees(yaw) for yaw in yaws])
        axes.set_yticks(np.arange(len(distances)) + 0.5, [f"{d:.4g} m" for d in distances])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("yaw")
        return svg_text(figure, label)


def distance_plot(summary: VictimSummary, label: str) -> str | None:
    """Success over distance by treatment, with Wilson bands; the clean sign's hit rate dashed.

    Frontal cells only where every distance has one, otherwise all yaws of a distance together:
    :func:`frontal` tells which.

    Returns:
        An ``<svg>`` element; None if fewer than two distances were judged.
    """
    distances = sorted({cell.distance_m for cell in summary.cells if cell.distance_m is not None})
    if len(distances) < 2:
        return None
    with style(f"distance {summary.victim} {summary.group} {summary.crop}"):
        figure = new_figure(900, 260)
        axes = figure.add_subplot()
        for treatment in summary.treatments:
            kind: Kind = "hit" if treatment == "clean" else "target"
            success = success_words(summary.target_class, summary.true_class)
            name = "clean, right" if treatment == "clean" else f"{treatment}, {success}"
            _band(axes, distances, summary, treatment, kind, name)
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlim(0, max(distances) * 1.04)
        axes.set_xlabel("distance, m")
        axes.set_ylabel("share of views")
        axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)
        _legend(axes)
        return svg_text(figure, label)


def frontal(summary: VictimSummary) -> bool:
    """Whether every distance of the grid has a cell seen straight on."""
    distances = {cell.distance_m for cell in summary.cells}
    return distances == {cell.distance_m for cell in summary.cells if cell.yaw_deg == 0}


def narrow(summary: VictimSummary) -> bool:
    """Whether three heat maps fit side by side."""
    return len({cell.yaw_deg for cell in summary.cells}) <= _MANY_COLUMNS


def history_plot(
    history: Sequence[Mapping[str, Any]], label: str, success_label: str = "read as target"
) -> str | None:
    """Loss, its terms, success and held-out success over the optimiser's steps.

    Args:
        history: Lines of ``history.jsonl``; stages follow each other.
        label: Text for readers that cannot see the picture.
        success_label: What success means.

    Returns:
        An ``<svg>`` element; None if there are fewer than two lines.
    """
    if len(history) < 2:
        return None
    steps, starts = _running_steps(history)
    with style("history"):
        figure = new_figure(918, 260)
        left, right = figure.subplots(1, 2)
        _terms(left, history, steps)
        success = [_number(line.get("success")) for line in history]
        held_out = [_number(line.get("held_out")) for line in history]
        right.plot(steps, success, color="#a8c6dd", linewidth=1.1, label="training views")
        _line(right, steps, held_out, "held-out views", COLOURS[ARTWORK], "-", marker="o")
        right.set_ylim(-0.03, 1.03)
        right.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        right.set_ylabel(success_label)
        for axes in (left, right):
            axes.set_xlabel("step")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
            axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
            axes.set_axisbelow(True)
            for start, stage in starts:
                if start > 0:
                    axes.axvline(start, color=FAINT, linewidth=0.7, linestyle=":")
                if len(starts) > 1:
                    place: dict[str, Any] = {
                        "xycoords": ("data", "axes fraction"),
                        "fontsize": 8,
                        "color": FAINT,
                    }
                    note = axes.annotate(stage, (start, 1.0), ha="left", va="bottom", **place)
                    note.set_parse_math(False)
            _legend(axes)
        return svg_text(figure, label)


def _cell(
    axes: Axes, column: int, row: int, cell: CellSummary | None, treatment: str, kind: Kind
) -> None:
    gap = 0.03
    corner, size = (column + gap, row + gap), 1 - 2 * gap
    if cell is None:
        blank: dict[str, Any] = {"facecolor": "#fafafa", "edgecolor": "#d4d4d4", "linewidth": 0.0}
        axes.add_patch(Rectangle(corner, size, size, hatch="////", **blank))
        return
    rate: Rate = getattr(cell.outcomes[treatment], kind)
    value = rate.value
    shade = matplotlib.colormaps["Blues"](0.0 if value is None else 0.03 + 0.82 * value)
    axes.add_patch(Rectangle(corner, size, size, facecolor=shade, edgecolor="none"))
    if cell.clean_fails:
        frame: dict[str, Any] = {
            "fill": False,
            "edgecolor": INK,
            "linewidth": 0.9,
            "linestyle": (0, (3, 2)),
        }
        axes.add_patch(Rectangle(corner, size, size, **frame))
    ink = "#ffffff" if _luminance(shade) < _DARK else INK
    centre: dict[str, Any] = {"ha": "center", "va": "center", "color": ink}
    shown = text.percent(value).replace(".0" + text.NBSP, text.NBSP)
    axes.text(column + 0.5, row + 0.36, shown, fontsize=11, **centre)
    axes.text(column + 0.5, row + 0.74, f"{rate.k}/{rate.n}", fontsize=9, **centre)


def _luminance(colour: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2), to choose a legible ink."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _band(
    axes: Axes,
    distances: Sequence[float],
    summary: VictimSummary,
    treatment: str,
    kind: Kind,
    name: str,
) -> None:
    only_frontal = frontal(summary)
    kept, rates = [], []
    for distance in distances:
        own = [
            getattr(cell.outcomes[treatment], kind)
            for cell in summary.cells
            if cell.distance_m == distance
            and treatment in cell.outcomes
            and (cell.yaw_deg == 0 or not only_frontal)
        ]
        rate = rate_of(sum(r.k for r in own), sum(r.n for r in own))
        if rate.interval is not None:
            kept.append(distance)
            rates.append(rate)
    low = [rate.interval.low for rate in rates if rate.interval]
    high = [rate.interval.high for rate in rates if rate.interval]
    colour = COLOURS[treatment]
    axes.fill_between(kept, low, high, color=colour, alpha=0.15, linewidth=0)
    values = [rate.k / rate.n for rate in rates]
    dash = "--" if treatment == "clean" else "-"
    _line(axes, kept, values, name, colour, dash, marker=MARKERS[treatment])


def _terms(axes: Axes, history: Sequence[Mapping[str, Any]], steps: Sequence[int]) -> None:
    names: dict[str, None] = {}
    for line in history:
        names.update(dict.fromkeys(line.get("terms", {})))
    loss = [_number(line.get("loss")) for line in history]
    series: list[tuple[str, list[float], str, str]] = [("loss", loss, INK, "-")]
    for index, name in enumerate(names):
        values = [_number(line.get("terms", {}).get(name)) for line in history]
        colour = _TERM_COLOURS[index % len(_TERM_COLOURS)]
        series.append((name, values, colour, _TERM_DASHES[(index + 1) % len(_TERM_DASHES)]))
    for name, values, colour, dash in series:
        _line(axes, steps, values, name, colour, dash)
    shown = [value for _, values, _, _ in series for value in values if np.isfinite(value)]
    positive = [value for value in shown if value > 0]
    if positive and len(positive) == len(shown):
        axes.set_yscale("log")
    elif positive:
        axes.set_yscale("symlog", linthresh=max(min(positive), 1e-3))
    axes.set_ylabel("loss and its terms")


def _line(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    name: str,
    colour: str,
    dash: str,
    marker: str = "",
) -> None:
    """A line over the points that have a value, so that sparse series stay connected."""
    name = name.lstrip("_") or "(unnamed)"  # matplotlib hides labels with a leading underscore
    seen = [(a, b) for a, b in zip(x, y, strict=True) if np.isfinite(b)]
    looks: dict[str, Any] = {
        "color": colour,
        "linestyle": dash,
        "marker": marker,
        "markersize": 3.5,
    }
    axes.plot([a for a, _ in seen], [b for _, b in seen], linewidth=1.3, label=name, **looks)


def _legend(axes: Axes) -> None:
    legend = axes.legend(frameon=False, fontsize=10, loc="best")
    for entry in legend.get_texts():
        entry.set_parse_math(False)


def _running_steps(
    history: Sequence[Mapping[str, Any]],
) -> tuple[list[int], list[tuple[int, str]]]:
    """Steps counted on from stage to stage, and where each stage starts."""
    steps: list[int] = []
    starts: list[tuple[int, str]] = []
    offset, stage = 0, None
    for line in history:
        if line.get("stage", "") != stage:
            stage = line.get("stage", "")
            offset = steps[-1] if steps else 0
            starts.append((offset, str(stage)))
        steps.append(offset + int(line["step"]))
    return steps, starts


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
