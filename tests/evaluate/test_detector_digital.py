"""Recall before and after attacks, on photographs of red people that a formula finds."""

from functools import partial

import numpy as np
import polars as pl
import pytest
from PIL import Image

from physadv.checks import UsageError
from physadv.data.coco import read_coco
from physadv.evaluate.detector_digital import (
    Aim,
    check_detector_attacks,
    evaluate_detector_digital,
    picture_name,
)
from physadv.evaluate.digital_parts import Parts
from physadv.evaluate.matching import look_at
from physadv.report.detector_digital import (
    interval_note,
    sighting_table,
    summarise_sightings,
    write_detector_digital,
)


def test_recall_falls_with_the_budget_and_not_under_noise(red_detector, red_people, tmp_path):
    photos = read_coco(red_people, ["person"]).photos[:3]
    attacks = check_detector_attacks(["pgd", "noise"], [4 / 255, 0.5])
    rows = evaluate_detector_digital(
        red_detector, photos, attacks, Aim(0), steps=8, pictures=tmp_path
    )
    assert len(rows) == 5 * 3
    recall = {(one.treatment, one.confidence): one.recall for one in summarise_sightings(rows)}
    clean = recall["clean", 0.5]
    assert (clean.k, clean.n) == (3, 3)
    assert recall[f"pgd {4 / 255:g}", 0.5].k == 3  # mean red stays above .6
    assert recall["pgd 0.5", 0.25].k == 0  # it falls to .42, a confidence of .22
    assert recall["noise 0.5", 0.5].k == 3
    assert summarise_sightings(rows)[0].recall.interval is not None


def test_the_files_kept_are_what_was_judged_and_within_the_budget(
    red_detector, red_people, tmp_path
):
    photos = read_coco(red_people, ["person"]).photos[:2]
    attacks = check_detector_attacks(["noise", "pgd"], [0.2])
    rows = evaluate_detector_digital(
        red_detector, photos, attacks, Aim(0), steps=4, pictures=tmp_path / "kept"
    )
    assert len(list((tmp_path / "kept").iterdir())) == 4
    for photo in photos:
        clean = np.asarray(Image.open(photo.path).convert("RGB")).astype(int)
        for attack in ("noise", "pgd"):
            (file,) = (tmp_path / "kept").glob(f"{photo.path.stem}-*-{attack}-0.2.png")
            shown = np.asarray(Image.open(file))
            assert np.abs(shown - clean).max() == 51
            seen = look_at(photo.boxes[0], red_detector.detect([shown], 0.01)[0], 0)
            row = rows.filter(
                (pl.col("sha256") == photo.sha256) & (pl.col("attack") == attack)
            ).row(0, named=True)
            assert row["score"] == pytest.approx(seen.score, abs=1e-6)


def test_the_page_counts_and_shows_what_was_judged(red_detector, red_people, tmp_path):
    photos = read_coco(red_people, ["person"]).photos[:2]
    attacks = check_detector_attacks(["pgd"], [0.5])
    kept = tmp_path / "kept"
    rows = evaluate_detector_digital(red_detector, photos, attacks, Aim(0), steps=8, pictures=kept)
    files = {
        (photo.sha256, title): photo.path if title == "clean" else kept / picture_name(photo, title)
        for photo in photos
        for title in ("clean", "pgd 0.5")
    }
    facts = {"victim": "<red>", "weights": "0" * 64, "object": "person", "target": "", "steps": 8}
    facts |= {"seed": 0, "objects": 2, "photographs": 2, "version": "1", "command": "physadv"}
    write_detector_digital(tmp_path / "page.html", rows, files, facts)
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img") == 4
    assert page.count("clean: 1 of 1 found") == page.count("pgd 0.5: 0 of 1 found") == 2
    assert "&lt;red&gt;" in page
    assert "http" not in page


def test_counts_are_of_scores_at_or_above_the_confidence():
    rows = pl.DataFrame(
        {
            "treatment": ["clean"] * 4 + ["pgd 0.1"] * 4,
            "sha256": ["a", "b", "c", "d"] * 2,
            "score": [0.25, 0.4, 0.5, 0.9, 0.0, 0.24, 0.3, 0.45],
            "near_score": [0.5, 0.5, 0.5, 0.9, 0.5, 0.3, 0.3, 0.45],
            # What is still found as itself is not taken for the target.
            "target_score": [0.0] * 4 + [0.6, 0.3, 0.9, 0.0],
        }
    )
    counted = [
        (one.treatment, one.confidence, one.recall.k, one.near.k, one.targeted.k)
        for one in summarise_sightings(rows)
    ]
    assert counted == [
        ("clean", 0.25, 4, 4, 0),
        ("clean", 0.4, 3, 4, 0),
        ("clean", 0.5, 2, 4, 0),
        ("pgd 0.1", 0.25, 2, 4, 2),
        ("pgd 0.1", 0.4, 1, 2, 2),
        ("pgd 0.1", 0.5, 0, 1, 2),
    ]
    assert sighting_table(summarise_sightings(rows), "dog").row_count == 6


@pytest.mark.parametrize(
    ("photographs", "objects", "found", "expected"),
    [
        (4, 2, 3, ["take 8 photographs", "here are fewer"]),
        (4, 1, 4, ["Intervals Wilson, 95 %", "Clopper"]),
        (9, 2, 3, ["Intervals resample photographs", "where all photographs agree: Wilson"]),
        (9, 2, 0, ["Intervals Wilson, 95 %"]),
    ],
)
def test_the_note_tells_of_the_intervals_that_are_there(photographs, objects, found, expected):
    count = photographs * objects
    score = [0.9 * (n < found) for n in range(count)]
    rows = pl.DataFrame(
        {
            "treatment": ["clean"] * count,
            "sha256": [str(n // objects) for n in range(count)],
            "score": score,
            "near_score": score,
            "target_score": [0.0] * count,
        }
    )
    note = interval_note(summarise_sightings(rows))
    assert all(words in note for words in expected)
    assert ("resample" in note) == any("resample" in words for words in expected)
    assert ("Clopper" in note) == any("Clopper" in words for words in expected)


def test_wrong_requests():
    with pytest.raises(UsageError, match="pgd, noise"):
        check_detector_attacks(["deepfool"], [0.1])
    with pytest.raises(UsageError, match="no budget"):
        check_detector_attacks(["pgd"], [])


def test_an_interrupted_evaluation_goes_on_with_the_photographs_left(
    red_detector, red_people, tmp_path
):
    attacks = check_detector_attacks(["pgd", "noise"], [8 / 255])
    photos = read_coco(red_people, ["person"]).photos[:3]
    run = partial(evaluate_detector_digital, red_detector, photos, attacks, Aim(0), steps=3)
    whole = run()
    done, out = [], tmp_path / "out"

    def stop(number, total):
        done.append(number)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(parts=Parts(out, "a"), pictures=out / "pictures", progress=stop)
    kept = {path.name: path.stat().st_mtime_ns for path in (out / "pictures").iterdir()}
    result = run(parts=Parts(out, "a"), pictures=out / "pictures")
    assert result.equals(whole)
    assert done == [1]
    assert len(list((out / "pictures").iterdir())) == len(photos) * len(attacks)
    for name, written in kept.items():
        assert (out / "pictures" / name).stat().st_mtime_ns == written
