"""Contact sheets: photographs before and after, with what the detector made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physadv.checks import UserError
from physadv.data.files import read_json
from physadv.report import text
from physadv.report.pictures import Picture, inside, picture_from
from physadv.types import TREATMENTS

_WIDTH_PX = 400
_MOST = 24  # photographs on one page, four pictures each, of about 30 kB


@dataclass(frozen=True)
class Shot:
    """A photograph under one treatment: its picture, and the verdicts in words."""

    treatment: str
    picture: Picture
    words: str


@dataclass(frozen=True)
class Contact:
    """One photograph: what became of its objects, and how it looked under every treatment."""

    photo: str
    kind: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Sheet:
    """A sample of one judgement's photographs; ``kinds`` counts all of them by what became."""

    victim: str
    group: str
    artwork: str
    confidence: float
    kinds: Mapping[str, int]
    contacts: tuple[Contact, ...]


def galleries(folder: Path) -> list[Sheet]:
    """Contact sheets of every judgement below ``gallery/`` of a run.

    Raises:
        UserError: If a listing or a picture that it names cannot be read.
    """
    listings = sorted(folder.glob("*/*/gallery.json"))
    each = max(1, _MOST // max(1, len(listings)))
    return [_sheet(path, each) for path in listings]


def _sheet(path: Path, most: int) -> Sheet:
    listing = read_json(path)
    try:
        return Sheet(
            str(listing["victim"]),
            str(listing["group"]),
            str(listing["artwork"]),
            float(listing["confidence"]),
            {str(kind): int(count) for kind, count in listing["photographs"].items()},
            tuple(_contact(path.parent, entry) for entry in listing["shown"][:most]),
        )
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"read {path}",
            f"not a listing of pictures ({type(error).__name__}: {error})",
            "Judge the artwork again to write it.",
        ) from error


def _contact(folder: Path, entry: Mapping[str, Any]) -> Contact:
    shots = tuple(
        Shot(
            treatment,
            picture_from(inside(folder, str(entry["pictures"][treatment])), _WIDTH_PX),
            _words(entry["objects"][treatment]),
        )
        for treatment in TREATMENTS
        if treatment in entry["pictures"]
    )
    return Contact(str(entry["photo"]), str(entry["kind"]), shots)


def _words(objects: Sequence[Mapping[str, Any]]) -> str:
    """``found 0.91, 0.87; missed 0.12``: verdicts with the true class's scores."""
    by_verdict: dict[str, list[float]] = {}
    for entry in objects:
        verdict, score = str(entry["verdict"]), float(entry["score"])
        name = {"hit": "found", "missed": "missed"}.get(verdict, f"read as {entry['read']}")
        by_verdict.setdefault(name, []).append(score)
    parts = []
    for name in sorted(by_verdict, key=lambda name: name != "found"):
        # Cut, not rounded: 0.2496 is a miss at 0.25.
        cut = (int(100 * score) / 100 for score in sorted(by_verdict[name], reverse=True))
        scores = [f"{score:.2f}" for score in cut]
        told = scores if len(scores) <= 4 else [f"{len(scores)} objects, best {scores[0]}"]
        parts.append(f"{name} {', '.join(told)}")
    return "; ".join(parts) or text.NONE
