"""From the chart's own PDF through a simulated printer and camera to a profile."""

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pytest
import torch
from commandline import call_physadv
from photography import level_camera, photograph
from PIL import Image

from physadv.artwork.colour import delta_e_2000, srgb_to_lab
from physadv.artwork.printer import (
    KINDS,
    PrinterProfile,
    encoded,
    features,
    linear_light,
    load_profile,
    respond,
    save_profile,
)
from physadv.calibrate.camera import CameraCalibration
from physadv.calibrate.chart import PAPER_LIGHT, read_chart
from physadv.calibrate.macbeth import colour_correction
from physadv.calibrate.printer import Fit, calibrate_printer
from physadv.checks import UserError
from physadv.export.chart import chart_of, write_chart

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

DPI = 100
PX_PER_MM = DPI / 25.4
LENS = CameraCalibration(
    1500.0, 1495.0, 603.0, 796.0, (-0.08, 0.02, 0.001, -0.001, 0.0), 1200, 1600, 0.3, "board"
)
PAPER = np.array([0.90, 0.91, 0.86])  # yellowish
INKS = np.array([[0.10, 0.42, 0.62], [0.62, 0.10, 0.30], [0.86, 0.76, 0.08]])  # light sent back
CROSSTALK = np.array([[0.90, 0.07, 0.03], [0.04, 0.92, 0.04], [0.02, 0.08, 0.90]])


def decode(values: Array) -> Array:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encode(light: Array) -> Array:
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def on_paper(rgb: npt.ArrayLike) -> Array:
    """Light sent back: crosstalk, dot gain, an ink limit, inks over one another, gloss."""
    ink = (1 - np.asarray(rgb, dtype=np.float64)) @ CROSSTALK
    ink = ink + 0.5 * ink * (1 - ink) * 0.6  # dot gain
    total = ink.sum(axis=-1, keepdims=True)
    ink = np.clip(ink * np.minimum(1, 2.6 / np.maximum(total, 1e-9)), 0, 1)
    light = np.ones((*ink.shape[:-1], 3))
    for n in range(3):
        light = light * (1 - ink[..., n : n + 1] * (1 - INKS[n]))
    return PAPER * (0.03 + 0.97 * light)  # gloss


def expected(rgb: npt.ArrayLike) -> Array:
    """sRGB that a profile should give: paper taken for neutral."""
    return encode(on_paper(rgb) / on_paper(np.ones(3)) * PAPER_LIGHT)


def raster(page: str, folder: Path) -> Picture:
    chart = write_chart(folder / f"{page}.pdf", page)
    document = pdfium.PdfDocument(folder / f"{chart.page}.pdf")
    pixels = document[0].render(scale=DPI / 72, rev_byteorder=True).to_numpy()[..., :3].copy()
    document.close()
    return pixels


def photo_of(
    pixels: Picture, page: str, seed: int, *, exposure: float = 0.8, yaw_deg: float = 8.0
) -> Picture:
    """The page, printed, in light from one side, by a camera held by hand."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1) - 0.5
    lamp = exposure * (1 - 0.35 * x + 0.2 * y - 0.25 * (x * x + y * y))[..., None]
    lamp = lamp * np.array([1.0, 0.95, 0.82])
    seen = np.round(255 * encode(on_paper(pixels / 255) * lamp)).astype(np.uint8)
    chart = chart_of(page)
    rotation, shift = level_camera(0.42, yaw_deg, 5.0)
    down = chart.layout.spacing_mm[1]
    inset = 8.0 + 18.0 / 8 + 9.0
    middle = (chart.size_mm[0] / 2, chart.size_mm[1] - inset - down / 2)
    return photograph(
        seen,
        PX_PER_MM,
        middle,
        LENS,
        rotation,
        shift,
        background=np.full((LENS.height_px, LENS.width_px, 3), 90, np.uint8),
        seed=seed,
        jpeg=92,
    )


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("chart")
    pixels = raster("a4", folder)
    paths = []
    for number, (exposure, yaw) in enumerate(((0.8, 8.0), (0.6, -12.0), (0.9, 0.0))):
        photo = photo_of(pixels, "a4", number, exposure=exposure, yaw_deg=yaw)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(photo).save(paths[-1], quality=93)
    return paths


@pytest.fixture(scope="module")
def fit(photos: list[Path]) -> Fit:
    return calibrate_printer(photos, chart_of("a4"))


def test_the_chart_is_read_under_uneven_light(photos: list[Path]) -> None:
    chart = chart_of("a4")
    seen = read_chart(np.asarray(Image.open(photos[0])), chart)
    errors = delta_e_2000(srgb_to_lab(seen), srgb_to_lab(expected(chart.colours / 255)))
    assert errors.mean() < 1.5
    assert np.quantile(errors, 0.95) < 4


def test_dots_of_ink_that_a_close_camera_tells_apart_are_mixed_as_light(tmp_path: Path) -> None:
    """Cells are 130 px of dots 6 px apart, full ink or bare paper: their light is their share."""
    chart = write_chart(tmp_path / "chart.pdf", "a4")
    document = pdfium.PdfDocument(tmp_path / "chart.pdf")
    pixels = document[0].render(scale=300 / 72, rev_byteorder=True).to_numpy()[..., :3].copy()
    document.close()
    y, x = np.mgrid[:6, :6] - 2.4
    order = np.argsort(np.argsort((x * x + 1.01 * y * y + 0.01 * x).ravel())).reshape(6, 6)
    height, width = pixels.shape[:2]
    dots = np.tile(order, (height // 6 + 1, width // 6 + 1))[:height, :width, None]
    paper = np.floor(pixels / 255 * 36 + 0.5) > dots
    light = cv2.GaussianBlur(0.8 * (0.1 + 0.9 * paper), (0, 0), 0.8)
    seen = read_chart(np.round(255 * encode(light)).astype(np.uint8), chart)
    share = np.floor(chart.colours / 255 * 36 + 0.5) / 36
    errors = delta_e_2000(srgb_to_lab(seen), srgb_to_lab(encode(PAPER_LIGHT * (0.1 + 0.9 * share))))
    assert errors.mean() < 0.5
    assert errors.max() < 2.0


def test_scratches_do_not_count(photos: list[Path]) -> None:
    photo = np.asarray(Image.open(photos[0]))
    chart, scratched = chart_of("a4"), photo.copy()
    for x in range(380, 850, 50):
        cv2.line(scratched, (x, 430), (x + 30, 1130), (15, 15, 15), 2)
    one, other = (srgb_to_lab(read_chart(seen, chart)) for seen in (photo, scratched))
    assert delta_e_2000(one, other).mean() < 0.7  # 1.6 if cells were averaged whole


def test_colours_that_were_never_printed_are_foretold(fit: Fit) -> None:
    """The issue's figure: mean CIEDE2000 of held-out colours at most 3, and not by luck."""
    fresh = np.random.default_rng(7).uniform(0, 1, (2000, 3))
    told = fit.profile.apply(torch.from_numpy(fresh.T.reshape(3, 40, 50))).numpy()
    truth = srgb_to_lab(expected(fresh))
    errors = delta_e_2000(srgb_to_lab(told.reshape(3, -1).T), truth)
    assert errors.mean() < 3.0
    # What it says of itself is what is so.
    assert errors.mean() == pytest.approx(fit.profile.delta_e, abs=0.7)
    without = delta_e_2000(srgb_to_lab(fresh), truth).mean()
    assert errors.mean() < without / 3
    assert set(fit.errors) == set(KINDS)
    assert fit.profile.delta_e == min(float(e.mean()) for e in fit.errors.values())
    assert fit.repeat is not None
    assert fit.repeat < 1.5


def test_the_palette_is_within_what_was_printed(fit: Fit) -> None:
    palette = np.array(fit.profile.palette)
    assert palette.shape == (30, 3)
    low, high = fit.seen.min(axis=0), fit.seen.max(axis=0)
    assert (palette >= low - 1e-9).all()
    assert (palette <= high + 1e-9).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_is_differentiable(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    colours = 0.2 + 0.6 * torch.rand(5, 3, generator=generator, dtype=torch.float64)
    colours.requires_grad_()
    width = features(kind, colours).shape[1]  # type: ignore[arg-type]
    weights = [0.2 * torch.rand(width, 3, generator=generator, dtype=torch.float64)]
    if kind == "network":
        small = 0.1 * torch.rand(4, 6, generator=generator, dtype=torch.float64)
        weights = [small, 0.05 * torch.rand(7, 3, generator=generator, dtype=torch.float64)]
    assert torch.autograd.gradcheck(
        lambda given: respond(kind, weights, given),  # type: ignore[arg-type]
        (colours,),
    )


def test_light_and_code_are_each_other_s_inverse_and_pillow_like() -> None:
    values = torch.linspace(0, 1, 256, dtype=torch.float64)
    torch.testing.assert_close(encoded(linear_light(values)), values, atol=1e-6, rtol=0)
    np.testing.assert_allclose(linear_light(values).numpy(), decode(values.numpy()), atol=1e-12)


def test_a_linear_printer_is_found_exactly(tmp_path: Path) -> None:
    """The affine model on colours that are affine, without any photograph between."""
    matrix = np.array([[0.8, 0.05, 0.0], [0.02, 0.7, 0.05], [0.0, 0.1, 0.75], [0.06, 0.07, 0.05]])
    weights = (tuple(map(tuple, matrix.tolist())),)
    profile = PrinterProfile("affine", weights, ((0.0, 0.0, 0.0),), (0.0, 0.0, 0.0), 0.0)
    colours = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    flat = colours.flatten(1).T.numpy()
    wanted = np.c_[flat, np.ones(len(flat))] @ matrix
    found = profile.apply(colours).flatten(1).T.numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-7)
    save_profile(profile, tmp_path / "p.json", note="words")
    assert load_profile(tmp_path / "p.json") == profile


def test_pdf_is_exact_and_the_same_every_time(tmp_path: Path) -> None:
    first = write_chart(tmp_path / "a.pdf", "letter")
    write_chart(tmp_path / "b.pdf", "letter")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    document = pdfium.PdfDocument(tmp_path / "a.pdf")
    page = document[0]
    assert [v / 72 * 25.4 for v in page.get_size()] == pytest.approx([215.9, 279.4], abs=0.01)
    pixels = page.render(scale=200 / 72, rev_byteorder=True).to_numpy()[..., :3].copy()
    document.close()
    seen = read_cells(pixels, "letter")
    np.testing.assert_allclose(seen, first.colours, atol=2)
    used = {tuple(colour) for colour in first.colours.reshape(-1, 3).tolist()}
    assert len(used) == 216 + 16


def read_cells(pixels: Picture, page: str) -> Array:
    """The cells' colours straight from a raster, by their places in millimetres."""
    chart = chart_of(page)
    scale = 200 / 25.4
    inset = 8.0 + 18.0 / 8 + 9.0
    middle = np.array(
        [chart.size_mm[0] / 2, chart.size_mm[1] - inset - chart.layout.spacing_mm[1] / 2]
    )
    centres = chart.centres_mm() * [1, -1] + middle
    rows, columns = (centres[..., 1] * scale).astype(int), (centres[..., 0] * scale).astype(int)
    return pixels[rows, columns].astype(np.float64)


def call(*words: object, group: tuple[str, ...] = ("calibrate",)) -> int:
    return call_physadv(*group, *words)


def test_command(photos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.jpg").write_text("no picture")
    (tmp_path / "again.jpg").write_bytes(photos[0].read_bytes())
    out = tmp_path / "printer.json"
    assert (
        call("printer", *photos, tmp_path / "words.jpg", tmp_path / "again.jpg", "--out", out) == 0
    )
    told = capsys.readouterr().out
    assert "chosen" in told
    assert told.count("left out") == 2
    record = json.loads(out.read_text())
    assert [entry["file"] for entry in record["photographs"]] == [str(path) for path in photos]
    assert load_profile(out).delta_e < 3
    with Image.open(tmp_path / "printer.fit.png") as picture:
        assert picture.size[0] > 300


WHOLE = (
    '{"format": "physadv printer 1", "kind": "affine", "delta_e": 1, "palette": [[0, 0, 0]], '
    '"residual_sd": [0, 0, 0], "weights": [[[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]]}'
)


def test_the_whole_profile_is_read(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(WHOLE)
    assert load_profile(tmp_path / "p.json").kind == "affine"


def test_the_polynomial_has_every_monomial() -> None:
    colours = torch.rand(400, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = features("polynomial", colours)
    assert found.shape[1] == 20  # those of three variables up to the third degree
    assert torch.linalg.matrix_rank(found) == 20


def bad_photo(kind: str, photo: Picture) -> Picture:
    if kind == "nothing":
        return np.full_like(photo, 120)
    if kind == "half":
        return photo[: photo.shape[0] // 2]
    if kind == "mirrored":
        return np.ascontiguousarray(photo[:, ::-1])
    if kind == "overexposed":
        return np.clip(photo.astype(float) * 1.4, 0, 255).astype(np.uint8)
    if kind == "shadow":
        shaded = photo.copy()
        shaded[:, : photo.shape[1] // 2] = (shaded[:, : photo.shape[1] // 2] * 0.7).astype(np.uint8)
        return shaded
    if kind == "two":
        return np.hstack([photo, photo])
    if kind == "dark":
        return (photo // 5).astype(np.uint8)
    return cv2.resize(photo, None, fx=0.16, fy=0.16, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nothing", "no a4 chart found"),
        ("half", "markers can be seen"),
        ("mirrored", "mirrored"),
        ("overexposed", "clipped"),
        ("dark", "dark|no a4 chart"),
        ("shadow", "changes abruptly"),
        ("two", "2 charts"),
        ("far", "cells cover|no a4 chart"),
    ],
)
def test_photographs_that_cannot_be_used(photos: list[Path], kind: str, message: str) -> None:
    photo = np.asarray(Image.open(photos[0]))
    with pytest.raises(UserError, match=message):
        read_chart(bad_photo(kind, photo), chart_of("a4"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not valid JSON"),
        ("{}", "not a printer's profile"),
        ("[1]", "not a printer's profile"),
        ('{"format": "physadv camera 1"}', "not a printer's profile"),
        ('{"format": "physadv printer 0"}', "'physadv printer 0', this version reads"),
        ('{"format": "physadv printer 1", "kind": "x"}', "weights"),
        (WHOLE.replace('"affine"', '"other"'), "kind 'other'"),
        (WHOLE.replace("[[0, 0, 0]]", "[]"), "palette"),
        (WHOLE.replace("[[0, 0, 0]]", "[[0, 0]]"), "palette"),
        (WHOLE.replace("[[0, 0, 0]]", "[[0, 0, NaN]]"), "not finite"),
        (WHOLE.replace('"delta_e": 1', '"delta_e": Infinity'), "not finite"),
        (WHOLE.replace("[1, 0, 0], ", ""), "mat1 and mat2|shapes"),
    ],
)
def test_wrong_profiles(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(UserError, match=message):
        load_profile(tmp_path / "p.json")


@pytest.mark.parametrize("content", ["{", '{"format": "physadv printer 0"}'])
def test_a_wrong_profile_stops_before_a_run_begins(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.json").write_text(content)
    words = ("stop_sign", "--victim", "gtsrb-cnn", "--printer", tmp_path / "p.json")
    assert call("generate", *words, "--out", tmp_path / "run", group=()) == 1
    assert capsys.readouterr().err.count("error:") == 1
    assert not (tmp_path / "run").exists()


def test_photographs_are_not_written_over(
    photos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    before = photos[1].read_bytes()
    assert call("printer", photos[0], "--out", photos[1]) == 2
    assert "not the name of a .json file" in capsys.readouterr().err
    assert photos[1].read_bytes() == before


@pytest.mark.parametrize("arrival", ["half", "mirrored", "overexposed", "nothing"])
def test_command_without_a_usable_photograph(
    photos: list[Path], tmp_path: Path, arrival: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = bad_photo(arrival, np.asarray(Image.open(photos[0])))
    Image.fromarray(photo).save(tmp_path / "bad.png")
    assert call("printer", tmp_path / "bad.png", "--out", tmp_path / "p.json") == 1
    assert capsys.readouterr().err.count("error:") == 1
    assert not (tmp_path / "p.json").exists()


CHECKER = (
    "115,82,68,194,150,130,98,122,157,87,108,67,133,128,177,103,189,170,214,126,44,80,91,166,"
    "193,90,99,94,60,108,157,188,64,224,163,46,56,61,150,70,148,73,175,54,60,231,199,31,"
    "187,86,149,8,133,161,243,243,242,200,200,200,160,160,160,122,122,121,85,85,85,52,52,52"
)
SRGB_OF_CHECKER = np.array(CHECKER.split(","), dtype=np.float64).reshape(24, 3)
SENSOR = np.array([[0.62, 0.08, 0.02], [0.05, 0.55, 0.03], [0.02, 0.10, 0.40]])


def by_sensor(rgb: npt.ArrayLike) -> Array:
    """What a camera with mixed channels, in yellow light, stores of sRGB colours."""
    return encode(decode(np.asarray(rgb, dtype=np.float64)) @ SENSOR.T)


def checker_photo() -> Picture:
    photo = np.full((700, 960, 3), 110, np.uint8)
    side, gap, left, top = 90, 12, 180, 150
    step = side + gap
    cv2.rectangle(photo, (left - gap, top - gap), (left + 6 * step, top + 4 * step), (20,) * 3, -1)
    for number, colour in enumerate(np.round(by_sensor(SRGB_OF_CHECKER / 255) * 255)):
        y, x = top + number // 6 * step, left + number % 6 * step
        photo[y : y + side, x : x + side] = colour
    return cv2.GaussianBlur(photo, (0, 0), 1)


def test_a_color_checker_gives_back_colours_that_it_does_not_have() -> None:
    """The patches' published sRGB (X-Rite), through a known sensor."""
    correct, loss = colour_correction(checker_photo())
    assert loss < 2
    fresh = np.random.default_rng(1).uniform(0.05, 0.95, (500, 3))
    errors = delta_e_2000(srgb_to_lab(correct(by_sensor(fresh))), srgb_to_lab(fresh))
    assert errors.mean() < 2
    without = delta_e_2000(srgb_to_lab(by_sensor(fresh)), srgb_to_lab(fresh))
    assert errors.mean() < without.mean() / 4


def test_with_a_color_checker_the_paper_keeps_its_tint(photos: list[Path]) -> None:
    """An identity correction leaves lamp and paper in; a neutral one would have taken them out."""
    chart = chart_of("a4")
    photo = np.asarray(Image.open(photos[0]))
    kept, neutral = read_chart(photo, chart, lambda colours: colours), read_chart(photo, chart)
    white = (chart.colours == 255).all(axis=2)
    assert np.ptp(neutral[white].mean(axis=0)) < 0.01
    tint = decode(kept[white].mean(axis=0))
    expected_tint = PAPER * np.array([1.0, 0.95, 0.82])
    np.testing.assert_allclose(tint / tint[0], expected_tint / expected_tint[0], atol=0.03)
    # Even all over the page, though the lamp was not.
    assert np.ptp(kept[white], axis=0).max() < 0.05


def test_no_color_checker(photos: list[Path]) -> None:
    with pytest.raises(UserError, match="none found"):
        colour_correction(np.full((300, 400, 3), 128, np.uint8))


def test_another_page_s_chart_is_not_taken_for_this_one(photos: list[Path]) -> None:
    with pytest.raises(UserError, match="no letter chart"):
        read_chart(np.asarray(Image.open(photos[0])), chart_of("letter"))
