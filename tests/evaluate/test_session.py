"""plan captures: how many, in which order, where to stand, how large."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest
from commandline import call_physadv as call

from physadv.checks import UserError
from physadv.evaluate.session import half_width_of, photographs_needed, plan_session
from physadv.evaluate.shotlist import read_shotlist
from physadv.export.fieldplan import write_field_plan
from physadv.export.sheetfile import SheetLayout
from physadv.scene.catalog import load_grid
from physadv.scene.pose import Camera, Pose, plane_to_image, project
from physadv.stats.intervals import wilson

CELLS = ((2.0, 0.0), (4.0, 30.0), (8.0, -45.0))


@pytest.mark.parametrize(("half_width", "sessions"), [(0.17, 3), (0.1, 1), (0.05, 4)])
def test_as_many_as_are_needed_and_no_session_more(half_width: float, sessions: int) -> None:
    n = photographs_needed(half_width, sessions=sessions)
    assert n % sessions == 0
    for count, enough in ((n + n % 2, True), (n - sessions - (n - sessions) % 2, False)):
        interval = wilson(count // 2, count)
        assert ((interval.high - interval.low) / 2 <= half_width) is enough


def test_the_protocol_s_table() -> None:
    """PROTOCOL: half widths at one half of 26, 17, 13 and 9.6 points for 10, 30, 50, 100."""
    for n, points in ((10, 26.3), (30, 16.8), (50, 13.4), (100, 9.6)):
        assert 100 * half_width_of(n, 0.5) == pytest.approx(points, abs=0.1)


def test_alike_photographs_are_worth_less_and_may_not_do() -> None:
    plain = photographs_needed(0.17, sessions=6)
    assert photographs_needed(0.17, sessions=6, alike=0.1) > plain
    with pytest.raises(UserError, match="Plan more sessions"):
        photographs_needed(0.1, sessions=3, alike=0.2)
    with pytest.raises(UserError):
        photographs_needed(0.0)


def test_every_cell_and_treatment_is_seen_in_every_session_in_a_new_order() -> None:
    plan = plan_session(CELLS, ("clean", "noise", "adversarial"), 12, sessions=4, seed=1)
    seen = Counter((v.session, v.station.name, v.treatment) for v in plan.visits)
    assert len(seen) == 4 * 3 * 3
    assert set(seen.values()) == {1}
    assert plan.photographs == 12 * 9
    orders = {
        session: [(v.station.name, v.treatment) for v in plan.visits if v.session == session]
        for session in range(1, 5)
    }
    assert len({tuple(order) for order in orders.values()}) == 4
    again = plan_session(CELLS, ("clean", "noise", "adversarial"), 12, sessions=4, seed=1)
    assert again == plan


def test_places_and_sizes_are_those_of_the_scene_s_camera() -> None:
    layout = SheetLayout("board", "r", "0" * 64, 300, 300, 60, (240.0, 400.0))
    plan = plan_session(CELLS, ("clean",), 1, width_mm=300, focal_px=3000, layout=layout)
    for station in plan.stations:
        assert np.hypot(station.along_m, station.across_m) == pytest.approx(station.distance_m)
        pose = Pose(station.distance_m, station.yaw_deg, 0.0, 0.0)
        matrix = plane_to_image(pose, Camera(3000, 4000, 3000))
        ends = project(matrix, np.array([[-150.0, 0.0], [150.0, 0.0]]))
        assert station.target_px == pytest.approx(np.ptp(ends[:, 0]), rel=0.02)
        assert station.cell_px is not None
        assert bool(station.warning) == (station.cell_px < 4)
    assert [bool(s.warning) for s in plan.stations] == [False, False, True]


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plan"
    words = ["--grid", "rp2_lab", "--fov-deg", "65", "--width-mm", "762"]
    assert call("plan", "captures", "--out", out, *words) == 0
    assert "30 photographs of each of clean, noise, adversarial" in capsys.readouterr().out
    with (out / "shots.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 30 * 3 * 15
    # Filled with file names it is a manifest.
    filled = tmp_path / "filled.csv"
    with filled.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, "file": f"{n}.jpg"} for n, row in enumerate(rows))
    shots = read_shotlist(filled).shots
    cells = {(round(shot.distance_m or 0, 2), shot.yaw_deg) for (shot,) in shots.values()}
    grid = {(round(cell.distance_m, 2), cell.yaw_deg) for cell in load_grid("rp2_lab").cells}
    assert cells == grid
    document = pdfium.PdfDocument(out / "plan.pdf")
    text = [document[n].get_textpage().get_text_range() for n in range(len(document))]
    document.close()
    assert "Shot list, page 1" in text[1]
    assert "40' 0\"" in text[0]
    assert sum(page.count("adversarial") for page in text[1:]) == 3 * 15
    first = (out / "plan.pdf").read_bytes()
    assert call("plan", "captures", "--out", out, *words) == 0
    assert (out / "plan.pdf").read_bytes() == first


def test_many_stations_go_over_pages(tmp_path: Path) -> None:
    cells = [(1.0 + n / 10, float(n % 7)) for n in range(60)]
    plan = plan_session(cells, ("clean",), 1)
    pages = write_field_plan(tmp_path / "p.pdf", "Many", plan.stations, plan.visits, ["Note."])
    document = pdfium.PdfDocument(tmp_path / "p.pdf")
    assert len(document) == pages
    text = "".join(document[n].get_textpage().get_text_range() for n in range(pages))
    document.close()
    assert text.count("6.90") >= 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--half-width", "0.7"], 1, "half width"),
        (["--treatment", "sticker"], 2, "sticker"),
        (["--grid", "nowhere"], 2, "nowhere"),
        (["--fov-deg", "65", "--picture", "large"], 2, "WIDTHxHEIGHT"),
        (["--run", "nowhere"], 1, "no such file"),
        (["--alike", "0.5", "--half-width", "0.05"], 1, "Plan more sessions"),
    ],
)
def test_wrong_requests(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    message: str,
) -> None:
    assert call("plan", "captures", "--out", tmp_path / "plan", *words) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "plan").exists()
