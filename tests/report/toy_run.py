"""A run folder made by hand, small enough that every figure in its report can be counted."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from physadv.artwork.files import Artwork
from physadv.data.files import write_json
from physadv.evaluate.trials import save_trials
from physadv.types import Trial

TARGET = "Speed limit (80km/h)"
DRAWS = 40
# (cell, distance, yaw, clean hits, target and other errors of the artwork among these hits).
CELLS = (
    ("2 m, 0 deg", 2.0, 0.0, 40, 36, 1),
    ("4 m, 0 deg", 4.0, 0.0, 39, 30, 0),
    ("4 m, -30 deg", 4.0, -30.0, 20, 10, 6),
)
NOISE_SUCCESSES = {("2 m, 0 deg", 0), ("2 m, 0 deg", 39)}

Verdicts = dict[str, str]


def verdicts_of(cell: str, frame: int, hits: int, targets: int, others: int) -> Verdicts:
    """By treatment. Where the clean view fails the artwork succeeds, which must not count."""
    clean = "hit" if frame < hits else "misclassified"
    if frame < targets or frame >= hits:
        artwork = "target"
    else:
        artwork = "misclassified" if frame < targets + others else "hit"
    noise = "target" if (cell, frame) in NOISE_SUCCESSES else clean
    return {"clean": clean, "blank": clean, "noise": noise, "adversarial": artwork}


def grid_trials(
    artwork: str, target: str = TARGET, victim: str = "toy-cnn", crop: str = "exact"
) -> list[Trial]:
    """Trials of one victim on the grid ``lab``."""
    classes = {"hit": "Stop", "target": target, "misclassified": "Yield"}
    shift = 0 if crop == "exact" else 6
    return [
        Trial(
            run="toy",
            artwork=artwork,
            victim=victim,
            source="grid",
            treatment=treatment,  # type: ignore[arg-type]
            verdict=verdict,  # type: ignore[arg-type]
            predicted_class=classes[verdict],
            true_class="Stop",
            target_class=target,
            score=0.9,
            cell=cell,
            distance_m=distance_m * (1 + 0.001 * frame),
            yaw_deg=yaw_deg + 0.01 * frame,
            crop=crop,
            group="lab",
            frame=frame,
        )
        for cell, distance_m, yaw_deg, hits, targets, others in CELLS
        for frame in range(DRAWS)
        for treatment, verdict in verdicts_of(cell, frame, hits, targets - shift, others).items()
    ]


def toy_artwork(target: str = TARGET) -> Artwork:
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[4:12, 6:26] = (20, 30, 200, 255)
    return Artwork(rgba, 762.0, 762.0, "us_r1_1", target, ("toy-cnn",), {"area_share": 0.1886})


def toy_manifest(target: str = TARGET) -> dict[str, object]:
    spread = {"kind": "log_uniform", "low": 1.5, "high": 12.2, "wide_share": 0.0}
    wide = {"kind": "normal", "mean": 0, "sd": 15, "low": -45, "high": 45}
    wide |= {"wide_share": 0.5, "wide_low": -65, "wide_high": 65}
    imaging = {"noise_sd": 0.05}
    return {
        "command": "physadv generate stop_sign --victim toy-cnn --seed 7",
        "scene": {
            "name": "stop_sign",
            "description": "a stop sign",
            "carrier": {"face": "us_r1_1", "width_mm": 762.0, "true_class": ["Stop", "stop"]},
            "camera": {"focal_px": 1000.0, "width_px": 1280, "height_px": 960},
            "views": {"distance_m": spread, "yaw_deg": wide},
            "imaging": imaging,
            "judge": imaging | {"noise_sd": 0.02},
        },
        "victims": [{"name": "toy-cnn", "weights_sha256": "ab" * 32}],
        "target": target,
        "layout": "stickers",
        "seed": 7,
        "options": {"palette": "rgb"},
        "versions": {"python": "3.11.7", "torch": "2.14.0"},
        "started": "2026-01-02T03:04:05+00:00",
        "timings_s": {"generate": 61.5},
        "results": {"held_out_success": 0.97},
        "skipped": [],
    }


def add_views(run: Path, victim: str = "toy-cnn", target: str = TARGET) -> None:
    """Frames and crops at 7 distances, frontal and at 30 degrees."""
    (run / "views").mkdir()
    Image.new("RGB", (640, 480), (90, 120, 90)).save(run / "views" / "frame.png")
    Image.new("RGB", (32, 32), (180, 30, 40)).save(run / "views" / "crop.png")
    entries = [
        {
            "file": f"{kind}.png",
            "treatment": treatment,
            "distance_m": float(distance_m),
            "yaw_deg": float(yaw_deg),
            "victim": victim,
            "predicted": target if treatment == "adversarial" else "Stop",
            "score": 0.5 + distance_m / 100,
            "kind": kind,
        }
        for distance_m in range(1, 8)
        for yaw_deg in (30, 0)
        for treatment in ("clean", "noise", "adversarial")
        for kind in ("frame", "crop")
    ]
    write_json(run / "views" / "views.json", entries)


def add_photos(run: Path, artwork: Artwork, count: int = 14, target: str = TARGET) -> list[Trial]:
    """``count`` photographs, the artwork succeeds on all but the first two."""
    (run / "gallery").mkdir()
    Image.new("RGB", (200, 150), (60, 60, 160)).save(run / "gallery" / "photo.png")
    entries, trials = [], []
    for frame in range(count):
        for treatment in ("clean", "adversarial"):
            won = treatment == "adversarial" and frame >= 2
            predicted = target if won else "Stop"
            name = f"sign_{frame:02d}.jpg"
            look = {"treatment": treatment, "victim": "toy-cnn", "score": 0.8}
            entries.append({"file": "photo.png", "photo": name, "predicted": predicted, **look})
            trials.append(
                Trial(
                    run="toy",
                    artwork=artwork.sha256,
                    source="photo",
                    verdict="target" if won else "hit",
                    predicted_class=predicted,
                    true_class="Stop",
                    target_class=target,
                    cell=name,
                    group="street",
                    frame=frame,
                    **look,  # type: ignore[arg-type]
                )
            )
    write_json(run / "gallery" / "gallery.json", entries)
    return trials


def fill(run: Path, target: str = TARGET, victim: str = "toy-cnn") -> Path:
    artwork = toy_artwork(target)
    write_json(run / "run.json", toy_manifest(target))
    history = [
        {
            "stage": stage,
            "step": step,
            "loss": 3.0 / step,
            "success": 0.1 * step,
            "terms": {victim: 2.9 / step, "tv": 0.2},
            **({"held_out": 0.95} if step == 9 else {}),
        }
        for stage in ("find", "fit")
        for step in range(1, 10)
    ]
    lines = [json.dumps(line) for line in history]
    (run / "history.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (run / "print.pdf").write_bytes(b"%PDF-")
    add_views(run, victim, target)
    trials = grid_trials(artwork.sha256, target, victim)
    trials += grid_trials(artwork.sha256, target, victim, crop="jittered")
    save_trials(run / "trials.parquet", trials + add_photos(run, artwork, target=target))
    return run
