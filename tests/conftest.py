"""Shared fixtures: small scenes, analytic victims, and the rule for real data."""

import os
from collections.abc import Iterator

import pytest
import torch

from physadv.scene.catalog import load_scene
from physadv.scene.schema import Scene


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
