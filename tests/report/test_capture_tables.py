"""The terminal's tables of captures."""

from dataclasses import replace
from pathlib import Path

from rich.console import Console

from physadv.evaluate.trials import load_trials, save_trials
from physadv.report.captures import (
    CaptureSummary,
    capture_tables,
    cluster_note,
    headline,
    summarise_captures,
)
from physadv.stats.intervals import newcombe
from physadv.types import Treatment, Trial


def look(number: int, session: str, *, right: bool, treatment: Treatment = "clean") -> Trial:
    return Trial(
        run="toy",
        artwork="",
        victim="toy",
        source="capture",
        treatment=treatment,
        verdict="hit" if right else "misclassified",
        predicted_class="Stop" if right else "Yield",
        true_class="Stop",
        target_class="",
        score=0.9,
        cell="all",
        group=session,
        frame=number,
    )


def summary(tmp_path: Path, trials: list[Trial]) -> CaptureSummary:
    save_trials(tmp_path / "trials.parquet", trials)
    (found,) = summarise_captures(load_trials(tmp_path / "trials.parquet"))
    return found


def shown(tmp_path: Path, trials: list[Trial]) -> str:
    found = summary(tmp_path, trials)
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


def test_a_target_of_two_names_counts_for_the_controls_as_well(tmp_path: Path) -> None:
    """A print that does as much as the control has no effect, whatever its target is called."""
    trials = []
    for number in range(40):
        attacked = number % 2 == 0
        read = "Yield" if number % 4 < 2 else "No entry"
        one = replace(
            look(number, "", right=False, treatment="adversarial" if attacked else "noise"),
            predicted_class=read,
            verdict="target" if attacked else "misclassified",
            target_class="Yield|no entry" if attacked else "",
        )
        trials.append(one)
    found = summary(tmp_path, trials)
    assert found.aim == "read as Yield or no entry"
    assert {name: rate.k for name, rate in found.pooled.items()} == {"noise": 20, "adversarial": 20}
    (effect,) = found.contrasts
    assert effect.value == 0


def both(size: int) -> list[Trial]:
    """Ten sessions with the artwork, half of them all misread; the noise is never misread."""
    many = 10 * size
    attacked = [
        look(n, f"s{n // size}", right=n // size % 2 == 0, treatment="adversarial")
        for n in range(many)
    ]
    noise = [look(many + n, f"s{n // size}", right=True, treatment="noise") for n in range(many)]
    return [*attacked, *noise]


def test_the_difference_s_interval_counts_sessions_and_not_photographs(tmp_path: Path) -> None:
    found = summary(tmp_path, both(20))
    (contrast,) = found.contrasts
    assert contrast.value == 0.5
    assert contrast.by_session
    width = contrast.interval.high - contrast.interval.low
    alone = newcombe(5, 10, 0, 10)
    assert width > 0.8 * (alone.high - alone.low)
    independent = newcombe(100, 200, 0, 200)
    assert width > 3 * (independent.high - independent.low)
    assert "over sessions)" in headline(found)


def test_single_photographs_give_newcombe_s_own_interval(tmp_path: Path) -> None:
    (contrast,) = summary(tmp_path, both(1)).contrasts
    expected = newcombe(5, 10, 0, 10)
    assert abs(contrast.interval.low - expected.low) < 1e-9
    assert abs(contrast.interval.high - expected.high) < 1e-9
