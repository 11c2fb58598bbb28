"""Torchvision's detectors by name: official weights from torch hub's cache, or random ones."""

import http.client
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model, get_model_weights

from physadv.checks import UserError
from physadv.data.files import sha256_of
from physadv.victim.detector import DetectorVictim
from physadv.victim.torchvision_heads import (
    TorchvisionModule,
    fitting_of,
    has_background,
    reporting_of,
)
from physadv.victim.weights import module_sha256

_HASH = re.compile(r"-([0-9a-f]{8,})\.pth$")


def load_torchvision(name: str) -> DetectorVictim:
    """One of torchvision's detectors with its official COCO weights.

    They are read from torch hub's cache, and downloaded into it where they are not there yet. The
    checkpoint must have the checksum that its name carries, and hold nothing but tensors.

    Args:
        name: Torchvision's name of the model, such as ``fasterrcnn_resnet50_fpn``.

    Raises:
        UserError: If the weights cannot be downloaded, or the file is damaged.
    """
    weights: Any = get_model_weights(name).DEFAULT
    path = checkpoint_path(name)
    if not path.is_file():
        _download(name, weights.url, path)
    _check(name, path)
    # The builder reads the same file; it also sets what only trained networks have.
    network = get_model(name, weights=weights, weights_backbone=None, progress=False)
    return torchvision_victim(name, network, weights.meta["categories"])


def untrained_torchvision(name: str, seed: int = 0, **options: object) -> DetectorVictim:
    """The same network with random weights, for tests and benches.

    Args:
        name: Torchvision's name of the model.
        seed: Seed of the weights.
        options: Passed to torchvision's builder, such as ``min_size``.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = get_model(name, weights=None, weights_backbone=None, **options)
    weights: Any = get_model_weights(name).DEFAULT
    return torchvision_victim(name, network, weights.meta["categories"])


def torchvision_victim(name: str, network: nn.Module, categories: Sequence[str]) -> DetectorVictim:
    """A Faster R-CNN, RetinaNet, FCOS or SSD of torchvision as a victim.

    Args:
        name: The victim's name.
        network: With its weights; it is switched to eval mode and frozen.
        categories: Names by torchvision's labels, the background first; COCO's unused labels, all
            called N/A there, become "unused 12" and so on.
    """
    names = [f"unused {n}" if said == "N/A" else said for n, said in enumerate(categories)]
    return DetectorVictim(
        name,
        tuple(names[1:] if has_background(network) else names),
        module_sha256(network),
        fitting_of(network),
        TorchvisionModule(network),
        reporting_of(network),
    )


def checkpoint_path(name: str) -> Path:
    """Where torch hub keeps the official weights of a model, whether they are there or not."""
    weights: Any = get_model_weights(name).DEFAULT
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name


def _download(name: str, url: str, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path))
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"detector {name!r}",
            f"its weights are not in {path.parent} and cannot be downloaded ({error})",
            f"Connect to a network once, or put {url} there.",
        ) from error


def _check(name: str, path: Path) -> None:
    """Torchvision's builder unpickles without restriction; let it have harmless files alone."""
    expected = _HASH.search(path.name)
    try:
        if expected is None or not sha256_of(path).startswith(expected[1]):
            raise ValueError("its checksum is not the one in its name")
        torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(
            f"detector {name!r}",
            f"{path} is not its official checkpoint ({str(error).splitlines()[0]})",
            "Delete the file; it is downloaded again.",
        ) from error
