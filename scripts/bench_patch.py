"""What one step against a detector costs, over the detector's own forward and backward pass.

    python scripts/bench_patch.py [--victim yolov8n.yaml] [--rounds 10] [--full]

One step: 8 windows cut, patches rendered and pasted, forward, loss, backward, update. Bare: the
same network forward and backward on the same finished images, in the same precision. ``--full``
measures 640 x 640 px windows in place of the three window sizes that training uses.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from physadv.artwork.parameterization import FreeRgb
from physadv.data.coco import read_coco
from physadv.imaging import crops as windows
from physadv.optimize import objects
from physadv.optimize.objects import HideSettings, HideTask
from physadv.scene.catalog import load_object_scene
from physadv.victim.detector import DetectorVictim
from physadv.victim.detectors import load_detector


def _people(folder: Path) -> Path:
    """Sixteen drawn photographs with a person's box each; what they show does not matter here."""
    generator = np.random.default_rng(0)
    images, annotations = [], []
    for n in range(16):
        photo = generator.integers(0, 256, (480, 640, 3), dtype=np.uint8)
        Image.fromarray(photo).save(folder / f"{n}.png")
        images.append({"id": n, "file_name": f"{n}.png", "width": 640, "height": 480})
        height = int(generator.integers(160, 440))
        box = [int(generator.integers(0, 400)), 20, height * 0.4, height]
        annotations.append({"id": n, "image_id": n, "category_id": 1, "bbox": box})
    content = {"images": images, "annotations": annotations}
    path = folder / "annotations.json"
    path.write_text(json.dumps({**content, "categories": [{"id": 1, "name": "person"}]}))
    return path


def _bare(victim: DetectorVictim, images: torch.Tensor, half: bool) -> float:
    """Seconds of one forward and backward pass to the pixels."""
    started = time.perf_counter()
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
        heads = victim.candidates(images.detach().requires_grad_(True))
    sum(head.class_logits[..., 0].sum() for head in heads).backward()
    return time.perf_counter() - started


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--victim", default="yolov8n.yaml")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    if arguments.full:
        windows.SHAPES = objects.SHAPES = ((640, 640),) * 3
    victim = load_detector(arguments.victim)
    victim.module.to(memory_format=torch.channels_last)
    scene = load_object_scene("person_thys")
    with tempfile.TemporaryDirectory() as folder:
        photos = read_coco(_people(Path(folder)), scene.true_class).photos
        groups = windows.targets_of(photos, victim.window_scale, scene.least_height)
        for half in (True, False):
            settings = replace(HideSettings(), half=half)
            parameterization = FreeRgb(scene.patch.texels)
            task = HideTask(
                scene,
                (victim,),
                (victim.first_known(scene.true_class),),
                parameterization,
                groups,
                groups,
                settings,
                torch.device("cpu"),
            )
            raw = parameterization.initial(np.random.default_rng(0)).requires_grad_(True)
            adam = torch.optim.Adam([raw])
            ratios, steps = [], []
            for n in range(arguments.rounds + 1):
                shown: list[torch.Tensor] = []
                hook = victim.module.register_forward_pre_hook(
                    lambda _module, args, kept=shown: kept.append(args[0].detach())
                )
                started = time.perf_counter()
                adam.zero_grad()
                task.estimate(parameterization.colours(raw), "bench", n).terms.total().backward()
                adam.step()
                parameterization.project_(raw.data)
                spent = time.perf_counter() - started
                hook.remove()
                bare = _bare(victim, shown[0], half)
                if n:
                    ratios.append(spent / bare)
                    steps.append(spent)
            print(
                f"{arguments.victim}, {'bfloat16' if half else 'float32'}: a step of "
                f"{settings.crops} windows {1e3 * statistics.median(steps):.0f} ms, "
                f"{statistics.median(ratios):.2f} times the bare pass "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
