"""Digital attacks beside artworks: figures by hand, what is asked of the folders, and the page."""

import json
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from physadv.checks import UserError
from physadv.report.beside import digital_tables, is_digital, other_weights
from physadv.report.matrix import digital_attacks_table, digital_records, write_matrix


def detector_run(folder: Path, found: dict[str, int], **facts: object) -> Path:
    """Ten people on ten photographs, of whom so many are found under each treatment."""
    folder.mkdir(parents=True)
    rows = [
        {
            "treatment": treatment,
            "sha256": f"photo{n}",
            "score": 0.8 if n < count else 0.3,
            "near_score": 0.8,
            "target_score": 0.0,
        }
        for treatment, count in found.items()
        for n in range(10)
    ]
    pl.DataFrame(rows).write_parquet(folder / "detections.parquet")
    told = {"victim": "yolo-n", "weights": "a" * 64, "object": "person", "target": ""}
    told |= {
        "steps": 20,
        "data": "people.json",
        "photographs": [f"photo{n}" for n in range(10)],
    } | facts
    (folder / "run.json").write_text(json.dumps(told))
    return folder


def test_a_detector_s_recall_after_each_attack(tmp_path):
    run = detector_run(tmp_path / "d", {"clean": 9, "noise 0.01": 8, "pgd 0.01": 1})
    assert is_digital(run)
    (table,) = digital_tables([run])
    assert table.title == (
        "person still found at confidence 0.4, on 10 photographs of people.json changed digitally"
    )
    counts = {row.attack: row.cells["yolo-n"] for row in table.rows}
    assert list(counts) == ["noise 0.01 linf", "pgd 0.01 linf (20 steps)"]
    assert [(one.rate.k, one.rate.n) for one in counts.values()] == [(8, 10), (1, 10)]
    assert {one.clean.k for one in counts.values()} == {9}
    assert digital_attacks_table(table).row_count == 2


def test_victims_of_one_measure_share_a_table_and_known_columns_come_first(tmp_path):
    runs = [
        detector_run(tmp_path / "n", {"clean": 9, "pgd 0.01": 1}),
        detector_run(tmp_path / "s", {"clean": 9, "pgd 0.01": 4}, victim="yolo-s"),
        detector_run(tmp_path / "t", {"clean": 9, "pgd 0.01": 4}, target="dog"),
    ]
    first, towards = digital_tables(runs, ["yolo-s"])
    assert first.victims == ("yolo-s", "yolo-n")
    assert [(row.run, list(row.cells)) for row in first.rows] == [
        ("n", ["yolo-n"]),
        ("s", ["yolo-s"]),
    ]
    assert "to be taken for dog" in towards.title
    (one, _) = digital_records([first, towards])
    assert one["rows"][1]["cells"]["yolo-s"]["rate"]["value"] == 0.4
    write_matrix(tmp_path / "m.html", [], [first, towards], ["<i>yolo-n"])
    page = (tmp_path / "m.html").read_text()
    assert page.count('<td class="cell trained"') == 3
    assert "&lt;i&gt;yolo-n" in page
    assert "<h2>Artworks</h2>" not in page
    assert not any(word in page for word in ("http://", "https://", "<script", "<link"))


def test_a_judged_run_with_detections_of_its_own_is_no_digital_one(tmp_path):
    run = detector_run(tmp_path / "d", {"clean": 9})
    (run / "artwork.json").write_text("{}")
    assert not is_digital(run)


def test_other_images_are_another_table(tmp_path):
    found = {"clean": 9, "pgd 0.01": 1}
    other = detector_run(tmp_path / "o", found, photographs=[f"photo{n}" for n in range(1, 11)])
    tables = digital_tables([detector_run(tmp_path / "d", found), other])
    assert [[row.run for row in table.rows] for table in tables] == [["d"], ["o"]]


def test_names_of_folders_are_neither_patterns_nor_markup(tmp_path):
    found = {"clean": 9, "pgd 0.01": 1}
    detector_run(tmp_path / "ox", {"clean": 2, "pgd 0.01": 2})
    odd = detector_run(tmp_path / "o[x]", found, victim="[/b]yolo")
    (table,) = digital_tables([odd])
    assert table.rows[0].cells["[/b]yolo"].rate.k == 1
    console = Console(width=200)
    with console.capture() as shown:
        console.print(digital_attacks_table(table))
    assert "in o[x]" in shown.get()
    assert "[/b]yolo" in shown.get()


def test_other_weights_of_one_name_are_told(tmp_path):
    same = detector_run(tmp_path / "d", {"clean": 9})
    other = detector_run(tmp_path / "e", {"clean": 9}, weights="b" * 64)
    judged = tmp_path / "run"
    judged.mkdir()
    entries = [{"victim": "yolo-n", "weights_sha256": letter * 64} for letter in "ba"]
    (judged / "run.json").write_text(json.dumps({"evaluations": entries}))
    assert other_weights([judged, same]) == []
    (told,) = other_weights([judged, same, other])
    assert "yolo-n is another network" in told
    assert "bbbbbbbbbbbb" in told


def test_wrong_folders_are_one_clear_error(tmp_path):
    run = detector_run(tmp_path / "d", {"clean": 9})
    with pytest.raises(UserError, match="given twice"):
        digital_tables([run, run])
    (run / "detections.parquet").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a readable parquet"):
        digital_tables([run])
    pl.DataFrame({"treatment": ["clean"]}).write_parquet(run / "detections.parquet")
    with pytest.raises(UserError, match="no column sha256, score, near_score, target_score"):
        digital_tables([run])
    for text in ("{}", "[]"):
        (run / "run.json").write_text(text)
        with pytest.raises(UserError, match="it does not say"):
            digital_tables([run])
