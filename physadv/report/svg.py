"""Matplotlib figures as SVG text that can stand inside a page: no ids that clash, no metadata."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

PX_PER_INCH = 72
INK, FAINT = "#222222", "#8a8a8a"
# Okabe & Ito, Color Universal Design, 2008: told apart by colour-blind readers.
COLOURS = {
    "adversarial": "#d55e00",
    "noise": "#0072b2",
    "blank": "#009e73",
    "control": "#cc79a7",
    "clean": "#444444",
}
MARKERS = {"adversarial": "o", "noise": "s", "blank": "^", "control": "v", "clean": "D"}
VERDICT_COLOURS = {
    "hit": "#56b4e9",
    "target": "#d55e00",
    "misclassified": "#f0c419",
    "missed": "#4d4d4d",
}
"""Also told apart by lightness alone: sky, vermilion, yellow, dark grey."""

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "hatch.linewidth": 0.5,
    "hatch.color": "#c8c8c8",
}
_PAGE_FONTS = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"


@contextmanager
def style(name: str) -> Iterator[None]:
    """Our defaults for figures made inside; ``name`` keeps ids of different figures apart."""
    settings: Any = {**_STYLE, "svg.hashsalt": name}
    with matplotlib.rc_context(settings):
        yield


def new_figure(width_px: float, height_px: float) -> Figure:
    """A figure of that size on the page (CSS pixels), outside pyplot's global state."""
    size = (width_px / PX_PER_INCH, height_px / PX_PER_INCH)
    figure = Figure(figsize=size, dpi=PX_PER_INCH, layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def svg_text(figure: Figure, label: str) -> str:
    """The figure as one ``<svg>`` element with ``label`` (plain text, escaped here) for readers.

    Must be called inside the :func:`style` that the figure was drawn in.
    """
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(stream, format="svg", metadata=nothing, transparent=True)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    # At 72 dots per inch a point of matplotlib's is meant as one CSS pixel of the page.
    text = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', text, count=2)
    text = text.replace("'DejaVu Sans', sans-serif", _PAGE_FONTS)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(
        r' id="([^"]*)"', lambda match: match.group(0) if match.group(1) in used else "", text
    )
    safe = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{safe}" ', 1)
