"""The trial store: rows come back as they went in, or are replaced; strange files are refused."""

from dataclasses import asdict, fields, replace

import polars as pl
import pytest

from physadv.checks import UserError
from physadv.evaluate.trials import SCHEMA, load_trials, save_trials, trials_frame
from physadv.types import Trial

TRIAL = Trial(
    run="r",
    artwork="a" * 64,
    victim="v",
    source="grid",
    treatment="clean",
    verdict="hit",
    predicted_class="Stop",
    true_class="Stop",
    target_class="80",
    score=0.75,
    cell="2 m, 0 deg",
    distance_m=2.0,
    yaw_deg=-1.5,
    group="lab",
    frame=3,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "trials.parquet"


def test_round_trip_keeps_every_field_and_none(path):
    trials = [
        TRIAL,
        replace(TRIAL, frame=4, distance_m=None, iou=0.5, time_s=1.25, sha256="f" * 64),
    ]
    save_trials(path, trials)
    loaded = load_trials(path)
    assert loaded.columns == [field.name for field in fields(Trial)]
    assert loaded.schema == SCHEMA
    assert [Trial(**row) for row in loaded.iter_rows(named=True)] == trials
    assert loaded.to_dicts() == [asdict(trial) for trial in trials]


def test_saving_replaces_the_same_look_and_keeps_the_rest(path):
    others = [
        replace(TRIAL, victim="w"),
        replace(TRIAL, group="dense"),
        replace(TRIAL, source="photo", group="lab"),
    ]
    save_trials(path, [TRIAL, replace(TRIAL, frame=9), *others])
    save_trials(path, [replace(TRIAL, verdict="target", predicted_class="80")])
    rows = [Trial(**row) for row in load_trials(path).iter_rows(named=True)]
    assert rows == [*others, replace(TRIAL, verdict="target", predicted_class="80")]


def test_no_trials_change_nothing(path):
    save_trials(path, [TRIAL])
    with pytest.raises(UserError, match="none"):
        save_trials(path, [])
    assert len(load_trials(path)) == 1


def test_failed_write_leaves_the_old_file_and_no_scrap(path, monkeypatch):
    save_trials(path, [TRIAL])
    before = path.read_bytes()

    def fill_disk(self, target, **_):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fill_disk)
    with pytest.raises(UserError, match="No space left"):
        save_trials(path, [replace(TRIAL, victim="w")])
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("score"), "columns missing: score"),
        (lambda t: t.with_columns(lux=1.0), "unknown columns: lux"),
        (lambda t: t.with_columns(pl.col("frame").cast(pl.Float64)), "column frame is Float64"),
        (lambda t: t.with_columns(verdict=pl.lit("won")), "verdict holds 'won'"),
        (lambda t: t.with_columns(treatment=pl.lit("")), "treatment holds ''"),
        (lambda t: t.with_columns(victim=pl.lit(None, pl.String)), "victim has empty values"),
    ],
)
def test_other_tables_are_refused(path, change, message):
    path.parent.mkdir()
    change(trials_frame([TRIAL])).write_parquet(path)
    with pytest.raises(UserError, match=message):
        load_trials(path)
    with pytest.raises(UserError, match=message):
        save_trials(path, [TRIAL])


def test_column_order_does_not_matter(path):
    path.parent.mkdir()
    table = trials_frame([TRIAL])
    table.select(reversed(table.columns)).write_parquet(path)
    assert load_trials(path).equals(table)


def test_missing_or_broken_files_are_refused(path):
    with pytest.raises(UserError, match="no such file"):
        load_trials(path)
    path.parent.mkdir()
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(UserError, match="not a readable parquet"):
        load_trials(path)
