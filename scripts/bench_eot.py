"""Cost of one EOT step over the bare forward and backward pass of the victim, in one run.

    python scripts/bench_eot.py [--threads 2] [--rounds 15] [--yolo]

A step samples, renders, asks the victim, and updates the artwork over 64 views. Both are timed in
turn, round by round; the figure is the median of the per-round ratios. ``--yolo`` adds a
YOLOv8n-sized victim at 640 px with random weights (extra ``bench``): signs of 160 px in frames of
640 px, in parts of 8.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from physadv.artwork.parameterization import FreeRgb
from physadv.imaging.backgrounds import background_pool
from physadv.imaging.frames import paste_views
from physadv.imaging.views import Views, sample_views
from physadv.optimize.eot import estimate, render_artwork
from physadv.optimize.problem import Opponent, Problem, Settings, Weights
from physadv.scene.catalog import load_scene
from physadv.scene.faces import scene_face
from physadv.seeding import generator_for
from physadv.victim.catalog import load_victim

TARGET = 5
FRAME_PX, PART = 640, 8


@dataclass(frozen=True)
class Bench:
    """The fixed inputs, the parameters, and their optimiser."""

    problem: Problem
    settings: Settings
    raw: Tensor
    adam: torch.optim.Adam

    def views(self, n: int, count: int) -> Views:
        """Views of step ``n``."""
        return sample_views(
            self.problem.scene,
            count,
            self.settings.size_px,
            seed=0,
            keys=("bench", n),
            pool=len(self.problem.backgrounds),
        )

    def update(self) -> None:
        """One step of Adam."""
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        self.problem.parameterization.project_(self.raw)


def make_bench(opponents: tuple[Opponent, ...], settings: Settings) -> Bench:
    """A poster on the stop sign."""
    scene = load_scene("stop_sign")
    side = scene.mask_texels
    face = torch.from_numpy(scene_face(scene, side).copy()).permute(2, 0, 1).float() / 255
    problem = Problem(
        scene,
        opponents,
        face,
        (face[3:] > 0.5).float(),
        FreeRgb(scene.colour_texels),
        background_pool(0, settings.size_px),
        Weights(),
        torch.device("cpu"),
    )
    raw = problem.parameterization.initial(generator_for(0, "bench")).requires_grad_(True)
    return Bench(problem, settings, raw, torch.optim.Adam([raw], lr=0.03))


def classifier_step(bench: Bench, n: int) -> None:
    """What the optimiser does once."""
    views = bench.views(n, bench.settings.views)
    colours = bench.problem.parameterization.colours(bench.raw)
    estimate(bench.problem, colours, views, bench.settings).terms.total().backward()
    bench.update()


def bare(model: Callable[[Tensor], Tensor], images: Tensor) -> None:
    """Forward and backward of the victim alone, down to the pixels."""
    images = images.detach().requires_grad_(True)
    model(images)[:, TARGET].sum().backward()


def compare(name: str, rounds: int, step: Callable[[int], None], alone: Callable[[], None]) -> None:
    """Time both in turn and print the ratio."""
    ratios, whole, single, memory = [], [], [], []
    for n in range(rounds + 2):
        times = []
        for work in (lambda n=n: step(n), alone):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        if n >= 2:
            whole.append(times[0])
            single.append(times[1])
            ratios.append(times[0] / times[1])
    print(
        f"{name}: step {1000 * statistics.median(whole):.0f} ms, bare "
        f"{1000 * statistics.median(single):.0f} ms, ratio {statistics.median(ratios):.2f} "
        f"(min {min(ratios):.2f}, max {max(ratios):.2f}); peak memory {memory[2]:.0f} MiB after "
        f"3 steps, {memory[-1]:.0f} MiB after {rounds + 2}",
        flush=True,
    )


def bench_classifier(name: str, rounds: int) -> None:
    """64 views of 64 px."""
    settings = Settings()
    victim = load_victim(name)
    bench = make_bench((Opponent(victim, 14, TARGET),), settings)
    colours = bench.problem.parameterization.hard(bench.raw)
    images = render_artwork(bench.problem, colours, bench.views(0, settings.views)).detach()
    compare(name, rounds, lambda n: classifier_step(bench, n), lambda: bare(victim.logits, images))


def bench_yolo(rounds: int) -> None:
    """64 frames of 640 px in parts, the sign rendered at 160 px."""
    quiet = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    os.environ |= {**quiet, "YOLO_CONFIG_DIR": tempfile.mkdtemp()}
    from ultralytics.nn.tasks import DetectionModel

    model: nn.Module = DetectionModel("yolov8n.yaml", verbose=False).eval().requires_grad_(False)

    def scores(images: Tensor) -> Tensor:
        output = model(images)
        decoded = output[0] if isinstance(output, tuple) else output
        return decoded[:, 4:].amax(dim=2)

    settings = Settings(size_px=160)
    bench = make_bench((), settings)
    frames = background_pool(1, FRAME_PX // 4)[:PART]
    frames = torch.nn.functional.interpolate(frames, FRAME_PX, mode="bilinear", align_corners=False)
    corners = [(60 * i, 40 * i) for i in range(PART)]

    def step(n: int) -> None:
        for part in range(settings.views // PART):
            colours = bench.problem.parameterization.colours(bench.raw)
            views = bench.views(1000 * n + part, PART)
            seen = paste_views(frames, render_artwork(bench.problem, colours, views), corners)
            scores(seen)[:, TARGET].sum().backward()
        bench.update()

    def alone() -> None:
        for _ in range(settings.views // PART):
            bare(scores, frames)

    compare("yolov8n-sized, random weights", rounds, step, alone)


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--yolo", action="store_true", help="also the YOLOv8n-sized victim")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in ("gtsrb-cnn", "gtsrb-resnet"):
        bench_classifier(name, arguments.rounds)
    if arguments.yolo:
        bench_yolo(max(3, arguments.rounds // 5))


if __name__ == "__main__":
    main()
