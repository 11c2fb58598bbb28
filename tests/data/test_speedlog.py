"""How far a car had driven, by CSV and GPX."""

import numpy as np
import pytest

from physadv.checks import UserError
from physadv.data.speedlog import read_speed_log

GPX = """<?xml version="1.0"?>
<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1"><trk><trkseg>{}</trkseg></trk></gpx>
"""


@pytest.mark.parametrize(
    ("column", "value"), [("speed_mps", 10.0), ("speed_kmh", 36.0), ("speed_mph", 22.36936)]
)
def test_speeds_in_any_unit(tmp_path, column, value):
    path = tmp_path / "log.csv"
    path.write_text(f"time_s,{column}\n0,0\n2,{value}\n5,{value}\n")
    log = read_speed_log(path)
    # Evenly from rest to 10 m/s in 2 s: 10 m; then 30 m.
    assert log.travelled_at(np.array([0.0, 2.0, 3.0, 5.0])) == pytest.approx([0, 10, 20, 40])
    assert np.isnan(log.travelled_at(np.array([-0.1, 5.1]))).all()


def test_a_way_that_was_measured(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("time_s,travelled_m\n1,100\n2,108\n3,116\n")
    log = read_speed_log(path)
    assert log.travelled_at(np.array([1.0, 2.5])) == pytest.approx([0, 12])


def test_a_gpx_track(tmp_path):
    points = "".join(
        f'<trkpt lat="{48 + i * 1e-4}" lon="11.5"><time>2026-05-01T10:00:{i:02}Z</time></trkpt>'
        for i in range(5)
    )
    path = tmp_path / "drive.GPX"
    path.write_text(GPX.format(points))
    log = read_speed_log(path)
    assert log.times_s.tolist() == [0, 1, 2, 3, 4]
    # A degree of a meridian is 111.19 km on a sphere of the mean radius.
    assert log.travelled_m[-1] == pytest.approx(4 * 11.119, abs=0.01)
    east = "".join(
        f'<trkpt lat="60" lon="{i * 1e-3}"><time>2026-05-01T10:00:{i * 9:02}+02:00</time></trkpt>'
        for i in range(2)
    )
    path.write_text(GPX.format(east))
    assert read_speed_log(path).travelled_m[-1] == pytest.approx(111.195 / 2, abs=0.01)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time_s,speed\n0,1\n", "columns time_s, speed"),
        ("time_s,speed_kmh,speed_mps\n0,1,1\n", "needs time_s and one of"),
        ("time_s,speed_kmh\n0,1\n", "1 rows"),
        ("time_s,speed_kmh\n0,1\n1,fast\n", "line 3"),
        ("time_s,speed_kmh\n0,1\n0,2\n", "do not increase"),
        ("time_s,speed_mps\n0,1\n1,900\n", "m/s in it"),
        ("time_s,travelled_m\n0,10\n1,2\n", "-8.0 m/s"),
    ],
)
def test_a_log_that_is_wrong_says_where(tmp_path, text, words):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_speed_log(path)


@pytest.mark.parametrize(
    "text",
    [
        "no xml",
        GPX.format(""),
        GPX.format('<trkpt lat="1" lon="2"/><trkpt lat="1" lon="2"/>'),
        '<!DOCTYPE gpx [<!ENTITY a "b">]><gpx/>',
    ],
)
def test_what_is_no_gpx_track_is_refused(tmp_path, text):
    path = tmp_path / "a.gpx"
    path.write_text(text)
    with pytest.raises(UserError, match=r"a\.gpx"):
        read_speed_log(path)
