"""The terminal's tables of captures."""

from pathlib import Path

from rich.console import Console

from physadv.evaluate.trials import load_trials, save_trials
from physadv.report.captures import capture_tables, cluster_note, summarise_captures
from physadv.types import Trial


def look(number: int, session: str, *, right: bool) -> Trial:
    return Trial(
        run="toy",
        artwork="",
        victim="toy",
        source="capture",
        treatment="clean",
        verdict="hit" if right else "misclassified",
        predicted_class="Stop" if right else "Yield",
        true_class="Stop",
        target_class="",
        score=0.9,
        cell="all",
        group=session,
        frame=number,
    )


def shown(tmp_path: Path, trials: list[Trial]) -> str:
    save_trials(tmp_path / "trials.parquet", trials)
    (found,) = summarise_captures(load_trials(tmp_path / "trials.parquet"))
    console = Console(width=200, record=True)
    for table in capture_tables(found):
        console.print(table)
    console.print(cluster_note(found))
    return " ".join(console.export_text().split())


def test_sessions_that_disagree_widen_the_interval_that_is_shown(tmp_path: Path) -> None:
    """Ten sessions of 20, all right or all wrong, are worth ten looks and not 200."""
    trials = [look(n, f"s{n // 20}", right=n // 20 != 0) for n in range(200)]
    words = shown(tmp_path, trials)
    assert "not read as Stop, over sessions" in words
    assert "180/200 90.0 % 85.1–93.4" in words
    low, high = words.split("20/200 10.0 %")[2].split()[0].split("–")
    assert float(low) < 1
    assert float(high) > 25
    assert "too narrow where those of a session are alike" in words


def test_without_sessions_there_is_no_such_column(tmp_path: Path) -> None:
    words = shown(tmp_path, [look(n, "", right=n > 3) for n in range(20)])
    assert "over sessions" not in words
    assert "No sessions are known" in words
