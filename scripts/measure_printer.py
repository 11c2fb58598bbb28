"""Does a measured printer help? Stickers optimised through a profile, and without, printed.

    python scripts/measure_printer.py OUT [--steps 150] [--draws 20] [--seeds 2]

The chart is printed by the same simulated printer (an assumed office laser: Yule-Nielsen modified
Neugebauer equations, ``artwork.palette.printed_colours``, here with more dot gain and inks that
run into each other) and measured without a camera between. Both sets of stickers, small ones, are
then printed by it and judged by OpenCV on gtsrb-cnn, on the same draws of RP2's cells. Printed:
target success, and McNemar's exact test of the draws in which just one of the two succeeds.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from physadv.artwork.files import Artwork, load_artwork, save_artwork
from physadv.artwork.palette import printed_colours
from physadv.artwork.printer import PrinterProfile, load_profile, save_profile
from physadv.calibrate.printer import fit_models
from physadv.data.files import write_json
from physadv.evaluate.grid import evaluate_grid
from physadv.evaluate.trials import trials_frame
from physadv.optimize.generate import Recipe, generate
from physadv.optimize.problem import Settings
from physadv.scene.catalog import load_grid, load_scene
from physadv.stats.intervals import mcnemar_exact, paired_difference
from physadv.victim.catalog import load_victim

_GAIN = 1.4  # a gamma: the dots grow, and prints come out dark
_CROSSTALK = np.array([[0.65, 0.35, 0.0], [0.0, 0.65, 0.35], [0.35, 0.0, 0.65]])


def printed(rgb: np.ndarray) -> np.ndarray:
    """[N,3] sRGB in [0,1] as this printer's paper shows it."""
    return printed_colours(np.clip(rgb, 0, 1) ** _GAIN @ _CROSSTALK)


def measured_profile(folder: Path) -> PrinterProfile:
    """The profile of the simulated printer, from the colours of the chart."""
    path = folder / "printer.json"
    if not path.exists():
        levels = np.linspace(0, 1, 6)
        cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
        sent = np.concatenate([cube.reshape(-1, 3), np.linspace(0, 1, 16)[:, None].repeat(3, 1)])
        profile, errors = fit_models(sent, printed(sent))
        print({kind: round(float(found.mean()), 2) for kind, found in errors.items()})
        save_profile(profile, path)
    return load_profile(path)


def on_paper(artwork: Artwork) -> Artwork:
    """The artwork as the printer gives it."""
    shown = printed(artwork.rgba[..., :3].reshape(-1, 3) / 255.0).reshape(
        artwork.rgba[..., :3].shape
    )
    rgba = artwork.rgba.copy()
    rgba[..., :3] = np.round(255 * shown)
    return replace(artwork, rgba=rgba)


def main() -> None:
    """Optimise both for every seed, print, judge, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--max-area", type=float, default=0.12, help="of the stickers")
    given = parser.parse_args()
    scene, grid, victim = load_scene("stop_sign"), load_grid("rp2_lab"), load_victim("gtsrb-cnn")
    profile = measured_profile(given.out)
    pairs = []
    for seed in range(given.seeds):
        success = {}
        for name, printer in (("with", profile), ("without", None)):
            folder = given.out / f"{name}-{seed}"
            if not (folder / "artwork.json").exists():
                settings = Settings(steps=given.steps, seed=seed)
                recipe = Recipe(
                    scene.default_target,
                    max_area=given.max_area,
                    printer=printer,
                    settings=settings,
                )
                generate(scene, [victim], recipe, folder, resume=folder.exists())
            paper = on_paper(load_artwork(folder))
            save_artwork(paper, folder / "paper")
            trials = evaluate_grid(
                paper, scene, grid, victim, draws=given.draws, seed=1000 + seed, crops=["exact"]
            )
            rows = trials_frame(trials).filter(pl.col("treatment") == "adversarial")
            success[name] = (rows.sort("cell", "frame")["verdict"] == "target").to_numpy()
            print(f"{name} the profile, seed {seed}: {success[name].mean():.1%} of {len(rows)}")
        pairs.append((success["with"], success["without"]))
    first, second = (np.concatenate(part) for part in zip(*pairs, strict=True))
    both, only = int((first & second).sum()), int((first & ~second).sum())
    other, neither = int((~first & second).sum()), int((~first & ~second).sum())
    gain = paired_difference(both, only, other, neither)
    p_value = mcnemar_exact(only, other)
    print(
        f"with {first.mean():.1%}, without {second.mean():.1%} of {len(first)} draws: "
        f"{100 * (first.mean() - second.mean()):+.1f} points "
        f"({100 * gain.low:+.1f} to {100 * gain.high:+.1f}), McNemar p {p_value:.2g} "
        f"({only} against {other})"
    )
    figures = {"with": first.mean(), "without": second.mean(), "n": len(first)}
    write_json(given.out / "printer_gain.json", figures)


if __name__ == "__main__":
    main()
