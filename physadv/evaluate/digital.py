"""Digital attacks on a set of labelled images: one row per image and attack."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor

from physadv.checks import UsageError, UserError, check_name
from physadv.data.labelled import LabelledImages
from physadv.digital.catalog import ATTACKS, WITH_BUDGET
from physadv.digital.outcome import Adversarials
from physadv.evaluate.transfers import transfer_rows
from physadv.victim.protocol import ClassifierVictim

EXAMPLES = 6
_BATCH = 250
_TOP = 5


@dataclass(frozen=True)
class Task:
    """One attack with its budget; ``eps`` is None for those that look for the smallest change."""

    attack: str
    eps: float | None
    options: dict[str, Any]

    @property
    def title(self) -> str:
        """For people."""
        return self.attack if self.eps is None else f"{self.attack} {self.eps:g}"


@dataclass(frozen=True)
class DigitalResult:
    """``samples``: a row per image and attack; ``examples``: title -> [n,2,C,H,W] float32 of clean
    and adversarial images, whose row numbers in ``samples`` are in ``example_rows``; ``notes``:
    title -> what the attacks say about the model; ``transfers``: as ``transfer_rows`` gives them,
    None where no other victim was asked."""

    samples: pl.DataFrame
    examples: dict[str, npt.NDArray[np.float32]]
    example_rows: dict[str, list[int]]
    notes: dict[str, tuple[str, ...]]
    transfers: pl.DataFrame | None = None


def plan_attacks(
    names: Sequence[str],
    eps: Sequence[float],
    norm: str,
    steps: int | None = None,
    seed: int = 0,
    *,
    targeted: bool = False,
) -> list[Task]:
    """Every attack at every budget; those without a budget once.

    Raises:
        UsageError: If a name is unknown, a budget is missing, or an attack cannot do ``norm`` or
            has no target to choose.
    """
    tasks = []
    for name in names:
        check_name("attack", name, ATTACKS)
        known = inspect.signature(ATTACKS[name]).parameters
        options: dict[str, Any] = {}
        if targeted and "targets" not in known:
            raise UsageError(
                f"attack {name} towards a target", "it has none to choose", "Leave --target out."
            )
        if "seed" in known:
            options["seed"] = seed
        if steps is not None and "steps" in known:
            options["steps"] = steps
        if "norm" in known:
            options["norm"] = norm
        elif name in WITH_BUDGET and norm != "linf":
            raise UsageError(
                f"attack {name} in {norm}",
                "it works in linf only",
                "Give --norm linf, or leave it out.",
            )
        if name not in WITH_BUDGET:
            tasks.append(Task(name, None, options))
            continue
        if not eps:
            raise UsageError(f"attack {name}", "no budget", "Give --eps, once or several times.")
        tasks += [Task(name, value, {**options, "eps": value}) for value in sorted(set(eps))]
    return tasks


def evaluate_digital(
    victim: ClassifierVictim,
    data: LabelledImages,
    tasks: Sequence[Task],
    *,
    target_index: int | None = None,
    others: Sequence[ClassifierVictim] = (),
    progress: Callable[[str, int, int], None] = lambda title, done, total: None,
) -> DigitalResult:
    """Attack every image with every task.

    Args:
        victim: Its module is shown the images as they are, grey ones with one channel.
        data: Images and labels; the labels' classes must be the victim's.
        tasks: From ``plan_attacks``.
        target_index: Class to reach, a success in place of any wrong one; images of that class
            are left out. Not with ``others``.
        others: Victims that every attack is made against too; what each finds is shown to all.
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
        if others:
            raise UsageError(
                "a target and other victims",
                "transfer counts images that are misread, as whatever",
                "Give one of both.",
            )
        kept = data.labels != target_index
        if not kept.any():
            raise UserError(
                f"images to be read as {victim.class_names[target_index]}",
                "all are of that class",
                "Choose another class.",
            )
        files = tuple(name for name, keep in zip(data.files, kept, strict=True) if keep)
        data = replace(data, images=data.images[kept], labels=data.labels[kept], files=files)
    images = torch.from_numpy(data.images).float() / 255
    labels = torch.from_numpy(data.labels)
    device = victim.device
    frames, moved, examples, rows, notes = [], [], {}, {}, {}
    done = 0
    for task in tasks:
        shown: list[npt.NDArray[np.float32]] = []
        kept_rows: list[int] = []
        told: dict[str, None] = {}
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH].to(device)
            truth = labels[start : start + _BATCH].to(device)
            aims = {}
            if target_index is not None:
                aims["targets"] = torch.full_like(truth, target_index)
            found = ATTACKS[task.attack](victim, batch, truth, **task.options, **aims)
            misread = found.success
            if target_index is not None:  # a target that is missed may be for a third class
                misread = misread | (found.predictions != truth)
            frame = _rows(victim, task, start, batch, truth, found, misread)
            won = found.success.nonzero().flatten().tolist()
            for n in won[: EXAMPLES - len(shown)]:
                shown.append(torch.stack([batch[n], found.images[n]]).float().cpu().numpy())
                kept_rows.append(done + start + n)
            told |= dict.fromkeys(found.notes)
            frames.append(frame)
            if others:
                moved.append(
                    transfer_rows(
                        task.attack, task.options, victims, found.images, batch, truth, start
                    )
                )
            progress(task.title, min(start + _BATCH, len(images)), len(images))
        done += len(images)
        if shown:
            examples[task.title], rows[task.title] = np.stack(shown), kept_rows
        notes[task.title] = tuple(told)
    transfers = pl.concat(moved) if moved else None
    return DigitalResult(pl.concat(frames), examples, rows, notes, transfers)


def check_distinct(names: Sequence[str]) -> None:
    """Refuse a victim that is given twice: its images would transfer to itself.

    Raises:
        UsageError: If one is.
    """
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise UsageError(f"victim {twice[0]}", "given twice", "Give every victim once.")


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
    logits = victim.module(images)
    first = logits.topk(min(_TOP, logits.shape[1]), dim=1).indices
    within = (first == labels[:, None]).any(dim=1)
    return logits.softmax(dim=1).amax(dim=1).tolist(), within.tolist()


def _check_classes(victim: ClassifierVictim, data: LabelledImages) -> None:
    names = [_plain(name) for name in victim.class_names]
    if names == [str(n) for n in range(len(names))]:
        return  # a module without names: its outputs are taken in the set's order
    for label in sorted(set(data.labels.tolist())):
        known = names[label] if label < len(names) else "nothing"
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
