"""Victims by name: a dict of factories, and the plug-in for a user's own module."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from physadv.checks import UsageError, UserError, check_name
from physadv.data.files import ENVIRONMENT_VARIABLE, external_folder, find_external
from physadv.data.gtsrb import GTSRB_CLASSES
from physadv.victim import lisa, squeezenet
from physadv.victim.gtsrb import GtsrbCnn, GtsrbResnet
from physadv.victim.mnist import LeNet
from physadv.victim.protocol import ClassifierVictim
from physadv.victim.weights import FOLDER, expected_sha256, load_weights, module_sha256


@dataclass(frozen=True)
class VictimInfo:
    """A line of ``physadv victims``: ``weights`` says what was found, or what to do."""

    name: str
    description: str
    weights: str


def _bundled(
    name: str, module: nn.Module, input_px: int, class_names: tuple[str, ...]
) -> ClassifierVictim:
    file = f"{name}.safetensors"
    sha256 = load_weights(module, FOLDER / file, expected_sha256(file))
    return ClassifierVictim(name, class_names, sha256, input_px, module)


def _gtsrb_cnn() -> ClassifierVictim:
    return _bundled("gtsrb-cnn", GtsrbCnn(), GtsrbCnn.input_px, GTSRB_CLASSES)


def _gtsrb_resnet() -> ClassifierVictim:
    return _bundled("gtsrb-resnet", GtsrbResnet(), GtsrbResnet.input_px, GTSRB_CLASSES)


def _mnist_lenet() -> ClassifierVictim:
    return _bundled("mnist-lenet", LeNet(), LeNet.input_px, LeNet.class_names)


def _lisa_cnn() -> ClassifierVictim:
    path = find_external(lisa.WEIGHTS)
    module = lisa.LisaCnn()
    sha256 = load_weights(module, path, expected_sha256(path.name))
    names = lisa.read_class_names(path)
    return ClassifierVictim("lisa-cnn", names, sha256, lisa.LisaCnn.input_px, module)


def _squeezenet() -> ClassifierVictim:
    path = find_external(squeezenet.WEIGHTS)
    module = squeezenet.SqueezeNet()
    sha256 = load_weights(module.network, path, expected_sha256(path.name))
    return ClassifierVictim("squeezenet", module.class_names, sha256, module.input_px, module)


VICTIMS: dict[str, Callable[[], ClassifierVictim]] = {
    "gtsrb-cnn": _gtsrb_cnn,
    "gtsrb-resnet": _gtsrb_resnet,
    "lisa-cnn": _lisa_cnn,
    "mnist-lenet": _mnist_lenet,
    "squeezenet": _squeezenet,
}
_DESCRIPTIONS = {
    "gtsrb-cnn": "two-stage multi-scale CNN, 43 German signs, 32 px (RP2's GTSRB-CNN line)",
    "gtsrb-resnet": "compact residual net, 43 German signs, 48 px",
    "lisa-cnn": "RP2's released LISA-CNN, 17 US signs, 32 px",
    "mnist-lenet": "LeNet, ten handwritten digits, 28 px grey: for digital attacks",
    "squeezenet": "SqueezeNet 1.0 (Deep Compression), 1,000 ImageNet classes, 227 px",
}
_EXTERNAL = {"lisa-cnn": lisa.WEIGHTS, "squeezenet": squeezenet.WEIGHTS}
_ANY_SIZE = (3, 64, 64)  # photographs come in any; this one is tried


def load_victim(
    name: str,
    device: str = "cpu",
    *,
    shape_for: Callable[[int], tuple[int, int, int]] = lambda input_px: _ANY_SIZE,
) -> ClassifierVictim:
    """A victim by name, or a user's own module as ``package.module:factory``.

    The factory takes no argument and returns a ``torch.nn.Module`` from [B,3,H,W] RGB in [0,1]
    to [B,K] logits, with any resize and normalisation inside. Its attribute ``class_names`` (K
    strings), where there is one, names the classes; else they are "0" ... "K-1". ``input_px``,
    where there is one, is the side of the square that it resamples to, or that it must be shown.
    The current directory is searched for the module.

    Args:
        name: A key of ``VICTIMS`` or ``package.module:factory``.
        device: A torch device.
        shape_for: (C, H, W) of what a module of that ``input_px`` will be shown, 0 if it does not
            say; tried at once. By default it must take any size.

    Raises:
        UsageError: If the name is unknown, or names nothing that can be imported and called.
        UserError: If weights are missing, damaged or do not fit, or the factory does not give a
            working module.
    """
    if ":" in name:
        return _plug_in(name, shape_for).to(device)
    do = "Your own: package.module:factory. This takes classifiers alone, no detectors."
    check_name("victim", name, VICTIMS, do)
    return VICTIMS[name]().to(device)


def list_victims() -> list[VictimInfo]:
    """Every named victim, and whether its weights are there; no network is built."""
    found = []
    for name, description in _DESCRIPTIONS.items():
        external = _EXTERNAL.get(name)
        weights = _bundled_state(name) if external is None else _external_state(external)
        found.append(VictimInfo(name, description, weights))
    return found


def _bundled_state(name: str) -> str:
    path = FOLDER / f"{name}.safetensors"
    return "bundled" if path.is_file() else f"missing: {path.name}; install physadv again"


def _external_state(file: str) -> str:
    folder = external_folder()
    if folder is None:
        return f"missing: set {ENVIRONMENT_VARIABLE} to a folder with {file}"
    path = folder / file
    return f"found: {path}" if path.is_file() else f"missing: put it at {path}"


def _plug_in(name: str, shape_for: Callable[[int], tuple[int, int, int]]) -> ClassifierVictim:
    factory = _import_factory(name)
    try:
        module = factory()
    except Exception as error:
        raise UserError(
            f"victim {name!r}",
            f"its factory failed ({type(error).__name__}: {error})",
            "It is called without arguments and must return a torch.nn.Module.",
        ) from error
    if not isinstance(module, nn.Module):
        raise UserError(
            f"victim {name!r}",
            f"its factory returned a {type(module).__name__}",
            "Return a torch.nn.Module from [B,3,H,W] RGB in [0,1] to [B,K] logits.",
        )
    input_px = getattr(module, "input_px", 0)
    if not isinstance(input_px, int) or input_px < 0:
        raise UserError(
            f"victim {name!r}",
            f"its input_px is {input_px!r}",
            "Give the side of a square in pixels, a whole number, or leave it out.",
        )
    names = _class_names(name, module, shape_for(input_px))
    return ClassifierVictim(name, names, module_sha256(module), input_px, module)


def _import_factory(name: str) -> Callable[[], object]:
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
        importlib.invalidate_caches()
    try:
        source = importlib.import_module(module_name)
    except Exception as error:
        raise UsageError(
            f"victim {name!r}",
            f"importing {module_name!r} failed ({type(error).__name__}: {error})",
            f"Named victims: {', '.join(VICTIMS)}; your own: package.module:factory, importable "
            "from the current directory.",
        ) from error
    factory = getattr(source, attribute, None)
    if not callable(factory):
        what = "has no such attribute" if factory is None else "is there but cannot be called"
        raise UsageError(
            f"victim {name!r}",
            f"{attribute!r} in {module_name}: {what}",
            "Name a function without arguments that returns a torch.nn.Module.",
        )
    return factory


def _class_names(name: str, module: nn.Module, shape: tuple[int, int, int]) -> tuple[str, ...]:
    count = _count_outputs(name, module, shape)
    given = getattr(module, "class_names", None)
    if given is None:
        return tuple(str(index) for index in range(count))
    names = tuple(str(entry) for entry in given)
    if len(names) != count:
        raise UserError(
            f"victim {name!r}",
            f"{len(names)} class_names for {count} outputs",
            "Give one name per output, in order.",
        )
    return names


def _count_outputs(name: str, module: nn.Module, shape: tuple[int, int, int]) -> int:
    """K, by asking the module about one grey image."""
    tensor = next(module.parameters(), torch.zeros(()))
    image = torch.full((1, *shape), 0.5, device=tensor.device, dtype=tensor.dtype)
    contract = (
        "It must take images [B,3,H,W] of any size and return logits [B,K]; resize inside it."
        if shape == _ANY_SIZE
        else f"It will be shown images [B,{','.join(map(str, shape))}] here; it must take them and "
        "return logits [B,K]."
    )
    try:
        with torch.no_grad():
            answer = module.eval()(image)
    except Exception as error:
        found = f"it fails on a {list(image.shape)} image ({type(error).__name__}: {error})"
        raise UserError(f"victim {name!r}", found, contract) from error
    if not isinstance(answer, Tensor):
        raise UserError(
            f"victim {name!r}",
            f"it returns a {type(answer).__name__}",
            "Wrap the model so that it returns its logits [B,K] alone.",
        )
    if answer.ndim != 2 or len(answer) != 1:
        found = f"{list(answer.shape)} for a {list(image.shape)} image"
        raise UserError(f"victim {name!r}", found, contract)
    return answer.shape[1]
