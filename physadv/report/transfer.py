"""The transfer matrix: what each artwork does to each victim, from the runs' Trials alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from physadv.artwork.files import Artwork, load_artwork
from physadv.checks import UserError
from physadv.evaluate.trials import TRIALS_NAME, load_trials
from physadv.report.rates import Difference, Rate
from physadv.report.recall import SOURCE, summarise_recall
from physadv.report.summary import ARTWORK, summarise

CONFIDENCE = 0.4
TABLE_BY = ("source", "group", "crop", "defence", "true_class")
_SAME_SCORE = 0.02
"""Scores of one clean look that differ by more are taken for those of another draw, file or
network; less may be the rounding of other hardware."""


@dataclass(frozen=True)
class Cell:
    """One artwork in front of one victim.

    For detectors ``artwork``, ``noise`` and ``clean`` are recalls at confidence 0.4 and ``gain``
    is noise minus artwork. For classifiers ``artwork`` and ``noise`` are targeted successes of
    views whose clean view is read right, ``clean`` the views read right, ``gain`` artwork minus
    noise. Rates that were not judged have n = 0.

    ``trained`` says whether the artwork was made against this victim, ``same_looks`` whether it
    was judged on the same looks as the first artwork of its column; if not, the two cannot be
    compared.
    """

    artwork: Rate
    noise: Rate
    clean: Rate
    gain: Difference | None
    trained: bool
    same_looks: bool


@dataclass(frozen=True)
class Row:
    """An artwork: its run, its checksum, the class it aims at and the victims it was made for."""

    run: str
    sha256: str
    target: str
    victims: tuple[str, ...]


@dataclass(frozen=True)
class Matrix:
    """Artworks by victims, on one set of looks; ``cells`` by (run, victim), where judged."""

    source: str
    group: str
    crop: str
    defence: str
    true_class: str
    rows: tuple[Row, ...]
    victims: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]

    @property
    def detectors(self) -> bool:
        """Whether its figures are recalls (lower is better for the artwork)."""
        return self.source == SOURCE

    @property
    def title(self) -> str:
        """What the figures are."""
        where = f"on {self.group or self.source}"
        how = "" if self.crop in ("whole", "exact") else f", {self.crop} crop"
        how += "" if self.defence == "none" else f", defence {self.defence}"
        if self.detectors:
            return f"{self.true_class} still found at confidence {CONFIDENCE:g}, {where}{how}"
        return f"{self.true_class} read as the target, {where}{how}"

    @property
    def other_looks(self) -> bool:
        """Whether some cells cannot be compared with others of their column."""
        return not all(cell.same_looks for cell in self.cells.values())


def transfer_matrices(runs: Sequence[Path]) -> list[Matrix]:
    """Matrices of several run folders, one for each set of looks, in the order of appearance.

    Trials of another artwork than the one that lies in a run are left out.

    Args:
        runs: Run folders with an artwork and Trials.

    Raises:
        UserError: If a run is given twice, lacks an artwork or Trials of it, or a file in it
            cannot be read.
    """
    artworks: dict[str, Artwork] = {}
    tables = []
    names = run_names(runs)
    for run, name in zip(runs, names, strict=True):
        artworks[name] = load_artwork(run)
        trials = load_trials(run / TRIALS_NAME)
        own = trials.filter(pl.col("artwork") == artworks[name].sha256)
        if not len(own):
            raise UserError(
                f"compare {run}",
                f"its {TRIALS_NAME} holds no trial of the artwork that lies in it",
                "Judge the artwork again: physadv evaluate objects, or physadv evaluate grid.",
            )
        tables.append(own.with_columns(run=pl.lit(name)))
    rows = tuple(
        Row(name, artwork.sha256, artwork.target, tuple(artwork.victims))
        for name, artwork in artworks.items()
    )
    parts = pl.concat(tables).partition_by(TABLE_BY, as_dict=True, maintain_order=True)
    return [_matrix(key, part, rows) for key, part in parts.items()]


def run_names(runs: Sequence[Path]) -> list[str]:
    """A name for each run: its folder's, or its path where two folders share theirs.

    Raises:
        UserError: If a run is given twice.
    """
    whole = [run.resolve() for run in runs]
    twice = next((run for n, run in enumerate(runs) if whole[n] in whole[:n]), None)
    if twice is not None:
        raise UserError(f"compare {twice}", "it is given twice", "Give each run once.")
    short = [path.name for path in whole]
    return [
        name if short.count(name) == 1 else str(path)
        for name, path in zip(short, whole, strict=True)
    ]


def _matrix(key: tuple[Any, ...], part: pl.DataFrame, rows: tuple[Row, ...]) -> Matrix:
    victims = tuple(part["victim"].unique(maintain_order=True))
    cells: dict[tuple[str, str], Cell] = {}
    for victim in victims:
        first: dict[Any, float] | None = None
        for row in rows:
            own = part.filter((pl.col("victim") == victim) & (pl.col("run") == row.run))
            if not len(own):
                continue
            looks = _looks(own)
            first = looks if first is None else first
            cells[row.run, victim] = _cell(own, victim in row.victims, _same(first, looks))
    judged = {run for run, _ in cells}
    names = dict(zip(TABLE_BY, map(str, key), strict=True))
    return Matrix(
        **names,
        rows=tuple(row for row in rows if row.run in judged),
        victims=victims,
        cells=cells,
    )


def _looks(own: pl.DataFrame) -> dict[Any, float]:
    """Score of every look at the object without an artwork, by photograph, cell and draw."""
    shown = own.filter(pl.col("treatment") == "clean")
    rows = shown.select("sha256", "cell", "frame", "score").iter_rows()
    return {(sha256, cell, frame): score for sha256, cell, frame, score in rows}


def _same(first: Mapping[Any, float], other: Mapping[Any, float]) -> bool:
    return first.keys() == other.keys() and all(
        abs(first[look] - other[look]) <= _SAME_SCORE for look in first
    )


def _cell(own: pl.DataFrame, trained: bool, same_looks: bool) -> Cell:
    nothing = Rate(0, 0, method="none")
    if own["source"][0] == SOURCE:
        (found,) = summarise_recall(own)
        recall = found.recall[CONFIDENCE]
        artwork, noise, clean = (recall.get(t, nothing) for t in (ARTWORK, "noise", "clean"))
        gain = found.attributable.get(CONFIDENCE)
        return Cell(artwork, noise, clean, gain, trained, same_looks)
    (summary,) = summarise(own)
    outcomes = summary.pooled
    artwork, noise = (outcomes[t].target if t in outcomes else nothing for t in (ARTWORK, "noise"))
    clean = outcomes["clean"].hit if "clean" in outcomes else nothing
    effect = next((effect for effect in summary.effects if effect.control == "noise"), None)
    return Cell(
        artwork,
        noise,
        clean,
        None if effect is None else Difference(effect.value, effect.paired or effect.interval),
        trained,
        same_looks,
    )
