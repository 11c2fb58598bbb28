"""Plots: the figures that they print, what they leave out, and that they can share a page."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from toy_run import grid_trials

from physadv.evaluate.trials import trials_frame
from physadv.report.figures import distance_plot, frontal, heat_map, history_plot, narrow
from physadv.report.summary import ARTWORK, summarise


@pytest.fixture
def summary():
    return summarise(trials_frame(grid_trials("a" * 64)))[0]


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    found = root.iter("{http://www.w3.org/2000/svg}text")
    return ["".join(element.itertext()).strip().replace("\u00a0", " ") for element in found]


def test_heat_map_prints_counts_and_hatches_what_the_grid_lacks(summary):
    drawn = heat_map(summary, ARTWORK, "target", "success")
    found = texts(drawn)
    assert [text for text in found if "/" in text] == ["36/40", "10/20", "30/39"]
    assert [text for text in found if text.endswith("%")] == ["90 %", "50 %", "76.9 %"]
    assert {"2 m", "4 m", "0°", "−30°"} <= set(found)
    # 2 distances x 2 yaws, 3 cells: one place is hatched; one cell fails clean: one dashed frame.
    assert len(re.findall(r"fill: url\(#", drawn)) == 1
    assert drawn.count("stroke-dasharray") == 1
    assert len(re.findall(r"fill: url\(#", heat_map(summary, "clean", "hit", ""))) == 1


def test_shade_follows_the_rate(summary):
    def shades(svg: str) -> list[str]:
        return re.findall(r"fill: (#[0-9a-f]{6})(?=\"|;)", svg.split("matplotlib.axis")[0])

    low, high = (heat_map(summary, name, "target", "") for name in ("blank", ARTWORK))
    assert set(shades(low)) != set(shades(high))


def test_nothing_to_draw(summary):
    assert heat_map(replace(summary, cells=()), ARTWORK, "target", "") is None
    nowhere = tuple(replace(cell, distance_m=None) for cell in summary.cells)
    assert heat_map(replace(summary, cells=nowhere), ARTWORK, "target", "") is None
    assert distance_plot(replace(summary, cells=nowhere), "") is None
    assert distance_plot(replace(summary, cells=summary.cells[:1]), "") is None
    assert history_plot([{"step": 1}], "") is None


def test_distance_plot_uses_frontal_cells_where_it_can(summary):
    assert frontal(summary)
    turned = tuple(replace(cell, yaw_deg=(cell.yaw_deg or 0) + 5) for cell in summary.cells)
    assert not frontal(replace(summary, cells=turned))
    assert distance_plot(summary, "") != distance_plot(replace(summary, cells=turned), "")
    assert narrow(summary)


def test_history_counts_steps_on_and_takes_any_names():
    history = [
        {"stage": stage, "step": step, "loss": loss, "success": 0.5, "terms": {"_odd$x$": 1.0}}
        for stage, steps in (("find", (1, 10, 20)), ("<fit>", (1, 30)))
        for step, loss in zip(steps, (2.0, -1.0, 0.5), strict=False)
    ]
    found = texts(history_plot(history, "history"))
    assert {"find", "<fit>", "odd$x$", "loss", "training views"} <= set(found)
    assert {"0", "50"} & set(found)


def test_figures_share_a_page(summary):
    drawn = [heat_map(summary, name, "target", 'a "<b>" & c') for name in ("noise", ARTWORK)]
    drawn.append(distance_plot(summary, ""))
    identifiers = [set(re.findall(r' id="([^"]+)"', svg)) for svg in drawn]
    assert not identifiers[0] & identifiers[1]
    assert not identifiers[1] & identifiers[2]
    for svg in drawn:
        ElementTree.fromstring(svg)
        used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
        assert used <= set(re.findall(r' id="([^"]+)"', svg))
        assert "DejaVu" not in svg
        assert not svg.startswith("<?xml")
    assert ElementTree.fromstring(drawn[0]).get("aria-label") == 'a "<b>" & c'
    assert drawn[0] == heat_map(summary, "noise", "target", 'a "<b>" & c')
