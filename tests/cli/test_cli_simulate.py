"""simulate drive-by and simulate approach as a user types them, with the encoder."""

import json
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml
from commandline import call_physadv

from physadv.artwork.files import Artwork, save_artwork
from physadv.calibrate.camera import load_camera
from physadv.calibrate.pose import distance_from_box
from physadv.data.boxes import FrameBox, read_boxes, write_boxes
from physadv.data.files import find_external
from physadv.data.videowriter import write_video
from physadv.evaluate.approachfilm import read_truth
from physadv.evaluate.facefit import fit_face, square_outline
from physadv.evaluate.matching import overlaps
from physadv.evaluate.octagon import find_octagon
from physadv.scene.catalog import load_object_scene, load_scene
from physadv.scene.faces import draw_face
from physadv.scene.pose import bounding_box

call = partial(call_physadv, "simulate")

DRIVE = ("--start-m", 13, "--end-m", 7, "--speed-kmh", 36, "--fps", 8, "--lateral-m", 1.5)


def pictures(path: Path) -> list[np.ndarray]:
    """A film's frames, [H,W,3] RGB, as OpenCV reads them."""
    capture = cv2.VideoCapture(str(path))
    found = []
    while (read := capture.read())[0]:
        found.append(read[1][..., ::-1])
    return found


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def scene_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stop sign before a small camera in steady light."""
    content = load_scene("stop_sign").model_dump(mode="json", exclude={"folder"})
    content["camera"] = {"focal_px": 700, "width_px": 640, "height_px": 360}
    content["judge"] |= {
        "exposure_ev": {"kind": "uniform", "low": -0.3, "high": -0.2},
        "contrast": {"kind": "uniform", "low": 1.0, "high": 1.0},
        "offset": {"kind": "uniform", "low": 0.0, "high": 0.0},
        "saturation": {"kind": "uniform", "low": 1.0, "high": 1.0},
        "defocus_px": {"kind": "uniform", "low": 0.7, "high": 0.7},
        "noise_sd": {"kind": "uniform", "low": 0.01, "high": 0.01},
        "shadow_share": 0.0,
    }
    path = tmp_path_factory.mktemp("scene") / "small.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def run(scene_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose artwork is black and white checks over the sign's lower half."""
    folder = tmp_path_factory.mktemp("run")
    checks = (np.indices((256, 256)) // 32).sum(axis=0) % 2 * 255
    alpha = (draw_face("us_r1_1", 256)[..., 3] > 127).astype(np.uint8) * 255
    alpha[:150] = 0
    rgba = np.dstack([checks, checks, checks, alpha]).astype(np.uint8)
    save_artwork(Artwork(rgba, 762, 762, "us_r1_1", "nothing", ("x",)), folder)
    scene = yaml.safe_load(scene_file.read_text())
    (folder / "run.json").write_text(json.dumps({"scene": scene}))
    return folder


@pytest.fixture(scope="module")
def drive(scene_file: Path, run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered approach: films of the clean sign and of the sign with the print."""
    out = tmp_path_factory.mktemp("drive")
    words = ("--run", run, "--treatment", "adversarial", "--treatment", "clean", "--out", out)
    assert call("approach", scene_file, *DRIVE, *words) == 0
    return out


def test_the_encoded_drive_is_where_its_truth_says(drive: Path) -> None:
    truth = read_truth(drive / "truth.csv")
    camera = load_camera(drive / "camera.json")
    frames = pictures(drive / "clean.mp4")
    assert len(frames) == len(truth["frame"]) == 5
    assert times(drive / "clean.mp4") == pytest.approx(truth["time_s"], abs=6e-6)
    assert truth["along_m"] == pytest.approx(13 - 10 * truth["time_s"])
    boxes = read_boxes(drive / "boxes.csv", "clean.mp4")
    for number, frame in enumerate(frames):
        corners = find_octagon(frame)
        assert corners is not None
        known = np.array([truth[name][number] for name in ("x1", "y1", "x2", "y2")])
        assert np.abs(bounding_box(corners) - known).max() < 2.0  # found by colour alone
        laid = fit_face(frame, bounding_box(corners), "us_r1_1")
        assert laid is not None
        box = bounding_box(square_outline(laid.square))
        assert np.abs(box - known).max() < 0.5
        assert np.allclose(boxes[number].box, known, atol=0.01)
        assert boxes[number].label == "stop sign"
        distance = distance_from_box(box, 762, camera).distance_m
        assert distance == pytest.approx(truth["distance_m"][number], rel=0.01)


def test_painted_into_the_film_is_what_the_print_on_the_sign_looks_like(
    drive: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clean film with the print painted in, against the film of the sign with the print on."""
    out = tmp_path / "painted"
    film = drive / "clean.mp4"
    assert call("drive-by", run, film, "--boxes", drive / "boxes.csv", "--out", out) == 0
    said = capsys.readouterr().out
    assert "painted 5 of 5 frames that have a box" in said
    assert "clean.mp4, blank.mp4, noise.mp4, adversarial.mp4" in said
    assert f"{out}/adversarial.mp4 --boxes {out}/boxes.csv --run {run} --victim NAME" in said
    assert {path.name for path in out.iterdir()} == {
        *("clean.mp4", "blank.mp4", "noise.mp4", "adversarial.mp4"),
        *("boxes.csv", "placements.csv", "simulation.json"),
    }
    clean, real = pictures(film), pictures(drive / "adversarial.mp4")
    painted = pictures(out / "adversarial.mp4")
    known = read_boxes(drive / "boxes.csv", "clean.mp4")
    for number, one in read_boxes(out / "boxes.csv", "adversarial.mp4").items():
        assert np.abs(one.box - known[number].box).max() < 1.0
        x1, y1, x2, y2 = known[number].box.astype(int)
        inside = (slice(y1 + 3, y2 - 3), slice(x1 + 3, x2 - 3))
        with_print, without, simulated = (
            film[number][inside].astype(float) for film in (real, clean, painted)
        )
        away = np.sqrt(np.square(simulated - with_print).mean())
        assert away < 0.25 * np.sqrt(np.square(with_print - without).mean())
    assert times(out / "noise.mp4") == pytest.approx(times(film), abs=1e-9)
    again = pictures(out / "clean.mp4")
    assert max(np.abs(a.astype(float) - b).mean() for a, b in zip(again, clean, strict=True)) < 2


def test_a_folder_of_frames_is_painted_like_the_film_they_came_from(
    drive: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    film = drive / "clean.mp4"
    for number, picture in enumerate(pictures(film)):
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    boxes = tmp_path / "boxes.csv"
    write_boxes(boxes, [("frames", read_boxes(drive / "boxes.csv", film.name).values())])
    words = (run, folder, "--boxes", boxes, "--treatment", "adversarial")
    assert call("drive-by", *words, "--out", tmp_path / "none") == 1
    assert "--frame-rate" in capsys.readouterr().err
    assert call("drive-by", *words, "--frame-rate", 8, "--out", tmp_path / "out") == 0
    assert "painted 5 of 5" in capsys.readouterr().out
    words = (run, film, "--boxes", drive / "boxes.csv", "--treatment", "adversarial")
    assert call("drive-by", *words, "--out", tmp_path / "film") == 0
    found, expected = (tmp_path / name / "adversarial.mp4" for name in ("out", "film"))
    assert times(found) == pytest.approx([n / 8 for n in range(5)], abs=1e-5)
    for a, b in zip(pictures(found), pictures(expected), strict=True):
        assert np.abs(a.astype(float) - b).mean() < 1.0  # OpenCV and we round colours apart
    assert call("drive-by", run, "camera:0", "--out", tmp_path / "live") == 2
    assert "only once" in capsys.readouterr().err


def test_the_same_command_goes_on_and_another_is_refused(
    drive: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("drive-by", run, drive / "clean.mp4", "--boxes", drive / "boxes.csv")
    words += ("--out", tmp_path, "--treatment", "noise")
    assert call(*words) == 0
    before = (tmp_path / "noise.mp4").stat().st_mtime_ns
    assert call(*words) == 0
    assert (tmp_path / "noise.mp4").stat().st_mtime_ns == before
    capsys.readouterr()
    assert call(*words, "--crf", 30) == 1
    assert "it holds those of another simulation" in capsys.readouterr().err
    assert (tmp_path / "noise.mp4").stat().st_mtime_ns == before
    assert call(*words, "--crf", 30, "--replace") == 0


def test_a_patch_is_painted_on_people_in_a_film_of_odd_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(0)
    wall = cv2.GaussianBlur(generator.integers(0, 256, (91, 121, 3)).astype(np.uint8), (0, 0), 1.5)
    write_video(tmp_path / "a.mp4", ((n / 10, wall) for n in range(4)))
    box = np.array([30.0, 10, 80, 90])
    write_boxes(tmp_path / "b.csv", [("a.mp4", [FrameBox(n, box, "person") for n in range(4)])])
    rgba = np.dstack([generator.integers(0, 256, (16, 16, 3)), np.full((16, 16), 255)])
    artwork = Artwork(
        rgba.astype(np.uint8), 400, 400, "patch:person_thys", "nothing", ("x",), {"patch": True}
    )
    save_artwork(artwork, tmp_path / "run")
    scene = load_object_scene("person_thys").model_dump(mode="json")
    (tmp_path / "run" / "run.json").write_text(json.dumps({"scene": scene}))
    words = (tmp_path / "run", tmp_path / "a.mp4", "--boxes", tmp_path / "b.csv")
    assert call("drive-by", *words, "--out", tmp_path / "out") == 0
    assert "painted 4 of 4" in capsys.readouterr().out
    (first, *_) = pictures(tmp_path / "out" / "adversarial.mp4")
    assert first.shape == (92, 122, 3)
    capsys.readouterr()
    assert call("drive-by", *words, "--grain", "--out", tmp_path / "more") == 1
    assert "a person has none" in capsys.readouterr().err
    assert call("approach", "--run", tmp_path / "run", "--out", tmp_path / "more") == 1
    assert "not of a sign" in capsys.readouterr().err


def test_a_drive_without_a_run_shows_the_clean_sign(
    tmp_path: Path, scene_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("approach", scene_file, *DRIVE, "--fps", 2, "--out", tmp_path) == 0
    said = capsys.readouterr().out
    assert f"{tmp_path}/clean.mp4 --camera {tmp_path}/camera.json --sign-width-mm 762" in said
    assert "--truth Stop --truth stop --truth 'stop sign' --victim NAME" in said
    assert [path.name for path in tmp_path.glob("*.mp4")] == ["clean.mp4"]


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"VIDEO": "none.mp4"}, 1, "no such file"),
        ({"VIDEO": "text.mp4"}, 1, "not a video"),
        ({"VIDEO": "empty.mp4"}, 1, "the file is empty"),
        ({"VIDEO": "other.mp4"}, 1, "it has boxes of: "),
        ({"--boxes": "none.csv"}, 1, "unreadable"),
        ({"--boxes": "late.csv"}, 1, "they go on to frame 7, the film has 5 frames"),
        ({"--boxes": "large.csv"}, 1, "outside its 640 x 360 px"),
        ({"--boxes": "sky.csv"}, 1, "nothing like the run's object"),
        ({"RUN": "bare"}, 1, "bare"),
        ({"RUN": "sceneless"}, 1, "run.json does not hold it"),
        ({"RUN": "board"}, 1, "drawn stop sign"),
        ({"--out": "text.mp4"}, 1, "text.mp4"),
        ({"--treatment": "grey"}, 2, "treatment 'grey'"),
        ({"--crf": "99"}, 2, "equal to 51"),
    ],
)
def test_drive_by_with_wrong_input(
    drive: Path,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    code: int,
    said: str,
) -> None:
    for name in ("clean.mp4", "other.mp4"):
        (tmp_path / name).write_bytes((drive / "clean.mp4").read_bytes())
    (tmp_path / "text.mp4").write_text("no film")
    (tmp_path / "empty.mp4").touch()
    sign = read_boxes(drive / "boxes.csv", "clean.mp4")[0].box
    for name, frame, box in (
        ("late.csv", 7, sign),
        ("large.csv", 0, sign + 600),
        ("sky.csv", 0, np.array([20.0, 20, 60, 60])),
    ):
        write_boxes(tmp_path / name, [("clean.mp4", [FrameBox(frame, box)])])
    for name, scene in (("sceneless", None), ("board", load_scene("road_board"))):
        (tmp_path / name).mkdir()
        for file in ("artwork.json", "artwork.png"):
            (tmp_path / name / file).write_bytes((run / file).read_bytes())
        recorded = scene and scene.model_dump(mode="json", exclude={"folder"})
        (tmp_path / name / "run.json").write_text(json.dumps({"scene": recorded}))
    words: dict[str, object] = {
        "RUN": run,
        "VIDEO": tmp_path / "clean.mp4",
        "--boxes": drive / "boxes.csv",
        "--out": tmp_path / "out",
    }
    words |= {
        name: value if name in ("--treatment", "--crf") else tmp_path / value
        for name, value in changes.items()
    }
    options = [part for name, value in words.items() if name[0] == "-" for part in (name, value)]
    assert call("drive-by", words["RUN"], words["VIDEO"], *options) == code
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert not list(tmp_path.glob("out/*.mp4"))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere",), 2, "no such name"),
        (("person_thys",), 2, "no such name"),
        (("--start-m", "900"), 1, "px in its first frame"),
        (("--lateral-m", "60"), 1, "the frame misses it"),
        (("--start-m", "5", "--end-m", "9"), 1, "does not come nearer"),
        (("--treatment", "noise"), 1, "there is no artwork"),
        (("--background", "none.jpg"), 1, "no such file"),
        (("--fps", "0"), 1, "frame rate"),
    ],
)
def test_approach_with_wrong_input(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    assert call("approach", *words, "--out", tmp_path / "out") == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("here")
    assert call("approach", "--out", tmp_path / "file" / "out") == 1
    assert "Not a directory" in capsys.readouterr().err


def test_interrupted_says_how_to_go_on(
    scene_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("physadv.cli.simulate.write_video", stopped)
    assert call("approach", scene_file, *DRIVE, "--out", tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "the same command goes on:" in told
    assert f"physadv simulate approach {scene_file}" in told
    assert not list(tmp_path.glob("out/*.mp4"))
    assert not list(tmp_path.glob("out/.*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--finder", "gtsrb-cnn"), "it is no detector"),
        (("--finder", "nobody"), "no such name"),
        (("--follow", "middle"), "no such rule"),
    ],
)
def test_finders_that_cannot_find(
    drive: Path,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, str],
    said: str,
) -> None:
    film = drive / "clean.mp4"
    assert call("drive-by", run, film, *words, "--out", tmp_path / "out") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.realdata
def test_a_real_sign_is_found_and_painted(run: Path, tmp_path: Path) -> None:
    name = "driveby_stop_sign_A.mp4"
    film = find_external(f"data/videos/{name}")
    with av.open(str(film)) as container:
        frames = [
            (frame.time, frame.to_ndarray(format="rgb24"))
            for frame, _ in zip(container.decode(video=0), range(6), strict=False)
        ]
    write_video(tmp_path / name, frames)
    words = ("--follow", "right", "--treatment", "blank", "--out", tmp_path / "out")
    assert call("drive-by", run, tmp_path / name, *words) == 0
    known = read_boxes(find_external("data/videos/stop_sign_boxes.csv"), name)
    painted = read_boxes(tmp_path / "out" / "boxes.csv", "blank.mp4")
    assert len(painted) >= 5
    for number, picture in enumerate(pictures(tmp_path / "out" / "blank.mp4")):
        if number in painted:
            box = painted[number].box
            assert overlaps(known[number].box, box[None])[0] > 0.85
            # A grey card hides the lower half of the legend and the red below it.
            x, y = (box[:2] + np.array([0.5, 0.75]) * (box[2:] - box[:2])).astype(int)
            assert np.ptp(picture[y, x].astype(int)) < 25
            assert np.ptp(frames[number][1][y, x].astype(int)) > 50
