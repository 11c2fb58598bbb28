"""``report.html``: one self-contained page about a run, made from what its folder holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from physadv.artwork.files import JSON_NAME, PNG_NAME, Artwork, load_artwork
from physadv.checks import UserError
from physadv.data.files import atomic_path, read_json
from physadv.evaluate.trials import TRIALS_NAME, load_trials
from physadv.report import describe, text
from physadv.report.figures import Kind, distance_plot, frontal, heat_map, history_plot, narrow
from physadv.report.objects import TEMPLATE, objects_context
from physadv.report.pictures import artwork_picture, photo_gallery, sign_picture, view_strip
from physadv.report.summary import ARTWORK, VictimSummary, summarise

REPORT_NAME = "report.html"
_PHOTOS_SHOWN = 12
_MAPS: tuple[tuple[str, Kind, str], ...] = (
    ("clean", "hit", "Clean, right"),
    ("noise", "target", "Noise print"),
    (ARTWORK, "target", "Artwork"),
)


@dataclass(frozen=True)
class GridSection:
    """One victim on one grid: figures of the exact crop, and the jittered one beside it."""

    summary: VictimSummary
    jittered: VictimSummary | None
    heat_maps: tuple[tuple[str, Markup], ...]
    distance: Markup | None
    frontal: bool
    narrow: bool

    @property
    def jittered_cells(self) -> Mapping[str, Any]:
        """Cells of the jittered crop by name."""
        return {cell.name: cell for cell in self.jittered.cells} if self.jittered else {}


def write_report(run: Path, *, face: npt.NDArray[np.uint8] | None = None) -> Path:
    """Write ``report.html`` into a run folder; no victim is run and nothing is fetched.

    What the folder does not hold yet (trials, photographs, history) is named in its section
    together with the command that adds it.

    Args:
        run: A run folder with an artwork.
        face: [H, W, 4] uint8 RGBA picture of the carrier over the square that the artwork
            covers, for the picture of the artwork on the sign; None leaves that picture out.

    Returns:
        The path of the page.

    Raises:
        UserError: If the folder or its artwork is missing, or a file in it cannot be read.
    """
    if not run.is_dir():
        raise UserError(
            f"report on {run}", "no such run folder", "Make one: physadv generate SCENE --out RUN."
        )
    missing = [name for name in (PNG_NAME, JSON_NAME) if not (run / name).is_file()]
    if missing:
        raise UserError(
            f"report on {run}",
            f"no artwork in it ({', '.join(missing)} missing)",
            "Make one: physadv generate SCENE --out RUN, or finish it with --resume.",
        )
    artwork = load_artwork(run)
    name, context = "template.html.j2", None
    if artwork.recipe.get("layout") == "patch":
        manifest = read_json(run / "run.json") if (run / "run.json").exists() else {}
        name = TEMPLATE
        context = objects_context(run, artwork, manifest, read_history(run / "history.jsonl"))
    page = environment().get_template(name).render(context or _context(run, artwork, face))
    with atomic_path(run / REPORT_NAME) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return run / REPORT_NAME


def read_history(path: Path) -> list[dict[str, Any]]:
    """Lines of ``history.jsonl``; a last line that a crash cut short is left out.

    Raises:
        UserError: If another line is not JSON with a step.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            int(entry["step"])
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            if number == len(lines):
                break
            raise UserError(
                f"read {path}, line {number}", f"not a step of a run ({error})", "Mend the file."
            ) from error
        found.append(entry)
    return found


def _context(run: Path, artwork: Artwork, face: npt.NDArray[np.uint8] | None) -> dict[str, Any]:
    manifest = read_json(run / "run.json") if (run / "run.json").exists() else {}
    summaries = _summaries(run / TRIALS_NAME)
    grids = [s for s in summaries if s.source == "grid"]
    photos = [s for s in summaries if s.source == "photo"]
    history = read_history(run / "history.jsonl")
    scene = (manifest.get("scene") or {}).get("name", "stop_sign")
    victims = manifest.get("victims") or [{"name": name} for name in artwork.victims]
    named = "".join(f" --victim {quote(str(v.get('name', 'NAME')))}" for v in victims[:1])
    folder = quote(str(run))
    true_class = summaries[0].true_class if summaries else _true_class(manifest)
    return {
        "run_name": run.resolve().name,
        "artwork": artwork,
        "area_share": _area_share(artwork, face),
        "manifest": manifest,
        "victims": victims,
        "true_class": true_class,
        "leading": [s for s in grids if s.leads] or [s for s in photos][:1],
        "summaries": summaries,
        "grids": grids,
        "photos": photos,
        "sections": [_section(s, grids) for s in grids if s.leads],
        "notices": _notices(run, artwork, manifest, summaries),
        "artwork_picture": artwork_picture(artwork),
        "sign_picture": None if face is None else sign_picture(artwork, face),
        "strip": view_strip(run / "views"),
        "gallery": photo_gallery(run / "gallery", _PHOTOS_SHOWN),
        "photos_shown": _PHOTOS_SHOWN,
        "history": _markup(history_plot(history, "Loss and success over the optimiser's steps")),
        "has_pdf": (run / "print.pdf").exists(),
        "commands": {
            "grid": f"physadv evaluate grid {folder} --scene {quote(scene)}{named}",
            "photos": f"physadv evaluate photos {folder} FOLDER --scene {quote(scene)}{named}",
            "print": f"physadv print {folder}",
            "report": f"physadv report {folder}",
        },
        "attacked": describe.attacked_rows(manifest),
        "view_rows": describe.view_rows(manifest),
        "manifest_rows": describe.manifest_rows(manifest),
        "success": describe.success_words(artwork.target, true_class),
        "title": describe.headline_words(artwork.target, true_class),
        "shown": describe.SHOWN,
        "text": text,
        "ARTWORK": ARTWORK,
    }


def _summaries(path: Path) -> list[VictimSummary]:
    return summarise(load_trials(path)) if path.exists() else []


def _section(summary: VictimSummary, grids: list[VictimSummary]) -> GridSection:
    same = ("victim", "group", "artwork", "defence", "true_class", "target_class")
    jittered = [
        other
        for other in grids
        if other.crop == "jittered"
        and all(getattr(other, name) == getattr(summary, name) for name in same)
    ]
    maps = []
    for treatment, kind, title in _MAPS:
        if kind == "target":
            title = f"{title}, {describe.success_words(summary.target_class, summary.true_class)}"
        drawn = heat_map(summary, treatment, kind, f"{title}, by distance and yaw")
        if drawn is not None:
            maps.append((title, Markup(drawn)))
    label = "Share of views over distance, by treatment"
    return GridSection(
        summary,
        jittered[0] if jittered else None,
        tuple(maps),
        _markup(distance_plot(summary, label)),
        frontal(summary),
        narrow(summary),
    )


def _notices(
    run: Path, artwork: Artwork, manifest: Mapping[str, Any], summaries: list[VictimSummary]
) -> list[str]:
    found = []
    if not manifest:
        found.append(f"{run / 'run.json'} is missing: this page cannot say how the run was made.")
    others = {
        s.artwork for s in summaries if s.artwork and not artwork.sha256.startswith(s.artwork)
    }
    if others:
        found.append(
            "Some trials are of another artwork than the one shown here "
            f"({', '.join(sorted(name[:12] for name in others))}): judge this one again."
        )
    if summaries and (words := describe.unprinted_words(manifest)):
        found.append(words)
    doubtful = [
        f"{s.victim} on {s.group} in {s.failing_cells} of {text.plural(len(s.cells), 'cell')}"
        for s in summaries
        if s.failing_cells and s.source == "grid" and s.leads
    ]
    if doubtful:
        found.append(
            "Marked † below: cells where the clean sign itself is not read reliably, or was seen "
            f"too few times to say ({'; '.join(doubtful)})."
        )
    return found


def _area_share(artwork: Artwork, face: npt.NDArray[np.uint8] | None) -> str:
    share = artwork.recipe.get("area_share")
    if isinstance(share, int | float):
        return f"{text.percent(float(share))} of the face"
    return f"{text.percent(float(artwork.mask.mean()))} of the square that bounds the face"


def _true_class(manifest: Mapping[str, Any]) -> str:
    names = ((manifest.get("scene") or {}).get("carrier") or {}).get("true_class") or ["the sign"]
    return str(names[0])


def _markup(svg: str | None) -> Markup | None:
    """SVG drawn by us: its texts are already escaped."""
    return None if svg is None else Markup(svg)


def environment() -> jinja2.Environment:
    """Where the pages' templates are; everything that they print is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
