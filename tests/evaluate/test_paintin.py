"""Painting prints into films: on rendered drives whose corners, light and blur are known."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.data.boxes import FrameBox, read_boxes, write_boxes
from physadv.evaluate.approach import Approach, Truth, render, truths
from physadv.evaluate.conditions import NEUTRAL, Conditions
from physadv.evaluate.facefit import fit_face, square_outline
from physadv.evaluate.painters import (
    PatchPainter,
    SignPainter,
    sharpest_blur_px,
    smooth_worn,
    wear,
)
from physadv.evaluate.placements import load_placements, save_placements
from physadv.evaluate.renderer import SignTexture
from physadv.evaluate.signlook import look_of
from physadv.evaluate.signtrack import check_face, sight, smooth, smooth_track
from physadv.scene.catalog import load_object_scene
from physadv.scene.faces import draw_face, octagon
from physadv.scene.pose import bounding_box, project
from physadv.scene.schema import Scene

FACE = "us_r1_1"
BARE = np.zeros((256, 256), bool)
Film = list[tuple[Truth, np.ndarray]]


def _square(truth: Truth) -> np.ndarray:
    half = 381.0
    return project(truth.to_image, [[-half, half], [half, half], [half, -half], [-half, -half]])


def _film(scene: Scene, conditions: Conditions = NEUTRAL, every: int = 1, **drive: float) -> Film:
    approach = Approach(**{"start_m": 14, "end_m": 8, "shutter_s": 0, **drive})
    frames = render(scene, approach, SignTexture(scene, BARE), None, conditions)
    pairs = zip(truths(scene, approach), frames, strict=True)
    return [pair for number, pair in enumerate(pairs) if number % every == 0]


def _rough(truth: Truth, share: float = 0.04) -> np.ndarray:
    """A detector's box: off by some share of the sign's height."""
    size = truth.box[3] - truth.box[1]
    return truth.box + np.random.default_rng(truth.frame).uniform(-share, share, 4) * size


@pytest.mark.parametrize(
    ("gain", "offset", "blur_px"), [(1.0, 0.0, 0.7), (0.6, 0.05, 1.0), (0.8, 0.02, 1.6)]
)
def test_corners_light_blur_and_grain_are_recovered(
    scene: Scene, gain: float, offset: float, blur_px: float
) -> None:
    seen = replace(
        NEUTRAL,
        gain=gain * np.array([1.0, 0.95, 0.9]),
        offset=offset,
        defocus_px=blur_px,
        noise_sd=0.01,
    )
    for truth, frame in _film(scene, seen, every=6):
        found = sight(frame, _rough(truth), FACE)
        assert found is not None
        assert np.abs(found.square - _square(truth)).max() < 0.5 + 0.3 * blur_px
        assert found.look is not None
        assert np.allclose(found.look.light.gain, seen.gain, atol=0.04)
        assert np.allclose(found.look.light.offset, 255 * offset, atol=4)
        # The renderer's bilinear warp adds a variance of 1/6 on average.
        assert found.look.blur_px == pytest.approx(np.hypot(blur_px, 6**-0.5), abs=0.2)
        # Luma of three channels with independent noise of 2.55.
        assert found.look.grain == pytest.approx(
            2.55 * np.linalg.norm([0.299, 0.587, 0.114]), abs=0.7
        )


def test_a_turned_sign_is_laid_over(scene: Scene) -> None:
    for truth, frame in _film(scene, every=9, turn_deg=-25):
        found = fit_face(frame, _rough(truth), FACE)
        assert found is not None
        assert found.correlation > 0.95
        assert np.abs(found.square - _square(truth)).max() < 1.0


def test_nothing_is_sighted_where_no_sign_is(scene: Scene) -> None:
    truth, frame = _film(scene, every=100)[0]
    beside = truth.box - np.array([300, -60, 300, -60])
    assert sight(frame, beside, FACE) is None
    assert fit_face(frame, np.array([5.0, 5, 5, 9]), FACE) is None
    assert fit_face(frame, np.array([-90.0, -90, -50, -50]), FACE) is None
    assert fit_face(np.full((90, 90, 3), 99, np.uint8), np.array([20.0, 20, 60, 60]), FACE) is None
    outside = _square(truth) + np.array([scene.camera.width_px, 0])
    assert look_of(frame, outside, FACE) is None


def test_boards_cannot_be_painted() -> None:
    check_face("vienna_b2a")
    with pytest.raises(UserError, match="us_r1_1"):
        check_face("board")


@given(
    st.floats(-5, 5),
    st.floats(-100, 100),
    st.integers(10, 40),
    st.sets(st.integers(1, 8), max_size=4),
)
@settings(max_examples=30, deadline=None)
def test_what_is_linear_in_time_is_not_smoothed_away(
    slope: float, start: float, count: int, lost: set[int]
) -> None:
    line = (start + slope * np.arange(count))[:, None]
    holed = line.copy()
    holed[list(lost)] = np.nan
    assert np.allclose(smooth(holed, 3.0), line, atol=1e-6)


def test_smoothing_drops_slips_and_leaves_long_gaps() -> None:
    values = np.sin(np.arange(80) / 25)[:, None]
    slipped = values.copy()
    slipped[[20, 21, 50]] += 3
    assert np.abs(smooth(slipped, 4.0) - values).max() < 0.05
    values[30:60] = np.nan
    smoothed = smooth(values, 4.0)
    assert np.isfinite(smoothed[:38]).all()
    assert np.isnan(smoothed[38:52]).all()
    assert np.isfinite(smoothed[52:]).all()
    assert np.isnan(smooth(np.full((5, 2), np.nan), 1.0)).all()


def test_a_smoothed_track_follows_the_drive_and_bridges_what_is_lost(scene: Scene) -> None:
    film = _film(scene, replace(NEUTRAL, defocus_px=0.8, noise_sd=0.01), every=2)
    sighted = {
        number: found
        for number, (truth, frame) in enumerate(film)
        if number not in (4, 5) and (found := sight(frame, _rough(truth), FACE)) is not None
    }
    sighted[9] = replace(sighted[9], square=sighted[9].square + 7.0)  # a slip
    sizes = scene.camera.width_px, scene.camera.height_px
    placed = smooth_track(sighted, np.arange(len(film)), *sizes)
    assert sorted(placed) == list(range(len(film)))
    for number, (truth, _) in enumerate(film):
        away = np.abs(placed[number].square - _square(truth)).max()
        assert away < (1.0 if number in (4, 5, 9) else 0.6)
        assert placed[number].look.blur_px == pytest.approx(0.9, abs=0.3)
    assert smooth_track({}, np.arange(4), *sizes) == {}


def _painter(film: Film, mask: np.ndarray, scene: Scene, *, grain: bool = False) -> SignPainter:
    sighted = {
        number: found
        for number, (truth, frame) in enumerate(film)
        if (found := sight(frame, _rough(truth), FACE)) is not None
    }
    sizes = scene.camera.width_px, scene.camera.height_px
    return SignPainter(smooth_track(sighted, np.arange(len(film)), *sizes), mask, grain)


def test_the_signs_own_face_changes_hardly_anything(scene: Scene) -> None:
    lit = replace(NEUTRAL, gain=np.array([0.8, 0.75, 0.7]), offset=0.03, defocus_px=0.9)
    film = _film(scene, lit, every=4)
    face = draw_face(FACE, 256)
    mask = face[..., 3] > 250
    painter = _painter(film, mask, scene)
    for number, (truth, frame) in enumerate(film):
        painted = painter.paint(number, frame, face[..., :3].copy())
        low, high = truth.box[:2].astype(int), np.ceil(truth.box[2:]).astype(int)
        inside = (slice(low[1], high[1]), slice(low[0], high[0]))
        away = painted[inside].astype(float) - frame[inside]
        assert 10 * np.log10(255**2 / np.square(away).mean()) > 30
        box = painter.box(number)
        assert box is not None
        assert np.abs(box - truth.box).max() < 0.6


def test_nothing_changes_beyond_the_sign(scene: Scene, checker: Artwork) -> None:
    film = _film(scene, replace(NEUTRAL, defocus_px=1.2, noise_sd=0.01), every=5)
    for grain in (False, True):
        painter = _painter(film, checker.mask, scene, grain=grain)
        for number, (truth, frame) in enumerate(film):
            before = frame.copy()
            painted = painter.paint(number, frame, np.ascontiguousarray(checker.rgba[..., :3]))
            assert np.array_equal(frame, before)
            changed = (painted != frame).any(axis=-1)
            assert changed.mean() > 0
            rows, columns = np.nonzero(changed)
            reach = 4 * painter.placed[number].look.blur_px + 3
            low, high = truth.box[:2] - reach, truth.box[2:] + reach
            assert columns.min() >= low[0] - 1
            assert rows.min() >= low[1] - 1
            assert columns.max() <= high[0] + 1
            assert rows.max() <= high[1] + 1
            assert np.array_equal(
                painted, painter.paint(number, frame, np.ascontiguousarray(checker.rgba[..., :3]))
            )
        assert painter.paint(999, frame, checker.rgba[..., :3]) is frame
        assert painter.box(999) is None


def test_painted_is_what_a_camera_would_have_seen(scene: Scene, checker: Artwork) -> None:
    """The print painted into the clean film against the film of the sign with the print on it."""
    seen = replace(NEUTRAL, gain=np.array([0.8, 0.75, 0.7]), offset=0.03, defocus_px=1.0)
    film = _film(scene, seen, every=5)
    approach = Approach(start_m=14, end_m=8, shutter_s=0)
    colours = np.ascontiguousarray(checker.rgba[..., :3])
    truly = list(render(scene, approach, SignTexture(scene, checker.mask), colours, seen))[::5]
    painter = _painter(film, checker.mask, scene)
    for number, ((truth, frame), real) in enumerate(zip(film, truly, strict=True)):
        painted = painter.paint(number, frame, colours)
        low, high = truth.box[:2].astype(int) + 3, truth.box[2:].astype(int) - 3
        inside = (slice(low[1], high[1]), slice(low[0], high[0]))
        away = painted[inside].astype(float) - real[inside]
        print_itself = real[inside].astype(float) - frame[inside]
        assert np.sqrt(np.square(away).mean()) < 0.12 * np.sqrt(np.square(print_itself).mean())


@pytest.mark.parametrize("sigma", [0.7, 1.2, 2.0])
def test_blur_of_the_sharpest_edges(sigma: float) -> None:
    step = np.zeros((80, 80), np.float64)
    step[:, 40:] = 200
    blurred = gaussian_filter(step, sigma).astype(np.float32)
    assert sharpest_blur_px(blurred) == pytest.approx(sigma, abs=0.35)
    assert sharpest_blur_px(np.zeros((20, 20), np.float32)) == 4.0


def test_a_patch_is_worn_where_and_as_the_scene_says() -> None:
    generator = np.random.default_rng(0)
    frames = {}
    for number in range(12):
        frame = generator.integers(40, 200, (240, 320, 3)).astype(np.uint8)
        frames[number] = cv2.GaussianBlur(frame, (0, 0), 1.5)
    boxes = {n: np.array([80.0 + 2 * n, 40, 140 + 2 * n, 200]) for n in frames}
    worn = {n: found for n in frames if (found := wear(frames[n], boxes[n])) is not None}
    smoothed = smooth_worn(worn, np.arange(12))
    scene = load_object_scene("person_torso")
    painter = PatchPainter(smoothed, scene)
    white = np.full((64, 64, 3), 255, np.uint8)
    for number, frame in frames.items():
        box = painter.box(number)
        assert box is not None
        assert np.allclose(box, boxes[number], atol=1e-6)
        painted = painter.paint(number, frame, white)
        changed = (painted != frame).any(axis=-1)
        rows, columns = np.nonzero(changed)
        side = scene.patch.share * 160
        centre = boxes[number][:2] + np.array(scene.patch.centre) * [60, 160]
        assert columns.mean() + 0.5 == pytest.approx(centre[0], abs=1)
        assert rows.mean() + 0.5 == pytest.approx(centre[1], abs=1)
        assert np.ptp(columns) >= side - 3
        x, y = centre.astype(int)
        assert np.allclose(painted[y, x], smoothed[number].white, atol=2)
        black = painter.paint(number, frame, np.zeros_like(white))
        assert np.allclose(black[y, x], smoothed[number].black, atol=2)
    assert wear(frames[0], np.array([400.0, 10, 420, 90])) is None
    assert smooth_worn({}, np.arange(3)) == {}


def test_placements_are_read_as_they_were_written(
    scene: Scene, checker: Artwork, tmp_path: Path
) -> None:
    film = _film(scene, every=20)
    painter = _painter(film, checker.mask, scene)
    colours = np.ascontiguousarray(checker.rgba[..., :3])
    save_placements(tmp_path / "a.csv", painter.placed)
    again = SignPainter(load_placements(tmp_path / "a.csv"), checker.mask)  # type: ignore[arg-type]
    for number, (_, frame) in enumerate(film):
        same = painter.paint(number, frame, colours) == again.paint(number, frame, colours)
        assert same.all()
    worn = smooth_worn({0: wear(film[0][1], film[0][0].box)}, np.arange(1))  # type: ignore[dict-item]
    save_placements(tmp_path / "b.csv", worn)
    read = load_placements(tmp_path / "b.csv")
    assert read[0].white == worn[0].white  # type: ignore[union-attr]
    (tmp_path / "b.csv").write_text("frame,left\n0,1\n")
    with pytest.raises(UserError, match="measured again"):
        load_placements(tmp_path / "b.csv")


def _csv(*rows: str) -> str:
    return "\n".join(["file,frame,x1,y1,x2,y2,label,score,origin", *rows]) + "\n"


def test_boxes_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    boxes = [
        FrameBox(n, np.array([1.5, 2, 30 + n, 40]), "stop sign", 0.5, "by hand") for n in (0, 7)
    ]
    write_boxes(path, [("a.mp4", boxes), ("b.mp4", boxes[:1])])
    assert list(read_boxes(path, "a.mp4")) == [0, 7]
    assert list(read_boxes(path, "b.mp4")) == [0]
    found = read_boxes(path, "a.mp4")[7]
    assert np.allclose(found.box, [1.5, 2, 37, 40])
    assert (found.label, found.score, found.origin) == ("stop sign", 0.5, "by hand")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,frame,x1\na.mp4,0,1\n", "no column y1, x2, y2"),
        (_csv("b.mp4,0,1,1,9,9,,,"), "boxes of: b.mp4"),
        (_csv("a.mp4,0,1,1,9,9,,,", "a.mp4,0,1,1,9,9,,,"), "second box"),
        (_csv("a.mp4,0,9,1,1,9,,,"), "x2 > x1"),
        (_csv("a.mp4,-1,1,1,9,9,,,"), "count from 0"),
        (_csv("a.mp4,zero,1,1,9,9,,,"), "not numbers"),
        (_csv("a.mp4,0,nan,1,9,9,,,"), "x2 > x1"),
        (_csv("a.mp4,0"), "not numbers"),
    ],
)
def test_boxes_that_are_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_boxes(path, "a.mp4")


def test_boxes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_bytes(b"\xff\xfe\x00\x01")
    for name, said in (("boxes.csv", "not CSV text"), ("none.csv", "unreadable")):
        with pytest.raises(UserError, match=said):
            read_boxes(tmp_path / name, "a.mp4")


def test_outline_of_a_square_is_the_octagon() -> None:
    square = np.array([[10.0, 20], [110, 20], [110, 120], [10, 120]])
    assert np.allclose(square_outline(square), octagon(100) + np.array([10, 20]), atol=1e-4)
    assert np.allclose(bounding_box(square_outline(square)), [10, 20, 110, 120], atol=1e-4)
