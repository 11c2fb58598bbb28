"""The PDF as a printer would lay it down: rasterised at 300 dpi and measured."""

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from physadv.artwork.files import Artwork
from physadv.checks import UsageError, UserError
from physadv.export.layout import Placement
from physadv.export.pdf import PdfSummary, write_pdf
from physadv.export.pieces import find_pieces
from physadv.units import MM_PER_POINT

DPI = 300
PAPER_MM = {"a4": (210.0, 297.0), "a3": (297.0, 420.0), "letter": (215.9, 279.4)}
INK, MAGENTA = (20, 20, 20), (196, 0, 98)


@dataclass(frozen=True)
class Scan:
    """A page at 300 dpi; ``pixels`` [h, w, 3] RGB of a sheet of ``size_mm`` (width, height)."""

    pixels: npt.NDArray[np.uint8]
    size_mm: tuple[float, float]

    @property
    def px_per_mm(self) -> tuple[float, float]:
        """Along x and y. PDFium stretches a page to whole pixels, so not exactly 300 dpi."""
        rows, cols = self.pixels.shape[:2]
        return cols / self.size_mm[0], rows / self.size_mm[1]

    def crop(self, left: float, top: float, right: float, bottom: float) -> "Scan":
        """The pixels between four lengths in mm; negative ones count from the far edge."""
        x, y = self.px_per_mm
        window = np.s_[round(top * y) : round(bottom * y), round(left * x) : round(right * x)]
        pixels = self.pixels[window]
        return Scan(pixels, (pixels.shape[1] / x, pixels.shape[0] / y))

    def at(self, x_mm: float, y_mm: float) -> npt.NDArray[np.int64]:
        x, y = self.px_per_mm
        return self.pixels[int(y_mm * y), int(x_mm * x)].astype(int)


@dataclass(frozen=True)
class Printed:
    """A written file, opened."""

    document: pdfium.PdfDocument
    summary: PdfSummary

    def scan(self, page: int) -> Scan:
        """A page, counted from 0, as printed."""
        sheet = self.document[page]
        width_pt, height_pt = sheet.get_size()
        pixels = sheet.render(scale=DPI / 72, rev_byteorder=True).to_numpy()[..., :3]
        return Scan(pixels, (width_pt * MM_PER_POINT, height_pt * MM_PER_POINT))

    def text(self, page: int) -> str:
        return self.document[page].get_textpage().get_text_range()

    def sheets(self) -> Iterator[tuple[int, tuple[Placement, ...]]]:
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


def ring_mask() -> npt.NDArray[np.bool_]:
    y, x = np.mgrid[:40, :40] - 19.5
    return np.abs(np.hypot(x, y) - 13) < 5


MASKS = {"poster": octagon_mask(48), "stickers": sticker_mask(), "ring": ring_mask()}
Write = Callable[[str, float, str], Printed]


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Write]:
    made: dict[tuple[str, float, str], Printed] = {}

    def make(kind: str, width_mm: float, page: str) -> Printed:
        key = (kind, width_mm, page)
        if key not in made:
            path = tmp_path_factory.mktemp("pdf") / "print.pdf"
            artwork = random_artwork(MASKS[kind])
            summary = write_pdf(artwork, path, width_mm=width_mm, page=page, run_name="run-1")
            made[key] = Printed(pdfium.PdfDocument(path), summary)
        return made[key]

    yield make
    for printed in made.values():
        printed.document.close()


@pytest.fixture(scope="module")
def poster(write: Write) -> Printed:
    return write("poster", 400.0, "a4")


@pytest.fixture(scope="module")
def stickers(write: Write) -> Printed:
    return write("stickers", 500.0, "a4")


def texels_seen(
    scan: Scan, placed: Placement, artwork: Artwork, summary: PdfSummary
) -> npt.NDArray[np.bool_]:
    """Compare every pixel of a placement with the artwork; returns which texels it shows.

    Left out are pixels within 0.15 mm of a texel's edge (a pixel is 0.085 mm wide), or within
    1/64 of a texel where that is more: PDFium smooths over one stored pixel.
    """
    rows, cols = artwork.mask.shape
    box, source = placed.target, placed.source
    index, clear, inside = [], [], []
    for axis, (start, size, origin, texel_mm) in enumerate(
        (
            (box.left, box.width, source.left, summary.width_mm / cols),
            (box.top, box.height, source.top, summary.height_mm / rows),
        )
    ):
        on_sheet = (np.arange(scan.pixels.shape[1 - axis]) + 0.5) / scan.px_per_mm[axis] - start
        within = (on_sheet > 0.15) & (on_sheet < size - 0.15)
        texel = (on_sheet[within] + origin) / texel_mm
        index.append(np.floor(texel).astype(int))
        clear.append(np.abs(texel - np.round(texel)) > max(0.15 / texel_mm, 1 / 64))
        inside.append(within)
    row, col = np.broadcast_arrays(index[1][:, None], index[0])
    compare = artwork.mask[row, col] & clear[1][:, None] & clear[0]
    row, col = row[compare], col[compare]
    found = scan.pixels[np.ix_(inside[1], inside[0])][compare].astype(np.int16)
    assert np.abs(found - artwork.rgba[row, col, :3]).max() <= 1
    seen = np.zeros((rows, cols), dtype=bool)
    seen[row, col] = True
    return seen


def thin_lines(scan: Scan, axis: int, colour: tuple[int, int, int]) -> list[float]:
    """Where thin lines of ``colour`` cross a strip: mm along x (axis 0) or y (axis 1)."""
    away = 255.0 - np.array(colour)
    ink = ((255.0 - scan.pixels) @ away / (away @ away)).mean(axis=1 if axis else 0)
    ink[ink < 0.02] = 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], ink > 0, [0]]))).reshape(-1, 2)
    return [
        float(np.average(np.arange(a, b) + 0.5, weights=ink[a:b])) / scan.px_per_mm[axis]
        for a, b in edges
    ]


@pytest.mark.parametrize("page", PAPER_MM)
def test_page_boxes_are_the_paper_in_mm(write: Write, page: str) -> None:
    printed = write("poster", 300.0, page)
    wanted = sorted(PAPER_MM[page])
    for sheet in printed.document:
        left, bottom, right, top = sheet.get_mediabox()
        size = sorted([(right - left) * MM_PER_POINT, (top - bottom) * MM_PER_POINT])
        assert size == pytest.approx(wanted, abs=0.01)


def test_every_texel_is_printed_once_or_more_in_its_colour(poster: Printed) -> None:
    artwork = random_artwork(MASKS["poster"])
    assert (poster.summary.rows, poster.summary.cols) == (2, 3)
    seen = np.zeros(artwork.mask.shape, dtype=int)
    for page, (placed,) in poster.sheets():
        seen += texels_seen(poster.scan(page), placed, artwork, poster.summary)
    np.testing.assert_array_equal(seen > 0, artwork.mask)
    assert (seen > 1).any(), "neighbouring tiles share an overlap"


def test_assembled_by_its_crop_marks_the_poster_has_its_width(poster: Printed) -> None:
    """Cut on the solid marks, laid on the dashed ones, as the first page says."""
    width = 0.0
    for page, (placed,) in poster.sheets():
        if placed.row > 1:
            continue
        strip = poster.scan(page).crop(0, 3.4, 210, 6.0)
        is_grey = np.ptp(strip.pixels.astype(int), axis=-1, keepdims=True) < 12
        solid = replace(strip, pixels=np.where(is_grey, strip.pixels, 255))
        dashes = replace(strip, pixels=np.where(is_grey, 255, strip.pixels))
        left, right = thin_lines(solid, 0, INK)
        dashed = thin_lines(dashes, 0, MAGENTA)
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
        height = scan.size_mm[1]
        ticks = thin_lines(scan.crop(0, height - 9.6, 112, height - 8.6), 0, INK)
        assert len(ticks) == 101
        assert ticks[-1] - ticks[0] == pytest.approx(100.0, abs=0.2)
        assert np.diff(ticks) == pytest.approx(1.0, abs=0.05)


def test_square_is_50_mm_both_ways(poster: Printed) -> None:
    scan = poster.scan(0)
    width, height = scan.size_mm
    for axis, strip in enumerate(
        (
            scan.crop(width - 64, height - 62, width, height - 60),
            scan.crop(width - 50, height - 76, width - 48, height - 20),
        )
    ):
        first, second = thin_lines(strip, axis, INK)
        assert second - first == pytest.approx(50.0, abs=0.1)


def test_stickers_are_cut_outs_with_bleed(stickers: Printed) -> None:
    artwork = random_artwork(MASKS["stickers"])
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
                assert np.abs(scan.at(x, y) - colour).max() <= 1, outside_mm
    np.testing.assert_array_equal(seen, artwork.mask.astype(int))


@settings(max_examples=5, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.floats(20, 280), st.sampled_from(sorted(PAPER_MM)), st.integers(0, 1000))
def test_any_width_on_any_page_prints_every_texel(width_mm: float, page: str, seed: int) -> None:
    mask = np.kron(np.random.default_rng(seed).random((5, 4)) < 0.5, np.ones((3, 3))) > 0
    mask[0, 0] = True
    artwork = random_artwork(mask, height_mm=900.0)
    seen = np.zeros(mask.shape, dtype=bool)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "p.pdf"
        summary = write_pdf(artwork, path, width_mm=width_mm, page=page)
        with closing(pdfium.PdfDocument(path)) as document:
            printed = Printed(document, summary)
            for number, placements in printed.sheets():
                scan = printed.scan(number)
                for placed in placements:
                    own = find_pieces(mask, width_mm, summary.height_mm)[placed.piece - 1]
                    alone = np.zeros_like(mask)
                    rows, cols = own.mask.shape
                    alone[own.row : own.row + rows, own.col : own.col + cols] = own.mask
                    rgba = np.dstack([artwork.rgba[..., :3], alone.astype(np.uint8) * 255])
                    seen |= texels_seen(scan, placed, replace(artwork, rgba=rgba), summary)
    np.testing.assert_array_equal(seen, mask)


def test_texel_edges_are_sharp(stickers: Printed) -> None:
    """Between two texels at most two pixels at 300 dpi mix their colours."""
    artwork = random_artwork(MASKS["stickers"])
    page, placements = next(iter(stickers.sheets()))
    placed = placements[0]
    texel_mm = 500.0 / 64
    y, box = placed.target.top + texel_mm / 2, placed.target
    strip = stickers.scan(page).crop(box.left + 0.2, y, box.right - 0.2, y + 0.1)
    line = strip.pixels[0].astype(int)
    row = round(placed.source.top / texel_mm)
    columns = round(placed.source.left / texel_mm) + np.arange(
        round(placed.source.width / texel_mm)
    )
    colours = artwork.rgba[row, columns, :3].astype(int)
    nearest = np.abs(line[:, None] - colours).max(axis=-1).min(axis=1)
    assert (nearest > 1).sum() <= 2 * (len(columns) - 1)


def test_cut_line_lies_outside_the_artwork_on_every_edge(write: Write) -> None:
    """Along a ring, outer edges and hole: no texel is touched, and the line can be seen."""
    ring = write("ring", 200.0, "a4")
    artwork = random_artwork(MASKS["ring"])
    ((page, (placed,)),) = ring.sheets()
    scan = ring.scan(page)
    assert (texels_seen(scan, placed, artwork, ring.summary) == artwork.mask).all()
    for row in (19, 20):
        edges = np.flatnonzero(np.diff(artwork.mask[row].astype(int))) + 1
        assert len(edges) == 4
        for edge, outwards in zip(edges, (-1, 1, -1, 1), strict=True):
            x = edge * 5.0 - placed.source.left + placed.target.left
            y = (row + 0.5) * 5.0 - placed.source.top + placed.target.top
            near = close_up(ring.document[page], x, y)
            texel = artwork.rgba[row, edge if outwards < 0 else edge - 1, :3].astype(int)
            for offset_mm, differs in ((-0.3, False), (-0.03, False), (0.05, True), (0.2, False)):
                away = np.abs(near[round(offset_mm * outwards * 100)] - texel).max()
                assert (away > 20) if differs else (away <= 1), offset_mm


def close_up(page: pdfium.PdfPage, x_mm: float, y_mm: float) -> dict[int, npt.NDArray[np.int64]]:
    """Pixels 0.01 mm apart along x, by their distance from (x, y) in 0.01 mm; up to 0.5 mm."""
    width, height = (length * MM_PER_POINT for length in page.get_size())
    crop = (x_mm - 0.5, height - y_mm - 0.1, width - x_mm - 0.5, y_mm - 0.1)
    scale = 100 * MM_PER_POINT
    bitmap = page.render(
        scale=scale, crop=tuple(side / MM_PER_POINT for side in crop), rev_byteorder=True
    )
    line = bitmap.to_numpy()[bitmap.height // 2, :, :3].astype(int)
    return {index - 50: colour for index, colour in enumerate(line)}


def test_text_says_what_it_must(poster: Printed, stickers: Printed) -> None:
    first = poster.text(0)
    digest = random_artwork(MASKS["poster"]).sha256[:16]
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
    with closing(pdfium.PdfDocument(path)) as document:
        first = Printed(document, summary).text(0)
    assert f"{len(summary.skipped_tiles)} tiles, crossed out" in first
    assert "2/2" in first


def test_lossless_srgb_squares_and_the_same_bytes_twice(tmp_path: Path) -> None:
    artwork = random_artwork(octagon_mask(24))
    for name in ("a.pdf", "b.pdf"):
        write_pdf(artwork, tmp_path / name, width_mm=150, page="A4", run_name="r")
    content = (tmp_path / "a.pdf").read_bytes()
    assert content == (tmp_path / "b.pdf").read_bytes()
    assert b"/ICCBased" in content
    assert _profile_year(content) == 2000
    assert b"/DCTDecode" not in content
    assert b"/Interpolate true" not in content
    assert b"/PrintScaling /None" in content


def _profile_year(content: bytes) -> int:
    """The year in the header of the embedded colour profile, which LittleCMS dates to today."""
    for start in re.finditer(rb"stream\r?\n", content):
        with suppress(zlib.error):
            data = zlib.decompressobj().decompress(content[start.end() :])
            if data[36:40] == b"acsp":
                return int.from_bytes(data[24:26], "big")
    raise AssertionError("no colour profile")


def test_height_follows_the_artwork_and_text_outside_latin_1_does_not_stop_it(
    tmp_path: Path,
) -> None:
    artwork = random_artwork(np.ones((10, 20), dtype=bool), height_mm=381.0)
    face = np.full((30, 60, 4), 200, dtype=np.uint8)
    summary = write_pdf(
        artwork, tmp_path / "p.pdf", width_mm=100, page="letter", run_name="逃げ ✓", face=face
    )
    assert (summary.width_mm, summary.height_mm) == (100, 50)
    with closing(pdfium.PdfDocument(tmp_path / "p.pdf")) as document:
        printed = Printed(document, summary)
        ((page, (placed,)),) = printed.sheets()
        assert texels_seen(printed.scan(page), placed, artwork, summary).all()


@pytest.mark.parametrize("width_mm", [0.0, -1.0, 5000.1, float("nan"), float("inf")])
def test_width_out_of_range(tmp_path: Path, width_mm: float) -> None:
    with pytest.raises(UserError, match="width_mm"):
        write_pdf(random_artwork(octagon_mask(8)), tmp_path / "x.pdf", width_mm=width_mm)
    assert not list(tmp_path.iterdir())


def test_wrong_page_empty_artwork_wrong_face_and_unwritable_path(tmp_path: Path) -> None:
    artwork = random_artwork(octagon_mask(8))
    with pytest.raises(UsageError, match="a4, a3, letter"):
        write_pdf(artwork, tmp_path / "x.pdf", width_mm=100, page="a7")
    with pytest.raises(UserError, match="nothing is stuck"):
        write_pdf(random_artwork(np.zeros((8, 8), dtype=bool)), tmp_path / "x.pdf", width_mm=100)
    with pytest.raises(ValueError, match="face must be"):
        write_pdf(
            artwork, tmp_path / "x.pdf", width_mm=100, face=np.zeros((4, 4, 3), dtype=np.uint8)
        )
    (tmp_path / "folder.pdf").mkdir()
    with pytest.raises(UserError, match=r"write .*folder\.pdf"):
        write_pdf(artwork, tmp_path / "folder.pdf", width_mm=100)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.pdf"]
