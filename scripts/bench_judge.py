"""How many views a second the judge renders and classifies over RP2's 15 cells, on 2 cores.

    python scripts/bench_judge.py [--workers 2] [--draws 20] [--rounds 5]

A view is one treatment of one draw: rendered at the sensor's resolution and classified, once in
its exact crop, then in both crops as ``physadv evaluate grid`` does unless told. Beside it, in
the same run, the bare classification of as many 64 px crops, so that the figures can be compared
between machines.
"""

import argparse
import statistics
import time

import numpy as np
import torch

from physadv.artwork.files import Artwork
from physadv.evaluate.grid import evaluate_grid
from physadv.scene.catalog import load_grid, load_scene
from physadv.scene.faces import draw_face
from physadv.types import CROPS, TREATMENTS
from physadv.victim.catalog import load_victim


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rgba = draw_face("us_r1_1", 256).copy()
    rgba[..., 3] = 255 * (np.indices((256, 256)).sum(axis=0) % 128 < 26) * (rgba[..., 3] > 127)
    artwork = Artwork(rgba, 762, 762, "us_r1_1", "Speed limit (80km/h)", ())
    scene, grid = load_scene("stop_sign"), load_grid("rp2_lab")
    victim = load_victim("gtsrb-cnn")
    count = len(grid.cells) * arguments.draws * len(TREATMENTS)
    rates: dict[str, list[float]] = {"one crop": [], "two crops": [], "bare": []}
    for n in range(arguments.rounds + 1):
        for name, crops in (("one crop", CROPS[:1]), ("two crops", CROPS)):
            started = time.perf_counter()
            evaluate_grid(
                artwork,
                scene,
                grid,
                victim,
                draws=arguments.draws,
                seed=n,
                workers=arguments.workers,
                crops=crops,
            )
            rates[name].append(count / (time.perf_counter() - started))
        started = time.perf_counter()
        with torch.no_grad():
            for _ in range(count // 64):
                victim.logits(torch.rand(64, 3, 64, 64))
        rates["bare"].append(64 * (count // 64) / (time.perf_counter() - started))
    print(f"per second with {arguments.workers} workers, median (least to most) of rounds:")
    for name, label in (
        ("one crop", "views rendered and classified in one crop"),
        ("two crops", "views rendered and classified in two crops"),
        ("bare", "bare classifications of 64 px crops"),
    ):
        seen = rates[name][1:]  # the first round warms up
        print(f"  {label}: {statistics.median(seen):.0f} ({min(seen):.0f} to {max(seen):.0f})")


if __name__ == "__main__":
    main()
