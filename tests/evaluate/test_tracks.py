"""Objects followed through films that are drawn by hand."""

import numpy as np
import pytest

from physadv.checks import UsageError, UserError
from physadv.data.boxes import FrameBox
from physadv.evaluate.matching import overlaps
from physadv.evaluate.trackchoice import Choice, other_objects
from physadv.evaluate.tracks import Sightings, find_tracks, merge_sightings, track_of_boxes

SIZE = (1280, 720)
NOBODY = Sightings(np.zeros((0, 4)), np.zeros(0))


def _approach(x0, x1, h0, h1, count, y=300.0):
    """Boxes of an object that comes nearer at constant speed."""
    share = np.linspace(0, 1, count)
    height = 1 / ((1 - share) / h0 + share / h1)
    x = x0 + (x1 - x0) * (height - h0) / (h1 - h0)
    return np.stack([x - height / 2, y - height / 2, x + height / 2, y + height / 2], axis=1)


def _seen(*objects, scores=0.8):
    """One Sightings a sample; an object is (boxes, samples at which it is not seen)."""
    films = []
    for sample in range(len(objects[0][0])):
        boxes = [boxes[sample] for boxes, hidden in objects if sample not in hidden]
        films.append(Sightings(np.array(boxes).reshape(-1, 4), np.full(len(boxes), scores)))
    return films


@pytest.mark.parametrize("count", [20, 60, 200])
def test_two_objects_are_two_tracks_from_first_sample_to_last(count):
    right, left = _approach(700, 1000, 30, 120, count), _approach(560, 300, 20, 80, count, 280)
    times = np.linspace(0, 6.5, count)
    tracks = find_tracks(times, _seen((right, ()), (left, ())), SIZE)
    assert len(tracks) == 2
    for track in tracks:
        assert track.samples.tolist() == list(range(count))
        assert track.sighted.all()
    main = Choice().of(tracks, times)
    assert np.abs(main.boxes - right).max() < 1e-3
    assert np.abs(Choice("left").of(tracks, times).boxes - left).max() < 1e-3
    assert np.abs(Choice("right").of(tracks, times).boxes - right).max() < 1e-3


def test_a_track_is_joined_over_a_gap_and_filled():
    boxes = _approach(700, 1000, 30, 120, 66)
    hidden = set(range(20, 37))
    times = np.arange(66) / 10
    tracks = find_tracks(times, _seen((boxes, hidden)), SIZE)
    assert len(tracks) == 1
    (track,) = tracks
    assert set(track.samples[~track.sighted].tolist()) == hidden
    # Filled in along the way of an approach: where it was.
    assert np.abs(track.boxes - boxes).max() < 2


def test_a_gap_of_more_than_five_seconds_is_not_bridged():
    boxes = _approach(700, 800, 30, 60, 200)
    tracks = find_tracks(np.arange(200) / 10, _seen((boxes, range(30, 90))), SIZE)
    assert len(tracks) == 2
    longest = Choice("longest").of(tracks, list(np.arange(200) / 10))
    assert longest.samples[0] == 90


def _driven(speed_kmh, looks_per_s, lateral_m=3.5, height_m=0.9):
    """Boxes of a sign of 0.762 m beside the road, from 60 m until it leaves the picture."""
    depth = 60 - speed_kmh / 3.6 / looks_per_s * np.arange(1000)
    depth = depth[depth > 1]
    focal = 1000.0
    size = focal * 0.762 / depth
    x, y = 640 + focal * lateral_m / depth, 360 - focal * height_m / depth
    boxes = np.stack([x - size / 2, y - size / 2, x + size / 2, y + size / 2], axis=1)
    return boxes[(boxes[:, 2] < 1280) & (boxes[:, 1] > 0)]


@pytest.mark.parametrize("speed_kmh", [20, 30, 36, 50])
@pytest.mark.parametrize("looks_per_s", [2, 3, 10])
def test_a_drive_past_a_sign_is_one_track_at_any_sampling(speed_kmh, looks_per_s):
    boxes = _driven(speed_kmh, looks_per_s)
    times = np.arange(len(boxes)) / looks_per_s
    generator = np.random.default_rng(speed_kmh + looks_per_s)
    noisy = boxes + generator.normal(0, 0.5, boxes.shape)
    (track,) = find_tracks(times, _seen((noisy, ())), SIZE)
    assert track.sighted.sum() == len(boxes)


@pytest.mark.parametrize("seed", range(8))
def test_a_sign_that_is_missed_half_of_the_time_is_filled_in_where_it_is(seed):
    boxes = _driven(30, 3)
    generator = np.random.default_rng(seed)
    hidden = set(np.flatnonzero(generator.random(len(boxes)) < 0.5).tolist())
    times = np.arange(len(boxes)) / 3
    tracks = find_tracks(times, _seen((boxes, hidden)), SIZE)
    track = max(tracks, key=lambda t: t.sighted.sum())
    # A sighting or two before its way is known may stand alone.
    assert track.sighted.sum() >= len(boxes) - len(hidden) - 2
    filled = np.flatnonzero(~track.sighted)
    assert len(filled)
    for place in filled:
        truth = boxes[track.samples[place]]
        assert overlaps(track.boxes[place], truth[None])[0] > 0.9


def test_a_sign_that_is_hidden_on_the_way_is_the_same_sign_afterwards():
    boxes = _driven(30, 3)
    near = len(boxes) - 4
    tracks = find_tracks(np.arange(len(boxes)) / 3, _seen((boxes, range(near - 12, near))), SIZE)
    assert len(tracks) == 1


def test_what_cannot_be_joined_is_said():
    right, left = _approach(700, 1000, 30, 120, 40), _approach(560, 300, 20, 80, 40, 280)
    tracks = find_tracks(np.arange(40) / 10, _seen((right, ()), (left, ())), SIZE)
    (words,) = other_objects(tracks, tracks[0])
    assert "40 of 80" in words
    assert other_objects(tracks[:1], tracks[0]) == []


def test_weak_sightings_carry_a_track_on_but_begin_none():
    boxes = _approach(700, 800, 40, 60, 30)
    films = _seen((boxes, ()))
    weak = [
        Sightings(one.boxes, np.full(len(one.scores), 0.15 if 10 <= n < 20 else 0.8))
        for n, one in enumerate(films)
    ]
    (track,) = find_tracks(np.arange(30) / 10, weak, SIZE)
    assert track.sighted.all()
    assert find_tracks(np.arange(30) / 10, _seen((boxes, ()), scores=0.15), SIZE) == []


def test_nothing_seen_is_no_track():
    assert find_tracks([0.0, 0.1], [NOBODY, NOBODY], SIZE) == []


def test_the_object_at_a_point_and_time():
    right, left = _approach(700, 1000, 30, 120, 40), _approach(560, 300, 20, 80, 40, 280)
    times = (np.arange(40) / 10).tolist()
    tracks = find_tracks(times, _seen((right, ()), (left, ())), SIZE)
    x, y = left[20, :2] + 5
    assert np.abs(Choice.parse(f"2.0:{x},{y}").of(tracks, times).boxes - left).max() < 1e-3
    with pytest.raises(UserError, match="none is there"):
        Choice.parse("2.0:5,5").of(tracks, times)
    for text in ("biggest", "2.0", "a:1,2", "1:2"):
        with pytest.raises(UsageError, match="TIME:X,Y"):
            Choice.parse(text)


def test_of_two_finders_boxes_around_one_object_the_stronger_is_kept():
    one = Sightings(np.array([[0.0, 0, 100, 100], [300, 0, 400, 100]]), np.array([0.4, 0.6]))
    two = Sightings(np.array([[5.0, 0, 105, 100]]), np.array([0.9]))
    merged = merge_sightings([one, two])
    assert merged.boxes.tolist() == [[5, 0, 105, 100], [300, 0, 400, 100]]
    assert merge_sightings([NOBODY]).scores.shape == (0,)


def test_boxes_that_a_user_gives():
    known = {f: FrameBox(f, np.array([f, 0.0, f + 10.0, 10.0])) for f in (10, 20, 30, 60, 70)}
    track = track_of_boxes(known, [0, 10, 15, 20, 25, 40, 65, 80])
    # Between boxes for every tenth frame; not over the hole from 30 to 60.
    assert track.samples.tolist() == [1, 2, 3, 4, 6]
    assert track.boxes[:, 0].tolist() == [10, 15, 20, 25, 65]
    assert track.sighted.tolist() == [True, False, True, False, False]
    with pytest.raises(UserError, match="none of which"):
        track_of_boxes(known, [0, 5, 90])


def test_a_busy_street_is_followed_in_order():
    """Every sighting belongs to one track, whatever is nearby."""
    generator = np.random.default_rng(0)
    films = []
    for _ in range(600):
        corner = generator.uniform(0, 1000, (2, 2))
        films.append(Sightings(np.concatenate([corner, corner + 12], axis=1), np.full(2, 0.9)))
    tracks = find_tracks(np.arange(600) / 3, films, SIZE)
    assert sum(track.sighted.sum() for track in tracks) == 1200
    assert all(np.diff([t.samples[0] for t in tracks]) >= 0)
