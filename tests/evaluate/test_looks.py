"""Films looked at once: logs, resumption at any moment, faults, films and their names."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from physadv.checks import UserError
from physadv.data.film import FilmFault, Frame
from physadv.evaluate.drive_plan import treatment_of_film, unique_names
from physadv.evaluate.filmlist import film_cases, read_film_list
from physadv.evaluate.filmlooks import look_at_film
from physadv.evaluate.looklog import LookLog


@dataclass
class DrawnFilm:
    """Frames whose pixels say which they are; damaged at frame ``breaks``."""

    count: int = 23
    breaks: int = 10**9
    name: str = "drawn"
    identity: str = "drawn"
    width_px: int = 4
    height_px: int = 4
    notes: tuple[str, ...] = ()

    @property
    def frames_hint(self) -> int:
        return self.count

    def frames(self, after: int = -1):
        for index in range(0, self.count):
            if index == self.breaks:
                raise FilmFault("read drawn", f"damaged after frame {index - 1}", "Copy it.")
            if index > after:
                yield Frame(index, index / 10, np.full((4, 4, 3), index, np.uint8))


class Killed(Exception):
    pass


class Reader:
    """Reads the number in the pixels; dies when it has looked at ``lives`` frames."""

    key, width = "reader", 2

    def __init__(self, lives: int = 10**9) -> None:
        self.seen: list[int] = []
        self.lives = lives

    def for_thread(self):
        return self

    def look(self, frame):
        if len(self.seen) >= self.lives:
            raise Killed
        self.seen.append(frame.index)
        return np.full((frame.index % 3, 2), float(frame.rgb[0, 0, 0]))


def _log(path: Path) -> LookLog:
    return LookLog(path, {"film": "drawn"}, 2)


@pytest.mark.parametrize("lives", [0, 1, 4, 9, 22])
def test_a_killed_run_goes_on_where_it_was(tmp_path, lives):
    path = tmp_path / "log.jsonl"
    film, first = DrawnFilm(), Reader(lives)
    with _log(path) as log, pytest.raises(Killed):
        look_at_film(film, [(first, log)])
    with path.open("ab") as stream:
        stream.write(b"[99, 9.9, [[1.0")  # killed while it wrote
    second = Reader()
    with _log(path) as log:
        kept = list(log.frames)
        look_at_film(film, [(second, log)])
        assert log.frames == list(range(23))
        assert log.end == ""
        for frame, rows in zip(log.frames, log.rows, strict=True):
            assert rows.tolist() == [[frame, frame]] * (frame % 3)
    # None is kept twice and none is left out.
    assert kept + sorted(second.seen) == list(range(23))
    third = Reader()
    with _log(path) as log:
        look_at_film(film, [(third, log)])
    assert third.seen == []


def test_who_comes_later_sees_only_what_he_has_not(tmp_path):
    film, early = DrawnFilm(), Reader()
    with _log(tmp_path / "a") as log:
        look_at_film(film, [(early, log)])
    again, late = Reader(), Reader()
    with _log(tmp_path / "a") as a, _log(tmp_path / "b") as b:
        look_at_film(film, [(again, a), (late, b)])
        assert a.frames == b.frames
    assert again.seen == []
    assert sorted(late.seen) == list(range(23))


def test_who_cannot_be_copied_looks_at_one_sample_at_a_time(tmp_path):
    class Single(Reader):
        def for_thread(self):
            raise TypeError("cannot pickle '_thread.lock' object")

    single, beside = Single(), Reader()
    with _log(tmp_path / "a") as a, _log(tmp_path / "b") as b:
        with pytest.warns(UserWarning, match="cannot be copied"):
            look_at_film(DrawnFilm(), [(beside, b), (single, a)])
        assert a.frames == b.frames == list(range(23))
    assert single.seen == beside.seen == list(range(23))


def test_what_came_before_a_fault_is_kept_and_the_fault_is_said(tmp_path):
    film, reader = DrawnFilm(breaks=14), Reader()
    with _log(tmp_path / "a") as log:
        look_at_film(film, [(reader, log)])
        assert log.frames == list(range(14))
        assert log.end == "damaged after frame 13"
    # The film may have been mended: it goes on where it ended.
    again = Reader()
    with _log(tmp_path / "a") as log:
        look_at_film(DrawnFilm(), [(again, log)])
        assert log.frames == list(range(23))
        assert log.end == ""
    assert sorted(again.seen) == list(range(14, 23))


def test_a_log_gives_back_what_was_put_in_and_drops_what_is_damaged(tmp_path):
    path = tmp_path / "a"
    with _log(path) as log:
        log.add(3, 0.1, [[1.23456789, 2.0]])
        log.add(5, 0.2, np.zeros((0, 2)))
        fresh = [rows.tolist() for rows in log.rows]
    with _log(path) as log:
        assert [rows.tolist() for rows in log.rows] == fresh
        assert log.of(5).shape == (0, 2)
        assert log.of(3)[0, 0] == pytest.approx(1.234568, abs=1e-6)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1], lines[2][:4], json.dumps([7, 0.3, []])]) + "\n")
    with _log(path) as log:
        assert log.frames == [3]  # what follows a damaged line is looked at again


def test_a_log_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "looks").write_text("a file")
    with pytest.raises(UserError, match="Choose another output folder"):
        _log(tmp_path / "looks" / "a")


@pytest.mark.parametrize(
    ("source", "treatment"),
    [
        ("clean.mp4", "clean"),
        ("pass_03_adversarial.MOV", "adversarial"),
        ("films/noise/pass1.mp4", "noise"),
        ("adversarial_study/week2/pass1.mp4", None),
        ("adversarial/clean.mp4", "clean"),
        ("drive.mp4", None),
        ("cleaning.mp4", None),
    ],
)
def test_names_and_folders_say_what_a_film_shows(source, treatment):
    assert treatment_of_film(source) == treatment


def test_films_are_told_apart_by_as_little_as_is_needed(tmp_path):
    a, b = str(tmp_path / "a" / "clean.mp4"), str(tmp_path / "b" / "clean.mp4")
    assert unique_names([a, str(tmp_path / "noise.mp4")]) == ["clean.mp4", "noise.mp4"]
    assert unique_names([a, b]) == ["a/clean.mp4", "b/clean.mp4"]
    with pytest.raises(UserError, match="given twice"):
        unique_names([a, b, a])
    with pytest.raises(UserError, match="--treatment"):
        film_cases(["drive.mp4"])
    assert film_cases(["drive.mp4"], treatment="clean")[0].treatment == "clean"


def test_a_manifest_of_films(tmp_path):
    path = tmp_path / "films.csv"
    path.write_text(
        "file,treatment,boxes,anchor_s,anchor_m\na.mp4,adv,a.csv,3.5,20\nb.mp4,clean,,,\n"
    )
    first, second = read_film_list(path)
    assert first.treatment == "adversarial"
    assert first.boxes == tmp_path / "a.csv"
    assert first.anchor == (3.5, 20.0)
    assert (second.boxes, second.anchor) == (None, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file\na.mp4\n", "no column treatment"),
        ("file,treatment,colour\na.mp4,clean,red\n", "a column colour"),
        ("file,treatment\n", "lists no film"),
        ("file,treatment\na.mp4,nice\n", "treatment 'nice'"),
        ("file,treatment,anchor_s\na.mp4,clean,3\n", "half an anchor"),
        ("file,treatment,anchor_s,anchor_m\na.mp4,clean,3,far\n", "'far' is no number"),
    ],
)
def test_a_manifest_that_is_wrong_says_where(tmp_path, text, words):
    path = tmp_path / "films.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_film_list(path)
