"""Official ``.pt`` detectors, imported once through an allow-list: no code in them is run."""

import importlib
import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from physadv.checks import UserError
from physadv.data.files import atomic_path, sha256_of
from physadv.victim.yolo import DETECTION_HEADS, load_yolo, prepare_ultralytics

_MODULE_PREFIXES = ("torch.nn.modules.", "ultralytics.nn.")
_PLAIN: dict[str, Any] = {"builtins.set": set, "collections.OrderedDict": OrderedDict}


def import_yolo(path: Path, folder: Path, name: str = "") -> Path:
    """Convert an ultralytics detection checkpoint to safetensors that describe themselves.

    The pickle is read by torch's restricted loader, which builds nothing but tensors, plain
    containers and network layers of torch.nn and ultralytics.nn.

    Args:
        path: The ``.pt`` file.
        folder: Where ``NAME.safetensors`` goes; a file of that name there is replaced.
        name: The detector's name; by default the file's.

    Returns:
        The file written. Its metadata hold the SHA-256 of the source.

    Raises:
        UserError: If the file is missing, holds anything else, is no detector, or does not load
            again as what it says it is.
    """
    if not path.is_file():
        raise UserError(f"import {path}", "no such file", "Check the path.")
    name = name or path.stem
    if Path(name).name != name:
        raise UserError(f"import as {name!r}", "not a plain name", "Give one without slashes.")
    model = _load_model(path)
    try:
        description = {
            key: value for key, value in model.yaml.items() if key not in ("yaml_file", "ch")
        }
        names = {str(index): str(label) for index, label in dict(model.names).items()}
        head = type(model.model[-1]).__name__
        state = {key: value.contiguous() for key, value in model.state_dict().items()}
    except (AttributeError, TypeError, IndexError) as error:
        raise UserError(
            f"import {path}",
            f"its model is no ultralytics detector ({error})",
            "Give a detection checkpoint such as yolov8n.pt.",
        ) from error
    if head not in DETECTION_HEADS:
        raise UserError(
            f"import {path}",
            f"its head is {head}",
            "Give a detection checkpoint, not another task.",
        )
    metadata = {
        "format": "pt",
        "task": "detect",
        "model_yaml": json.dumps(description),
        "names": json.dumps(names),
        "source_sha256": sha256_of(path),
    }
    target = folder / f"{name}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        temporary.write_bytes(save(state, metadata))
        load_yolo(name, temporary)  # what cannot be loaded again is not kept
    return target


def _load_model(path: Path) -> Any:
    prepare_ultralytics()
    try:
        wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (pickle.UnpicklingError, RuntimeError, ValueError, OSError) as error:
        raise UserError(
            f"import {path}", f"not a torch checkpoint ({error})", "Get the file again."
        ) from error
    allowed = [_allowed(path, entry) for entry in wanted]
    try:
        with torch.serialization.safe_globals(allowed):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, AttributeError, TypeError) as error:
        raise UserError(
            f"import {path}",
            f"the restricted loader refuses it ({str(error).splitlines()[0]})",
            "Get the official file.",
        ) from error
    model = None
    if isinstance(content, dict):
        ema = content.get("ema")
        model = content.get("model") if ema is None else ema
    if not isinstance(model, nn.Module):
        raise UserError(
            f"import {path}", "it holds no network", "Give an ultralytics checkpoint (.pt)."
        )
    return model


def _allowed(path: Path, entry: str) -> Any:
    """The class called ``entry``, if it is a layer or a plain container, as torch wants it."""
    if entry in _PLAIN:
        return _PLAIN[entry]
    module_name, _, attribute = entry.rpartition(".")
    found = None
    if f"{module_name}.".startswith(_MODULE_PREFIXES):
        try:
            found = getattr(importlib.import_module(module_name), attribute, None)
        except ImportError:
            found = None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise UserError(
            f"import {path}",
            f"it asks for {entry}, which is no network layer",
            "A pickle can run any code; only official detection checkpoints are imported.",
        )
    return found, entry  # an old file may name a class by where it used to be
