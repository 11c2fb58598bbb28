"""Cost of one EOT step over the bare forward and backward pass of the victim, in one run.

    python scripts/bench_eot.py [--threads 2] [--rounds 15] [--yolo]

A step samples, renders, asks the victim, and updates the artwork: 64 crops of 64 px for a
classifier. Both are timed in turn, round by round; the figure is the median of the per-round
ratios. ``--yolo`` adds YOLOv8n with random weights: 8 windows of 640 px, and the 8 of 320 px that
signs are optimised on.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from physadv.artwork.parameterization import FreeRgb
from physadv.imaging.backgrounds import background_pool
from physadv.imaging.framing import Framing, as_crops, as_windows
from physadv.imaging.views import Views, sample_views
from physadv.optimize.eot import estimate, render_artwork
from physadv.optimize.opponents import ClassifierOpponent, DetectorOpponent, Opponent
from physadv.optimize.problem import Audience, Problem, Settings, Weights
from physadv.scene.catalog import load_scene
from physadv.scene.faces import scene_face
from physadv.seeding import generator_for
from physadv.victim.catalog import load_victim
from physadv.victim.detectors import load_detector
from physadv.victim.precision import in_bfloat16

TARGET = 5


@dataclass(frozen=True)
class Bench:
    """The fixed inputs, the parameters, and their optimiser."""

    problem: Problem
    raw: Tensor
    adam: torch.optim.Adam

    @property
    def audience(self) -> Audience:
        """The only one."""
        return self.problem.audiences[0]

    def views(self, n: int) -> Views:
        """Views of step ``n``."""
        return sample_views(
            self.problem.scene,
            self.audience.count,
            self.audience.size_px,
            seed=0,
            keys=("bench", n),
            pool=len(self.audience.backgrounds),
            framing=self.audience.framing,
        )

    def step(self, n: int) -> None:
        """What the optimiser does once."""
        colours = self.problem.parameterization.colours(self.raw)
        loss = estimate(self.problem, colours, [self.views(n)], Settings()).terms.total()
        loss.backward()
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        self.problem.parameterization.project_(self.raw)

    def images(self) -> Tensor:
        """The views of step 0, rendered."""
        colours = self.problem.parameterization.hard(self.raw)
        sheet = self.problem.sheets[0]
        return render_artwork(self.audience, sheet, colours, self.views(0)).detach()


def make_bench(opponent: Opponent, framing: Framing, count: int, size_px: int) -> Bench:
    """A poster on the stop sign, seen in ``count`` views of ``size_px``."""
    scene = load_scene("stop_sign")
    side = scene.mask_texels
    face = torch.from_numpy(scene_face(scene, side).copy()).permute(2, 0, 1).float() / 255
    audience = Audience((opponent,), framing, count, count, background_pool(0, size_px, None, 64))
    problem = Problem(
        scene,
        (audience,),
        face,
        (face[3:] > 0.5).float(),
        FreeRgb(scene.colour_texels),
        Weights(),
        torch.device("cpu"),
    )
    raw = problem.parameterization.initial(generator_for(0, "bench")).requires_grad_(True)
    return Bench(problem, raw, torch.optim.Adam([raw], lr=0.03))


def compare(name: str, rounds: int, bench: Bench, scores: Callable[[Tensor], Tensor]) -> None:
    """Time a step, and the victim's own forward and backward pass down to the pixels, in turn."""
    images = bench.images()

    def alone() -> None:
        pixels = images.detach().requires_grad_(True)
        scores(pixels).sum().backward()

    ratios, whole, single, memory = [], [], [], []
    for n in range(rounds + 2):
        times = []
        for work in (lambda n=n: bench.step(n), alone):
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
    victim = load_victim(name)
    settings = Settings()
    opponent = ClassifierOpponent(victim, TARGET)
    bench = make_bench(opponent, as_crops, settings.views, settings.size_px)
    compare(name, rounds, bench, lambda images: victim.logits(images)[:, TARGET])


def bench_yolo(rounds: int, size_px: int) -> None:
    """8 windows, the victim in the precision that the optimiser uses."""
    victim = load_detector("yolov8n.yaml")
    victim.module.to(memory_format=torch.channels_last)
    camera = load_scene("stop_sign").camera
    framing = as_windows(victim.window_scale(camera.height_px, camera.width_px))
    bench = make_bench(DetectorOpponent(victim, "hide", 11, -1), framing, 8, size_px)

    def scores(images: Tensor) -> Tensor:
        with in_bfloat16(images.device):
            heads = victim.candidates(images.contiguous(memory_format=torch.channels_last))
        return heads[0].class_logits[..., 11]

    compare(f"yolov8n, random weights, {size_px} px", rounds, bench, scores)


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--yolo", action="store_true", help="also YOLOv8n")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in ("gtsrb-cnn", "gtsrb-resnet"):
        bench_classifier(name, arguments.rounds)
    if arguments.yolo:
        for size_px in (640, 320):
            bench_yolo(arguments.rounds, size_px)


if __name__ == "__main__":
    main()
