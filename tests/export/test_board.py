"""Markers around the artwork: what they say, where they lie on paper, and what the run knows."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import printed_colours
from physadv.checks import UsageError, UserError
from physadv.export.board import MIN_MARKER_MM, plan_board
from physadv.export.codes import CODES, DICTIONARY, code_of, marker_id, read_marker
from physadv.export.paper import sheet_size_mm
from physadv.export.pdf import write_pdf
from physadv.export.prints import print_run
from physadv.export.sheetfile import SheetLayout, add_layout, layout_from_label, load_layouts
from physadv.types import TREATMENTS

PX_PER_MM = 300 / 25.4


def artwork_of(mask: npt.NDArray[np.bool_], size_mm: tuple[float, float] = (160, 160)) -> Artwork:
    colours = np.random.default_rng(3).integers(60, 256, (*mask.shape, 3), dtype=np.uint8)
    rgba = np.dstack([colours, np.where(mask, 255, 0).astype(np.uint8)])
    return Artwork(rgba, *size_mm, "patch:test", "nothing", ("v",), {"colour_texels": 8})


PATCH = artwork_of(np.ones((24, 24), dtype=bool))


def octagon(texels: int) -> npt.NDArray[np.bool_]:
    x, y = np.meshgrid(np.arange(texels) + 0.5, np.arange(texels) + 0.5)
    cut = texels / (2 + np.sqrt(2))
    return (x + y > cut) & (x + y < 2 * texels - cut) & (np.abs(x - y) < texels - cut)


def pages(path: Path) -> list[npt.NDArray[np.uint8]]:
    """[h,w,3] each page at 300 dpi."""
    document = pdfium.PdfDocument(path)
    shown = [
        page.render(scale=300 / 72, rev_byteorder=True).to_numpy()[..., :3].copy()
        for page in document
    ]
    document.close()
    return shown


def markers_on(page: npt.NDArray[np.uint8]) -> dict[int, npt.NDArray[np.float64]]:
    """Corners in mm by id, found by OpenCV; its contours lie half a pixel inside."""
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(DICTIONARY))
    corners, ids, _ = detector.detectMarkers(cv2.cvtColor(page, cv2.COLOR_RGB2GRAY))
    found = {}
    for quad, number in zip(corners, [] if ids is None else ids.ravel(), strict=True):
        middle = quad.reshape(4, 2).mean(axis=0)
        grown = quad.reshape(4, 2) + 0.5 * np.sign(quad.reshape(4, 2) - middle)
        found[int(number)] = (grown + 0.5) / PX_PER_MM
    return found


@given(st.integers(0, CODES - 1), st.sampled_from(TREATMENTS), st.data())
def test_any_two_markers_give_the_code_and_a_third_shows_an_error(
    code: int, treatment: str, data: st.DataObject
) -> None:
    ids = [marker_id(code, treatment, corner) for corner in range(4)]  # type: ignore[arg-type]
    assert max(ids) < 2320
    meanings = [read_marker(number) for number in ids]
    assert [(m.corner, m.treatment) for m in meanings if m] == [(c, treatment) for c in range(4)]
    digits = {m.corner: m.digit for m in meanings if m}
    for count in (2, 3, 4):
        for chosen in itertools.combinations(range(4), count):
            part = {corner: digits[corner] for corner in chosen}
            assert code_of(part) == code
            if count > 2:
                wrong = data.draw(st.sampled_from(chosen))
                part[wrong] = (part[wrong] + data.draw(st.integers(1, 138))) % 139
                assert code_of(part) is None
    assert code_of({0: 5}) is None
    assert read_marker(2319) is None


@settings(max_examples=40, deadline=None)
@given(
    st.floats(55, 900),
    st.floats(0.5, 2.0),
    st.sampled_from(["a4", "a3", "letter", "tabloid", "610x914"]),
    st.booleans(),
)
def test_markers_keep_clear_of_the_artwork_and_of_each_other(
    width_mm: float, aspect: float, page: str, eight_sided: bool
) -> None:
    mask = octagon(64) if eight_sided else np.ones((8, 8), dtype=bool)
    height_mm = width_mm * (1.0 if eight_sided else aspect)
    plan = plan_board(mask, width_mm, height_mm, page, 10_000)
    if plan is None:
        # An octagon's corner holds a square of 0.146 of its width with its quiet zone.
        assert eight_sided
        assert width_mm < 1.3 * MIN_MARKER_MM / 0.146
        return
    texel_w, texel_h = width_mm / mask.shape[1], height_mm / mask.shape[0]
    row, col = np.nonzero(mask)
    quiet = plan.marker_mm / 8 - 1e-6
    boxes = [*plan.markers, *([plan.label] if plan.label else [])]
    for box in boxes:
        left, right = plan.artwork.left + col * texel_w, plan.artwork.left + (col + 1) * texel_w
        top, bottom = plan.artwork.top + row * texel_h, plan.artwork.top + (row + 1) * texel_h
        away = np.maximum.reduce(
            [left - box.right, box.left - right, top - box.bottom, box.top - bottom]
        )
        assert away.min() >= (quiet if box in plan.markers else 3.0 - 1e-6)
        assert min(box.left, box.top) >= 3.0 - 1.2
        assert plan.width_mm - box.right >= 0
        assert plan.height_mm - box.bottom >= 0
    for one, other in itertools.combinations(boxes, 2):
        gap = max(
            other.left - one.right,
            one.left - other.right,
            other.top - one.bottom,
            one.top - other.bottom,
        )
        assert gap >= min(quiet, 3.0 - 1e-6)
    # The artwork's middle is the markers' middle.
    middle = plan.artwork.left + width_mm / 2, plan.artwork.top + height_mm / 2
    corners = [(box.left + box.width / 2, box.top + box.height / 2) for box in plan.markers]
    assert np.mean(corners, axis=0) == pytest.approx(middle)


@pytest.mark.parametrize("page", ["a4", "letter"])
def test_on_paper_the_markers_lie_where_the_run_says(tmp_path: Path, page: str) -> None:
    path = tmp_path / "p.pdf"
    summary = write_pdf(
        PATCH, path, width_mm=120, page=page, run_name="r", fiducials="auto", treatment="noise"
    )
    assert summary.layout is not None
    assert len(summary.sheets) == 1
    sheet = pages(path)[summary.overview_pages]
    found = markers_on(sheet)
    (placed,) = summary.sheets[0].placements
    assert summary.board is not None
    art = summary.board.artwork.moved(placed.target.left, placed.target.top)
    middle = np.array([art.left + art.width / 2, art.top + art.height / 2])
    for corner in range(4):
        quad = found.pop(marker_id(summary.layout.code, "noise", corner))
        np.testing.assert_allclose(
            (quad - middle) * [1, -1], summary.layout.corners_mm(corner), atol=0.13
        )
    assert not found
    x = (middle[0] + (np.arange(24) - 11.5) * 5) * PX_PER_MM
    y = (middle[1] + (np.arange(24) - 11.5) * 5) * PX_PER_MM
    texels = sheet[np.ix_(y.astype(int), x.astype(int))].astype(int)
    assert np.abs(texels - printed_colours(PATCH, "noise")).max() <= 1


def test_glued_by_its_tiles_a_large_board_has_its_markers(tmp_path: Path) -> None:
    sign = artwork_of(octagon(48), (762, 762))
    path = tmp_path / "p.pdf"
    summary = write_pdf(sign, path, width_mm=500, run_name="r", fiducials="on")
    layout = summary.layout
    assert layout is not None
    assert summary.board is not None
    scanned = pages(path)
    found: dict[int, npt.NDArray[np.float64]] = {}
    for page, sheet in enumerate(summary.sheets, start=summary.overview_pages):
        (placed,) = sheet.placements
        shift = [placed.source.left - placed.target.left, placed.source.top - placed.target.top]
        found |= {number: quad + shift for number, quad in markers_on(scanned[page]).items()}
    art = summary.board.artwork
    middle = np.array([art.left + 250, art.top + 250])
    for corner in range(4):
        quad = found.pop(marker_id(layout.code, "adversarial", corner))
        np.testing.assert_allclose((quad - middle) * [1, -1], layout.corners_mm(corner), atol=0.13)
    assert not found


def test_label_can_be_read_from_paper_and_describes_the_sheet(tmp_path: Path) -> None:
    path = tmp_path / "p.pdf"
    summary = write_pdf(PATCH, path, width_mm=120, run_name="my;rün", fiducials="on")
    text, _, _ = cv2.QRCodeDetector().detectAndDecode(pages(path)[1])
    assert summary.layout is not None
    assert text == summary.layout.label("adversarial")
    layout, treatment = layout_from_label(text)
    assert treatment == "adversarial"
    assert layout == replace(summary.layout, artwork_sha256=PATCH.sha256[:16], run="my_r_n")
    for spoilt in ("", "https://example.org", text.replace("adversarial", "wet"), text[:-20]):
        with pytest.raises(ValueError, match="not the label"):
            layout_from_label(spoilt)


def test_controls_look_like_the_artwork_and_bytes_repeat(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for attempt in ("a.pdf", "b.pdf"):
        prints = print_run(
            PATCH,
            run,
            tmp_path / attempt,
            width_mm=120,
            treatments=("adversarial", "blank", "noise"),
        )
    assert len(prints.pdfs) == 3
    assert len({summary.layout for summary in prints.pdfs.values()}) == 1
    for ending in ("", "-blank", "-noise"):
        one, other = tmp_path / f"a{ending}.pdf", tmp_path / f"b{ending}.pdf"
        assert one.read_bytes() == other.read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() != (tmp_path / "a-noise.pdf").read_bytes()
    ids = [set(markers_on(pages(path)[1])) for path in prints.pdfs]
    assert [len(found) for found in ids] == [4, 4, 4]
    assert not ids[0] & ids[1]
    assert not ids[0] & ids[2]
    assert len(load_layouts([run])) == 1
    print_run(PATCH, run, tmp_path / "c.pdf", width_mm=90)
    assert [layout.width_mm for layout in load_layouts([run / "sheet.json"])].count(90.0) == 1
    assert len(load_layouts([run])) == 2
    with pytest.raises(UsageError, match="treatment to print"):
        print_run(PATCH, run, tmp_path / "d.pdf", width_mm=90, treatments=("clean",))


def test_by_default_only_patches_with_room_get_markers(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for artwork, width_mm, layout in (
        (PATCH, 150, True),
        (PATCH, 188, False),
        (artwork_of(octagon(48)), 150, False),
    ):
        prints = print_run(artwork, run, tmp_path / "p.pdf", width_mm=width_mm)
        assert (prints.layout is not None) == layout
        assert prints.cards is None
    without = print_run(PATCH, run, tmp_path / "p.pdf", width_mm=150, fiducials=False)
    assert without.layout is None
    forced = print_run(PATCH, run, tmp_path / "p.pdf", width_mm=188, fiducials=True)
    assert forced.layout is not None
    small = artwork_of(octagon(48), (90, 90))
    with pytest.raises(UserError, match="leaves no room"):
        print_run(small, run, tmp_path / "p.pdf", width_mm=90, fiducials=True)


def test_stickers_get_a_card_for_each_treatment(tmp_path: Path) -> None:
    mask = np.zeros((48, 48), dtype=bool)
    mask[5:15, 6:20] = mask[30:40, 25:40] = True
    run = tmp_path / "run"
    prints = print_run(
        artwork_of(mask, (762, 762)), run, run / "print.pdf", width_mm=762, fiducials=True
    )
    assert prints.cards == run / "print-cards.pdf"
    assert prints.layout is not None
    assert prints.layout.kind == "card"
    shown = pages(prints.cards)
    assert len(shown) == len(TREATMENTS)
    for treatment, page in zip(TREATMENTS, shown, strict=True):
        found = markers_on(page)
        assert set(found) == {marker_id(prints.layout.code, treatment, c) for c in range(4)}
        for corner in range(4):
            quad = found[marker_id(prints.layout.code, treatment, corner)] - [105, 148.5]
            np.testing.assert_allclose(quad * [1, -1], prints.layout.corners_mm(corner), atol=0.13)
        text, _, _ = cv2.QRCodeDetector().detectAndDecode(page)
        assert text == prints.layout.label(treatment)


def test_spoilt_sheet_files_are_one_clear_error(tmp_path: Path) -> None:
    layout = SheetLayout("board", "r", "ab" * 32, 100, 100, 20, (80, 120))
    add_layout(tmp_path, layout)
    assert load_layouts([tmp_path]) == (layout,)
    content = json.loads((tmp_path / "sheet.json").read_text())
    assert content["sheets"][0]["marker_ids"]["blank"]["top left"] == marker_id(
        layout.code, "blank", 0
    )
    for key, value in (("marker_mm", 21), ("spacing_mm", [1]), ("kind", "kite"), ("code", 1)):
        spoilt = {**content, "sheets": [{**content["sheets"][0], key: value}]}
        (tmp_path / "sheet.json").write_text(json.dumps(spoilt))
        with pytest.raises(UserError, match="read the sheets"):
            load_layouts([tmp_path])
    with pytest.raises(UserError, match="no such file"):
        load_layouts([tmp_path / "none.json"])


def test_paper_of_any_size(tmp_path: Path) -> None:
    assert sheet_size_mm("914x610") == (610, 914)
    assert sheet_size_mm("610x914mm", landscape=True) == (914, 610)
    with pytest.raises(UserError, match="not between"):
        sheet_size_mm("100x300")
    with pytest.raises(UsageError, match="like 610x914"):
        sheet_size_mm("610 by 914")
    summary = write_pdf(PATCH, tmp_path / "p.pdf", width_mm=400, page="500X700", fiducials="on")
    assert len(summary.sheets) == 1
    assert summary.layout is not None
    assert summary.layout.marker_mm > 60
