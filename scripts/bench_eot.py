"""Cost of one EOT step over the bare forward and backward pass of the victim, in one run.

    python scripts/bench_eot.py [--threads 2] [--rounds 15]

Both are timed in turn, round by round; the figure is the median of the per-round ratios. The
YOLOv8n-sized victim at 640 px (random weights) needs the extra ``bench``.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from physadv.artwork.parameterization import FreeRgb
from physadv.imaging.backgrounds import background_pool
from physadv.imaging.views import Views, sample_views
from physadv.optimize.eot import estimate, render_artwork
from physadv.optimize.problem import Opponent, Problem, Settings, Weights
from physadv.scene.catalog import load_scene
from physadv.scene.faces import scene_face
from physadv.seeding import generator_for
from physadv.victim.catalog import load_victim
from physadv.victim.protocol import ClassifierVictim


class YoloSized(nn.Module):
    """YOLOv8n with random weights; its head's class scores pooled to one row an image."""

    input_px = 640

    def __init__(self) -> None:
        super().__init__()
        from ultralytics.nn.tasks import DetectionModel

        self.model = DetectionModel("yolov8n.yaml", verbose=False)

    def forward(self, images: Tensor) -> Tensor:
        """[B,80] largest class scores."""
        output = self.model(images)
        decoded = output[0] if isinstance(output, tuple) else output
        return decoded[:, 4:].amax(dim=2)


def step(problem: Problem, settings: Settings, raw: Tensor, adam: torch.optim.Adam, n: int) -> None:
    """Sample, render, ask, update: what the optimiser does once."""
    views = views_of(problem, settings, n)
    adam.zero_grad(set_to_none=True)
    estimate(
        problem, problem.parameterization.colours(raw), views, settings
    ).terms.total().backward()
    adam.step()
    problem.parameterization.project_(raw)


def views_of(problem: Problem, settings: Settings, n: int) -> Views:
    """The views of step ``n``."""
    return sample_views(
        problem.scene,
        settings.views,
        settings.size_px,
        seed=0,
        keys=("bench", n),
        pool=len(problem.backgrounds),
    )


def bare(victim: ClassifierVictim, images: Tensor, target: int) -> None:
    """Forward and backward of the victim alone, down to the pixels."""
    images = images.detach().requires_grad_(True)
    victim.logits(images)[:, target].sum().backward()


def seconds(work: Callable[[], None]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(victim: ClassifierVictim, settings: Settings, rounds: int) -> None:
    """Print the ratio for one victim."""
    scene = load_scene("stop_sign")
    side = scene.mask_texels
    face = torch.from_numpy(scene_face(scene, side).copy()).permute(2, 0, 1).float() / 255
    problem = Problem(
        scene,
        (Opponent(victim, 14, 5),),
        face,
        (face[3:] > 0.5).float(),
        FreeRgb(scene.colour_texels),
        background_pool(0, settings.size_px),
        Weights(),
        torch.device("cpu"),
    )
    raw = problem.parameterization.initial(generator_for(0, "bench")).requires_grad_(True)
    adam = torch.optim.Adam([raw], lr=0.03)
    colours = problem.parameterization.hard(raw)
    images = render_artwork(problem, colours, views_of(problem, settings, 0)).detach()
    ratios, whole, alone = [], [], []
    memory = []
    for n in range(rounds + 2):
        first = seconds(lambda n=n: step(problem, settings, raw, adam, n))
        second = seconds(lambda: bare(victim, images, 5))
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        if n >= 2:
            ratios.append(first / second)
            whole.append(first)
            alone.append(second)
    print(
        f"{victim.name}: {settings.views} views of {settings.size_px} px, step "
        f"{1000 * statistics.median(whole):.0f} ms, bare {1000 * statistics.median(alone):.0f} ms, "
        f"ratio {statistics.median(ratios):.2f} (min {min(ratios):.2f}, max {max(ratios):.2f}); "
        f"peak memory {memory[2]:.0f} MiB after 3 steps, {memory[-1]:.0f} MiB after {rounds + 2}"
    )


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--yolo", action="store_true", help="also the YOLOv8n-sized victim")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in ("gtsrb-cnn", "gtsrb-resnet"):
        measure(load_victim(name), Settings(), arguments.rounds)
    if arguments.yolo:
        module = YoloSized()
        names = tuple(str(index) for index in range(80))
        victim = ClassifierVictim("yolov8n-sized", names, "", 640, module)
        measure(victim, Settings(views=8, size_px=640), max(3, arguments.rounds // 4))


if __name__ == "__main__":
    main()
