"""Digital attacks beside artworks: what the folders of ``evaluate digital`` say of each victim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from physadv.artwork.files import JSON_NAME
from physadv.checks import UserError
from physadv.data.files import read_json
from physadv.data.parquet import read_parquet
from physadv.report.crossing import crossings
from physadv.report.detector_digital import COLUMNS as DETECTION_COLUMNS
from physadv.report.detector_digital import summarise_sightings
from physadv.report.digital import COLUMNS as SAMPLE_COLUMNS
from physadv.report.digital import summarise_digital
from physadv.report.rates import Rate
from physadv.report.robustness import keeps_budgets
from physadv.report.transfer import CONFIDENCE, run_names

SAMPLES, TRANSFERS, DETECTIONS = "digital.parquet", "transfers.parquet", "detections.parquet"
TRANSFER_COLUMNS = ("attack", "eps", "made_on", "judged_by", "group", "fooled", "fooled_8bit")
_AGAIN = "Run evaluate digital again, into a new folder."
_COUNTS = ("steps", "iterations", "rounds", "queries", "restarts")
_CLEAN = "clean"  # the treatment of photographs that were not attacked


@dataclass(frozen=True)
class DigitalCell:
    """One attack in front of one victim.

    For classifiers ``rate`` is of images misread (read as the target) once they are 8-bit files,
    among those read rightly before, and ``clean`` of those among all; for detectors both are
    recalls at confidence 0.4. ``clean`` is None where it was not judged.
    """

    rate: Rate
    clean: Rate | None


@dataclass(frozen=True)
class DigitalRow:
    """An attack, made against one victim; ``cells`` by victim that was shown it."""

    run: str
    attack: str
    made_on: str
    cells: Mapping[str, DigitalCell]


@dataclass(frozen=True)
class DigitalTable:
    """Attacks by victims, of one measure on the same images."""

    title: str
    detectors: bool
    victims: tuple[str, ...]
    rows: tuple[DigitalRow, ...]


def is_digital(folder: Path) -> bool:
    """Whether ``evaluate digital`` has written its results there.

    The judged run of an artwork may have detections too, of another kind.
    """
    found = any((folder / name).is_file() for name in (SAMPLES, DETECTIONS))
    return found and not (folder / JSON_NAME).is_file()


def digital_tables(folders: Sequence[Path], first: Sequence[str] = ()) -> list[DigitalTable]:
    """One table for each set of images, object and target, in the order of appearance.

    Args:
        folders: Of ``evaluate digital``.
        first: Victims whose columns come first, in this order.

    Raises:
        UserError: If a folder is given twice, or a file in it cannot be read.
    """
    found: dict[tuple[str, str], tuple[bool, list[DigitalRow]]] = {}
    for folder, name in zip(folders, run_names(folders), strict=True):
        facts = read_json(folder / "run.json")
        detector = (folder / DETECTIONS).is_file()
        try:
            title = _title(facts, detector)
            images = repr(facts["photographs"]) if detector else facts["images_sha256"]
            rows = (_of_detector if detector else _of_classifier)(folder, name, facts)
        except (KeyError, TypeError) as error:
            raise UserError(
                f"read {folder / 'run.json'}", f"it does not say {error}", _AGAIN
            ) from error
        found.setdefault((title, images), (detector, []))[1].extend(rows)
    return [
        DigitalTable(title, detector, _victims(rows, first), tuple(rows))
        for (title, _), (detector, rows) in found.items()
    ]


def other_weights(folders: Sequence[Path]) -> list[str]:
    """Victims that go by one name in several folders, but with different weights, in words.

    Raises:
        UserError: If a ``run.json`` cannot be read.
    """
    known: dict[str, tuple[str, Path]] = {}
    told = []
    for folder in folders:
        path = folder / "run.json"
        for victim, weights in _weights(read_json(path) if path.is_file() else {}).items():
            sha256, where = known.setdefault(victim, (weights, folder))
            if sha256 != weights:
                told.append(
                    f"{victim} is another network in {folder} ({weights[:12]}) than in {where} "
                    f"({sha256[:12]})"
                )
    return told


def _weights(facts: Mapping[str, Any]) -> dict[str, str]:
    """Of the victims judged, the last time each was."""
    judged = [entry for entry in facts.get("evaluations", []) if "weights_sha256" in entry]
    found = {entry["victim"]: entry["weights_sha256"] for entry in judged}
    if "weights" in facts:
        found[facts["victim"]] = facts["weights"]
    return found | dict(facts.get("transfer_to", {}))


def _title(facts: Mapping[str, Any], detector: bool) -> str:
    target = facts["target"]
    if detector:
        towards = f", attacked to be taken for {target}" if target else ""
        return (
            f"{facts['object']} still found at confidence {CONFIDENCE:g}, on "
            f"{len(facts['photographs'])} photographs of {facts['data']} changed digitally{towards}"
        )
    read = f"read as {target}" if target else "misread"
    return f"{facts['images']} images of {facts['data']} {read}, changed digitally"


def _of_classifier(folder: Path, name: str, facts: Mapping[str, Any]) -> list[DigitalRow]:
    victim, norm = facts["victim"], facts["norm"]
    samples = _rows(folder / SAMPLES, SAMPLE_COLUMNS)
    summaries = summarise_digital(samples, norm)
    clean = summaries[0].clean if summaries else None
    settings = {one["attack"]: one["settings"] for one in facts["attacks"]}
    titles = {
        one.title: _attack(one.title, samples.filter(attack=one.attack), norm, settings[one.title])
        for one in summaries
    }
    names = [victim, *facts["transfer_to"]]
    moved = []
    if len(names) > 1:
        moved = crossings(_rows(folder / TRANSFERS, TRANSFER_COLUMNS), names)
    if not moved:  # no image is read rightly by all
        return [
            DigitalRow(
                name, titles[one.title], victim, {victim: DigitalCell(one.success_8bit, clean)}
            )
            for one in summaries
        ]
    return [
        DigitalRow(
            name,
            titles[matrix.title],
            made_on,
            {
                judge: DigitalCell(rate, clean if judge == victim else None)
                for judge, rate in zip(names, line, strict=True)
            },
        )
        for matrix in moved
        for made_on, line in zip(names, matrix.cells_8bit, strict=True)
    ]


def _attack(title: str, rows: pl.DataFrame, norm: str, settings: Mapping[str, Any]) -> str:
    """An attack with what its budget is of, and the settings by which runs of it differ most."""
    budget = f" {norm}" if keeps_budgets(rows, norm) else ""
    chosen = [settings[name] for name in ("kind", "loss", "objective") if name in settings]
    counted = [f"{settings[name]} {name}" for name in _COUNTS if settings.get(name, 1) != 1]
    told = ", ".join([*chosen, *counted])
    return f"{title}{budget}" + (f" ({told})" if told else "")


def _of_detector(folder: Path, name: str, facts: Mapping[str, Any]) -> list[DigitalRow]:
    victim = facts["victim"]
    rows = _rows(folder / DETECTIONS, DETECTION_COLUMNS)
    found = {one.treatment: one.recall for one in summarise_sightings(rows, (CONFIDENCE,))}
    clean = found.get(_CLEAN)
    return [
        DigitalRow(
            name,
            f"{title} linf" + (f" ({facts['steps']} steps)" if title.startswith("pgd") else ""),
            victim,
            {victim: DigitalCell(recall, clean)},
        )
        for title, recall in found.items()
        if title != _CLEAN
    ]


def _rows(path: Path, needed: Sequence[str]) -> pl.DataFrame:
    found = read_parquet(path, f"read {path}", if_missing=_AGAIN, if_damaged=_AGAIN)
    missing = [column for column in needed if column not in found.columns]
    if missing:
        raise UserError(f"read {path}", f"no column {', '.join(missing)}", _AGAIN)
    return found


def _victims(rows: Sequence[DigitalRow], first: Sequence[str]) -> tuple[str, ...]:
    judged = dict.fromkeys(victim for row in rows for victim in row.cells)
    return tuple([victim for victim in first if victim in judged]) + tuple(
        victim for victim in judged if victim not in first
    )
