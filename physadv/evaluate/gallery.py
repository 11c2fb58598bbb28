"""Before and after: a sample of judged photographs, with what the detector reported drawn in."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from physadv.data.coco import AnnotatedPhoto
from physadv.data.files import atomic_path, write_json
from physadv.evaluate.matching import CONFIDENCE, NEAR_IOU, overlaps
from physadv.evaluate.trials import DRAW_STRIDE
from physadv.seeding import generator_for
from physadv.types import Detections, Treatment, Trial

Picture = npt.NDArray[np.uint8]

LISTING = "gallery.json"
KINDS = ("hidden", "partly hidden", "still found", "not found clean")
"""What became of a photograph's objects, of those found clean at confidence 0.25: none is found
with the patch, some are, all are; and photographs with an object that is not found even clean."""

_EACH = 3
_LONGEST_PX = 480
_JPEG_QUALITY = 88
_OWN, _OTHER, _LOST = (0, 170, 60), (40, 110, 230), (225, 40, 40)


@dataclass(frozen=True)
class Look:
    """One draw of a photograph: what was reported by treatment, and the Trials made of it."""

    photo: AnnotatedPhoto
    draw: int
    found: Mapping[Treatment, Detections]
    trials: Sequence[Trial]

    def verdicts(self, treatment: str) -> list[Trial]:
        """Trials of one treatment, in the order of the objects."""
        return [trial for trial in self.trials if trial.treatment == treatment]

    @property
    def kind(self) -> str:
        """One of ``KINDS``."""
        if any(trial.verdict != "hit" for trial in self.verdicts("clean")):
            return KINDS[3]
        found = [trial.verdict == "hit" for trial in self.verdicts("adversarial")]
        return KINDS[2] if all(found) else KINDS[1] if any(found) else KINDS[0]


def choose(looks: Sequence[Look], seed: int, each: int = _EACH) -> list[Look]:
    """Up to ``each`` looks of every kind, drawn at random; the kinds take turns, in their order."""
    generator = generator_for(seed, "gallery")
    shuffled = [looks[index] for index in generator.permutation(len(looks))]
    piles = [[look for look in shuffled if look.kind == kind][:each] for kind in KINDS]
    return [pile[turn] for turn in range(each) for pile in piles if turn < len(pile)]


def write_gallery(
    folder: Path,
    looks: Sequence[Look],
    compose: Callable[[Look], Mapping[Treatment, Picture]],
    class_names: Sequence[str],
    *,
    seed: int,
) -> None:
    """Write pictures of a sample of looks, and ``gallery.json`` that says what is on them.

    The sample has up to three photographs of each of ``KINDS``, whatever their shares; these are
    told beside it. Pictures that an earlier listing names and the new one does not are removed.

    Args:
        folder: Where they go.
        looks: Everything that was judged, one draw of each photograph, at least one.
        compose: Gives a look's pictures by treatment.
        class_names: Of the detector.
        seed: Judge's seed.
    """
    earlier = _listed(folder / LISTING)
    shown = []
    for look in choose(looks, seed):
        files = {}
        for treatment, picture in compose(look).items():
            name = f"{Path(look.photo.name).stem}_{look.photo.sha256[:8]}_{treatment}.jpg"
            drawn = _draw(picture, look, treatment, class_names)
            with atomic_path(folder / name) as temporary:
                Image.fromarray(drawn).save(temporary, quality=_JPEG_QUALITY)
            files[treatment] = name
        shown.append(
            {
                "photo": look.photo.name,
                "kind": look.kind,
                "pictures": files,
                "objects": {
                    treatment: [
                        {"verdict": t.verdict, "read": t.predicted_class, "score": t.score}
                        for t in look.verdicts(treatment)
                    ]
                    for treatment in files
                },
            }
        )
    first = looks[0].trials[0]
    counts = Counter(look.kind for look in looks)
    listing = {
        "group": first.group,
        "victim": first.victim,
        "artwork": first.artwork,
        "confidence": CONFIDENCE,
        "photographs": {kind: counts[kind] for kind in KINDS},
        "shown": shown,
    }
    write_json(folder / LISTING, listing)
    for name in earlier - _listed(folder / LISTING):
        (folder / Path(name).name).unlink(missing_ok=True)


def _listed(path: Path) -> set[str]:
    """Pictures that a listing names; none if it cannot be read."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["shown"]
        return {str(name) for entry in entries for name in entry["pictures"].values()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return set()


def _draw(
    picture: Picture, look: Look, treatment: Treatment, class_names: Sequence[str]
) -> Picture:
    """A small picture with the objects that are not found, and detections of them or on them."""
    factor = min(1.0, _LONGEST_PX / max(picture.shape[:2]))
    size = tuple(max(1, round(side * factor)) for side in picture.shape[1::-1])
    drawn = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    trials = look.verdicts(treatment)
    objects = look.photo.boxes[[trial.frame % DRAW_STRIDE for trial in trials]]
    for trial, box in zip(trials, objects, strict=True):
        if trial.verdict != "hit":
            _rectangle(drawn, box * factor, _LOST)
    seen = look.found[treatment]
    # Weakest first, so that the stronger one's label stays on top.
    for number in np.flatnonzero(seen.scores >= CONFIDENCE)[::-1]:
        name, box = class_names[int(seen.classes[number])], seen.boxes[number]
        own = name == trials[0].true_class
        if not own and overlaps(box, objects).max() < NEAR_IOU:
            continue
        _rectangle(drawn, box * factor, _OWN if own else _OTHER)
        label = f"{seen.scores[number]:.2f}"
        _label(drawn, box * factor, label if own else f"{name} {label}", _OWN if own else _OTHER)
    return drawn


def _rectangle(drawn: Picture, box: npt.NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    cv2.rectangle(drawn, (x1, y1), (x2, y2), colour, 2)


def _label(
    drawn: Picture, box: npt.NDArray[np.float64], label: str, colour: tuple[int, int, int]
) -> None:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.55
    (width, height), _ = cv2.getTextSize(label, font, scale, 1)
    left = round(float(np.clip(box[0], 0, max(drawn.shape[1] - width - 4, 0))))
    base = max(round(float(box[1])), height + 4)
    cv2.rectangle(drawn, (left, base - height - 4), (left + width + 4, base + 2), colour, -1)
    cv2.putText(drawn, label, (left + 2, base - 2), font, scale, (255, 255, 255), 1, cv2.LINE_AA)
