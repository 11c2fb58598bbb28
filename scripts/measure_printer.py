"""Does a measured printer help? Stickers optimised through a profile, and without, printed.

    python scripts/measure_printer.py OUT [--printer filters] [--seeds 4] [--draws 5] [--steps 150]

A known printer (``simulated_printer``) prints the chart, which is photographed and measured as a
user would. Stickers of the same places are then optimised through the profile and without, printed
by that printer and judged by OpenCV on gtsrb-cnn, on the same draws of RP2's cells. Told: what the
profile gets wrong on 2,000 colours that are not in the chart; target success; the difference, with
McNemar's exact test over draws; and with Student's t over seeds, each of which is an artwork of its
own, so that this is the interval that holds for other artworks.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from scipy.stats import t as student
from simulated_printer import PRINTERS, encode, photograph_chart

from physadv.artwork.colour import delta_e_2000, srgb_to_lab
from physadv.artwork.files import Artwork, load_artwork, save_artwork
from physadv.artwork.printer import PrinterProfile, load_profile, save_profile
from physadv.calibrate.chart import PAPER_LIGHT
from physadv.calibrate.printer import calibrate_printer
from physadv.data.files import write_json
from physadv.evaluate.grid import evaluate_grid
from physadv.evaluate.trials import trials_frame
from physadv.export.chart import chart_of
from physadv.optimize.generate import Recipe, generate
from physadv.optimize.problem import Settings
from physadv.scene.catalog import load_grid, load_scene
from physadv.stats.intervals import mcnemar_exact, paired_difference
from physadv.victim.catalog import load_victim

Printer = Callable[[npt.ArrayLike], npt.NDArray[np.float64]]


def measured_profile(printer: Printer, folder: Path) -> PrinterProfile:
    """The printer's profile, from photographs of its chart; says how wrong it is elsewhere."""
    path = folder / "printer.json"
    if not path.exists():
        fit = calibrate_printer(photograph_chart(printer, folder), chart_of("a4"))
        told = {kind: round(float(found.mean()), 2) for kind, found in fit.errors.items()}
        print(f"held-out colours of the chart: {told}")
        save_profile(fit.profile, path)
    profile = load_profile(path)
    fresh = np.random.default_rng(7).uniform(0, 1, (2000, 3))
    foretold = profile.apply(torch.from_numpy(fresh.T.reshape(3, 2000, 1))).numpy()[..., 0].T
    white = printer(np.ones(3))
    # A photograph cannot tell lamp from paper, so that the profile has paper neutral.
    truth = encode(printer(fresh) / white * PAPER_LIGHT)
    for name, colours in (("profile", foretold), ("as sent", fresh)):
        errors = delta_e_2000(srgb_to_lab(colours), srgb_to_lab(truth))
        print(
            f"2,000 other colours, {name}: CIEDE2000 mean {errors.mean():.2f}, "
            f"95 % {np.quantile(errors, 0.95):.2f}, largest {errors.max():.2f}"
        )
    return profile


def on_paper(artwork: Artwork, printer: Printer) -> Artwork:
    """The artwork as the printer gives it, its paper's tint and all."""
    rgba = artwork.rgba.copy()
    rgba[..., :3] = np.round(255 * encode(printer(rgba[..., :3] / 255.0)))
    return replace(artwork, rgba=rgba)


def main() -> None:
    """Optimise both for every seed, print, judge, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--printer", choices=sorted(PRINTERS), default="filters")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--draws", type=int, default=5, help="of each of the 15 cells")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--max-area", type=float, default=0.16, help="of the stickers")
    given = parser.parse_args()
    scene, grid, victim = load_scene("stop_sign"), load_grid("rp2_lab"), load_victim("gtsrb-cnn")
    printer = PRINTERS[given.printer]
    profile = measured_profile(printer, given.out)
    pairs = []
    for seed in range(given.seeds):
        success = {}
        for name, through in (("with", profile), ("without", None)):
            folder = given.out / f"{name}-{seed}"
            if not (folder / "artwork.json").exists():
                recipe = Recipe(
                    scene.default_target,
                    max_area=given.max_area,
                    printer=through,
                    settings=Settings(steps=given.steps, seed=seed),
                )
                generate(scene, [victim], recipe, folder, resume=folder.exists())
            paper = on_paper(load_artwork(folder), printer)
            save_artwork(paper, folder / "paper")
            trials = evaluate_grid(
                paper, scene, grid, victim, draws=given.draws, seed=1000 + seed, crops=["exact"]
            )
            rows = trials_frame(trials).filter(pl.col("treatment") == "adversarial")
            success[name] = (rows.sort("cell", "frame")["verdict"] == "target").to_numpy()
            print(f"{name} the profile, seed {seed}: {success[name].mean():.1%} of {len(rows)}")
        pairs.append((success["with"], success["without"]))
    report(pairs, given.out)


def report(pairs: list[tuple[np.ndarray, np.ndarray]], out: Path) -> None:
    """Print and store the difference, over draws and over seeds."""
    first, second = (np.concatenate(part) for part in zip(*pairs, strict=True))
    both, only = int((first & second).sum()), int((first & ~second).sum())
    other, neither = int((~first & second).sum()), int((~first & ~second).sum())
    gain = paired_difference(both, only, other, neither)
    p_value = mcnemar_exact(only, other)
    by_seed = np.array([one.mean() - two.mean() for one, two in pairs])
    half = student.ppf(0.975, len(pairs) - 1) * by_seed.std(ddof=1) / np.sqrt(len(pairs))
    print(
        f"with {first.mean():.1%}, without {second.mean():.1%} of {len(first)} draws: "
        f"{100 * by_seed.mean():+.1f} points, over draws {100 * gain.low:+.1f} to "
        f"{100 * gain.high:+.1f}, McNemar p {p_value:.2g} ({only} against {other}); over "
        f"{len(pairs)} seeds {100 * (by_seed.mean() - half):+.1f} to "
        f"{100 * (by_seed.mean() + half):+.1f}"
    )
    figures = {
        "with": first.mean(),
        "without": second.mean(),
        "n": len(first),
        "draws_low": gain.low,
        "draws_high": gain.high,
        "by_seed": by_seed.tolist(),
        "seeds_half_width": half,
    }
    write_json(out / "printer_gain.json", figures)


if __name__ == "__main__":
    main()
