"""Verdicts on one object are a partition, and half a person found is not a hidden one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physadv.evaluate.matching import look_at, overlaps
from physadv.types import Detections

BOX = np.array([10.0, 10, 30, 50])


def detections(*rows: tuple[list[float], float, int]) -> Detections:
    return Detections(
        np.array([row[0] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float64),
        np.array([row[2] for row in rows], np.int64),
    )


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        ([([10, 10, 30, 50], 0.9, 0)], "hit"),
        ([([10, 10, 30, 50], 0.2, 0)], "missed"),
        ([([10, 10, 30, 50], 0.9, 3)], "misclassified"),
        ([([10, 10, 30, 50], 0.9, 2)], "target"),
        ([([10, 10, 30, 50], 0.9, 3), ([11, 10, 30, 50], 0.3, 0)], "hit"),
        ([([10, 10, 30, 29], 0.9, 0)], "missed"),
        ([], "missed"),
    ],
)
def test_verdicts(rows, verdict):
    assert look_at(BOX, detections(*rows), 0).verdict(0.25, target=2) == verdict


def test_half_a_person_is_near():
    look = look_at(BOX, detections(([10, 10, 30, 29], 0.9, 0)), 0)
    assert (look.score, look.near_score) == (0.0, 0.9)


@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(0, 60), min_size=4, max_size=4),
            st.floats(0.01, 1),
            st.integers(0, 3),
        ),
        max_size=6,
    ),
    st.floats(0.05, 0.95),
)
def test_partition_against_brute_force(rows, confidence):
    rows = [([min(a, c), min(b, d), max(a, c), max(b, d)], s, k) for (a, b, c, d), s, k in rows]
    found = detections(*rows)
    verdict = look_at(BOX, found, 0).verdict(confidence)
    near = [
        (s, k) for (box, s, k), o in zip(rows, overlaps(BOX, found.boxes), strict=True) if o >= 0.5
    ]
    if any(k == 0 and s >= confidence for s, k in near):
        assert verdict == "hit"
    elif any(k != 0 and s >= confidence for s, k in near):
        assert verdict == "misclassified"
    else:
        assert verdict == "missed"
