"""From the print's own PDF through a camera to treatment, size and pose; nothing read wrongly."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium
import pytest
from photography import leaves, level_camera, photograph

from physadv.artwork.files import Artwork
from physadv.calibrate.camera import CameraCalibration
from physadv.calibrate.fiducials import FoundSheet, find_sheets, read_label
from physadv.calibrate.markers import Marker, find_markers
from physadv.calibrate.pose import pose_from_sheet
from physadv.checks import UserError
from physadv.data.files import find_external, read_image_rgb
from physadv.data.photos import list_photos
from physadv.export.board import BoardPlan
from physadv.export.codes import DICTIONARY, marker_bits, marker_id
from physadv.export.pdf import write_pdf
from physadv.export.sheetfile import SheetLayout
from physadv.types import TREATMENTS, Treatment

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

DPI = 300
PX_PER_MM = DPI / 25.4
LENS = CameraCalibration(
    1500.0, 1495.0, 803.0, 596.0, (-0.12, 0.04, 0.001, -0.001, 0.0), 1600, 1200, 0.3, "board"
)
GREY = np.full((1200, 1600, 3), 130, np.uint8)


@dataclass(frozen=True)
class Printed:
    """A sheet as it comes out of the printer and is cut out."""

    picture: Picture
    board: BoardPlan
    layout: SheetLayout
    middle_mm: tuple[float, float]

    def taken(self, rotation: Array, shift_m: Array, **how: object) -> Picture:
        """A photograph of it; ``how`` as for ``photograph``."""
        options = {"background": GREY, **how}
        return photograph(
            self.picture, PX_PER_MM, self.middle_mm, LENS, rotation, shift_m, **options
        )  # type: ignore[arg-type]


def printed(folder: Path, treatment: Treatment, seed: int = 0) -> Printed:
    """Through the PDF: a 160 mm patch on A4, rasterised at 300 dpi and cut at its crop marks."""
    colours = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    rgba = np.dstack([colours, np.full((20, 20), 255, np.uint8)])
    artwork = Artwork(rgba, 160, 160, "patch", "nothing", ("v",), {"colour_texels": 20})
    path = folder / f"{treatment}{seed}.pdf"
    summary = write_pdf(
        artwork, path, width_mm=160, run_name="street", treatment=treatment, fiducials="on"
    )
    document = pdfium.PdfDocument(path)
    page = document[summary.overview_pages].render(scale=DPI / 72, rev_byteorder=True)
    pixels = page.to_numpy()[..., :3].copy()
    document.close()
    (placed,) = summary.sheets[0].placements
    box = placed.target
    rows = slice(round(box.top * PX_PER_MM), round(box.bottom * PX_PER_MM))
    cols = slice(round(box.left * PX_PER_MM), round(box.right * PX_PER_MM))
    assert summary.board is not None
    assert summary.layout is not None
    art = summary.board.artwork
    middle = (
        art.left + art.width / 2 + box.left - cols.start / PX_PER_MM,
        art.top + art.height / 2 + box.top - rows.start / PX_PER_MM,
    )
    return Printed(pixels[rows, cols], summary.board, summary.layout, middle)


@pytest.fixture(scope="module")
def prints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Printed]:
    folder = tmp_path_factory.mktemp("print")
    kinds: tuple[Treatment, ...] = ("adversarial", "blank", "noise")
    return {kind: printed(folder, kind) for kind in kinds}


@pytest.mark.parametrize(
    ("treatment", "place"),
    [
        ("adversarial", (0.6, 0.0, 0.0)),
        ("noise", (0.9, 35.0, 10.0)),
        ("blank", (1.3, -55.0, -5.0)),
        ("adversarial", (1.1, 20.0, -25.0)),
        ("noise", (1.7, 15.0, 5.0)),
    ],
)
def test_from_pdf_to_size_and_pose(
    prints: dict[str, Printed], treatment: Treatment, place: tuple[float, float, float]
) -> None:
    """The issue's round trip: size to 0.5 %, pose to 2 degrees."""
    sheet = prints[treatment]
    rotation, shift = level_camera(*place, pan_deg=3.0, tilt_deg=-2.0)
    photo = sheet.taken(rotation, shift, blur_px=1.0, jpeg=85)
    (found,) = find_sheets(photo, [sheet.layout])
    assert (found.treatment, found.code) == (treatment, sheet.layout.code)
    assert found.checked
    assert set(found.corners_px) == {0, 1, 2, 3}
    pose = pose_from_sheet(found, LENS)
    assert pose.distance_m == pytest.approx(place[0], rel=0.005)
    assert pose.camera_m is not None
    x, y, z = pose.camera_m
    yaw = np.degrees(np.arctan2(x, z))
    pitch = np.degrees(np.arcsin(y / pose.distance_m))
    candidates = [(yaw, pitch), *([pose.other_deg[:2]] if pose.other_deg else [])]
    best = min(np.hypot(a - place[1], b - place[2]) for a, b in candidates)
    assert best < 2.0
    if not pose.ambiguous:
        assert (yaw, pitch) == pytest.approx(place[1:], abs=2.0)
    # The artwork's own corners, which no marker touches, measured on the sheet's plane.
    art = np.array([[-80, 80], [80, 80], [80, -80], [-80, -80]], float)
    seen = LENS.undistort(LENS.project(np.c_[art / 1000, np.zeros(4)], rotation, shift))
    straight = {corner: LENS.undistort(quad) for corner, quad in found.corners_px.items()}
    matrix = replace(found, corners_px=straight).plane_to_picture()
    assert matrix is not None
    measured = cv2.perspectiveTransform(seen[None], np.linalg.inv(matrix))[0]
    sides = np.linalg.norm(measured - np.roll(measured, 1, axis=0), axis=1)
    np.testing.assert_allclose(sides, 160.0, rtol=0.005)


def truth_of(sheet: Printed, rotation: Array, shift: Array) -> dict[int, Array]:
    """Where each marker's corners are in the photograph."""
    return {
        corner: LENS.project(
            np.c_[sheet.layout.corners_mm(corner) / 1000, np.zeros(4)], rotation, shift
        )
        for corner in range(4)
    }


def test_markers_of_four_pixels_a_cell_are_read_and_none_wrongly(
    prints: dict[str, Printed],
) -> None:
    generator = np.random.default_rng(11)
    wanted = read = 0
    away = []
    backgrounds = [leaves(1200, 1600, seed) for seed in range(4)]
    for number in range(40):
        treatment = ("adversarial", "blank", "noise")[number % 3]
        sheet = prints[treatment]
        yaw, pitch = generator.uniform(-60, 60), generator.uniform(-30, 30)
        cell_px = generator.uniform(4, 10)
        cell_mm = sheet.layout.marker_mm / 8
        distance = (
            LENS.fx * cell_mm / 1000 / cell_px * np.cos(np.radians(max(abs(yaw), abs(pitch))))
        )
        rotation, shift = level_camera(
            distance,
            yaw,
            pitch,
            pan_deg=generator.uniform(-8, 8),
            tilt_deg=generator.uniform(-6, 6),
            roll_deg=generator.uniform(-180, 180),
        )
        photo = sheet.taken(
            rotation,
            shift,
            background=backgrounds[number % 4],
            blur_px=generator.uniform(0.3, 1.0),
            noise_sd=generator.uniform(0, 5),
            light=generator.uniform(0.35, 1.0),
            jpeg=int(generator.integers(70, 96)),
            seed=number,
        )
        truth = truth_of(sheet, rotation, shift)
        mirrored = number % 5 == 0
        if mirrored:
            photo = np.ascontiguousarray(photo[:, ::-1])
            truth = {c: np.c_[1600 - quad[:, 0], quad[:, 1]] for c, quad in truth.items()}
        seen: dict[int, Array] = {}
        for found in find_sheets(photo, [sheet.layout]):
            assert (found.treatment, found.code) == (treatment, sheet.layout.code)
            assert found.mirrored == mirrored
            seen |= found.corners_px
        for corner, quad in truth.items():
            sides = np.linalg.norm(quad - quad[[1, 2, 3, 0]], axis=1)
            if sides.min() >= 32 and quad.min() > 4 and (quad < [1596, 1196]).all():
                wanted += 1
                read += corner in seen
            if corner in seen:
                away.append(np.abs(seen[corner] - quad).max())
    assert wanted > 110
    assert read / wanted >= 0.99
    assert np.median(away) < 0.25
    assert max(away) < 4


def test_half_out_of_frame_and_a_lone_marker(prints: dict[str, Printed]) -> None:
    sheet = prints["noise"]
    rotation, shift = level_camera(0.5, 12, 4)
    photo = sheet.taken(rotation, shift)
    truth = truth_of(sheet, rotation, shift)
    middle = int(np.mean([quad[:, 0].mean() for quad in truth.values()]))
    half = np.ascontiguousarray(photo[:, :middle])
    (found,) = find_sheets(half, [sheet.layout])
    assert set(found.corners_px) == {0, 3}
    assert found.checked
    assert not find_sheets(half)[0].checked
    lone = half[: int(truth[0][:, 1].max()) + 20]
    (found,) = find_sheets(np.ascontiguousarray(lone), [sheet.layout])
    assert set(found.corners_px) == {0}
    assert (found.treatment, found.layout) == ("noise", sheet.layout)
    (unknown,) = find_sheets(np.ascontiguousarray(lone))
    assert (unknown.treatment, unknown.code, unknown.layout) == ("noise", None, None)


def test_two_sheets_are_told_apart(prints: dict[str, Printed]) -> None:
    one, other = prints["adversarial"], prints["blank"]
    photo = one.taken(*level_camera(1.0, 10, 0, pan_deg=14))
    photo = other.taken(*level_camera(1.2, -20, 0, pan_deg=-14), background=photo)
    found = find_sheets(photo, [one.layout])
    assert sorted(sheet.treatment for sheet in found) == ["adversarial", "blank"]
    assert all(len(sheet.corners_px) == 4 for sheet in found)
    left, right = sorted(found, key=lambda sheet: sheet.box[0])
    assert (left.treatment, right.treatment) == ("adversarial", "blank")
    assert left.box[2] < right.box[0]


def test_the_label_tells_the_layout_without_the_run(prints: dict[str, Printed]) -> None:
    sheet = prints["blank"]
    photo = sheet.taken(*level_camera(0.32, 8, -5, roll_deg=180), blur_px=0.6)
    (found,) = find_sheets(photo)
    assert found.layout is None
    told = read_label(photo, found)
    assert told is not None
    layout, treatment = told
    assert (treatment, layout.run) == ("blank", "street")
    assert layout.spacing_mm == pytest.approx(sheet.layout.spacing_mm, abs=0.01)
    assert pose_from_sheet(found, LENS, layout).distance_m == pytest.approx(0.32, rel=0.01)
    with pytest.raises(UserError, match="run folder"):
        pose_from_sheet(found, LENS)
    flipped = np.ascontiguousarray(photo[:, ::-1])
    (mirrored,) = find_sheets(flipped)
    assert read_label(flipped, mirrored) == told
    far = sheet.taken(*level_camera(2.0, 8, -5))
    assert read_label(far, find_sheets(far)[0]) is None


def test_blurred_and_dim_photographs_are_still_read(prints: dict[str, Printed]) -> None:
    sheet = prints["adversarial"]
    bright = np.full_like(GREY, 250)
    for blur, light, distance in ((4.0, 0.9, 0.5), (0.8, 0.12, 0.8), (1.5, 0.3, 0.9)):
        photo = sheet.taken(
            *level_camera(distance, 15, 5, roll_deg=30),
            background=bright,
            blur_px=blur,
            light=light,
            noise_sd=1.5,
        )
        (found,) = find_sheets(photo, [sheet.layout])
        assert len(found.corners_px) == 4
        assert found.treatment == "adversarial"


def nothing_in(picture: Picture) -> list[FoundSheet]:
    return find_sheets(picture) + find_sheets(np.ascontiguousarray(picture[::-1]))


def test_nothing_is_read_where_nothing_is() -> None:
    generator = np.random.default_rng(0)
    for seed in range(25):
        assert not nothing_in(leaves(700, 900, 1000 + seed))
    for cell in (3, 5, 8, 13):
        blocks = generator.integers(0, 2, (600 // cell, 800 // cell), dtype=np.uint8) * 255
        noise = cv2.resize(blocks, None, fx=cell, fy=cell, interpolation=cv2.INTER_NEAREST)
        assert not find_sheets(np.ascontiguousarray(noise[..., None].repeat(3, axis=2)))
    for shape in ((1, 1), (3, 400), (40, 40)):
        assert not find_sheets(np.full((*shape, 3), 200, np.uint8))


def test_random_black_framed_patterns_are_no_sheets() -> None:
    """Squares with a marker's border and white surround but a random inside."""
    generator = np.random.default_rng(5)
    wrong = 0
    for _ in range(12):
        canvas = np.full((1000, 1400), 235, np.uint8)
        for row in range(8):
            for col in range(11):
                bits = np.zeros((8, 8), np.uint8)
                bits[1:-1, 1:-1] = generator.integers(0, 2, (6, 6)) * 235
                x, y = 20 + 124 * col, 20 + 120 * row
                canvas[y : y + 80, x : x + 80] = np.kron(bits, np.ones((10, 10), np.uint8))
        wrong += len(find_sheets(canvas))
    assert wrong == 0  # of 1056 squares


@pytest.mark.realdata
def test_no_sheet_in_real_photographs() -> None:
    """Street scenes, and boards with markers of another family."""
    folders = ("data/street_scenes", "data/calibration/aruco_board", "data/stop_signs")
    for folder in folders:
        for path in list_photos(find_external(folder))[:40]:
            assert not find_sheets(read_image_rgb(path)), path


def test_markers_agree_with_opencv_s_own_reader() -> None:
    """Ids, order of corners and places, for every turn and for ids all over the family."""
    generator = np.random.default_rng(9)
    canvas = np.full((1000, 1300), 225, np.uint8)
    for row in range(5):
        for col in range(6):
            number = int(generator.integers(0, 2320))
            bits = np.rot90(marker_bits(number), int(generator.integers(4)))
            side = 14
            x, y = 40 + 205 * col, 40 + 190 * row
            square = np.where(bits, 225, 20).astype(np.uint8)
            canvas[y : y + 8 * side, x : x + 8 * side] = np.kron(
                square, np.ones((side, side), np.uint8)
            )
    matrix = cv2.getRotationMatrix2D((650, 500), 17, 0.8)
    picture = cv2.warpAffine(canvas, matrix, (1300, 1000), borderValue=(225,))
    picture = cv2.GaussianBlur(picture, (0, 0), 0.8)
    mine: dict[int, Marker] = {marker.identifier: marker for marker in find_markers(picture)}
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(DICTIONARY))
    corners, ids, _ = detector.detectMarkers(picture)
    theirs = {int(n): quad.reshape(4, 2) for n, quad in zip(ids.ravel(), corners, strict=True)}
    assert set(mine) == set(theirs)
    assert len(mine) >= 28
    for number, quad in theirs.items():
        assert not mine[number].mirrored
        assert mine[number].errors == 0
        np.testing.assert_allclose(mine[number].corners_px, quad + 0.5, atol=1.5)


def test_contradicting_markers_make_no_sheet() -> None:
    """Four markers of four different prints: at most lone ones, never a common code."""
    canvas = np.full((700, 700), 235, np.uint8)
    for corner, (x, y) in enumerate(((60, 60), (500, 60), (500, 500), (60, 500))):
        bits = marker_bits(marker_id(1000 + 997 * corner, TREATMENTS[corner], corner))
        square = np.where(bits, 235, 20).astype(np.uint8)
        canvas[y : y + 128, x : x + 128] = np.kron(square, np.ones((16, 16), np.uint8))
    found = find_sheets(canvas)
    assert len(found) == 4
    assert all(len(sheet.corners_px) == 1 and sheet.code is None for sheet in found)
    assert not any(sheet.checked for sheet in found)
