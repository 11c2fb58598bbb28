"""Folders of simulated films: painted into a rendered drive, or rendered; cut short and resumed."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physadv.artwork.files import Artwork
from physadv.calibrate.camera import load_camera
from physadv.calibrate.pose import distance_from_box
from physadv.checks import UserError
from physadv.data.boxes import FrameBox, read_boxes
from physadv.data.files import read_json
from physadv.data.film import Film
from physadv.evaluate.approach import Approach, render, truths
from physadv.evaluate.approachfilm import CAMERA, TRUTH, read_truth, simulate_approach
from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.matching import overlaps
from physadv.evaluate.paintin import PLACEMENTS, PaintIn, paint_in
from physadv.evaluate.renderer import SignTexture
from physadv.evaluate.simulations import BOXES, MANIFEST, Frames
from physadv.scene.catalog import load_object_scene, load_scene
from physadv.scene.schema import Scene
from physadv.types import TREATMENTS

DRIVE = Approach(start_m=13, end_m=11.2, fps=8, speed_kmh=10, shutter_s=0)


def store(path: Path, frames: Frames) -> None:
    """A film without a codec: its frames as an array, so that every pixel can be compared."""
    with path.open("wb") as stream:
        np.save(stream, np.stack([picture for _, picture in frames]))


def pixels(path: Path) -> np.ndarray:
    return np.load(path).astype(int)


@pytest.fixture(scope="module")
def clean() -> tuple[Scene, np.ndarray]:
    """A rendered drive of six frames past the clean sign, in a camera of 640 x 480 px."""
    content = load_scene("stop_sign").model_dump()
    content["camera"] = {"focal_px": 1000, "width_px": 900, "height_px": 400}
    scene = Scene.model_validate(content)
    lit = replace(NEUTRAL, gain=np.array([0.8, 0.78, 0.75]), defocus_px=0.8)
    sign = SignTexture(scene, np.zeros((256, 256), bool))
    return scene, np.stack(list(render(scene, DRIVE, sign, None, lit)))


@pytest.fixture
def film(clean: tuple[Scene, np.ndarray], film_of: Callable[[np.ndarray], Film]) -> Film:
    return film_of(clean[1])


@pytest.fixture
def boxes(clean: tuple[Scene, np.ndarray]) -> dict[int, FrameBox]:
    known = truths(clean[0], DRIVE)
    return {one.frame: FrameBox(one.frame, one.box, "stop sign") for one in known}


@pytest.fixture
def job(clean: tuple[Scene, np.ndarray], checker: Artwork) -> PaintIn:
    return PaintIn(checker, clean[0], "toy", TREATMENTS)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != MANIFEST
    }


def test_each_treatment_is_painted_where_the_sign_is(
    job: PaintIn,
    film: Film,
    boxes: dict[int, FrameBox],
    clean: tuple[Scene, np.ndarray],
    tmp_path: Path,
) -> None:
    manifest = paint_in(job, film, boxes, tmp_path, store, about={})
    frames = clean[1].astype(int)
    assert np.array_equal(pixels(tmp_path / "clean.mp4"), frames)
    assert manifest["frames_painted"] == manifest["frames"] == len(frames)
    assert manifest["frames_not_painted"] == []
    assert set(manifest["films"]) == set(TREATMENTS)
    seen = {name: pixels(tmp_path / f"{name}.mp4") for name in TREATMENTS}
    for name in TREATMENTS:
        told = read_boxes(tmp_path / BOXES, f"{name}.mp4")
        assert list(told) == list(boxes)
        for number, one in told.items():
            truth = boxes[number].box
            assert overlaps(truth, one.box[None])[0] > 0.95
            low, high = np.floor(truth[:2] - 6).astype(int), np.ceil(truth[2:] + 6).astype(int)
            away = np.abs(seen[name][number] - frames[number])
            inside = away[low[1] : high[1], low[0] : high[0]]
            assert inside.sum() == away.sum()
            assert (inside.mean() > 5) == (name != "clean")
    # A grey card is grey, in the sign's light; the noise is not the artwork.
    middle = (boxes[0].box[:2] + boxes[0].box[2:]).astype(int) // 2
    grey = seen["blank"][0, middle[1], middle[0]]
    assert np.abs(grey - 128 * np.array([0.8, 0.78, 0.75])).max() < 8
    assert np.abs(seen["noise"] - seen["adversarial"]).sum() > 0


def stopping(after: int) -> Callable[[Path, Frames], None]:
    """A writer that is interrupted within the film after so many."""
    left = [after]

    def write(path: Path, frames: Frames) -> None:
        if not left[0]:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        left[0] -= 1
        store(path, frames)

    return write


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_paint_in_that_was_cut_short_goes_on_to_the_same_films(
    job: PaintIn, film: Film, boxes: dict[int, FrameBox], tmp_path: Path, after: int
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    paint_in(job, film, boxes, whole, store, about={})
    with pytest.raises(KeyboardInterrupt):
        paint_in(job, film, boxes, cut, stopping(after), about={})
    assert len(list(cut.glob("*.mp4"))) == after
    assert not list(cut.glob(".*"))
    written: list[str] = []

    def counting(path: Path, frames: Frames) -> None:
        written.append(path.name)
        store(path, frames)

    paint_in(job, film, boxes, cut, counting, about={})
    assert len(written) == len(TREATMENTS) - after
    assert digests(cut) == digests(whole)
    assert read_json(cut / MANIFEST) == read_json(whole / MANIFEST)


def test_films_of_something_else_are_not_overwritten(
    job: PaintIn, film: Film, boxes: dict[int, FrameBox], tmp_path: Path
) -> None:
    few = replace(job, treatments=("clean", "noise"))
    paint_in(few, film, boxes, tmp_path, store, about={"crf": 18})
    before = digests(tmp_path)
    with pytest.raises(UserError, match="another simulation"):
        paint_in(few, film, boxes, tmp_path, store, about={"crf": 20})
    assert digests(tmp_path) == before
    paint_in(few, film, boxes, tmp_path, store, about={"crf": 20}, replace=True)
    (tmp_path / MANIFEST).unlink()
    with pytest.raises(UserError, match=r"clean.mp4, noise.mp4 are there already"):
        paint_in(few, film, boxes, tmp_path, store, about={"crf": 20})


def _moved(boxes: dict[int, FrameBox], shift: list[float]) -> dict[int, FrameBox]:
    return {n: replace(one, box=one.box + np.array(shift * 2)) for n, one in boxes.items()}


def test_boxes_that_are_not_of_the_film(
    job: PaintIn, film: Film, boxes: dict[int, FrameBox], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="lies outside its 900 x 400 px"):
        paint_in(job, film, _moved(boxes, [500, 0]), tmp_path / "a", store, about={})
    late = {**boxes, 40: replace(boxes[0], frame=40)}
    with pytest.raises(UserError, match="go on to frame 40, the film has"):
        paint_in(job, film, late, tmp_path / "b", store, about={})
    with pytest.raises(UserError, match="nothing like the run's object"):
        paint_in(job, film, _moved(boxes, [-400, -40]), tmp_path / "c", store, about={})
    assert not list(tmp_path.glob("*/*.mp4"))


def test_frames_without_a_box_are_left_alone(
    job: PaintIn,
    film: Film,
    boxes: dict[int, FrameBox],
    clean: tuple[Scene, np.ndarray],
    tmp_path: Path,
) -> None:
    some = {n: one for n, one in boxes.items() if n not in (0, 3)}
    paint_in(replace(job, treatments=("adversarial",)), film, some, tmp_path, store, about={})
    painted = pixels(tmp_path / "adversarial.mp4") - clean[1]
    changed = [n for n in range(len(painted)) if painted[n].any()]
    assert changed == list(some)


def test_what_cannot_be_painted(checker: Artwork) -> None:
    with pytest.raises(UserError, match="drawn stop sign"):
        PaintIn(checker, load_scene("road_board"), "toy", TREATMENTS)
    with pytest.raises(UserError, match="grain"):
        PaintIn(checker, load_object_scene("person_thys"), "toy", TREATMENTS, grain=True)


def test_a_patch_on_a_person(film: Film, boxes: dict[int, FrameBox], tmp_path: Path) -> None:
    rgba = np.full((64, 64, 4), 255, np.uint8)
    artwork = Artwork(rgba, 400, 400, "patch:person_torso", "nothing", ("x",))
    job = PaintIn(artwork, load_object_scene("person_torso"), "toy", ("adversarial", "blank"))
    manifest = paint_in(job, film, boxes, tmp_path, store, about={})
    assert manifest["frames_painted"] == len(boxes)
    painted, blank = (pixels(tmp_path / f"{name}.mp4") for name in ("adversarial", "blank"))
    x, y = (
        boxes[0].box[:2] + np.array([0.5, 0.36]) * np.ptp(boxes[0].box.reshape(2, 2), 0)
    ).astype(int)
    assert (painted[0, y, x] > blank[0, y, x] + 20).all()
    assert (tmp_path / PLACEMENTS).read_text().startswith("frame,x1,y1,x2,y2,black,white,blur_px")


def render_all(scene: Scene, artwork: Artwork, out: Path, **more: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"artwork": artwork, "treatments": TREATMENTS, "about": {}, **more}
    return simulate_approach(scene, DRIVE, out, store, **settings)


def test_a_rendered_drive_and_its_truth(
    clean: tuple[Scene, np.ndarray], checker: Artwork, tmp_path: Path
) -> None:
    scene = clean[0]
    manifest = render_all(scene, checker, tmp_path)
    known, told = truths(scene, DRIVE), read_truth(tmp_path / TRUTH)
    assert manifest["frames"] == len(known) == len(told["frame"])
    assert np.array_equal(told["time_s"], [one.time_s for one in known])
    assert np.array_equal(told["distance_m"], [one.distance_m for one in known])
    assert np.array_equal(told["along_m"], [one.along_m for one in known])
    camera = load_camera(tmp_path / CAMERA)
    for name in TREATMENTS:
        found = read_boxes(tmp_path / BOXES, f"{name}.mp4")
        for one in known:
            distance = distance_from_box(found[one.frame].box, 762, camera).distance_m
            assert distance == pytest.approx(one.distance_m, rel=0.005)
            corners = [told[f"corner{n}_{axis}"][one.frame] for n in range(1, 9) for axis in "xy"]
            assert np.array_equal(np.array(corners).reshape(8, 2), one.outline)
    # Treatments differ on the sign alone: scenery, light and noise are the same draws.
    films = {name: pixels(tmp_path / f"{name}.mp4") for name in TREATMENTS}
    for one in known:
        low, high = np.floor(one.box[:2] - 9).astype(int), np.ceil(one.box[2:] + 9).astype(int)
        for name in ("blank", "noise", "adversarial"):
            away = np.abs(films[name][one.frame] - films["clean"][one.frame])
            assert away[low[1] : high[1], low[0] : high[0]].sum() == away.sum() > 0


def test_a_rendered_drive_goes_on_and_refuses(
    clean: tuple[Scene, np.ndarray], checker: Artwork, tmp_path: Path
) -> None:
    scene = clean[0]
    render_all(scene, checker, tmp_path, treatments=("clean",))
    before = digests(tmp_path)["clean.mp4"]
    render_all(scene, checker, tmp_path, treatments=("clean", "noise"))
    assert digests(tmp_path)["clean.mp4"] == before
    assert list(read_boxes(tmp_path / BOXES, "noise.mp4"))
    with pytest.raises(UserError, match="another simulation"):
        render_all(scene, checker, tmp_path, seed=1)
    with pytest.raises(UserError, match="there is no artwork"):
        simulate_approach(scene, DRIVE, tmp_path / "b", store, treatments=("noise",), about={})
    with pytest.raises(UserError, match="made for"):
        render_all(load_scene("stop_sign_vienna"), checker, tmp_path / "c")
