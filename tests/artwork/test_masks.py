"""Masks from layouts and files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from physadv.artwork.graffiti import graffiti_mask
from physadv.artwork.masks import area_share, load_mask
from physadv.checks import UsageError, UserError
from physadv.scene.faces import draw_face, octagon

T = 128
FACE = draw_face("us_r1_1", T)[..., 3] > 127
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{}</svg>'
CENTRE = (slice(T // 4, 3 * T // 4), slice(T // 4, 3 * T // 4))


def _svg(folder: Path, body: str) -> str:
    path = folder / "mask.svg"
    path.write_text(SVG.format(body), encoding="utf-8")
    return str(path)


def _png(folder: Path, pixels: np.ndarray) -> str:
    path = folder / "mask.png"
    Image.fromarray(pixels).save(path)
    return str(path)


def _square() -> np.ndarray:
    mask = np.zeros((T, T), dtype=bool)
    mask[CENTRE] = True
    return mask


def test_poster_is_the_face() -> None:
    mask = load_mask("poster", FACE)
    assert np.array_equal(mask, FACE)
    assert area_share(mask, FACE) == 1.0


def test_octagonal_face_has_the_area_of_an_octagon() -> None:
    x, y = octagon(1.0).T
    shoelace = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert shoelace == pytest.approx(2 * (np.sqrt(2) - 1))
    assert area_share(_square(), FACE) == pytest.approx(0.25 / shoelace, rel=0.02)


@pytest.mark.parametrize("colour", ["black", "white", "#ff0000"])
def test_svg_is_stuck_where_opaque_whatever_its_colour(tmp_path: Path, colour: str) -> None:
    layout = _svg(tmp_path, f'<rect x="25" y="25" width="50" height="50" fill="{colour}"/>')
    assert np.array_equal(load_mask(layout, FACE), _square())


def test_svg_is_not_mirrored_or_turned(tmp_path: Path) -> None:
    layout = _svg(tmp_path, '<rect x="30" y="40" width="10" height="20"/>')
    rows, columns = np.nonzero(load_mask(layout, FACE))
    assert (columns.min() / T, (columns.max() + 1) / T) == pytest.approx((0.3, 0.4), abs=1 / T)
    assert (rows.min() / T, (rows.max() + 1) / T) == pytest.approx((0.4, 0.6), abs=1 / T)


def test_svg_disc_has_the_area_of_a_disc(tmp_path: Path) -> None:
    mask = load_mask(_svg(tmp_path, '<circle cx="50" cy="50" r="30"/>'), FACE)
    assert mask.mean() == pytest.approx(np.pi * 0.3**2, rel=0.01)


def test_svg_text_is_drawn_without_system_fonts(tmp_path: Path) -> None:
    mask = load_mask(_svg(tmp_path, '<text x="35" y="65" font-size="40">A</text>'), FACE)
    assert 0.02 < area_share(mask, FACE) < 0.15


def test_svg_in_millimetres(tmp_path: Path) -> None:
    path = tmp_path / "mm.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="762mm" height="762mm" '
        'viewBox="0 0 762 762">'
        '<rect x="190.5" y="190.5" width="381" height="381"/></svg>',
        encoding="utf-8",
    )
    assert np.array_equal(load_mask(str(path), FACE), _square())


def test_png_alpha_wins_over_brightness(tmp_path: Path) -> None:
    rgba = np.zeros((T, T, 4), dtype=np.uint8)
    rgba[..., :3] = 255
    rgba[CENTRE] = (0, 0, 0, 255)
    assert np.array_equal(load_mask(_png(tmp_path, rgba), FACE), _square())


@pytest.mark.parametrize("kind", ["grey", "rgb", "opaque rgba", "16 bit", "binary"])
def test_png_without_transparency_is_white_on_black(tmp_path: Path, kind: str) -> None:
    square = _square()
    grey = (square * 255).astype(np.uint8)
    pixels = {
        "grey": grey,
        "rgb": np.dstack([grey] * 3),
        "opaque rgba": np.dstack([grey] * 3 + [np.full_like(grey, 255)]),
        "16 bit": square.astype(np.uint16) * 65535 + ~square * np.uint16(20000),
        "binary": square,
    }[kind]
    assert np.array_equal(load_mask(_png(tmp_path, pixels), FACE), square)


def test_png_of_another_size_is_area_averaged(tmp_path: Path) -> None:
    large = _square().repeat(3, 0).repeat(3, 1)
    large[::3, ::3] = False
    mask = load_mask(_png(tmp_path, large.astype(np.uint8) * 255), FACE)
    assert np.array_equal(mask, _square())


def test_a_little_off_the_face_is_clipped(tmp_path: Path) -> None:
    # The corners of this square stick out of the octagon by a few texels.
    layout = _svg(tmp_path, '<rect x="13" y="13" width="74" height="74"/>')
    mask = load_mask(layout, FACE)
    assert not np.any(mask & ~FACE)
    assert 0.6 < area_share(mask, FACE) < 0.7


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "empty"),
        ('<rect width="10" height="10"/>', "all of it is off the sign"),
        ('<rect width="100" height="100"/>', r"1[67]\.\d% of it is off"),
        ('<rect x="50" y="50" width="20" height="20" opacity="0.4"/>', "empty"),
    ],
)
def test_empty_or_off_the_face(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_mask(_svg(tmp_path, body), FACE)


def test_bad_files(tmp_path: Path) -> None:
    for name, content in (("a.svg", b"nope"), ("b.svg", b""), ("c.png", b"\x89PNG\r\n\x1a\n")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UserError, match="not a readable"):
            load_mask(str(path), FACE)
    with pytest.raises(UserError, match="no such file"):
        load_mask(str(tmp_path / "absent.svg"), FACE)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="folder"):
        load_mask(str(tmp_path / "folder.png"), FACE)
    with pytest.raises(UserError, match="not square"):
        load_mask(_png(tmp_path, np.full((T, 2 * T), 255, np.uint8)), FACE)
    wide = tmp_path / "wide.svg"
    wide.write_text(SVG.replace("0 0 100 100", "0 0 200 100").format('<rect width="200"/>'))
    with pytest.raises(UserError, match="not square"):
        load_mask(str(wide), FACE)


@pytest.mark.parametrize("layout", ["postr", "mask.jpg", "", "Poster"])
def test_unknown_layout_lists_the_known(layout: str) -> None:
    with pytest.raises(UsageError, match=r"poster, stickers, graffiti.*\.svg or \.png") as caught:
        load_mask(layout, FACE)
    if layout == "postr":
        assert "'poster'" in str(caught.value)


def test_stickers_are_not_found_here() -> None:
    with pytest.raises(ValueError, match="rectangles"):
        load_mask("stickers", FACE)


def test_graffiti_leaves_the_legend_free_and_stays_on_the_face() -> None:
    mask = load_mask("graffiti", FACE)
    assert 0.10 < area_share(mask, FACE) < 0.20
    assert not np.any(mask[T // 3 + 1 : 2 * T // 3])
    assert mask[: T // 3].sum() > 0.3 * mask.sum()
    assert mask[2 * T // 3 :].sum() > 0.3 * mask.sum()
    raw = graffiti_mask(T)
    assert np.count_nonzero(raw & ~FACE) <= 0.005 * np.count_nonzero(raw)


def test_graffiti_is_the_same_at_any_resolution_and_time() -> None:
    small, large = graffiti_mask(64), graffiti_mask(256)
    assert np.array_equal(small, graffiti_mask(64))
    shrunk = large.reshape(64, 4, 64, 4).mean(axis=(1, 3)) > 0.5
    assert np.mean(shrunk != small) < 0.01
    assert not np.array_equal(graffiti_mask(64, ("HATE", "LOVE")), small)


@pytest.mark.parametrize("word", ["", "TWO WORDS", "FARTOOLONG", "\n"])
def test_graffiti_words(word: str) -> None:
    with pytest.raises(UserError, match="word"):
        graffiti_mask(64, (word, "HATE"))
