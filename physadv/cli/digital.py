"""evaluate digital: the standard attacks on labelled images."""

import time
from enum import StrEnum
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from physadv.checks import UsageError
from physadv.cli.console import goes_on, out, progress_line
from physadv.cli.detector_digital import detector_digital
from physadv.cli.digital_results import PAGE, keep_digital
from physadv.cli.options import Device, Seed
from physadv.data.environment import choose_device, versions
from physadv.data.labelled import image_shape, read_labelled
from physadv.engine.heap import keep_freed_memory
from physadv.evaluate.digital import evaluate_digital
from physadv.evaluate.digital_lessons import set_apart
from physadv.evaluate.digital_parts import Parts, check_folder
from physadv.evaluate.digital_plan import check_distinct, plan_attacks
from physadv.evaluate.journal import key_of
from physadv.victim.catalog import load_victim
from physadv.victim.identity import identity

DETECTOR_STEPS = 20
_LESSONS = 300  # images that are learnt from


def number(text: str) -> float:
    """A decimal number or a fraction.

    Raises:
        typer.BadParameter: If it is neither.
    """
    try:
        return float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no number. Give e.g. 0.03 or 8/255.") from None


class NormName(StrEnum):
    """``physadv.digital.norms.Norm`` for the command line."""

    linf = "linf"
    l2 = "l2"
    l1 = "l1"


def digital(
    victim: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Classifier by name, or module:factory; a detector where the data are a COCO "
            "json.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER|JSON",
            help="MNIST, CIFAR-10, GTSRB, or images in a folder per class (torchvision's layouts); "
            "photographs with boxes as COCO json.",
        ),
    ],
    attack: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="apgd, bim, carlini-wagner, carlini-wagner-l0, carlini-wagner-linf, ddn, "
            "deepfool, fgsm, hop-skip-jump, momentum, noise, pgd, semantic, square; those that "
            "learn from other images of the set first: substitute (asks the victim for labels "
            "alone), universal (one change for all images). May be repeated. On a detector: pgd, "
            "noise.",
        ),
    ],
    folder: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="New folder to write.")],
    eps: Annotated[
        list[float] | None,
        typer.Option(
            metavar="NUMBER",
            parser=number,
            help="Budget on the scale of [0,1] pixels, as 0.03 or 8/255; may be repeated.",
        ),
    ] = None,
    transfer_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another classifier of the same classes: attacked as well, and shown what was "
            "made against each; may be repeated.",
        ),
    ] = None,
    norm: Annotated[NormName, typer.Option(help="Length that is bounded or kept small.")] = (
        NormName.linf
    ),
    steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of attacks that have them; of hop-skip-jump, along the border (default: "
            "their own).",
            min=1,
        ),
    ] = None,
    queries: Annotated[
        int | None,
        typer.Option(help="Looks at the victim that square may take (default: 1000).", min=1),
    ] = None,
    step_size: Annotated[
        float | None,
        typer.Option(
            help="Length of a step, of attacks that take one; of carlini-wagner, Adam's "
            "(default: theirs).",
            metavar="NUMBER",
            parser=number,
        ),
    ] = None,
    restarts: Annotated[
        int | None,
        typer.Option(help="Runs of pgd and apgd, later ones on what is left (default: 1).", min=1),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What attacks that have a choice increase: cross-entropy, margin, dlr; apgd also "
            "targeted-dlr.",
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of carlini-wagner: f1 to f7 (default: f6)."),
    ] = None,
    noise_kind: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="uniform, gaussian or salt-and-pepper (default: uniform)."
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Images to draw from the set.", min=1)] = 1000,
    learn_from: Annotated[
        int | None,
        typer.Option(
            help="Other images of the set that substitute and universal learn from; images of one "
            "sign stay together (default: 300).",
            min=1,
        ),
    ] = None,
    object_name: Annotated[
        str,
        typer.Option("--object", metavar="CLASS", help="On a detector: what it is to miss."),
    ] = "person",
    target: Annotated[
        str,
        typer.Option(
            metavar="CLASS",
            help="Class to reach, by name or index; images of it are left out (default: any wrong "
            "one). On a detector: what the objects are to be taken for (default: nothing).",
        ),
    ] = "",
    seed: Seed = 0,
    device: Device = "auto",
) -> None:
    """Attack a classifier's images digitally: accuracy, robust accuracy, norms, pictures."""
    check_folder(folder)
    if data.suffix == ".json":
        own = (transfer_to, step_size, queries, restarts, loss, objective, noise_kind, learn_from)
        if norm is not NormName.linf or any(value is not None for value in own):
            raise UsageError(
                f"attack the detector {victim}",
                "--transfer-to, --step-size, --queries, --restarts, --loss, --objective, "
                "--noise-kind, --learn-from and norms but linf are for classifiers",
                "Leave them out.",
            )
        detector_digital(
            victim,
            data,
            folder,
            attacks=attack,
            eps=eps or [],
            steps=steps or DETECTOR_STEPS,
            count=count,
            object_name=object_name,
            target=target,
            seed=seed,
            device=device,
        )
        return
    if target and transfer_to:
        raise UsageError(
            f"--target {target} with --transfer-to",
            "transfer counts images that are misread, as whatever",
            "Give one of both.",
        )
    settings = {
        "steps": steps,
        "step_size": step_size,
        "queries": queries,
        "restarts": restarts,
        "loss": loss,
        "objective": objective,
        "kind": noise_kind,
    }
    tasks = plan_attacks(attack, eps or [], norm.value, settings, seed, targeted=bool(target))
    learns = any(task.learns for task in tasks)
    if learn_from is not None and not learns:
        raise UsageError(
            f"--learn-from {learn_from}", f"no use to {', '.join(attack)}", "Leave it out."
        )
    keep_freed_memory()
    chosen = choose_device(device)
    check_distinct([victim, *(transfer_to or [])])
    shape_for = partial(image_shape, data)
    loaded = load_victim(victim, shape_for=shape_for).to(chosen)
    target_index = loaded.class_index(target) if target else None
    shape = shape_for(loaded.input_px)
    others = [
        load_victim(name, shape_for=lambda own_px: shape).to(chosen) for name in transfer_to or []
    ]
    lessons = (learn_from or _LESSONS) if learns else 0
    images = read_labelled(data, count=count, more=lessons, size_px=loaded.input_px, seed=seed)
    images, lesson = set_apart(images, lessons, seed) if learns else (images, None)
    started = time.monotonic()
    known = [identity(one) for one in (loaded, *others)]
    parts = Parts(
        folder,
        key_of(
            known,
            [(task.attack, sorted(task.options.items())) for task in tasks],
            [None if one is None else one.sha256() for one in (images, lesson)],
            target_index,
            chosen.type,
            seed,
            versions(),
        ),
    )
    with goes_on("finished batches are kept"), progress_line() as line:
        result = evaluate_digital(
            loaded,
            images,
            tasks,
            lesson=lesson,
            target_index=target_index,
            others=others,
            parts=parts,
            seed=seed,
            progress=line.update,
        )
    keep_digital(
        folder,
        data,
        images,
        [loaded, *others],
        tasks,
        result,
        norm.value,
        learnt_from=0 if lesson is None else len(lesson.images),
        target="" if target_index is None else loaded.class_names[target_index],
        seed=seed,
        seconds=time.monotonic() - started,
    )
    parts.remove()
    out.print(str(folder / PAGE), markup=False)
