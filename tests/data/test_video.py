"""Films: every common codec, time stamps, turns, damage; OpenCV's reader is the oracle."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from physadv.checks import UserError
from physadv.data.files import find_external
from physadv.data.film import FilmFault, Frame, Sampling
from physadv.data.films import open_film
from physadv.data.framefolder import open_frame_folder
from physadv.data.livecamera import LiveCamera
from physadv.data.prefetch import read_ahead
from physadv.data.video import open_video

CODECS = [
    ("libx264", ".mp4"),
    ("libx265", ".mov"),
    ("libvpx-vp9", ".webm"),
    ("libsvtav1", ".mkv"),
    ("mjpeg", ".avi"),
]


def _picture(index: int, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """Each frame has its own colour on the left, and a grey on the right."""
    picture = np.full((*size, 3), 90, np.uint8)
    picture[:, : size[1] // 2] = [(40 + 9 * index) % 250, 200 - 3 * index, 60]
    return picture


def write(
    path: Path,
    ticks: list[int],
    codec: str = "libx264",
    *,
    size: tuple[int, int] = (96, 128),
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A film whose frame i is shown at ticks[i] thousandths of a second."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height = size[1], size[0]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(_picture(index, size), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return write(path, [40 * index for index in range(40)], options={"g": "10"})


@pytest.mark.parametrize(("codec", "suffix"), CODECS)
def test_frames_are_those_that_opencv_reads(tmp_path, codec, suffix):
    path = write(tmp_path / f"film{suffix}", [40 * i for i in range(12)], codec)
    capture = cv2.VideoCapture(str(path))
    frames = list(open_video(path).frames())
    assert [frame.index for frame in frames] == list(range(12))
    for frame in frames:
        assert np.abs(frame.rgb[:, :48].mean((0, 1)) - _picture(frame.index)[0, 0]).max() < 12
        if codec == "libsvtav1":
            continue  # OpenCV has no decoder of its own for AV1
        there, bgr = capture.read()
        assert there
        # Chroma is interpolated differently at the edge between the colours.
        error = np.abs(frame.rgb.astype(int) - bgr[..., ::-1])
        assert error[:, :48].mean() < 2.5
        assert error[:, 80:].mean() < 2.5


def test_times_are_the_containers_and_start_at_zero(tmp_path):
    ticks = [500, 533, 600, 1100, 1133, 2000]  # a phone that slows down in the dark
    path = write(tmp_path / "vfr.mkv", ticks)
    times = [frame.time_s for frame in open_video(path).frames()]
    assert times == pytest.approx([(t - 500) / 1000 for t in ticks], abs=1e-3)
    taken = [frame.index for frame in open_video(path, fps=2).frames()]
    assert taken == [0, 3, 5]  # at 0, 0.5 and 1 s; the one for 1 s comes late


def test_sampling_takes_every_kth_and_goes_on_after_any_frame(film):
    whole = list(open_video(film, every=7).frames())
    assert [frame.index for frame in whole] == [0, 7, 14, 21, 28, 35]
    assert open_video(film, every=7).frames_hint == 6
    for sampling in ({"every": 7}, {"fps": 6.0}):
        video = open_video(film, **sampling)
        all_frames = list(video.frames())
        rest = list(video.frames(after=all_frames[2].index))
        assert [frame.index for frame in rest] == [frame.index for frame in all_frames[3:]]
        assert all((a.rgb == b.rgb).all() for a, b in zip(rest, all_frames[3:], strict=True))


def test_a_picker_takes_no_burst_after_a_gap():
    picker = Sampling(fps=10).picker()
    taken = [t for i, t in enumerate([0.0, 0.1, 5.0, 5.05, 5.1, 5.2]) if picker.takes(i, t)]
    assert taken == [0.0, 0.1, 5.0, 5.1, 5.2]


@pytest.mark.parametrize(("a", "b"), [(0, 1), (-1, 0), (0, -1)])
def test_turned_films_stand_upright(film, tmp_path, a, b):
    """The display matrix in the track header, as phones write it."""
    data = bytearray(film.read_bytes())
    start = data.index(b"tkhd") + 4 + 40  # version 0: the matrix begins 40 bytes into the box
    one = np.array([a, b, 0, -b, a, 0, 0, 0, 16384], dtype=np.int64) * 65536
    data[start : start + 36] = b"".join(int(v).to_bytes(4, "big", signed=True) for v in one)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    video = open_video(path)
    frame = next(video.frames())
    there, bgr = cv2.VideoCapture(str(path)).read()
    assert there
    assert frame.rgb.shape == bgr.shape
    assert (video.height_px, video.width_px) == bgr.shape[:2]
    assert np.abs(frame.rgb.astype(int) - bgr[..., ::-1]).mean() < 3


@pytest.mark.parametrize("kind", ["absent", "empty", "text", "folder of text"])
def test_what_is_no_film_is_refused_in_one_line(tmp_path, kind):
    path = tmp_path / "film.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("hello " * 500)
    elif kind == "folder of text":
        path.mkdir()
    with pytest.raises(UserError) as error:
        open_film(str(path))
    assert "film.mp4" in error.value.asked
    assert "\n" not in str(error.value)


def test_sound_alone_is_no_film(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(UserError, match="no video, only audio"):
        open_video(path)


def _read(path: Path) -> tuple[list[Frame], FilmFault | None]:
    frames = []
    try:
        for frame in open_video(path).frames():
            frames.append(frame)
    except FilmFault as fault:
        return frames, fault
    return frames, None


def test_damage_ends_a_film_and_what_came_before_is_good(film, tmp_path):
    good = list(open_video(film).frames())
    data = bytearray(film.read_bytes())
    # The middle of the media data; the index behind it stays whole.
    begin = data.index(b"mdat") + 4
    middle = begin + (data.index(b"moov") - begin) // 2
    data[middle : middle + 400] = bytes(400)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    frames, fault = _read(path)
    assert fault is not None
    assert "damaged" in fault.got
    assert 5 <= len(frames) < 40
    # The last frames before the damage may be in flight; those handed out are all right.
    assert all((a.rgb == b.rgb).all() for a, b in zip(frames, good[: len(frames)], strict=True))


def test_a_film_that_was_cut_off_says_where(tmp_path):
    whole = write(
        tmp_path / "whole.mp4",
        [40 * i for i in range(40)],
        options={"g": "5", "crf": "1"},
        container_options={"movflags": "+faststart"},
    )
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    frames, fault = _read(path)
    assert fault is not None
    assert 5 < len(frames) < 38
    assert "of 1.6" in fault.got or "damaged" in fault.got


def test_a_change_of_size_ends_a_film(tmp_path):
    parts = []
    for number, size in enumerate([(96, 128), (64, 96)]):
        part = write(tmp_path / f"{number}.ts", [40 * i for i in range(10)], size=size)
        parts.append(part.read_bytes())
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    frames, fault = _read(path)
    assert fault is not None
    assert len(frames) >= 8
    assert {frame.rgb.shape for frame in frames} == {(96, 128, 3)}
    assert "size changes" in fault.got or "backwards" in fault.got


def test_time_stamps_that_run_backwards_end_a_film(tmp_path):
    part = write(tmp_path / "part.ts", [40 * i for i in range(10)])
    path = tmp_path / "twice.ts"
    path.write_bytes(part.read_bytes() * 2)
    frames, fault = _read(path)
    assert fault is not None
    assert "backwards" in fault.got
    assert len(frames) == 10


def test_a_folder_of_frames_in_the_order_of_its_numbers(tmp_path):
    for number in (2, 10, 1):
        Image.fromarray(_picture(number)).save(tmp_path / f"frame{number}.png")
    with pytest.raises(UserError, match="--frame-rate"):
        open_film(str(tmp_path))
    film = open_film(str(tmp_path), frame_rate=4)
    frames = list(film.frames())
    assert [frame.rgb[0, 0, 1] for frame in frames] == [_picture(n)[0, 0, 1] for n in (1, 2, 10)]
    assert [frame.time_s for frame in frames] == [0, 0.25, 0.5]
    Image.fromarray(_picture(3, (50, 60))).save(tmp_path / "frame11.png")
    with pytest.raises(FilmFault, match="60 x 50"):
        list(open_frame_folder(tmp_path, 4).frames())


def test_a_camera_that_stops_is_a_fault(film):
    """Any capture of OpenCV's behaves as a camera does; this one has 40 frames."""
    camera = LiveCamera(0, cv2.VideoCapture(str(film)), 1e6, Sampling(every=3), 128, 96)
    frames = []
    with pytest.raises(FilmFault, match="no frame"):
        frames.extend(camera.frames())
    seen = []
    camera = LiveCamera(0, cv2.VideoCapture(str(film)), 1e6, Sampling(every=3), 128, 96)
    seen.extend(islice(camera.frames(), 13))
    assert [frame.index for frame in seen] == list(range(0, 39, 3))
    assert np.abs(seen[4].rgb[:, :48].mean((0, 1)) - _picture(12)[0, 0]).max() < 12


def test_no_camera_is_said():
    with pytest.raises(UserError, match="camera 97"):
        open_film("camera:97")


def test_reading_ahead_is_bounded_keeps_order_and_passes_faults_on():
    made = []

    def source():
        for index in range(50):
            made.append(index)
            yield Frame(index, float(index), np.zeros((2, 2, 3), np.uint8))
        raise FilmFault("read a film", "damaged", "Copy it.")

    ahead = read_ahead(source(), most=3)
    assert next(ahead).index == 0
    for index in range(1, 50):
        assert next(ahead).index == index
        assert len(made) <= index + 1 + 3 + 2
    with pytest.raises(FilmFault):
        next(ahead)


def test_reading_ahead_ends_its_thread_when_nobody_reads_on():
    closed = []

    def source():
        try:
            for index in range(1000):
                yield Frame(index, float(index), np.zeros((2, 2, 3), np.uint8))
        finally:
            closed.append(True)

    frames = source()
    ahead = read_ahead(frames, most=2)
    next(ahead)
    ahead.close()
    frames.close()
    assert closed == [True]


@pytest.mark.realdata
def test_an_avi_of_reordered_frames_is_timed_by_its_rate():
    video = open_video(find_external("data/videos/walk_vtest.avi"), every=100)
    frames = list(video.frames())
    assert [frame.time_s for frame in frames] == pytest.approx([10.0 * n for n in range(8)])
    assert "no time stamps" in video.notes[0]
