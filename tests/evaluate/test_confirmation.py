"""What a car knows, and when: against brute force and sums done by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physadv.checks import UserError
from physadv.evaluate.confirmation import (
    braking_distance_m,
    confirmed_at,
    longest_run,
    looks_at_speed,
)
from physadv.evaluate.drive_plan import Car
from physadv.evaluate.drive_records import film_record
from physadv.evaluate.ranging import Ranges, unknown_ranges

SEQUENCES = st.lists(st.booleans(), max_size=40)


@given(SEQUENCES, st.integers(1, 6), st.integers(0, 5))
def test_confirmation_is_that_of_brute_force(hits, least, more):
    of = least + more
    expected = next(
        (i for i in range(len(hits)) if sum(hits[max(0, i - of + 1) : i + 1]) >= least), None
    )
    assert confirmed_at(hits, least, of) == expected


@given(SEQUENCES, st.integers(1, 5), st.integers(0, 4), st.data())
def test_one_more_hit_never_confirms_later(hits, least, more, data):
    if not hits:
        return
    before = confirmed_at(hits, least, least + more)
    extra = list(hits)
    extra[data.draw(st.integers(0, len(hits) - 1))] = True
    after = confirmed_at(extra, least, least + more)
    assert before is None or (after is not None and after <= before)


@pytest.mark.parametrize(("least", "of"), [(0, 3), (4, 3), (-1, -1)])
def test_a_rule_that_cannot_be_is_refused(least, of):
    with pytest.raises(UserError, match="M/N"):
        confirmed_at([True], least, of)


@given(SEQUENCES)
def test_the_longest_run_is_that_of_brute_force(missed):
    ends = np.cumsum([0.0, *np.linspace(0.1, 0.5, len(missed))]).tolist()
    lasts = {
        (first, last): ends[last + 1] - ends[first]
        for first in range(len(missed))
        for last in range(first, len(missed))
        if all(missed[first : last + 1])
    }
    found = longest_run(missed, ends)
    if not lasts:
        assert found is None
    else:
        assert lasts[found] == pytest.approx(max(lasts.values()))


def test_a_run_at_the_end_lasts_to_the_next_look():
    assert longest_run([True, True, False, True, True, True], [0, 1, 2, 3, 4, 5, 6]) == (3, 5)


def test_braking_points_of_the_protocol():
    # 50 km/h: 38 m, 20 km/h: 9.4 m at 1 s and 4 m/s^2.
    assert braking_distance_m(50 / 3.6, 1.0, 4.0) == pytest.approx(38.0, abs=0.05)
    assert braking_distance_m(20 / 3.6, 1.0, 4.0) == pytest.approx(9.41, abs=0.01)
    with pytest.raises(UserError):
        braking_distance_m(10, 1, 0)


def test_a_faster_car_has_fewer_looks():
    # Filmed at 5 m/s, 10 looks a second: one every 0.5 m.
    distances = 50 - 0.5 * np.arange(90)
    (same,) = looks_at_speed(distances, 5.0, 0.1)
    assert same.tolist() == list(range(90))
    four_times = looks_at_speed(distances, 20.0, 0.1)
    assert [taken.tolist() for taken in four_times] == [list(range(n, 90, 4)) for n in range(4)]
    (slower,) = looks_at_speed(distances, 1.0, 0.1)
    assert slower.tolist() == list(range(90))
    (alone,) = looks_at_speed(np.array([9.0]), 1.0, 0.1)
    assert alone.tolist() == [0]


@given(
    st.lists(st.floats(0.01, 3.0), min_size=1, max_size=50),
    st.floats(0.5, 40.0),
    st.floats(0.02, 2.0),
)
def test_looks_at_a_speed_are_the_nearest_samples(steps, speed, interval):
    distances = 100 - np.cumsum(steps)
    passed = (distances[0] - distances) / speed
    for taken in looks_at_speed(distances, speed, interval):
        assert (np.diff(taken) > 0).all()
        for tick in np.arange(passed[taken[0]], passed[-1], interval):
            nearest = np.abs(passed - tick).min()
            assert np.abs(passed[taken] - tick).min() == pytest.approx(nearest, abs=1e-9)


def _record(verdicts, distances, car, interval=0.1, before=None):
    times = [interval * i for i in range(len(verdicts))]
    ranges = Ranges(np.asarray(distances, float), np.zeros(len(verdicts)), "box")
    return film_record(times, verdicts, ranges, car, interval_s=interval, missed_before_m=before)


def test_a_record_by_hand():
    verdicts = ["missed", "hit", "missed", "missed", "target", "hit", "hit", "hit", "missed"]
    distances = [40, 36, 32, 28, 24, 20, 16, 12, 8]
    # 10 m/s with a look each 0.4 s: every sample. Braking point 10 + 100 / 8 = 22.5 m.
    record = _record(verdicts, distances, Car(3, 5, (36.0,), 1.0, 4.0), 0.4)
    assert record["samples"] == 9
    assert (record["hit"], record["missed"], record["target"]) == (4, 4, 1)
    assert record["first_hit_m"] == 36
    assert record["longest_missed_s"] == pytest.approx(1.2)
    assert record["longest_missed_m"] == pytest.approx(32 - 20)
    assert record["confirmed_m"] == 12  # at 16 m the hit at 36 m is out of the last five
    assert record["target_confirmed_m"] is None
    speed = record["speeds"][0]
    assert speed["braking_m"] == pytest.approx(22.5)
    assert speed["looks"] == 9
    assert speed["in_time"] is False


def test_a_fast_car_confirms_later_than_the_film_that_was_taken_slowly():
    verdicts = ["hit"] * 100
    distances = np.linspace(40, 10, 100)
    car = Car(3, 5, (20.0, 72.0), 1.0, 4.0)
    record = _record(verdicts, distances, car, 0.5)
    slow, fast = record["speeds"]
    assert record["confirmed_m"] == pytest.approx(distances[2])
    # 20 m/s: looks at 40, 30 and 20 m, or as late as 30, 20 and 10 m.
    assert fast["confirmed_m"] == pytest.approx(10, abs=0.4)
    assert slow["in_time"] is True
    # The film begins at 40 m, within the braking distance of 72 km/h: it cannot tell.
    assert fast["in_time"] is None
    assert "from 40 m" in fast["why"]


def test_what_a_film_cannot_tell_is_not_told():
    car = Car(1, 1, (36.0,), 1.0, 4.0)
    far = _record(["missed"] * 5, [60, 55, 50, 45, 40], car)["speeds"][0]
    assert far["in_time"] is None
    assert "to 40 m" in far["why"]
    nothing = film_record(
        [0.0, 0.1],
        ["missed", "missed"],
        unknown_ranges(2),
        car,
        interval_s=0.1,
        missed_before_m=None,
    )
    assert nothing["speeds"][0]["in_time"] is None
    # Found only at 18 m, but by the victim itself, and the film began at 60 m: too late.
    late = _record(["hit"] * 5, [18, 16, 14, 12, 10], car, 0.2, before=60.0)["speeds"][0]
    assert late["in_time"] is False
    # The same where another had found it late: the victim was never asked before.
    unknown = _record(["hit"] * 5, [18, 16, 14, 12, 10], car)["speeds"][0]
    assert unknown["in_time"] is None


def test_what_no_single_outcome_follows_from_is_not_told():
    # Every fifth look of a film at 10 km/h: at 50 km/h it depends on which fifth is seen.
    count = 60
    distances = np.linspace(60, 5, count)
    step = (distances[0] - distances[1]) / (10 / 3.6)
    verdicts = ["hit" if n % 5 == 0 else "missed" for n in range(count)]
    car = Car(3, 3, (50.0,), 1.0, 4.0)
    (speed,) = _record(verdicts, distances, car, step)["speeds"]
    assert speed["in_time"] is None
    assert "when the car looks first" in speed["why"]


def test_a_film_driven_faster_has_too_few_looks_to_blame_a_slower_car():
    # 50 km/h, three looks a second, read from 16.9 m on; braking point at 20 km/h: 9.4 m.
    distances = 60 - 50 / 3.6 / 3 * np.arange(12)
    verdicts = ["hit" if metres <= 17 else "missed" for metres in distances]
    (speed,) = _record(verdicts, distances, Car(3, 5, (20.0,)), 1 / 3)["speeds"]
    assert speed["in_time"] is None
    assert "driven faster" in speed["why"]


def test_what_was_confirmed_before_distances_were_known_counts():
    verdicts = ["hit"] * 10 + ["missed"] * 20
    distances = [np.nan] * 10 + np.linspace(30, 2, 20).tolist()
    (speed,) = _record(verdicts, distances, Car(3, 5, (30.0,)), 0.17)["speeds"]
    assert speed["in_time"] is True
    some = ["missed"] * 8 + ["hit"] * 2 + ["missed"] * 20
    (speed,) = _record(some, distances, Car(3, 5, (30.0,)), 0.17)["speeds"]
    assert speed["in_time"] is None


def test_a_distance_that_is_not_good_enough_decides_nothing():
    distances = np.linspace(40, 5, 36)
    verdicts = ["hit" if metres <= 19 else "missed" for metres in distances]
    times = [0.4 * n for n in range(36)]
    told = []
    for error in (0.05, 1.0):
        ranges = Ranges(distances, np.full(36, error), "box")
        car = Car(3, 5, (30.0,))
        record = film_record(times, verdicts, ranges, car, interval_s=0.12, missed_before_m=None)
        told.append(record["speeds"][0])
    # Confirmed at 17 m; the braking point is at 17.01 m.
    assert told[0]["confirmed_m"] == pytest.approx(17.0)
    assert "too close" in told[1]["why"]
    assert told[1]["in_time"] is None


def test_a_single_sample_and_repeated_speeds():
    record = _record(["hit"], [20.0], Car(1, 1, (20.0, 20.0, 30.0)), 0.0)
    assert [speed["speed_kmh"] for speed in record["speeds"]] == [20.0, 30.0]
    assert all(speed["in_time"] is None for speed in record["speeds"])
