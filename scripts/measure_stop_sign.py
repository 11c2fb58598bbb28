"""The README's table: every victim and layout over seeds, judged on RP2's 15 cells.

    PHYSADV_DATA=... python scripts/measure_stop_sign.py runs/table [--seeds 0 1 2] [--draws 200]

Runs that are already in the folder are kept and only tabulated, so it can be interrupted and split
(``--victims``, ``--seeds``). About five minutes a run on one core.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import polars as pl

import physadv

TARGETS = {"lisa-cnn": "speedLimit45"}
LAYOUTS = {
    "poster": {"layout": "poster"},
    "stickers, <= 20 %": {"layout": "stickers", "max_area": 0.20},
    "black/white stickers, <= 25 %": {"layout": "stickers", "palette": "2", "max_area": 0.25},
}


@dataclass(frozen=True)
class Figures:
    """Means over cells of one run, exact crops."""

    clean: float
    noise: float
    adversarial: float


def run_name(victim: str, layout: str, seed: int) -> str:
    """Folder of one run."""
    options = LAYOUTS[layout]
    return f"{victim}-{options['layout']}-{options.get('palette', 'rgb')}-{seed}"


def make(root: Path, victim_name: str, layout: str, seed: int, draws: int) -> None:
    """Generate and judge one run, unless its trials are there."""
    run = root / run_name(victim_name, layout, seed)
    if (run / "trials.parquet").exists():
        return
    scene, victim = physadv.load_scene("stop_sign"), physadv.load_victim(victim_name)
    target = TARGETS.get(victim_name, scene.default_target)
    recipe = physadv.Recipe(target, settings=physadv.Settings(seed=seed), **LAYOUTS[layout])
    artwork = physadv.generate(scene, [victim], recipe, run, resume=(run / "run.json").exists())
    grid = physadv.load_grid("rp2_lab")
    trials = physadv.evaluate_grid(
        artwork, scene, grid, victim, draws=draws, seed=seed, run_name=run.name
    )
    physadv.save_trials(run / "trials.parquet", trials)


def figures(run: Path) -> Figures:
    """Clean accuracy, and target rates given clean read right, as unweighted means over cells."""
    trials = physadv.load_trials(run / "trials.parquet").filter(
        (pl.col("source") == "grid") & (pl.col("crop") == "exact")
    )
    hit = pl.col("verdict") == "hit"
    clean = trials.filter(pl.col("treatment") == "clean").with_columns(hit.alias("clean_hit"))
    joined = trials.join(clean.select("cell", "frame", "clean_hit"), on=["cell", "frame"])

    def rate(treatment: str) -> float:
        seen = joined.filter((pl.col("treatment") == treatment) & pl.col("clean_hit"))
        cells = seen.group_by("cell").agg((pl.col("verdict") == "target").mean())
        return float(cells["verdict"].mean())  # type: ignore[arg-type]

    by_cell = clean.group_by("cell").agg(pl.col("clean_hit").mean())
    return Figures(float(by_cell["clean_hit"].mean()), rate("noise"), rate("adversarial"))


def table(root: Path, victims: list[str], seeds: list[int]) -> str:
    """Markdown: mean over seeds, and the seeds' own figures."""
    lines = ["| | " + " | ".join(victims) + " |", "|---|" + "---|" * len(victims)]
    rows: dict[str, list[str]] = {"clean read as stop": [], **{layout: [] for layout in LAYOUTS}}
    rows["noise print, highest of all"] = []
    for victim in victims:
        clean, noise = [], []
        for layout in LAYOUTS:
            runs = [root / run_name(victim, layout, seed) for seed in seeds]
            found = [figures(run) for run in runs if (run / "trials.parquet").exists()]
            if not found:
                rows[layout].append("-")
                continue
            rates = [f.adversarial for f in found]
            each = ", ".join(f"{100 * rate:.1f}" for rate in rates)
            rows[layout].append(f"{100 * statistics.mean(rates):.1f} % ({each})")
            clean += [f.clean for f in found]
            noise += [f.noise for f in found]
        rows["clean read as stop"].append(f"{100 * statistics.mean(clean):.1f} %" if clean else "-")
        rows["noise print, highest of all"].append(f"{100 * max(noise):.1f} %" if noise else "-")
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()]
    return "\n".join(lines)


def main() -> None:
    """Make what is missing, then tabulate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--victims", nargs="+", default=["gtsrb-cnn", "gtsrb-resnet", "lisa-cnn"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--table-only", action="store_true", help="make nothing new")
    arguments = parser.parse_args()
    for seed in arguments.seeds if not arguments.table_only else []:
        for victim in arguments.victims:
            for layout in LAYOUTS:
                print(run_name(victim, layout, seed), file=sys.stderr, flush=True)
                make(arguments.root, victim, layout, seed, arguments.draws)
    print(table(arguments.root, arguments.victims, arguments.seeds))


if __name__ == "__main__":
    try:
        main()
    except physadv.UserError as error:
        sys.exit(f"error: {error}")
