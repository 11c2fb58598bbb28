"""Numbers as text: rounded once, and never to 0 or 100 % what is neither."""

import pytest

from physadv.report import text
from physadv.report.describe import spread_text, value_text
from physadv.report.rates import rate_of
from physadv.stats.intervals import Interval


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (None, "—"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.98031, "98.0 %"),
        (0.0004, "< 0.1 %"),
        (0.9996, "> 99.9 %"),
        (0.9994, "99.9 %"),
    ],
)
def test_percent(share, shown):
    assert text.percent(share).replace(text.NBSP, " ") == shown


def test_intervals_and_points():
    assert text.bare(Interval(0.9743, 0.98449)) == "97.4–98.4"
    assert text.bare(Interval(0.0, 0.99996)) == "0–100.0"
    assert text.rate_interval(rate_of(5, 5)) == "56.6–100 [47.8–100]"
    assert text.rate_interval(rate_of(12, 15)) == "54.8–93.0"
    assert text.rate_interval(rate_of(0, 0)) == "—"
    assert text.points(0.9788) == "+97.9"
    assert text.points(-0.0104) == "−1.0"
    assert text.points(-0.0001) == "0.0"
    assert text.points_interval(Interval(-0.05, 0.25)) == "−5.0 to +25.0"
    assert text.degrees(-30.0) == "−30°"
    assert text.p_value(0.0) == f"<{text.NBSP}0.001"
    assert text.p_value(0.0456) == "0.046"
    assert text.plural(1, "cell") == "1 cell"
    assert text.plural(2990, "view") == "2,990 views"


def test_manifest_values():
    assert value_text({"a": 1, "b": [True, 2.50]}) == "a 1, b yes, 2.5"
    assert value_text([]) == value_text("") == value_text(None) == "—"
    assert spread_text(0.3) == "0.3"
    assert spread_text({"kind": "uniform", "low": -1, "high": 1}) == "uniform, −1 to 1"
