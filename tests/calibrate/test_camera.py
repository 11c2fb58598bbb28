"""Intrinsics: real boards against their reference, rendered boards against the truth."""

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from physadv.calibrate.boards import Board, find_board, find_dictionary
from physadv.calibrate.camera import (
    CameraCalibration,
    camera_from_exif,
    camera_from_fov,
    load_camera,
    save_camera,
)
from physadv.calibrate.edges import refine_quads
from physadv.calibrate.intrinsics import calibrate_camera, draw_coverage
from physadv.checks import UsageError, UserError
from physadv.data.files import find_external, quarter_turns_of
from physadv.data.photos import list_photos

GRID = Board("aruco", 4, 5, 42.5, 37.5, "6x6_1000")
REAL = {
    "carnd_chessboard_9x6": Board("chessboard", 9, 6, 25.0),
    "aruco_board": Board("aruco", 4, 5, 42.5, 37.5, "6x6_1000", "opencv"),
}
FINE = 2  # sub-pixels along a pixel in rendered pictures
TRUTH = CameraCalibration(
    820.0, 815.0, 322.0, 236.0, (-0.12, 0.05, 0.001, -0.0005, 0.0), 640, 480, None, "fov"
)


@pytest.fixture(scope="module")
def refined() -> CameraCalibration:
    paths = list_photos(find_external("data/calibration/aruco_board"))
    return calibrate_camera(paths, GRID).camera


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_real_boards_give_the_reference_intrinsics(name: str) -> None:
    folder = find_external(f"data/calibration/{name}")
    reference = json.loads((folder / "calibration.json").read_text())
    fit = calibrate_camera(list_photos(folder), REAL[name])
    wanted = np.array(reference["K"])
    camera = fit.camera
    found = [camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5]  # OpenCV's pixel convention
    np.testing.assert_allclose(found, wanted[[0, 1, 0, 1], [0, 1, 2, 2]], rtol=0.01)
    assert camera.rms_px is not None
    assert camera.rms_px <= reference["rms_px"] + 5e-5
    assert len(fit.used) + len(fit.rejected) == len(list_photos(folder))


@pytest.mark.realdata
def test_fitted_sides_explain_the_real_grid_better(refined: CameraCalibration) -> None:
    """A webcam has square pixels and its principal point near the middle."""
    assert refined.rms_px is not None
    assert refined.rms_px < 0.9188 / 2.5
    assert refined.fx == pytest.approx(refined.fy, rel=0.004)
    assert (refined.cx, refined.cy) == pytest.approx((320, 240), abs=4)


def drawn(board: Board, px_per_mm: float, margin_mm: float) -> npt.NDArray[np.uint8]:
    """The printed board, its first corner ``margin_mm`` from the left and top."""
    if board.kind == "chessboard":
        x, y = np.meshgrid(*(np.arange(n + 1) for n in (board.columns, board.rows)))
        cells = np.where((x + y) % 2, 235, 25).astype(np.uint8)
        side = round(board.square_mm * px_per_mm)
        inner = cells.repeat(side, axis=0).repeat(side, axis=1)
        return np.pad(inner, round((margin_mm - board.square_mm) * px_per_mm), constant_values=235)
    size = (board.columns, board.rows)
    dictionary = find_dictionary(board.dictionary)
    if board.kind == "charuco":
        printed = cv2.aruco.CharucoBoard(size, board.square_mm, board.marker_mm, dictionary)
    else:
        gap = board.square_mm - board.marker_mm
        printed = cv2.aruco.GridBoard(size, board.marker_mm, gap, dictionary)
    extent = np.rint((2 * board.centre_mm[:2] + 2 * margin_mm) * px_per_mm).astype(int)
    picture = printed.generateImage(
        tuple(int(n) for n in extent), marginSize=round(margin_mm * px_per_mm)
    )
    return np.where(picture > 127, 235, 25).astype(np.uint8)


def photographed(
    board: Board, rotation: npt.ArrayLike, middle_mm: npt.ArrayLike
) -> npt.NDArray[np.uint8]:
    """The board through ``TRUTH``, by looking up every sub-pixel of the picture on the board."""
    px_per_mm, margin_mm = 4.0, 1.6 * board.square_mm
    texture = drawn(board, px_per_mm, margin_mm)
    turn = cv2.Rodrigues(np.asarray(rotation, dtype=np.float64))[0]
    shift = np.asarray(middle_mm) - turn @ board.centre_mm
    on_plane = rays() @ np.linalg.inv(np.c_[turn[:, :2], shift]).T
    where = (on_plane[:, :2] / on_plane[:, 2:] + margin_mm) * px_per_mm - 0.5
    maps = where.reshape(480 * FINE, 640 * FINE, 2).astype(np.float32)
    seen = cv2.remap(texture, maps, None, cv2.INTER_LINEAR, borderValue=(120,))
    seen = cv2.GaussianBlur(seen, (0, 0), 0.8 * FINE)
    return cv2.resize(seen, (640, 480), interpolation=cv2.INTER_AREA)


@cache
def rays() -> npt.NDArray[np.float64]:
    """[N,3] the ray of every sub-pixel of ``TRUTH``."""
    y, x = (np.mgrid[: 480 * FINE, : 640 * FINE] + 0.5) / FINE
    flat = TRUTH.undistort(np.stack([x.ravel(), y.ravel()], axis=1))
    return np.c_[flat, np.ones(len(flat))] @ np.linalg.inv(TRUTH.matrix).T


@pytest.mark.parametrize(
    "board",
    [
        Board("charuco", 7, 5, 40.0, 28.0, "5x5_250"),
        Board("chessboard", 8, 5, 32.0),
        GRID,
    ],
    ids=lambda board: board.kind,
)
def test_rendered_boards_give_the_true_camera(board: Board, tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    for index in range(10):
        tilt = generator.normal(0, 0.35, 3) * [1, 1, 0.6]
        middle = [
            generator.uniform(-70, 70),
            generator.uniform(-50, 50),
            generator.uniform(420, 560),
        ]
        Image.fromarray(photographed(board, tilt, middle)).save(tmp_path / f"{index:02d}.png")
    (tmp_path / "99.png").write_bytes(b"no picture")
    Image.new("L", (640, 480), 90).save(tmp_path / "98.png")
    fit = calibrate_camera(list_photos(tmp_path), board)
    found = fit.camera
    assert [found.fx, found.fy] == pytest.approx([TRUTH.fx, TRUTH.fy], rel=0.002)
    assert [found.cx, found.cy] == pytest.approx([TRUTH.cx, TRUTH.cy], abs=2.0)
    assert found.rms_px is not None
    assert found.rms_px < 0.12
    assert abs(found.fx - TRUTH.fx) < 5 * max(found.focal_sd * TRUTH.fx, 0.2)
    reasons = {path.name: reason for path, reason in fit.rejected}
    assert reasons["98.png"] == "no board found"
    assert "not a readable image" in reasons["99.png"]
    assert draw_coverage(fit, 400).shape == (300, 400, 3)


def test_corners_of_a_blurred_square_are_exact() -> None:
    """OpenCV's contour corners are half a pixel inside; fitted sides are not."""
    truth = np.array([[40.3, 31.7], [121.9, 44.2], [113.6, 127.4], [33.1, 108.8]])
    fine = 8
    y, x = (np.mgrid[: 160 * fine, : 160 * fine] + 0.5) / fine
    inside = np.ones(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(truth, np.roll(truth, -1, axis=0), strict=True):
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0
    canvas = np.where(inside, 30, 230).astype(np.uint8)
    grey = cv2.resize(
        cv2.GaussianBlur(canvas, (0, 0), 10), (160, 160), interpolation=cv2.INTER_AREA
    )
    start = truth + np.random.default_rng(1).uniform(-1, 1, truth.shape)
    np.testing.assert_allclose(refine_quads(grey, start[None])[0], truth, atol=0.03)
    flat = np.full_like(grey, 128)
    np.testing.assert_array_equal(refine_quads(flat, start[None])[0], start)


def test_too_few_pictures_is_one_clear_error(tmp_path: Path) -> None:
    Image.new("L", (64, 48), 128).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="0 of 1 pictures show the board"):
        calibrate_camera(list_photos(tmp_path), GRID)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "tartan"}, "Known: charuco, chessboard, aruco"),
        ({"dictionary": "8x8_50"}, "dictionary '8x8_50'"),
        ({"marker_mm": 50.0}, "must be smaller than its square"),
        ({"columns": 1}, "columns of the board = 1"),
        ({"corners": "guess"}, "lines, opencv"),
    ],
)
def test_impossible_boards_are_refused(change: dict[str, object], message: str) -> None:
    given = {"kind": "aruco", "columns": 4, "rows": 5, "square_mm": 42.5, "marker_mm": 37.5}
    with pytest.raises((UserError, UsageError), match=message):
        Board(**{**given, **change})  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3), st.floats(0.25, 3.0), st.integers(0, 10_000))
def test_turned_and_scaled_pictures_show_the_same_rays(turns: int, scale: float, seed: int) -> None:
    """Turning and resizing the picture's pixels by hand gives what the new calibration projects."""
    large = CameraCalibration(
        3200.0, 3180.0, 2010.0, 1480.0, (-0.1, 0.02, 0.002, -0.001, 0.01), 4000, 3000, 0.3, "board"
    )
    generator = np.random.default_rng(seed)
    points = generator.uniform([-0.5, -0.4, 1.5], [0.5, 0.4, 3.0], (20, 3))
    pixels = large.project(points, np.eye(3), np.zeros(3))
    size, turn = np.array([4000.0, 3000.0]), np.eye(3)
    for _ in range(turns):
        pixels = np.stack([size[1] - pixels[:, 1], pixels[:, 0]], axis=1)
        size = size[::-1]
        turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]) @ turn
    wanted = np.rint(size * scale)
    camera = large.for_picture(int(wanted[0]), int(wanted[1]), turns)
    np.testing.assert_allclose(
        camera.project(points @ turn.T, np.eye(3), np.zeros(3)), pixels * wanted / size, atol=1e-6
    )
    assert ("rescaled" in camera.note) == (tuple(wanted) != tuple(size))


def test_other_aspect_ratio_is_refused_and_a_swapped_one_is_noted() -> None:
    camera = camera_from_fov(60.0, 4000, 3000)
    with pytest.raises(UserError, match="4000 x 2250 px, another aspect ratio"):
        camera.for_picture(4000, 2250)
    assert "turned clockwise" in camera.for_picture(3000, 4000).note
    assert camera.for_picture(3000, 4000, 1).note == camera.note
    assert camera.for_picture(4000, 3000) == camera


def test_file_round_trip_and_spoilt_files(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    save_camera(TRUTH, path, pictures=[{"file": "a.jpg"}])
    assert load_camera(path) == TRUTH
    content = json.loads(path.read_text())
    for key, value in (("fx", -1), ("format", "other"), ("cx", "left"), ("source", "guess")):
        path.write_text(json.dumps({**content, key: value}))
        with pytest.raises(UserError, match="Give a file that"):
            load_camera(path)


def exif_photo(path: Path, size: tuple[int, int], focal: int, was: tuple[int, int] | None) -> Path:
    exif = Image.Exif()
    exif[0x0112] = 6
    tags = exif.get_ifd(0x8769)
    tags[0xA405] = focal
    if was:
        tags[0xA002], tags[0xA003] = was
    Image.new("RGB", size).save(path, exif=exif)
    return path


def test_exif_focal_length(tmp_path: Path) -> None:
    """A full-frame picture with a 50 mm lens: 50/36 of its width."""
    path = exif_photo(tmp_path / "a.jpg", (600, 400), 50, (6000, 4000))
    camera = camera_from_exif(path)
    assert camera is not None
    assert camera.fx == pytest.approx(600 * 50 / 36, rel=1e-3)
    assert camera.source == "exif"
    assert camera.focal_sd > 0
    with Image.open(path) as image:
        assert quarter_turns_of(image) == 1
    assert camera_from_exif(exif_photo(tmp_path / "b.jpg", (600, 400), 0, None)) is None
    assert camera_from_exif(exif_photo(tmp_path / "c.jpg", (600, 600), 50, (6000, 4000))) is None
    with pytest.raises(UserError, match="no such file"):
        camera_from_exif(tmp_path / "none.jpg")


@pytest.mark.realdata
def test_a_board_seen_in_part_or_not_at_all() -> None:
    road = list_photos(find_external("data/calibration/carnd_road_same_camera"))
    assert find_board(cv2.imread(str(road[0]), cv2.IMREAD_GRAYSCALE), GRID) == "no board found"
