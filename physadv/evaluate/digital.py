"""Digital attacks on a set of labelled images: one row per image and attack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from physadv.checks import UsageError, UserError
from physadv.data.imagefolders import FOLDER_KIND, is_wordnet
from physadv.data.labelledset import LabelledImages
from physadv.digital.freezing import asked
from physadv.digital.oracle import are_probabilities
from physadv.digital.outcome import Adversarials
from physadv.evaluate.digital_lessons import Attacker
from physadv.evaluate.digital_parts import Part, Parts, kept
from physadv.evaluate.digital_plan import Task, check_distinct
from physadv.evaluate.transfers import transfer_rows
from physadv.seeding import seed_for
from physadv.victim.protocol import ClassifierVictim

EXAMPLES = 6
_BATCH = 250
_TOP = 5


@dataclass(frozen=True)
class DigitalResult:
    """``samples``: a row per image and attack, images of one object in one ``group``;
    ``examples``: title -> [n,2,C,H,W] float32 of clean and adversarial images, whose row numbers in
    ``samples`` are in ``example_rows``; ``notes``: title -> what the attacks say about the model;
    ``transfers``: as ``transfer_rows`` gives them, with ``group``, None where no other victim was
    asked."""

    samples: pl.DataFrame
    examples: dict[str, npt.NDArray[np.float32]]
    example_rows: dict[str, list[int]]
    notes: dict[str, tuple[str, ...]]
    transfers: pl.DataFrame | None = None


def evaluate_digital(
    victim: ClassifierVictim,
    data: LabelledImages,
    tasks: Sequence[Task],
    *,
    lesson: LabelledImages | None = None,
    target_index: int | None = None,
    others: Sequence[ClassifierVictim] = (),
    parts: Parts | None = None,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda title, done, total: None,
) -> DigitalResult:
    """Attack every image with every task.

    Args:
        victim: Its module is shown the images as they are, grey ones with one channel.
        data: Images and labels; the labels' classes must be the victim's.
        tasks: From ``plan_attacks``.
        lesson: Other images, for attacks that learn first (``catalog.LEARNED``).
        target_index: Class to reach, a success in place of any wrong one; images of that class
            are left out. Not with ``others``.
        others: Victims that every attack is made against too; what each finds is shown to all.
        parts: Where finished batches are kept, and taken from. None keeps nothing.
        seed: Decides the draws of attacks that learn first, and of a victim that is random.
        progress: Called with a title, images done, images in all.

    Raises:
        UserError: If a victim does not know the labels' classes, or an attack refuses.
        UsageError: If a victim is given twice, or a target with others.
    """
    victims = (victim, *others)
    check_distinct([one.name for one in victims])
    for one in victims:
        _check_classes(one, data)
    if target_index is not None:
        data = _without_target(victim, data, target_index, others)
    titles = [task.title for task in tasks]
    if len(set(titles)) < len(titles):
        raise UsageError("attacks", f"two are called alike: {', '.join(titles)}", "Give one.")
    images, labels = data.tensors()
    attacker = Attacker(lesson, target_index, seed, progress, parts)
    frames, moved, examples, rows, notes = [], [], {}, {}, {}
    for number, task in enumerate(tasks):
        shown: list[npt.NDArray[np.float32]] = []
        shown_rows: list[int] = []
        told: dict[str, None] = {}
        for start in range(0, len(images), _BATCH):
            batch, truth = (one[start : start + _BATCH] for one in (images, labels))
            make = partial(_part, attacker, task, victims, batch, truth, start, seed)
            part = kept(parts, f"{number:03d}-{start:06d}", make)
            frames.append(part.samples)
            if part.transfers is not None:
                moved.append(part.transfers)
            for pair, row in zip(part.shown, part.shown_rows, strict=True):
                if len(shown) < EXAMPLES:
                    shown.append(pair)
                    shown_rows.append(number * len(images) + start + row)
            told |= dict.fromkeys(part.notes)
            progress(task.title, min(start + _BATCH, len(images)), len(images))
        if shown:
            examples[task.title], rows[task.title] = np.stack(shown), shown_rows
        notes[task.title] = tuple(told)
    groups = pl.DataFrame({"image": range(len(images)), "group": data.groups})
    samples, *crossed = (
        pl.concat(every).join(groups, on="image", maintain_order="left")
        for every in (frames, moved)
        if every
    )
    return DigitalResult(samples, examples, rows, notes, crossed[0] if crossed else None)


def _part(
    attacker: Attacker,
    task: Task,
    victims: Sequence[ClassifierVictim],
    images: Tensor,
    labels: Tensor,
    start: int,
    seed: int,
) -> Part:
    """One task on one batch, whose first image is number ``start`` of the set."""
    victim = victims[0]
    images, labels = images.to(victim.device), labels.to(victim.device)
    with torch.random.fork_rng([victim.device] if victim.device.type == "cuda" else []):
        torch.manual_seed(seed_for(seed, "digital", task.title, start))
        found = attacker.attack(task, victim, images, labels)
        misread = found.success
        if attacker.target_index is not None:  # a target that is missed may be for a third class
            misread = misread | (found.predictions != labels)
        transfers = None
        if len(victims) > 1:
            attack = partial(attacker.attack, task)
            transfers = transfer_rows(task, attack, victims, found.images, images, labels, start)
        won = found.success.nonzero().flatten()[:EXAMPLES]
        return Part(
            _rows(victim, task, start, images, labels, found, misread),
            transfers,
            torch.stack([images[won], found.images[won]], dim=1).float().cpu().numpy(),
            tuple(won.tolist()),
            found.notes,
        )


def _without_target(
    victim: ClassifierVictim,
    data: LabelledImages,
    target_index: int,
    others: Sequence[ClassifierVictim],
) -> LabelledImages:
    if others:
        raise UsageError(
            "a target and other victims",
            "transfer counts images that are misread, as whatever",
            "Give one of both.",
        )
    wanted = data.labels != target_index
    if not wanted.any():
        raise UserError(
            f"images to be read as {victim.class_names[target_index]}",
            "all are of that class",
            "Choose another class.",
        )
    return data.chosen(wanted)


def _rows(
    victim: ClassifierVictim,
    task: Task,
    start: int,
    images: Tensor,
    labels: Tensor,
    found: Adversarials,
    misread: Tensor,
) -> pl.DataFrame:
    clean, after = _answer(victim, images, labels), _answer(victim, found.images, labels)
    count = len(images)
    return pl.DataFrame(
        {
            "attack": [task.attack] * count,
            "eps": pl.Series([task.eps] * count, dtype=pl.Float64),
            "image": range(start, start + count),
            "label": labels.tolist(),
            "clean_prediction": found.clean_predictions.tolist(),
            "clean_confidence": clean[0],
            "clean_top5": clean[1],
            "prediction": found.predictions.tolist(),
            "confidence": after[0],
            "top5": after[1],
            "status": list(found.status),
            "success": found.success.tolist(),
            "misread": misread.tolist(),
            "success_8bit": found.success_8bit.tolist(),
            **{norm: getattr(found, norm).double().tolist() for norm in ("l0", "l1", "l2", "linf")},
            "forwards": found.forwards.tolist(),
            "backwards": found.backwards.tolist(),
        }
    )


@torch.no_grad()
def _answer(
    victim: ClassifierVictim, images: Tensor, labels: Tensor
) -> tuple[list[float], list[bool]]:
    """Confidence in the predicted class, and whether the label is among the first five."""
    logits = asked(victim.module, images)
    first = logits.topk(min(_TOP, logits.shape[1]), dim=1).indices
    within = (first == labels[:, None]).any(dim=1)
    shares = logits if are_probabilities(logits) else logits.softmax(dim=1)
    return shares.amax(dim=1).tolist(), within.tolist()


def _check_classes(victim: ClassifierVictim, data: LabelledImages) -> None:
    names = [_plain(name) for name in victim.class_names]
    outputs, classes = len(names), len(data.class_names)
    nameless = names == [str(n) for n in range(outputs)]
    nameless |= data.by_wordnet and not all(map(is_wordnet, names))
    whole = data.by_wordnet or data.kind != FOLDER_KIND
    if outputs < classes or (nameless and whole and outputs != classes):
        raise UserError(
            f"attack {victim.name} on {data.kind}",
            f"it tells {outputs} classes, the set has {classes}",
            "Folders named by WordNet are numbered in their order: give one for every class of the "
            "victim, empty where it has no images; or a labels.csv of file,class_index."
            if data.by_wordnet
            else "Give a victim of these classes, or name its own by an attribute class_names.",
        )
    if nameless:
        return  # outputs are taken in the set's order
    for label in sorted(set(data.labels.tolist())):
        known = names[label]
        if known != _plain(data.class_names[label]):
            raise UserError(
                f"attack {victim.name} on {data.kind}",
                f"class {label} is {data.class_names[label]!r} in the data and {known!r} to the "
                "victim",
                "Give a victim of these classes.",
            )


def _plain(name: str) -> str:
    """A class's name as it compares: lists of ImageNet's classes write spaces in several ways."""
    return name.casefold().replace("_", " ")
