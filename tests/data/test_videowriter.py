"""Films as written, read back with OpenCV and with PyAV."""

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc
from hypothesis import given, settings
from hypothesis import strategies as st

from physadv.checks import UserError
from physadv.data.files import atomic_path
from physadv.data.videowriter import TICKS_PER_S, write_video

COLOURS = [(200, 30, 40), (30, 160, 60), (20, 40, 210), (255, 255, 255), (0, 0, 0), (250, 220, 10)]
_BT709 = 1


def flat(width: int = 240, height: int = 64) -> np.ndarray:
    """Six upright bars."""
    bars = np.array(COLOURS, np.uint8).repeat(width // 6, axis=0)
    return np.broadcast_to(bars, (height, len(bars), 3))


def film(*times: float, picture: np.ndarray | None = None) -> Iterator[tuple[float, np.ndarray]]:
    return ((time_s, flat() if picture is None else picture) for time_s in times)


def rough(width: int, height: int) -> np.ndarray:
    """A smooth random picture."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 6)


def by_opencv(path: Path) -> list[np.ndarray]:
    """Pictures [H,W,3] RGB."""
    capture = cv2.VideoCapture(str(path))
    found = []
    while (read := capture.read())[0]:
        found.append(read[1][..., ::-1])
    return found


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def test_flat_colours_survive_in_opencv_and_say_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, film(0, 0.04, 0.08))
    pictures = by_opencv(path)
    assert len(pictures) == 3
    for picture in pictures:
        for number, colour in enumerate(COLOURS):
            inner = picture[8:-8, 40 * number + 8 : 40 * number + 32]
            assert np.abs(inner.mean(axis=(0, 1)) - colour).max() <= 2
    (first, *_) = decoded(path)
    assert (first.format.name, int(first.colorspace)) == ("yuv420p", _BT709)
    assert first.color_range == ColorRange.MPEG
    assert first.color_primaries == ColorPrimaries.BT709
    assert first.color_trc == ColorTrc.BT709


@pytest.mark.parametrize(
    "times",
    [
        [n / 30 for n in range(9)],
        [n * 1001 / 30000 for n in range(9)],
        [n / 24 for n in range(9)],
        [0.5, 0.7, 0.71, 3.25, 3.3],
        [2.0],
    ],
)
def test_times_are_kept(tmp_path: Path, times: list[float]) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, film(*times))
    found = decoded(path)
    assert [frame.time for frame in found] == pytest.approx(times, abs=1e-9)


@given(st.lists(st.integers(0, 400_000), min_size=1, max_size=12, unique=True))
@settings(max_examples=15, deadline=None)
def test_any_rising_ticks_are_kept(tmp_path_factory: pytest.TempPathFactory, ticks: list) -> None:
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    ticks = sorted(ticks)
    small = np.zeros((32, 32, 3), np.uint8)
    write_video(path, film(*(tick / TICKS_PER_S for tick in ticks), picture=small))
    assert [round(frame.time * TICKS_PER_S) for frame in decoded(path)] == ticks


def test_the_same_frames_give_the_same_bytes_and_begin_with_the_index(tmp_path: Path) -> None:
    seen = set()
    rng = np.random.default_rng(0)
    for _ in range(60):
        # Whatever lay in memory before.
        left = [rng.integers(0, 256, size, np.uint8) for size in rng.integers(100, 60_000, 40)]
        del left
        write_video(tmp_path / "a", film(0, 0.1, 0.2))
        seen.add((tmp_path / "a").read_bytes())
    (data,) = seen
    assert 0 < data.find(b"moov") < data.find(b"mdat")


@pytest.mark.parametrize(("width", "height"), [(97, 64), (96, 65), (97, 65)])
def test_an_odd_side_gets_its_last_line_twice(tmp_path: Path, width: int, height: int) -> None:
    picture = rough(width, height)
    write_video(tmp_path / "a.mp4", film(0, 0.1, picture=picture), crf=0)
    (first, _) = by_opencv(tmp_path / "a.mp4")
    assert first.shape[:2] == (height + height % 2, width + width % 2)
    away = np.abs(first[:height, :width].astype(float) - picture)
    assert away.mean() < 2
    assert np.abs(first[-1, -1].astype(float) - picture[-1, -1]).max() < 12


def test_a_lower_rate_factor_is_nearer(tmp_path: Path) -> None:
    picture = rough(128, 96)
    away = []
    for crf in (0, 20, 40):
        write_video(tmp_path / "a.mp4", film(0, 0.1, picture=picture), crf=crf)
        away.append(np.abs(by_opencv(tmp_path / "a.mp4")[1].astype(float) - picture).mean())
    assert away == sorted(away)
    assert away[0] < away[1] - 0.1 < away[2] - 0.5


def _changing() -> Iterator[tuple[float, np.ndarray]]:
    yield 0.0, flat()
    yield 0.1, flat(height=66)


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (film(), "there is no frame"),
        (_changing(), "frame 1 is 240 x 66 px, the first 240 x 64 px"),
        (film(0.1, 0.1), "frame 1 is at 0.100000 s, the one before at 0.1"),
        (film(0.2, 0.1), "go forward"),
        (film(-0.1), "go forward"),
    ],
)
def test_films_that_are_none(
    tmp_path: Path, frames: Iterator[tuple[float, np.ndarray]], said: str
) -> None:
    with pytest.raises(UserError, match=said), atomic_path(tmp_path / "a.mp4") as temporary:
        write_video(temporary, frames)
    assert not list(tmp_path.iterdir())


def _stopped() -> Iterator[tuple[float, np.ndarray]]:
    yield from film(0, 0.1)
    raise KeyboardInterrupt


def test_an_interrupted_film_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a.mp4") as temporary:
        write_video(temporary, _stopped())
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"before"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        write_video(tmp_path / "none" / "a.mp4", film(0))
