"""YOLO detectors through the ultralytics package: v5u, v8, v9, v10, 11, 12, 26.

Ultralytics is imported here alone, late, and told beforehand not to install packages, not to go
online and to keep its settings in a temporary folder.
"""

import getpass
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from physadv.checks import UserError
from physadv.victim.detector import DetectorOutput, DetectorVictim
from physadv.victim.fitting import Letterboxed
from physadv.victim.suppression import BestClass, Unsuppressed
from physadv.victim.weights import load_weights

INPUT_PX = 640
DETECTION_HEADS = ("Detect", "v10Detect")
_REPLACED = (
    (Image, "open"),
    (cv2, "imread"),
    (cv2, "imwrite"),
    (cv2, "imshow"),
    (torch, "save"),
)


def prepare_ultralytics() -> None:
    """Import ultralytics, and undo what it does to the rest of the process.

    It is kept from installing packages, going online and writing settings. Its import replaces
    functions of PIL, OpenCV and torch and switches OpenCV's threads off; all of that is put back.

    Raises:
        UserError: If it cannot be imported.
    """
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_VERBOSE"] = "false"
    own = Path(tempfile.gettempdir()) / f"physadv-ultralytics-{getpass.getuser()}"
    os.environ.setdefault("YOLO_CONFIG_DIR", str(own))
    kept = [(owner, name, getattr(owner, name)) for owner, name in _REPLACED]
    threads = cv2.getNumThreads()
    try:
        import ultralytics.nn.tasks  # noqa: F401
    except ImportError as error:
        raise UserError(
            "a YOLO victim",
            f"the ultralytics package cannot be imported ({error})",
            "Install physadv again; ultralytics is one of its dependencies.",
        ) from error
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)
        cv2.setNumThreads(threads)


def _ultralytics_network(description: str | dict[str, object], classes: int | None) -> nn.Module:
    """Build a DetectionModel from a yaml name or dictionary, with random weights."""
    prepare_ultralytics()
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    asked = f"YOLO architecture {description if isinstance(description, str) else ''}".rstrip()
    do = "Give the name of one of its detection yamls, such as yolo11n.yaml."
    try:
        written: Any = description
        if isinstance(description, str):
            written = yaml_model_load(description)
        head = written["head"][-1][2]
        if head in DETECTION_HEADS:
            return DetectionModel(description, nc=classes, verbose=False)
    except (FileNotFoundError, KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(asked, f"ultralytics cannot build it ({error})", do) from error
    raise UserError(asked, f"its head is {head}, of another task or kind", do)


_MOST_ANCHORS = 64  # sets kept: one for each shape of images


class YoloModule(nn.Module):
    """Decoded candidates of an ultralytics DetectionModel: one output a head, the judging first.

    v10 and 26 have two heads, one-to-many and one-to-one (which needs no suppression). The first
    is what ultralytics predicts with unless asked for ``end2end``; an attack has to fool both.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()
        self._anchors: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        head = self._head
        head.xyxy = True
        self.end_to_end = bool(head.end2end)
        if getattr(head, "one2one_cv2", None) is None:
            # Folding batch normalisation into convolutions is what ultralytics' own predict does.
            # It would delete one of two heads.
            network.fuse(verbose=False)  # type: ignore[operator]

    @property
    def _head(self) -> Any:
        return self.network.model[-1]  # type: ignore[index]

    def forward(self, images: Tensor) -> tuple[DetectorOutput, ...]:
        """[B,3,h,w] in [0,1], sides multiples of the stride -> one output a head."""
        # The network makes its anchors on the host, and keeps the last ones by their shape alone:
        # not by device or precision, nor by whether gradients can be recorded.
        decoder, kind = self._head, images.device.type
        halved = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
        recorded = not torch.is_inference_mode_enabled()
        key = (tuple(images.shape), images.device, images.dtype, halved, recorded)
        unknown = (None, decoder.anchors, decoder.strides)
        decoder.shape, decoder.anchors, decoder.strides = self._anchors.get(key, unknown)
        decoder.stride = decoder.stride.cpu()  # its values are read one by one
        _, raw = self.network(images)
        if key not in self._anchors and decoder.shape is not None:
            if len(self._anchors) == _MOST_ANCHORS:
                self._anchors.clear()
            self._anchors[key] = (decoder.shape, decoder.anchors, decoder.strides)
        heads = [raw[name] for name in ("one2many", "one2one")] if "one2one" in raw else [raw]
        if self.end_to_end:
            heads.reverse()
        return tuple(
            DetectorOutput(
                decoder._get_decode_boxes(head).transpose(1, 2).float(),
                head["scores"].transpose(1, 2).float(),
            )
            for head in heads
        )


def yolo_from_yaml(description: str, name: str = "", seed: int = 0) -> DetectorVictim:
    """An untrained YOLO of any architecture that ultralytics can build, for tests and benches.

    Args:
        description: Name of one of its yamls, such as ``yolo11n.yaml``; 80 classes are COCO's.
        name: The victim's name; by default the yaml's.
        seed: Seed of the random weights.

    Raises:
        UserError: If ultralytics does not know the yaml.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _ultralytics_network(description, None)
    from ultralytics.utils import ROOT, YAML

    coco = YAML.load(ROOT / "cfg" / "datasets" / "coco.yaml")["names"]
    if len(coco) == len(network.names):  # type: ignore[arg-type]
        network.names = coco
    return _victim(name or description, network, f"random weights, seed {seed}")


def load_yolo(name: str, path: Path, expected_sha256: str | None = None) -> DetectorVictim:
    """A trained YOLO from a safetensors file that describes itself.

    Args:
        name: The victim's name.
        path: The file; its metadata hold ``model_yaml`` (a yaml's name, or its content as JSON)
            and ``names`` as JSON.
        expected_sha256: Checksum that the file must have.

    Raises:
        UserError: If the file is missing, damaged, has another checksum, does not describe itself
            or does not fit its own description.
    """
    try:
        with safe_open(path, "pt") as stream:
            metadata = stream.metadata() or {}
        written = metadata["model_yaml"]
        description = written if written.endswith(".yaml") else json.loads(written)
        names = json.loads(metadata["names"])
        class_names = tuple(str(names[str(index)]) for index in range(len(names)))
    except FileNotFoundError as error:
        raise UserError(f"weights {path}", "no such file", "Check the path.") from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"weights {path}",
            f"no YOLO that describes itself ({error})",
            "Its metadata must hold model_yaml and names; `physadv import` writes such files.",
        ) from error
    network = _ultralytics_network(description, len(class_names))
    network.names = dict(enumerate(class_names))  # type: ignore[assignment]
    sha256 = load_weights(network, path, expected_sha256)
    return _victim(name, network, sha256)


def _victim(name: str, network: nn.Module, sha256: str) -> DetectorVictim:
    names = network.names
    class_names = tuple(str(names[index]) for index in sorted(names))  # type: ignore[arg-type,index]
    module = YoloModule(network)
    fitting = Letterboxed(INPUT_PX, int(max(network.stride)))  # type: ignore[arg-type]
    reporting = Unsuppressed() if module.end_to_end else BestClass()
    return DetectorVictim(name, class_names, sha256, fitting, module, reporting)
