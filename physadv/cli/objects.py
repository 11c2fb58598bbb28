"""evaluate objects: look at detectors through the judge."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from physadv.artwork.files import load_artwork
from physadv.checks import UserError
from physadv.cli.console import out, progress_line
from physadv.cli.evaluate import check_replacing, keep, show
from physadv.cli.options import Device, Replace, RunFolder, Seed
from physadv.cli.patch import DetectorNames, PhotoSets
from physadv.data.coco import read_coco
from physadv.data.environment import choose_device
from physadv.data.files import read_json
from physadv.evaluate.detections import DETECTIONS_NAME, load_detections, save_detections
from physadv.evaluate.objects import evaluate_objects, looks_at
from physadv.evaluate.trials import TRIALS_NAME, load_trials
from physadv.scene.objects import ObjectScene
from physadv.victim.detectors import load_detector

_TOLD = 10
_USUAL_STEM = "annotations"


def objects(
    run: RunFolder,
    victim: DetectorNames,
    data: PhotoSets,
    draws: Annotated[int, typer.Option(help="Times that every photograph is used.", min=1)] = 1,
    seed: Seed = 0,
    device: Device = "auto",
    replace: Replace = False,
) -> None:
    """Composite the patch onto people or things in photographs and ask the detectors.

    Photographs that the patch was optimised on are left out. Clean photograph, grey card, noise
    print and patch are seen at the same places.
    """
    artwork = load_artwork(run)
    recorded = read_json(run / "run.json")
    scene = _object_scene_of(run, recorded)
    seen = frozenset(recorded.get("options", {}).get("photographs", []))
    chosen = choose_device(device)
    if (run / TRIALS_NAME).exists():
        load_trials(run / TRIALS_NAME)  # a damaged store is found before the work, not after it
    if (run / DETECTIONS_NAME).exists():
        load_detections(run / DETECTIONS_NAME)
    groups = group_names(data)
    sets = [read_coco(path, scene.true_class, exclude=seen) for path in data]
    victims = [load_detector(name).to(chosen) for name in victim]
    for group, part in zip(groups, sets, strict=True):
        looks = looks_at(scene, part.photos) * draws
        photographs = frozenset(photo.sha256 for photo in part.photos)
        for opponent in victims:
            check_replacing(run, "objects", opponent.name, group, looks, replace, photographs)
    for path, group, part in zip(data, groups, sets, strict=True):
        tell_skipped(part.skipped)
        for opponent in victims:
            with progress_line() as line:
                result = evaluate_objects(
                    artwork,
                    scene,
                    part.photos,
                    opponent,
                    group=group,
                    draws=draws,
                    seed=seed,
                    run_name=run.resolve().name,
                    progress=lambda done, total, name=opponent.name: line.update(  # type: ignore[misc]
                        f"judge {name}", done, total
                    ),
                    gallery_folder=run / "gallery" / group / re.sub(r"[/\\]", "_", opponent.name),
                )
            if opponent is victims[0]:
                tell_skipped(result.skipped)
            save_detections(run / DETECTIONS_NAME, result.detections)
            keep(
                run,
                result.trials,
                opponent,
                scene=scene.name,
                data=str(path),
                group=group,
                draws=draws,
                seed=seed,
            )
    show(run)


def group_names(data: Sequence[Path]) -> list[str]:
    """What each set of photographs is called: its folder, and its file where that is not usual.

    Raises:
        UserError: If two sets would have one name, so that one judgement would replace the other.
    """
    found: dict[str, Path] = {}
    for path in data:
        whole = path.resolve()
        stem = "" if whole.stem == _USUAL_STEM else whole.stem
        name = "-".join(part for part in (whole.parent.name, stem) if part) or _USUAL_STEM
        if name in found:
            raise UserError(
                f"--data {path}",
                f"its photographs would be called {name!r}, like those of {found[name]}",
                "Give each set once, and rename one of the folders or files.",
            )
        found[name] = path
    return list(found)


def tell_skipped(skipped: Sequence[tuple[str, str]]) -> None:
    """Say what was left out: each of a few, else how many for each reason."""
    if len(skipped) <= _TOLD:
        for name, reason in skipped:
            out.print(f"skipped {name}: {reason}", markup=False)
        return
    for reason, count in Counter(reason for _, reason in skipped).most_common():
        out.print(f"skipped {count}: {reason}", markup=False)


def _object_scene_of(run: Path, recorded: dict[str, Any]) -> ObjectScene:
    try:
        return ObjectScene.model_validate(recorded["scene"])
    except (KeyError, TypeError, ValidationError) as error:
        raise UserError(
            f"the scene of {run}",
            "run.json holds no scene of objects",
            "Give a run that `physadv patch` made; signs are judged by `evaluate grid`.",
        ) from error
