"""Shared fixtures: small scenes, analytic victims, and the rule for real data."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from physadv.scene.catalog import load_scene
from physadv.scene.schema import Scene
from physadv.victim.detector import DetectorOutput, DetectorVictim
from physadv.victim.fitting import Letterboxed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    missing = not os.environ.get("PHYSADV_DATA")
    for item in items:
        if "realdata" in item.keywords and missing:
            item.add_marker(pytest.mark.skip(reason="PHYSADV_DATA is not set"))
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    yield
    torch.set_num_threads(before)


@pytest.fixture
def scene() -> Scene:
    return load_scene("stop_sign")


@pytest.fixture
def still_scene(scene: Scene) -> Scene:
    """The stop sign with every imaging effect off: geometry alone."""
    zero = {"kind": "uniform", "low": 0.0, "high": 0.0}
    one = {"kind": "uniform", "low": 1.0, "high": 1.0}
    still = {
        "exposure_ev": zero,
        "cast": 0.0,
        "contrast": one,
        "offset": zero,
        "saturation": one,
        "shadow_share": 0.0,
        "shadow_strength": one,
        "gradient_share": 0.0,
        "gradient": 0.0,
        "defocus_px": zero,
        "motion_share": 0.0,
        "motion_px": one,
        "noise_sd": zero,
        "jpeg_share": 0.0,
        "jpeg_quality": {"kind": "uniform", "low": 95.0, "high": 95.0},
        "printer_sd": 0.0,
    }
    return Scene.model_validate(
        {**scene.model_dump(), "imaging": still, "judge": still, "folder": scene.folder}
    )


class RedDetector(nn.Module):
    """A detector that can be solved by hand: a thing is where there is much red.

    One candidate per 32 px cell, a box of 96 x 192 px around its middle whose logit for class 0
    is 16 x (mean red inside - 0.5); class 1 is never seen.
    """

    def forward(self, images: Tensor) -> tuple[DetectorOutput, ...]:
        count = len(images)
        red = nn.functional.avg_pool2d(
            nn.functional.pad(images[:, :1], (32, 32, 80, 80)), (192, 96), stride=32
        )
        rows, columns = red.shape[-2:]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        middle = torch.stack([32 * x + 16, 32 * y + 16], dim=-1).reshape(-1, 2).float()
        half = torch.tensor([48.0, 96.0])
        boxes = torch.cat([middle - half, middle + half], dim=1).expand(count, -1, -1)
        logit = 16 * (red.flatten(1) - 0.5)
        return (DetectorOutput(boxes, torch.stack([logit, torch.full_like(logit, -9.0)], -1)),)


@pytest.fixture
def red_detector() -> DetectorVictim:
    return DetectorVictim("red", ("person", "dog"), "none", Letterboxed(320), RedDetector())


@pytest.fixture
def red_people(tmp_path: Path) -> Path:
    """A COCO json of 12 photographs of 320 x 224 px, each with one red person of 96 x 192 px."""
    folder = tmp_path / "people"
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    images, annotations = [], []
    for n in range(12):
        photo = generator.integers(60, 90, (320, 224, 3)).astype(np.uint8)
        x, y = int(generator.integers(20, 100)), int(generator.integers(30, 100))
        photo[y : y + 192, x : x + 96] = (235, 40, 40)
        name = f"images/red{n:03d}.png"
        Image.fromarray(photo).save(folder / name)
        images.append({"id": n, "file_name": name, "width": 224, "height": 320})
        annotations.append({"id": n, "image_id": n, "category_id": 7, "bbox": [x, y, 96, 192]})
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 7, "name": "person"}],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder / "annotations.json"
