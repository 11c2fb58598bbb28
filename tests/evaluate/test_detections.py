"""The detection store: rows come back as they went in, or are replaced; others are refused."""

import numpy as np
import polars as pl
import pytest

from physadv.checks import UserError
from physadv.evaluate.detections import SCHEMA, Judgement, load_detections, save_detections
from physadv.types import Detections

SEEN = Detections(
    np.array([[1.5, 2, 3, 4], [5, 6, 7, 8]]), np.array([0.9, 0.2]), np.array([1, 0], np.int64)
)
NOTHING = Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


def rows(judgement: Judgement) -> pl.DataFrame:
    boxes = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    return pl.concat(
        [
            judgement.annotated("photo", "person", boxes, np.zeros((0, 4))),
            judgement.detected("photo", 2, {"clean": SEEN, "noise": NOTHING}, ["dog", "person"]),
        ]
    )


def test_round_trip(tmp_path):
    path = tmp_path / "run" / "detections.parquet"
    table = rows(Judgement("v", "art", "set"))
    save_detections(path, table)
    loaded = load_detections(path)
    assert loaded.equals(table)
    assert loaded.schema == SCHEMA
    assert loaded["kind"].to_list() == ["object"] * 2 + ["detection"] * 2
    assert loaded["draw"].to_list() == [None, None, 2, 2]
    assert loaded["class_name"].to_list() == ["person", "person", "person", "dog"]
    assert loaded.row(2, named=True)["x1"] == 1.5


def test_a_judgement_is_replaced_and_others_stay(tmp_path):
    path = tmp_path / "detections.parquet"
    first, other = Judgement("v", "art", "set"), Judgement("w", "art", "set")
    save_detections(path, pl.concat([rows(first), rows(other)]))
    again = rows(Judgement("v", "new art", "set")).head(2)
    save_detections(path, again)
    assert load_detections(path).equals(pl.concat([rows(other), again]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("score"), "columns missing: score"),
        (lambda t: t.with_columns(kind=pl.lit("guess")), "kind holds 'guess'"),
        (lambda t: t.with_columns(treatment=pl.lit("none")), "treatment holds 'none'"),
        (lambda t: t.with_columns(x1=pl.lit(None, pl.Float64)), "x1 has empty values"),
    ],
)
def test_other_tables_are_refused(tmp_path, change, message):
    path = tmp_path / "detections.parquet"
    change(rows(Judgement("v", "art", "set"))).write_parquet(path)
    with pytest.raises(UserError, match=message):
        load_detections(path)
    with pytest.raises(UserError, match="no such file"):
        load_detections(tmp_path / "none.parquet")
