"""Detectors by name: found in PHYSADV_DATA, among a user's imports or in torch hub's cache."""

import os
from pathlib import Path

from physadv.checks import UsageError
from physadv.data.files import ENVIRONMENT_VARIABLE, external_folder
from physadv.victim.catalog import VictimInfo
from physadv.victim.detector import DetectorVictim
from physadv.victim.weights import expected_sha256
from physadv.victim.yolo import load_yolo, yolo_from_yaml

_EXTERNAL = {
    "yolov8n": "yolov8n_coco.fp16.safetensors",
    "yolov8s": "yolov8s_coco.fp16.safetensors",
}
_DESCRIPTIONS = {
    "yolov8n": "ultralytics YOLOv8 nano, 80 COCO classes, 640 px",
    "yolov8s": "ultralytics YOLOv8 small, 80 COCO classes, 640 px",
}
_SIZES = "80 COCO classes, 800 px shorter side"
_TORCHVISION = {
    "fasterrcnn_resnet50_fpn": f"Faster R-CNN, ResNet-50, {_SIZES}",
    "fasterrcnn_resnet50_fpn_v2": f"Faster R-CNN, ResNet-50, newer training, {_SIZES}",
    "fasterrcnn_mobilenet_v3_large_fpn": f"Faster R-CNN, MobileNetV3, {_SIZES}",
    "fasterrcnn_mobilenet_v3_large_320_fpn": "Faster R-CNN, MobileNetV3, 320 px shorter side",
    "retinanet_resnet50_fpn": f"RetinaNet, ResNet-50, {_SIZES}",
    "retinanet_resnet50_fpn_v2": f"RetinaNet, ResNet-50, newer training, {_SIZES}",
    "fcos_resnet50_fpn": f"FCOS, ResNet-50, {_SIZES}",
    "ssd300_vgg16": "SSD, VGG-16, squashes to 300 x 300 px; judges only",
    "ssdlite320_mobilenet_v3_large": "SSDlite, MobileNetV3, squashes to 320 x 320 px; judges only",
}


def import_folder() -> Path:
    """Where imported weights are kept: ``physadv/weights`` in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "physadv" / "weights"


def imported() -> dict[str, Path]:
    """The user's imported detectors by name."""
    return {path.stem: path for path in sorted(import_folder().glob("*.safetensors"))}


def load_detector(name: str, device: str = "cpu") -> DetectorVictim:
    """A detector by name, or an untrained one by an ultralytics yaml (``yolo11n.yaml``).

    Args:
        name: ``yolov8n``, ``yolov8s``, one of torchvision's such as ``fasterrcnn_resnet50_fpn``
            (whose official weights are downloaded at first use), the name of an import, or a
            yaml's name.
        device: A torch device.

    Raises:
        UsageError: If there is none of that name; those that are there are listed.
        UserError: If its weights are damaged, do not fit or cannot be downloaded.
    """
    if name.endswith((".yaml", ".yml")):
        return yolo_from_yaml(name).to(device)
    own = imported()
    if name in own:
        return load_yolo(name, own[name]).to(device)
    path = _external(name)
    if path is not None and path.is_file():
        return load_yolo(name, path, expected_sha256(path.name)).to(device)
    if name in _TORCHVISION:
        from physadv.victim.torchvision_detectors import load_torchvision

        return load_torchvision(name).to(device)
    there = [
        *(n for n in _EXTERNAL if (p := _external(n)) is not None and p.is_file()),
        *own,
        *_TORCHVISION,
    ]
    do = "Import your own: physadv import FILE.pt."
    if name in _EXTERNAL:
        do = f"Set {ENVIRONMENT_VARIABLE} to a folder with weights/{_EXTERNAL[name]}, or: {do}"
    raise UsageError(
        f"detector {name!r}",
        f"there is none of that name; there are: {', '.join(there)}",
        do,
    )


def list_detectors() -> list[VictimInfo]:
    """Every named detector, and whether its weights are there; no network is built."""
    found = []
    for name, description in _DESCRIPTIONS.items():
        path = _external(name)
        state = f"missing: set {ENVIRONMENT_VARIABLE}, or physadv import {name}.pt"
        if path is not None:
            state = f"found: {path}" if path.is_file() else f"missing: put it at {path}"
        if name not in imported():
            found.append(VictimInfo(name, description, state))
    for name, description in _TORCHVISION.items():
        if name not in imported():
            found.append(VictimInfo(name, f"torchvision {description}", _hub_state(name)))
    for name, path in imported().items():
        found.append(VictimInfo(name, "imported YOLO", f"found: {path}"))
    return found


def _hub_state(name: str) -> str:
    from physadv.victim.torchvision_detectors import checkpoint_path

    path = checkpoint_path(name)
    return f"found: {path}" if path.is_file() else "downloaded by torchvision at first use"


def _external(name: str) -> Path | None:
    folder = external_folder()
    return None if folder is None or name not in _EXTERNAL else folder / "weights" / _EXTERNAL[name]
