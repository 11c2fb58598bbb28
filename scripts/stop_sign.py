"""The stop sign end to end from Python, without the command line.

    python scripts/stop_sign.py [RUN]

Makes stickers that the bundled classifier reads as "Speed limit (80km/h)", prints them to PDF,
judges them on RP2's 15 cells and writes the report.
"""

import argparse
import sys
from pathlib import Path

import physadv


def main() -> None:
    """Generate, print, judge, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, default=Path("runs/stop-sign"))
    run = parser.parse_args().run
    scene = physadv.load_scene("stop_sign")
    victim = physadv.load_victim("gtsrb-cnn")
    recipe = physadv.Recipe(scene.default_target, settings=physadv.Settings(steps=400))
    artwork = physadv.generate(scene, [victim], recipe, run)
    physadv.write_pdf(artwork, run / "print.pdf", width_mm=artwork.width_mm, page="a4")
    grid = physadv.load_grid(scene.default_grid)
    trials = physadv.evaluate_grid(artwork, scene, grid, victim, draws=50, run_name=run.name)
    physadv.save_trials(run / "trials.parquet", trials)
    physadv.write_views(artwork, scene, victim, run / "views")
    print(physadv.write_report(run))


if __name__ == "__main__":
    try:
        main()
    except physadv.UserError as error:
        sys.exit(f"error: {error}")
