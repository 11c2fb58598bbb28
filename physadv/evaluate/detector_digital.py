"""Digital attacks on what a detector sees: the same objects before and after."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from PIL import Image

from physadv.checks import UsageError, check_range
from physadv.data.coco import AnnotatedPhoto
from physadv.data.files import atomic_path, read_image_rgb
from physadv.digital.detector_pgd import detector_pgd
from physadv.evaluate.digital_parts import Part, Parts, kept
from physadv.evaluate.matching import look_at
from physadv.seeding import generator_for
from physadv.victim.detector import DetectorVictim

Picture = npt.NDArray[np.uint8]
DETECTOR_ATTACKS = ("pgd", "noise")
CLEAN = "clean"
_FLOOR = 0.01  # least confidence that is kept


@dataclass(frozen=True)
class Aim:
    """The objects' class in the victim, and what they are to be taken for (None: nothing)."""

    true_index: int
    target_index: int | None = None


def check_detector_attacks(names: Sequence[str], eps: Sequence[float]) -> list[tuple[str, float]]:
    """Every attack at every budget.

    Raises:
        UsageError: If an attack does not work on detectors, or there is no budget.
    """
    for name in names:
        if name not in DETECTOR_ATTACKS:
            raise UsageError(
                f"attack {name!r} on a detector",
                "not known",
                f"Known: {', '.join(DETECTOR_ATTACKS)}; the others are for classifiers.",
            )
    if not eps:
        raise UsageError(f"attack {names[0]}", "no budget", "Give --eps, once or several times.")
    for value in eps:
        check_range("eps", value, 0, 1)
    if len({f"{value:g}" for value in eps}) < len(set(eps)):
        raise UsageError("budgets", "two are alike to six digits", "Give one.")
    return [(name, value) for name in dict.fromkeys(names) for value in sorted(set(eps))]


def evaluate_detector_digital(
    victim: DetectorVictim,
    photos: Sequence[AnnotatedPhoto],
    attacks: Sequence[tuple[str, float]],
    aim: Aim,
    *,
    steps: int = 20,
    seed: int = 0,
    pictures: Path | None = None,
    parts: Parts | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> pl.DataFrame:
    """Attack every photograph and look at every labelled object.

    The detector is shown 8-bit pictures, as it would read them from a file.

    Args:
        victim: The detector.
        photos: Photographs with the boxes of the attacked class.
        attacks: From ``check_detector_attacks``.
        aim: Classes.
        steps: Gradient steps of ``pgd``.
        seed: Decides starts and noise.
        pictures: Folder for what was shown, as PNG; None keeps nothing.
        parts: Where finished photographs are kept, and taken from. None keeps nothing.
        progress: Called as (done, total) in photographs.

    Returns:
        A row per object and treatment (``clean`` first): treatment, attack, eps, photograph,
        sha256, object, x1, y1, x2, y2 (its label, px), score, near_score, target_score, felt.
        ``score`` is the strongest confidence of the true class on the object (IoU from .5), 0
        below .01; ``near_score`` the same at any overlap from .1; ``target_score`` that of the
        target class; ``felt`` False where the attack found no gradient.

    Raises:
        UserError: If a photograph or the folder cannot be used.
    """
    frames = []
    if parts:
        parts.begin()
    for done, photo in enumerate(photos, start=1):
        make = partial(_part, victim, photo, attacks, aim, steps, seed, pictures)
        frames.append(kept(parts, f"{done:06d}", make).samples)
        progress(done, len(photos))
    return pl.concat(frames)


def _part(
    victim: DetectorVictim,
    photo: AnnotatedPhoto,
    attacks: Sequence[tuple[str, float]],
    aim: Aim,
    steps: int,
    seed: int,
    pictures: Path | None,
) -> Part:
    """A row per object and treatment of one photograph."""
    rows: list[dict[str, object]] = []
    clean = read_image_rgb(photo.path)
    for title, attack, eps, shown, felt in _shown(victim, photo, clean, attacks, aim, steps, seed):
        if pictures is not None and attack != CLEAN:
            with atomic_path(pictures / picture_name(photo, title)) as temporary:
                Image.fromarray(shown).save(temporary)
        found = victim.detect([shown], _FLOOR)[0]
        for number, box in enumerate(photo.boxes):
            look = look_at(box, found, aim.true_index)
            other = 0.0
            if aim.target_index is not None:
                other = look_at(box, found, aim.target_index).score
            rows.append(
                {
                    "treatment": title,
                    "attack": attack,
                    "eps": eps,
                    "photograph": photo.name,
                    "sha256": photo.sha256,
                    "object": number,
                    **dict(zip(("x1", "y1", "x2", "y2"), box.tolist(), strict=True)),
                    "score": look.score,
                    "near_score": look.near_score,
                    "target_score": other,
                    "felt": felt,
                }
            )
    return Part(pl.DataFrame(rows))


def picture_name(photo: AnnotatedPhoto, title: str) -> str:
    """The file of what was shown under a treatment."""
    return f"{Path(photo.name).stem}-{photo.sha256[:8]}-{title.replace(' ', '-')}.png"


def _shown(
    victim: DetectorVictim,
    photo: AnnotatedPhoto,
    clean: Picture,
    attacks: Sequence[tuple[str, float]],
    aim: Aim,
    steps: int,
    seed: int,
) -> Iterator[tuple[str, str, float, Picture, bool]]:
    yield CLEAN, CLEAN, 0.0, clean, True
    for attack, eps in attacks:
        title = f"{attack} {eps:g}"
        if attack == "noise":
            yield title, attack, eps, _noisy(clean, eps, seed, photo.sha256), True
            continue
        found = detector_pgd(
            victim,
            clean,
            photo.boxes,
            aim.true_index,
            eps=eps,
            target_index=aim.target_index,
            steps=steps,
            seed=seed,
        )
        yield title, attack, eps, found.picture, found.felt


def _noisy(clean: Picture, eps: float, seed: int, key: str) -> Picture:
    """Every value moved by up to the budget's whole grey levels: the control."""
    levels = int(255 * eps + 1e-6)
    drawn = generator_for(seed, "detector noise", key).integers(-levels, levels + 1, clean.shape)
    noisy: Picture = np.clip(clean + drawn, 0, 255).astype(np.uint8)
    return noisy
