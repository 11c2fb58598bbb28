"""Drive-by report: its numbers against counts made by hand and direct resampling, and the page."""

import io
import json
import re
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from statsmodels.stats.proportion import proportion_confint
from toy_drives import FACTS, SPEEDS_KMH, drive, few, gather, many

from physadv.report.drive_by import outcome, summarise_drives
from physadv.report.drivepage import write_drive_page
from physadv.report.driveplots import timelines
from physadv.report.drivetables import drive_tables, records
from physadv.report.drivewords import cautions, headline, untold

ZERO_WILSON_10 = 0.2775
"""Upper end of 0/10 (PROTOCOL 4.2 and any table of Wilson's interval)."""


def shown(tables, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.export_text()


def page_of(tmp_path, trials, films, **facts: Any) -> str:
    path = tmp_path / "drive_by.html"
    write_drive_page(path, trials, films, summarise_drives(trials, films), FACTS | facts)
    return path.read_text(encoding="utf-8")


def plain(page: str) -> str:
    """The page's words: no tags, one space between."""
    page = re.sub(r"<(style|svg).*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ")


def test_rates_are_counted_over_frames_and_boundaries_of_films_do_not_matter():
    trials, films = many()
    (found,) = summarise_drives(trials, films)
    assert list(found.treatments) == ["adversarial", "noise", "clean"]
    for name, one in found.treatments.items():
        own = trials.filter(pl.col("treatment") == name)
        assert (one.fooled.k, one.fooled.n) == ((own["verdict"] != "hit").sum(), len(own))
        assert (one.target.k, one.target.n) == ((own["verdict"] == "target").sum(), len(own))
        assert 10 <= one.effective <= len(own)


@pytest.mark.parametrize("treatment", ["adversarial", "noise", "clean"])
def test_interval_is_a_bootstrap_over_whole_videos(treatment):
    """Against videos drawn one by one with another generator."""
    trials, films = many()
    (found,) = summarise_drives(trials, films)
    own = trials.filter(pl.col("treatment") == treatment)
    by_video = [(part["verdict"] != "hit").to_numpy() for _, part in own.group_by("group")]
    random = np.random.default_rng(7)
    rates = [
        np.concatenate([by_video[i] for i in random.integers(0, 10, 10)]).mean()
        for _ in range(4000)
    ]
    low, high = np.quantile(rates, [0.025, 0.975])
    interval = found.treatments[treatment].fooled.interval
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.008)
    assert found.treatments[treatment].fooled.method == "bootstrap over 10 clusters"


@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_videos_that_all_agree_leave_room_for_another(share):
    """A bootstrap of ten like videos has no width; ten videos are worth ten trials, not 400."""
    verdicts = ["missed"] * round(40 * share) + ["hit"] * round(40 * (1 - share))
    made = [drive(f"a{i}.mp4", "adversarial", verdicts=verdicts) for i in range(10)]
    (found,) = summarise_drives(*gather(made))
    one = found.treatments["adversarial"]
    low, high = proportion_confint(10 * share, 10, method="wilson")
    assert (one.fooled.interval.low, one.fooled.interval.high) == pytest.approx((low, high))
    assert high - low > 0.27
    assert one.effective == 10


def test_videos_late_are_counted_of_those_that_tell():
    trials, films = many()
    (found,) = summarise_drives(trials, films)
    for number, speed in enumerate(SPEEDS_KMH):
        for name, one in found.treatments.items():
            own = [f["speeds"][number] for f in films if f["treatment"] == name]
            told = [s for s in own if s["in_time"] is not None]
            late = sum(s["in_time"] is False for s in told)
            braking = one.braking[number]
            assert braking.speed_kmh == speed
            assert (braking.late.k, braking.late.n) == (late, len(told))
            assert len(braking.untold) == 10 - len(told)
            limits = proportion_confint(late, len(told), method="wilson")
            got = (braking.late.interval.low, braking.late.interval.high)
            assert got == pytest.approx(limits, abs=1e-9)
    never = [f["confirmed_s"] is None for f in films if f["treatment"] == "adversarial"]
    assert found.treatments["adversarial"].unconfirmed.k == sum(never) > 0
    assert {film for film, _ in untold(found)} == {
        f"{treatment}_{number}.mp4"
        for treatment in ("adversarial", "noise")
        for number in ("04", "07")
    }


def test_differences_combine_both_intervals():
    """MOVER by hand: what each end of either interval is away from its rate."""
    (found,) = summarise_drives(*many())
    own, noise = found.treatments["adversarial"].fooled, found.treatments["noise"].fooled
    contrast = found.contrasts[0]
    assert contrast.control == "noise"
    value = own.k / own.n - noise.k / noise.n
    below = np.hypot(own.value - own.interval.low, noise.interval.high - noise.value)
    above = np.hypot(own.interval.high - own.value, noise.value - noise.interval.low)
    assert contrast.fooled.value == pytest.approx(value)
    assert contrast.fooled.interval.low == pytest.approx(value - below)
    assert contrast.fooled.interval.high == pytest.approx(value + above)


def test_few_videos_have_values_but_no_interval_and_no_difference():
    trials, films = few()
    (found,) = summarise_drives(trials, films)
    assert found.contrasts == ()
    for one in found.treatments.values():
        rates = [one.fooled, one.target, one.unconfirmed, one.target_confirmed]
        for rate in [*rates, *(braking.late for braking in one.braking)]:
            assert rate.interval is None
        assert one.effective is None
    assert any("Fewer than 8 videos" in words for words in cautions(found))
    seven = [drive(f"v{i}.mp4", "clean", verdicts=["hit"] * 9) for i in range(7)]
    (found,) = summarise_drives(*gather(seven))
    assert found.treatments["clean"].fooled.interval is None
    (found,) = summarise_drives(*gather([*seven, drive("v8.mp4", "clean", verdicts=["hit"] * 9)]))
    assert found.treatments["clean"].fooled.interval is not None
    single = [drive(f"v{i}.mp4", "clean", verdicts=["hit"]) for i in range(7)]
    (found,) = summarise_drives(*gather(single))
    assert found.treatments["clean"].fooled.interval is None


def test_headline_counts_videos():
    made = [
        drive("a.mp4", "adversarial", verdicts=["missed"] * 40),
        drive("n.mp4", "noise", verdicts=["hit"] * 40),
        drive("c.mp4", "clean", verdicts=["hit"] * 40),
    ]
    (found,) = summarise_drives(*gather(made))
    assert headline(found) == (
        "yolov8n, stop sign: not confirmed before the braking point at 20, 30 and 50 km/h: "
        "adversarial in 1 of 1, 1 of 1 and 1 of 1 videos; noise in 0 of 1, 0 of 1 and 0 of 1; "
        "clean in 0 of 1, 0 of 1 and 0 of 1."
    )
    blind = [drive("a.mp4", "adversarial", verdicts=["missed"] * 40, known=False)]
    (found,) = summarise_drives(*gather(blind))
    assert "never confirmed in these videos: adversarial in 1 of 1." in headline(found)
    assert "they do not tell" in headline(found)
    assert "no video of a control" in cautions(found)[0]


def test_a_clean_object_that_is_late_is_a_caution():
    made = [drive("c.mp4", "clean", verdicts=["missed"] * 40)]
    (found,) = summarise_drives(*gather(made))
    assert "At 50 km/h the clean object itself is not confirmed in time in 1 of 1" in " ".join(
        cautions(found)
    )


def test_outcomes_are_a_partition():
    _, films = many()
    seen = set()
    for film in films:
        for speed in film["speeds"]:
            words = outcome(speed)
            seen.add(words)
            if words == "in time":
                assert speed["confirmed_m"] >= speed["braking_m"]
            if words == "too late":
                assert speed["confirmed_m"] < speed["braking_m"]
            if words == "never":
                assert speed["confirmed_m"] is None
    assert seen == {"in time", "too late", "never", "not known"}


def test_records_of_other_trials_are_refused():
    trials, films = few()
    with pytest.raises(ValueError, match="40 samples"):
        summarise_drives(trials, [films[0] | {"samples": 41}, *films[1:]])
    with pytest.raises(ValueError, match="without one record"):
        summarise_drives(trials, films[1:])
    with pytest.raises(ValueError, match="without one record"):
        summarise_drives(trials, [*films, films[0]])


def test_page_shows_the_numbers(tmp_path):
    trials, films = many()
    words = plain(page_of(tmp_path, trials, films, skipped=[("x.mp4", "no stop sign in it")]))
    assert "30 videos of an approach" in words
    for name in ("adversarial", "noise", "clean"):
        own = trials.filter(pl.col("treatment") == name)
        k, n = int((own["verdict"] != "hit").sum()), len(own)
        assert f"{100 * k / n:.1f} % {k}/{n}" in words
    (found,) = summarise_drives(trials, films)
    assert headline(found) in words
    assert "0 of 10 0–27.8 [0–30.8]" in words
    assert "1 video could not be judged" in words
    assert "x.mp4 no stop sign in it" in words
    for film in films:
        assert film["film"] in words
        if film["first_hit_m"] is not None:
            assert f"{film['first_hit_m']:.1f} m" in words
    assert "3 of 5 consecutive" in words
    assert "the object is followed only from 31 m on" in words
    assert "its distances are not known" in words


def test_page_is_whole_and_escapes_what_it_is_told(tmp_path):
    bad = '<script>alert("1")</script>'
    made = [
        drive(f"{bad}.mp4", "adversarial", target="a & b <i>", victim="m<y>"),
        drive("$x_1$ [red].mp4", "control", verdicts=["missed", "misclassified", "hit"] * 5),
    ]
    made[1][1]["victim"] = "m<y>"
    trials, films = gather(made)
    trials = trials.with_columns(pl.lit("m<y>").alias("victim"))
    films[0] |= {"fault": "the film is cut short", "notes": [f"note {bad}"]}
    page = page_of(tmp_path, trials, films)
    assert "<script" not in page
    assert "a &amp; b &lt;i&gt;" in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    assert "the film is cut short" in page
    words = shown([t for f in summarise_drives(trials, films) for t in drive_tables(f)], 200)
    assert "[red].mp4" in words


def test_plots_place_what_they_show(tmp_path):
    """A cell of the strip for each sample that has a place, in the colour of its verdict."""
    made = [
        drive("known.mp4", "clean", verdicts=["missed"] * 6 + ["hit"] * 9),
        drive("blind.mp4", "noise", verdicts=["misclassified"] * 4 + ["hit"] * 7, known=False),
    ]
    trials, films = gather(made)
    gap = pl.when((pl.col("group") == "known.mp4") & pl.col("frame").is_in([0, 50]))
    trials = trials.with_columns(gap.then(None).otherwise(pl.col("distance_m")).alias("distance_m"))
    (found,) = summarise_drives(trials, films)
    plots = timelines(found, trials)
    assert [(plot.by_distance, plot.left_out, plot.scores) for plot in plots] == [
        (True, 1, True),  # frame 0 has no place, frame 50 that between its neighbours
        (False, 0, True),
    ]
    cells = [
        {
            name: plot.svg.count(f"fill: {colour}; stroke: {colour}")
            for name, colour in COLOUR.items()
        }
        for plot in plots
    ]
    # One more of each is the legend's.
    assert cells[0] == {"missed": 6, "hit": 10, "misclassified": 0}
    assert cells[1] == {"missed": 0, "hit": 8, "misclassified": 5}
    assert "km/h" in plots[0].svg
    assert "km/h" not in plots[1].svg


COLOUR = {"missed": "#4d4d4d", "hit": "#56b4e9", "misclassified": "#f0c419"}


def test_tables_fit_and_lose_nothing():
    trials, films = many()
    (found,) = summarise_drives(trials, films)
    words = shown(drive_tables(found), 80)
    assert "…" not in words
    assert max(len(line) for line in words.splitlines()) <= 80
    assert words.count("in time") == sum(
        outcome(s) == "in time" for film in films for s in film["speeds"]
    )
    own = found.treatments["adversarial"].fooled
    assert f"{own.k}/{own.n}" in words


def test_records_are_json_and_say_the_same():
    trials, films = many()
    (found,) = summarise_drives(trials, films)
    told = json.loads(json.dumps(records(found)))
    own = told["treatments"]["noise"]
    late = own["not_in_time"]["50 km/h"]
    noise = [f["speeds"][2]["in_time"] for f in films if f["treatment"] == "noise"]
    assert (late["k"], late["n"], late["not_known"]) == (
        noise.count(False),
        10 - noise.count(None),
        noise.count(None),
    )
    assert own["target"]["interval"] == pytest.approx([0, ZERO_WILSON_10], abs=1e-4)
    assert [one["control"] for one in told["effects"]] == ["noise", "clean"]
    assert len(told["films"]) == 30


def test_several_victims_each_have_a_section(tmp_path):
    first, second = few("yolov8n"), few("gtsrb_cnn")
    trials, films = pl.concat([first[0], second[0]]), first[1] + second[1]
    words = plain(page_of(tmp_path, trials, films))
    assert "3 videos of an approach: clean_01.mp4, noise_01.mp4, adversarial_01.mp4" in words
    assert words.count("Fewer than 8 videos (adversarial 1, noise 1, clean 1)") == 2
