"""evaluate digital on a detector: pictures attacked as a whole, recall before and after."""

import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from physadv.cli.console import goes_on, out, progress_line
from physadv.cli.objects import tell_skipped
from physadv.data.coco import read_coco
from physadv.data.environment import choose_device, versions
from physadv.data.files import atomic_path, write_json
from physadv.evaluate.detector_digital import (
    CLEAN,
    Aim,
    check_detector_attacks,
    evaluate_detector_digital,
    picture_name,
)
from physadv.evaluate.digital_parts import Parts
from physadv.evaluate.journal import key_of
from physadv.report.beside import DETECTIONS
from physadv.report.detector_digital import (
    sighting_table,
    summarise_sightings,
    write_detector_digital,
)
from physadv.seeding import generator_for
from physadv.victim.detectors import load_detector
from physadv.victim.identity import identity

PICTURES, PAGE = "pictures", "digital.html"


def detector_digital(
    victim: str,
    data: Path,
    folder: Path,
    *,
    attacks: Sequence[str],
    eps: Sequence[float],
    steps: int,
    count: int,
    object_name: str,
    target: str,
    seed: int,
    device: str,
) -> None:
    """Attack photographs of a COCO json, look at their objects, write and print what was found.

    Raises:
        UserError: If the data cannot be read or the folder not written.
        UsageError: If a name is wrong.
    """
    planned = check_detector_attacks(attacks, eps)
    loaded = load_detector(victim).to(choose_device(device))
    aim = Aim(loaded.first_known([object_name]), loaded.first_known([target]) if target else None)
    photos = read_coco(data, [object_name])
    tell_skipped(photos.skipped)
    chosen = list(photos.photos)
    if count < len(chosen):
        drawn = generator_for(seed, "labelled").choice(len(chosen), count, replace=False)
        chosen = [chosen[n] for n in sorted(drawn.tolist())]
    started = time.monotonic()
    parts = Parts(
        folder,
        key_of(
            identity(loaded),
            str(loaded.device),
            planned,
            aim,
            steps,
            seed,
            [(photo.sha256, photo.boxes.tolist()) for photo in chosen],
            versions(),
        ),
    )
    with goes_on("finished photographs are kept"), progress_line() as line:
        rows = evaluate_detector_digital(
            loaded,
            chosen,
            planned,
            aim,
            steps=steps,
            seed=seed,
            pictures=folder / PICTURES,
            parts=parts,
            progress=lambda done, total: line.update(f"attack {loaded.name}", done, total),
        )
    with atomic_path(folder / DETECTIONS) as temporary:
        rows.write_parquet(temporary)
    found = summarise_sightings(rows)
    objects = sum(len(photo.boxes) for photo in chosen)
    facts = {
        "victim": loaded.name,
        "weights": loaded.weights_sha256,
        "object": object_name,
        "target": target,
        "steps": steps,
        "seed": seed,
        "command": shlex.join(["physadv", *sys.argv[1:]]),
    }
    titles = rows["treatment"].unique().to_list()
    write_detector_digital(
        folder / PAGE,
        rows,
        {
            (photo.sha256, title): (
                photo.path if title == CLEAN else folder / PICTURES / picture_name(photo, title)
            )
            for photo in chosen
            for title in titles
        },
        {
            **facts,
            "objects": objects,
            "photographs": len(chosen),
            "version": versions()["physadv"],
        },
    )
    write_json(
        folder / "run.json",
        {
            **facts,
            "data": str(data),
            "photographs": [photo.sha256 for photo in chosen],
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - started, 1),
            "versions": versions(),
            "sightings": [
                {
                    "shown": one.treatment,
                    "confidence": one.confidence,
                    "found": one.recall.to_dict(),
                    "any_overlap": one.near.to_dict(),
                    "read_as_target": one.targeted.to_dict() if target else None,
                }
                for one in found
            ],
        },
    )
    out.print(f"{loaded.name}: {objects} labelled {object_name} in {len(chosen)} photographs")
    out.print(sighting_table(found, target))
    blind = rows.filter(~rows["felt"])["treatment"].value_counts()
    for treatment, many in blind.iter_rows():
        out.print(f"{treatment}: no gradient for {many} objects, pictures left as they were")
    parts.remove()
    out.print(str(folder / PAGE), markup=False)
