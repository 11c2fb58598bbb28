"""What this installation consists of: versions for manifests, devices for ``--device``."""

import platform
from importlib.metadata import version

import torch

from physadv.checks import UsageError

_PACKAGES = (
    "physadv",
    "torch",
    "torchvision",
    "ultralytics",
    "kornia",
    "opencv-python",
    "numpy",
    "polars",
)


def versions() -> dict[str, str]:
    """Versions of Python and of every package whose version can change a figure."""
    return {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}


def devices() -> list[str]:
    """Devices that ``--device`` accepts on this machine."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["cpu", *(["cuda", *cuda] if cuda else [])]


def choose_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is the first GPU if there is one, else the CPU.

    Raises:
        UsageError: If this machine has no such device.
    """
    found = devices()
    if name == "auto":
        return torch.device("cuda" if "cuda" in found else "cpu")
    if name not in found:
        raise UsageError(
            f"device {name!r}",
            f"this machine has {', '.join(found)}",
            "Choose one of those, or auto.",
        )
    return torch.device(name)
