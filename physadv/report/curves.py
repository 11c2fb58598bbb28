"""Recall over confidence as a plot."""

from collections.abc import Sequence
from typing import Any

from matplotlib.ticker import PercentFormatter

from physadv.report.recall import CURVE, RecallSummary
from physadv.report.svg import COLOURS, FAINT, MARKERS, new_figure, style, svg_text

_NAMES = {"adversarial": "patch", "noise": "noise print", "blank": "grey card", "clean": "clean"}


def recall_plot(summary: RecallSummary, marked: Sequence[float]) -> str:
    """Share of objects found over the least confidence that counts, a line a treatment.

    Args:
        summary: One detector on one set of photographs.
        marked: Confidences to mark: those of the table.

    Returns:
        An ``<svg>`` element.
    """
    with style(f"recall {summary.victim} {summary.group} {summary.artwork}"):
        figure = new_figure(620, 270)
        axes = figure.add_subplot()
        for confidence in marked:
            axes.axvline(confidence, color=FAINT, linewidth=0.7, linestyle=":")
        for treatment in summary.treatments:
            looks: dict[str, Any] = {
                "color": COLOURS[treatment],
                "linestyle": "--" if treatment == "clean" else "-",
                "marker": MARKERS[treatment],
                "markersize": 3.5,
                "markevery": 10,
                "linewidth": 1.3,
                "label": _NAMES[treatment],
            }
            axes.plot(CURVE, summary.curve[treatment], **looks)
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.03, 1.03)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("least confidence that counts")
        axes.set_ylabel("objects found")
        axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)
        figure.legend(frameon=False, fontsize=10, loc="outside right upper")
        return svg_text(figure, f"Objects found over confidence, {summary.victim}")
