"""evaluate digital: the standard attacks on labelled images."""

import shlex
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from physadv.checks import UsageError
from physadv.cli.console import goes_on, out, progress_line
from physadv.cli.detector_digital import detector_digital
from physadv.cli.digital_record import attack_records, transfer_records
from physadv.cli.options import Device, Seed
from physadv.data.environment import choose_device, versions
from physadv.data.files import atomic_path, write_json
from physadv.data.labelled import read_labelled
from physadv.engine.heap import keep_freed_memory
from physadv.evaluate.digital import evaluate_digital
from physadv.evaluate.digital_lessons import set_apart
from physadv.evaluate.digital_parts import Parts, check_folder
from physadv.evaluate.digital_plan import check_distinct, plan_attacks
from physadv.evaluate.journal import key_of
from physadv.report.beside import SAMPLES, TRANSFERS
from physadv.report.crossing import Crossing, crossing_table, crossings
from physadv.report.digital import (
    USUAL,
    digital_table,
    summarise_digital,
    worst_case,
    write_digital,
)
from physadv.victim.catalog import load_victim
from physadv.victim.identity import identity

EXAMPLES, PAGE = "examples.npz", "digital.html"
DETECTOR_STEPS = 20


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
        typer.Option(help="Budget on the scale of [0,1] pixels; may be repeated."),
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
        typer.Option(help="Steps of attacks that have them (default: their own).", min=1),
    ] = None,
    step_size: Annotated[
        float | None,
        typer.Option(
            help="Length of a step, of attacks that take one; of carlini-wagner, Adam's "
            "(default: theirs).",
            min=0,
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
        int,
        typer.Option(
            help="Other images of the set that substitute and universal learn from; images of one "
            "sign stay together.",
            min=1,
        ),
    ] = 300,
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
        own = (transfer_to, step_size, restarts, loss, objective, noise_kind)
        if norm is not NormName.linf or any(value is not None for value in own):
            raise UsageError(
                f"attack the detector {victim}",
                "--transfer-to, --step-size, --restarts, --loss, --objective, --noise-kind and "
                "norms but linf are for classifiers",
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
        "restarts": restarts,
        "loss": loss,
        "objective": objective,
        "kind": noise_kind,
    }
    tasks = plan_attacks(attack, eps or [], norm.value, settings, seed, targeted=bool(target))
    keep_freed_memory()
    chosen = choose_device(device)
    check_distinct([victim, *(transfer_to or [])])
    loaded = load_victim(victim).to(chosen)
    target_index = loaded.class_index(target) if target else None
    others = [load_victim(name).to(chosen) for name in transfer_to or []]
    learns = any(task.learns for task in tasks)
    more = learn_from if learns else 0
    images = read_labelled(data, count=count, more=more, size_px=loaded.input_px, seed=seed)
    images, lesson = set_apart(images, learn_from, seed) if learns else (images, None)
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
    attacked = result.samples["image"].n_unique()
    command = shlex.join(["physadv", *sys.argv[1:]])
    facts = {
        "victim": loaded.name,
        "weights": loaded.weights_sha256,
        "data": images.kind,
        "images": attacked,
        "learnt_from": 0 if lesson is None else len(lesson.images),
        "target": "" if target_index is None else loaded.class_names[target_index],
        "seed": seed,
        "device": str(chosen),
        "version": versions()["physadv"],
        "command": command,
        "transfer_to": {one.name: one.weights_sha256 for one in others},
    }
    matrices: list[Crossing] = []
    if result.transfers is not None:
        matrices = crossings(result.transfers, [loaded.name, *(one.name for one in others)])
        with atomic_path(folder / TRANSFERS) as temporary:
            result.transfers.write_parquet(temporary)
    with atomic_path(folder / SAMPLES) as temporary:
        result.samples.write_parquet(temporary)
    with atomic_path(folder / EXAMPLES) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **result.examples)  # type: ignore[arg-type]
    summaries = summarise_digital(result.samples, norm.value)
    write_json(
        folder / "run.json",
        {
            **facts,
            "folder": str(data),
            "norm": norm.value,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - started, 1),
            "versions": versions(),
            "attacks": attack_records(summaries, result.notes),
            "transfers": transfer_records(matrices),
        },
    )
    write_digital(
        folder / PAGE,
        result.samples,
        result.examples,
        result.example_rows,
        result.notes,
        facts,
        loaded.class_names if images.kind == "GTSRB" else images.class_names,
        norm.value,
        matrices,
    )
    if summaries:
        clean = summaries[0]
        out.print(
            f"{loaded.name} on {attacked} images of {images.kind}: top 1 "
            f"{clean.clean.k}/{clean.clean.n}, top 5 {clean.clean_top5.k}/{clean.clean_top5.n}"
        )
    out.print(digital_table(summaries, norm.value))
    for value in sorted(set(eps or [])):
        rate = worst_case(result.samples, norm.value, value)
        out.print(f"worst case within {norm.value} {value:g}: read rightly {rate.k}/{rate.n}")
    for matrix in matrices:
        out.print(crossing_table(matrix))
    if others and not matrices:
        out.print("transfer: no image is read as labelled by every victim")
    for one in summaries:
        odd = [f"{many} {status}" for status, many in one.statuses if status not in USUAL]
        for note in (*odd, *result.notes[one.title]):
            out.print(f"{one.title}: {note}", markup=False)
    parts.remove()
    out.print(str(folder / PAGE), markup=False)
