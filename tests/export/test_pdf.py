"""The PDF as a printer would lay it down: rasterised at 300 dpi and measured."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pytest

from physadv.artwork.files import Artwork
from physadv.checks import UsageError, UserError
from physadv.export.layout import Placement
from physadv.export.pdf import PdfSummary, write_pdf
from physadv.units import MM_PER_INCH, MM_PER_POINT, mm_to_px

DPI = 300
PX_PER_MM = mm_to_px(1.0, DPI)
PAPER_MM = {"a4": (210.0, 297.0), "a3": (297.0, 420.0), "letter": (215.9, 279.4)}


@dataclass(frozen=True)
class Printed:
    """A written file, opened."""

    path: Path
    summary: PdfSummary

    @cached_property
    def document(self) -> pdfium.PdfDocument:
        return pdfium.PdfDocument(self.path)

    def scan(self, page: int) -> npt.NDArray[np.uint8]:
        """[h, w, 3] RGB of a page, counted from 0, at 300 dpi."""
        bitmap = self.document[page].render(scale=DPI / 72, rev_byteorder=True)
        return bitmap.to_numpy()[..., :3]

    def text(self, page: int) -> str:
        return self.document[page].get_textpage().get_text_range()

    def sheets(self):
        """(page, placements) of every page of artwork."""
        for index, sheet in enumerate(self.summary.sheets):
            yield self.summary.overview_pages + index, sheet.placements


def random_artwork(mask: npt.NDArray[np.bool_], height_mm: float = 762.0) -> Artwork:
    colours = np.random.default_rng(3).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    rgba = np.dstack([colours, np.where(mask, 255, 0).astype(np.uint8)])
    return Artwork(rgba, 762.0, height_mm, "us_r1_1", "Speed limit (80km/h)", ("gtsrb-cnn",))


def octagon_mask(texels: int) -> npt.NDArray[np.bool_]:
    x, y = np.meshgrid(np.arange(texels) + 0.5, np.arange(texels) + 0.5)
    cut = texels / (2 + np.sqrt(2))
    return (x + y > cut) & (x + y < 2 * texels - cut) & (np.abs(x - y) < texels - cut)


def sticker_mask() -> npt.NDArray[np.bool_]:
    mask = np.zeros((64, 64), dtype=bool)
    for row, col, height, width in (
        (4, 6, 9, 14),
        (5, 40, 8, 12),
        (40, 10, 10, 15),
        (44, 44, 7, 9),
    ):
        mask[row : row + height, col : col + width] = True
    return mask


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory):
    @cache
    def make(kind: str, width_mm: float, page: str) -> Printed:
        path = tmp_path_factory.mktemp("pdf") / "print.pdf"
        mask = {"poster": octagon_mask(48), "stickers": sticker_mask()}[kind]
        summary = write_pdf(
            random_artwork(mask), path, width_mm=width_mm, page=page, run_name="run-1"
        )
        return Printed(path, summary)

    return make


@pytest.fixture(scope="module")
def poster(write) -> Printed:
    return write("poster", 400.0, "a4")


@pytest.fixture(scope="module")
def stickers(write) -> Printed:
    return write("stickers", 500.0, "a4")


def texels_seen(
    scan: npt.NDArray[np.uint8], placed: Placement, artwork: Artwork, summary: PdfSummary
) -> npt.NDArray[np.bool_]:
    """Compare every pixel of a placement with the artwork; returns which texels it shows.

    Pixels within 0.15 mm of a texel's edge are left out: a pixel is 0.085 mm wide.
    """
    rows, cols = artwork.mask.shape
    y, x = ((np.arange(n) + 0.5) / PX_PER_MM for n in scan.shape[:2])
    box, source = placed.target, placed.source
    in_y = (y > box.top + 0.15) & (y < box.bottom - 0.15)
    in_x = (x > box.left + 0.15) & (x < box.right - 0.15)
    texel_mm = summary.height_mm / rows, summary.width_mm / cols
    face_y = (y[in_y] - box.top + source.top) / texel_mm[0]
    face_x = (x[in_x] - box.left + source.left) / texel_mm[1]
    row, col = np.floor(face_y).astype(int), np.floor(face_x).astype(int)
    clear_y = np.abs(face_y - np.round(face_y)) * texel_mm[0] > 0.15
    clear_x = np.abs(face_x - np.round(face_x)) * texel_mm[1] > 0.15
    grid = np.ix_(row, col)
    compare = artwork.mask[grid] & clear_y[:, None] & clear_x
    found = scan[np.ix_(in_y, in_x)].astype(int)
    wrong = np.abs(found - artwork.rgba[..., :3][grid]).max(axis=-1)[compare]
    assert wrong.max() <= 1
    seen = np.zeros((rows, cols), dtype=bool)
    seen[grid] |= compare
    counts = np.zeros((rows, cols), dtype=int)
    np.add.at(counts, (row[:, None] + 0 * col, col + 0 * row[:, None]), compare)
    return counts > 0


def dark_lines(
    strip: npt.NDArray[np.uint8], axis: int, colour: tuple[int, int, int]
) -> list[float]:
    """Positions in mm, along the other axis, of thin lines of ``colour`` that cross a strip."""
    away = np.abs(np.array(colour) - 255).astype(float)
    ink = ((255.0 - strip) @ away / (away @ away)).mean(axis=axis)
    ink[ink < 0.02] = 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ink > 0, [0]])))
    groups = edges.reshape(-1, 2)
    return [
        float(np.average(np.arange(a, b) + 0.5, weights=ink[a:b])) / PX_PER_MM for a, b in groups
    ]


@pytest.mark.parametrize("page", PAPER_MM)
def test_page_boxes_are_the_paper_in_mm(write, page: str) -> None:
    printed = write("poster", 300.0, page)
    wanted = sorted(PAPER_MM[page])
    for sheet in printed.document:
        left, bottom, right, top = sheet.get_mediabox()
        size = sorted([(right - left) * MM_PER_POINT, (top - bottom) * MM_PER_POINT])
        assert size == pytest.approx(wanted, abs=0.01)
        assert MM_PER_POINT * 72 == MM_PER_INCH


def test_every_texel_is_printed_once_or_more_in_its_colour(poster: Printed) -> None:
    artwork = random_artwork(octagon_mask(48))
    assert (poster.summary.rows, poster.summary.cols) == (2, 3)
    seen = np.zeros(artwork.mask.shape, dtype=int)
    for page, (placed,) in poster.sheets():
        seen += texels_seen(poster.scan(page), placed, artwork, poster.summary)
    np.testing.assert_array_equal(seen > 0, artwork.mask)
    assert (seen > 1).any(), "neighbouring tiles share an overlap"


def test_assembled_by_its_crop_marks_the_poster_has_its_width(poster: Printed) -> None:
    """Cut on the solid marks, laid on the dashed ones, as the first page says."""
    magenta, ink = (196, 0, 98), (20, 20, 20)
    strip = slice(round(3.4 * PX_PER_MM), round(6.0 * PX_PER_MM))
    width = 0.0
    for page, (placed,) in poster.sheets():
        if placed.row > 1:
            continue
        marks = poster.scan(page)[strip]
        is_grey = np.ptp(marks.astype(int), axis=-1, keepdims=True) < 12
        left, right = dark_lines(np.where(is_grey, marks, 255), 0, ink)
        dashed = dark_lines(np.where(is_grey, 255, marks), 0, magenta)
        assert left == pytest.approx(10.0, abs=0.03)
        if placed.col < placed.cols:
            assert right - dashed[0] == pytest.approx(10.0, abs=0.05)
            width += dashed[0] - left
        else:
            assert not dashed
            width += right - left
    assert width == pytest.approx(400.0, abs=0.1)


def test_ruler_is_100_mm_with_millimetre_ticks_on_every_page(poster: Printed) -> None:
    for page in range(poster.summary.pages):
        scan = poster.scan(page)
        height_mm = scan.shape[0] / PX_PER_MM
        top, bottom = ((height_mm - 8 - offset) * PX_PER_MM for offset in (1.6, 0.6))
        strip = scan[round(top) : round(bottom), : round(112 * PX_PER_MM)]
        ticks = dark_lines(strip, 0, (20, 20, 20))
        assert len(ticks) == 101
        assert ticks[-1] - ticks[0] == pytest.approx(100.0, abs=0.2)
        assert np.diff(ticks) == pytest.approx(1.0, abs=0.05)


def test_square_is_50_mm_both_ways(poster: Printed) -> None:
    scan = poster.scan(0)
    size_mm = np.array(scan.shape[:2]) / PX_PER_MM
    # Half-way between the square's lines and its words, on two crossing strips.
    row, col = round((size_mm[0] - 62) * PX_PER_MM), round((size_mm[1] - 50) * PX_PER_MM)
    band = round(2 * PX_PER_MM)
    right_half = round((size_mm[1] - 64) * PX_PER_MM)
    across = dark_lines(scan[row : row + band, right_half:], 0, (20, 20, 20))
    low = round((size_mm[0] - 76) * PX_PER_MM)
    high = round((size_mm[0] - 20) * PX_PER_MM)
    down = dark_lines(scan[low:high, col : col + band], 1, (20, 20, 20))
    assert across[-1] - across[0] == pytest.approx(50.0, abs=0.1)
    assert down[-1] - down[0] == pytest.approx(50.0, abs=0.1)
    assert len(across) == len(down) == 2


def test_stickers_are_cut_outs_with_bleed(stickers: Printed) -> None:
    artwork = random_artwork(sticker_mask())
    assert stickers.summary.pieces == 4
    seen = np.zeros(artwork.mask.shape, dtype=int)
    texel_mm = 500.0 / 64
    for page, placements in stickers.sheets():
        scan = stickers.scan(page)
        for placed in placements:
            seen += texels_seen(scan, placed, artwork, stickers.summary)
            row = int(placed.source.top / texel_mm + 1.5)
            edge = artwork.rgba[row, round(placed.source.left / texel_mm), :3]
            y = placed.target.top + (row + 0.5) * texel_mm - placed.source.top
            for outside_mm, colour in ((0.3, edge), (2.8, edge), (3.2, (255, 255, 255))):
                x = placed.target.left - outside_mm
                pixel = scan[int(y * PX_PER_MM), int(x * PX_PER_MM)].astype(int)
                assert np.abs(pixel - colour).max() <= 1, outside_mm
    np.testing.assert_array_equal(seen, artwork.mask.astype(int))


def test_texel_edges_are_sharp(stickers: Printed) -> None:
    """Between two texels at most two pixels at 300 dpi mix their colours."""
    artwork = random_artwork(sticker_mask())
    page, placements = next(iter(stickers.sheets()))
    placed = placements[0]
    texel_mm = 500.0 / 64
    y = int((placed.target.top + texel_mm / 2) * PX_PER_MM)
    left, right = (int(x * PX_PER_MM) for x in (placed.target.left, placed.target.right))
    line = stickers.scan(page)[y, left + 2 : right - 2].astype(int)
    row = round(placed.source.top / texel_mm)
    columns = round(placed.source.left / texel_mm) + np.arange(
        round(placed.source.width / texel_mm)
    )
    colours = artwork.rgba[row, columns, :3].astype(int)
    nearest = np.abs(line[:, None] - colours).max(axis=-1).min(axis=1)
    assert (nearest > 1).sum() <= 2 * (len(columns) - 1)


def test_pieces_with_holes_keep_their_cut_line_outside() -> None:
    """A ring's texels are all there although its cut line runs along every one of its edges."""


def test_text_says_what_it_must(poster: Printed, stickers: Printed) -> None:
    first = poster.text(0)
    digest = random_artwork(octagon_mask(48)).sha256[:16]
    for words in (
        "run-1",
        digest,
        "Speed limit (80km/h)",
        "100 %, no scaling",
        "private property",
        "public road sign",
        "remove it",
        "400.00 x 400.00 mm",
        "52.5 % of that",
    ):
        assert words in first
    for page in range(poster.summary.pages):
        assert "TEST" in poster.text(page)
    for page, (placed,) in poster.sheets():
        label = f"Tile row {placed.row} / col {placed.col} of 2 x 3"
        assert label in poster.text(page)
    table = stickers.text(0)
    assert "Only the cut-outs are printed" in table
    for page, placements in stickers.sheets():
        for placed in placements:
            assert f"Piece {placed.piece}" in stickers.text(page)
            assert f"{placed.source.left:.2f} mm from left edge" in stickers.text(page)
            assert f"{placed.source.top:.2f}" in table


def test_empty_tiles_are_left_out_and_named(tmp_path: Path) -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[:2], mask[:, :2] = True, True
    path = tmp_path / "ell.pdf"
    summary = write_pdf(random_artwork(mask), path, width_mm=700, page="a4")
    assert len(summary.sheets) + len(summary.skipped_tiles) == summary.rows * summary.cols
    assert {(t.row > 1, t.col > 1) for t in summary.skipped_tiles} == {(True, True)}
    first = Printed(path, summary).text(0)
    assert f"{len(summary.skipped_tiles)} tiles, crossed out" in first
    assert "2/2" in first


def test_lossless_srgb_squares_and_the_same_bytes_twice(tmp_path: Path) -> None:
    artwork = random_artwork(octagon_mask(24))
    for name in ("a.pdf", "b.pdf"):
        write_pdf(artwork, tmp_path / name, width_mm=150, run_name="r")
    content = (tmp_path / "a.pdf").read_bytes()
    assert content == (tmp_path / "b.pdf").read_bytes()
    assert b"/ICCBased" in content
    assert b"/DCTDecode" not in content
    assert b"/Interpolate true" not in content
    assert b"/PrintScaling /None" in content


def test_height_follows_the_artwork_and_text_outside_latin_1_does_not_stop_it(
    tmp_path: Path,
) -> None:
    artwork = random_artwork(np.ones((10, 20), dtype=bool), height_mm=381.0)
    face = np.full((30, 60, 4), 200, dtype=np.uint8)
    summary = write_pdf(
        artwork, tmp_path / "p.pdf", width_mm=100, page="letter", run_name="逃げ ✓", face=face
    )
    assert (summary.width_mm, summary.height_mm) == (100, 50)
    printed = Printed(tmp_path / "p.pdf", summary)
    ((page, (placed,)),) = printed.sheets()
    assert texels_seen(printed.scan(page), placed, artwork, summary).all()


@pytest.mark.parametrize("width_mm", [0.0, -1.0, 5000.1, float("nan"), float("inf")])
def test_width_out_of_range(tmp_path: Path, width_mm: float) -> None:
    with pytest.raises(UserError, match="width_mm"):
        write_pdf(random_artwork(octagon_mask(8)), tmp_path / "x.pdf", width_mm=width_mm)
    assert not list(tmp_path.iterdir())


def test_wrong_page_empty_artwork_wrong_face_and_unwritable_path(tmp_path: Path) -> None:
    artwork = random_artwork(octagon_mask(8))
    with pytest.raises(UsageError, match=r"a4, a3, letter.*Did you mean 'a4'"):
        write_pdf(artwork, tmp_path / "x.pdf", width_mm=100, page="A4")
    with pytest.raises(UserError, match="nothing is stuck"):
        write_pdf(random_artwork(np.zeros((8, 8), dtype=bool)), tmp_path / "x.pdf", width_mm=100)
    with pytest.raises(ValueError, match="face must be"):
        write_pdf(
            artwork, tmp_path / "x.pdf", width_mm=100, face=np.zeros((4, 4, 3), dtype=np.uint8)
        )
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UserError, match="write"):
        write_pdf(artwork, tmp_path / "file" / "x.pdf", width_mm=100)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
