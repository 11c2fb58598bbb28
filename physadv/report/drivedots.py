"""Where cars of each speed confirm the object, as a plot over videos."""

import numpy as np
from matplotlib.axes import Axes

from physadv.report.drive_by import DriveSummary
from physadv.report.svg import COLOURS, FAINT, INK, MARKERS, new_figure, style, svg_text

WIDTH_PX = 918


def confirmation_plot(found: DriveSummary) -> str | None:
    """Where cars of each speed confirm the object, a dot a video, a panel a speed.

    Returns:
        An ``<svg>`` element; None if no video tells at any speed.
    """
    told = [
        (number, speed)
        for number, speed in enumerate(found.speeds)
        if any(one.braking[number].late.n for one in found.treatments.values())
    ]
    if not told:
        return None
    names = list(found.treatments)
    with style(f"confirmed {found.victim} {found.crop}"):
        figure = new_figure(WIDTH_PX, 34 * len(names) + 92)
        panels = figure.subplots(1, len(told), sharey=True, squeeze=False)[0]
        far = max(
            [speed["confirmed_m"] or 0.0 for d in found.drives for speed in d.film["speeds"]]
            + [braking for _, (_, braking) in told]
        )
        for axes, (_, (speed_kmh, braking_m)) in zip(panels, told, strict=True):
            axes.axvspan(far * 1.06, braking_m, color="#eef6ee", linewidth=0, zorder=0)
            axes.axvline(braking_m, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
            for row, name in enumerate(names):
                _dots(axes, found, name, row, (speed_kmh, braking_m), far)
            axes.set_xlim(far * 1.06, -0.2 * far)
            ticks = [t for t in axes.get_xticks() if 0 <= t <= far]
            axes.set_xticks([*ticks, -0.12 * far], [*(f"{t:g}" for t in ticks), "never"])
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.set_title(f"{speed_kmh:g} km/h", fontsize=10, loc="left")
            axes.tick_params(labelsize=9)
            axes.tick_params(axis="y", length=0)
            axes.spines["left"].set_visible(False)
        panels[0].set_yticks(range(len(names)), names, fontsize=10)
        for label, name in zip(panels[0].get_yticklabels(), names, strict=True):
            label.set_color(COLOURS[name])
        figure.supxlabel("confirmed at, m before the object", fontsize=10, color=INK)
        return svg_text(figure, f"Where {found.victim} confirmed the object, by treatment")


def _dots(
    axes: Axes,
    found: DriveSummary,
    name: str,
    row: int,
    speed: tuple[float, float],
    far: float,
) -> None:
    values = [
        -0.12 * far if own["confirmed_m"] is None else float(own["confirmed_m"])
        for drive in found.treatments[name].drives
        for own in drive.film["speeds"]
        if (own["speed_kmh"], own["braking_m"]) == speed and own["in_time"] is not None
    ]
    # Spread over the row in the order driven, so that equal ones are all seen.
    spread = np.linspace(-0.26, 0.26, len(values)) if len(values) > 1 else np.zeros(len(values))
    axes.plot(
        values,
        row + spread,
        linestyle="none",
        marker=MARKERS[name],
        markersize=4.5,
        color=COLOURS[name],
        alpha=0.8,
    )
    axes.axhline(row + 0.5, color=FAINT, linewidth=0.3)
