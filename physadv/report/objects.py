"""The page of a run against detectors: what it is filled with."""

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from markupsafe import Markup

from physadv.artwork.files import Artwork
from physadv.report import describe, text
from physadv.report.contacts import galleries
from physadv.report.curves import recall_plot
from physadv.report.figures import history_plot
from physadv.report.pictures import artwork_picture
from physadv.report.recall import CONFIDENCES, MAX_F1, recall_of
from physadv.report.summary import ARTWORK

TEMPLATE = "objects.html.j2"


def objects_context(
    run: Path,
    artwork: Artwork,
    manifest: Mapping[str, Any],
    history: list[dict[str, Any]],
) -> dict[str, Any]:
    """What ``objects.html.j2`` needs, from the run folder alone.

    Raises:
        UserError: If a file in the folder cannot be read.
    """
    summaries = recall_of(run)
    scene = manifest.get("scene") or {}
    names = scene.get("true_class") or ["objects"]
    drawn = history_plot(history, "Loss and success over the optimiser's steps", "not found")
    victims = [str(v.get("name")) for v in manifest.get("victims") or []] or list(artwork.victims)
    folder = quote(str(run))
    return {
        "run_name": run.resolve().name,
        "artwork": artwork,
        "manifest": manifest,
        "unprinted": describe.unprinted_words(manifest) if summaries else "",
        "hidden": str(names[0]),
        "summaries": summaries,
        "curves": [Markup(recall_plot(s, (*CONFIDENCES, *s.best))) for s in summaries],
        "artwork_picture": artwork_picture(artwork),
        "has_pdf": (run / "print.pdf").exists(),
        "history": None if drawn is None else Markup(drawn),
        "galleries": galleries(run / "gallery"),
        "attacked": _attacked_rows(artwork, manifest),
        "manifest_rows": _manifest_rows(manifest),
        "commands": {
            "objects": f"physadv evaluate objects {folder} --victim {quote(victims[0])} "
            "--data COCO.json",
            "print": f"physadv print {folder}",
            "report": f"physadv report {folder}",
        },
        "text": text,
        "ARTWORK": ARTWORK,
        "MAX_F1": MAX_F1,
    }


def _attacked_rows(artwork: Artwork, manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    scene = manifest.get("scene") or {}
    patch = scene.get("patch") or {}
    rows = [("Scene", f"{scene.get('name', '?')}: {scene.get('description', '')}")]
    if patch:
        side = f"{patch.get('share', 0):g} of the {patch.get('share_of')} of the object's box"
        rows.append(("Patch", f"side {side}, printed at {artwork.width_mm:.4g} mm"))
    for victim in manifest.get("victims") or []:
        rows.append(("Detector", f"{victim.get('name')}, sha256 {victim.get('weights_sha256')}"))
    used = len((manifest.get("options") or {}).get("photographs", []))
    rows.append(("Optimised on", f"{text.plural(used, 'photograph')}, left out by the judge"))
    rows.append(("Artwork", f"sha256 {artwork.sha256}"))
    return rows


def _manifest_rows(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    settings = (manifest.get("options") or {}).get("settings") or {}
    versions = manifest.get("versions") or {}
    rows = [
        ("Command", str(manifest.get("command", ""))),
        ("Settings", ", ".join(f"{name} {value}" for name, value in settings.items())),
        ("Versions", ", ".join(f"{name} {value}" for name, value in versions.items())),
        ("Time", f"{(manifest.get('timings_s') or {}).get('generate', '?')} s"),
    ]
    for entry in manifest.get("evaluations") or []:
        rows.append(("Judged", ", ".join(f"{key} {value}" for key, value in entry.items())))
    skipped = manifest.get("skipped") or []
    if skipped:
        rows.append(("Skipped", f"{len(skipped)}: " + "; ".join(skipped[:5])))
    return rows
