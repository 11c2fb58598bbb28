"""Our patch that hides people against the Adversarial Robustness Toolbox's, at equal cost.

    python scripts/bench_art_patch.py OUT [--passes 6400] [--data COCO.json ...]

Extra ``bench``. Both attack YOLOv8n with Thys' patch size, on the same photographs, for the same
number of image passes, and are judged by physadv on the photographs left over, at the same places.
ART's AdversarialPatchPyTorch runs as shipped, once with Adam and once with its sign steps
("pgd"), on windows that hold one person each, with the patch's centre allowed on the middle of the
person's box and its scale between the 10th and 90th percentile of what the windows need: it draws
one scale range for all images. Its RobustDPatch puts the patch at one place, so it is shown the
windows moved until their people are in the middle, with a patch of their median size; beside its
passes it looks at each window once more to find labels. Printed: recall at confidence 0.4, and the
paired difference
ART's minus ours with a bootstrap over photographs.
"""

import argparse
import json
import random
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from physadv.artwork.files import Artwork, save_artwork
from physadv.checks import UserError
from physadv.data.coco import AnnotatedPhoto, AnnotatedPhotos, read_coco, split_scenes
from physadv.data.files import find_external, write_json
from physadv.evaluate.objects import evaluate_objects
from physadv.evaluate.trials import load_trials, save_trials
from physadv.imaging.crops import SHAPES, cut_crops, targets_of
from physadv.optimize.objects import HideSettings
from physadv.optimize.patches import PatchRecipe, make_patch
from physadv.scene.catalog import load_object_scene
from physadv.scene.objects import ObjectScene
from physadv.seeding import generator_for
from physadv.stats.intervals import cluster_bootstrap
from physadv.types import NOTHING
from physadv.victim.detector import DetectorVictim
from physadv.victim.detectors import load_detector

WINDOWS, BATCH, SHAPE = 64, 8, 1  # windows of SHAPES[1], the most frequent
CONFIDENCE = 0.4
ADAM_RATE, SIGN_RATE = 0.03, 2 / 255
_CENTRE = 0.04  # of the box: how far the patch may stray, as in the scene


class ForArt(nn.Module):
    """What ART's YOLO estimator expects of a model: losses given targets, else detections."""

    def __init__(self, victim: DetectorVictim) -> None:
        super().__init__()
        from ultralytics.cfg import get_cfg
        from ultralytics.utils.loss import v8DetectionLoss

        self.network = victim.module.network
        self.network.args = get_cfg()
        self.criterion = v8DetectionLoss(self.network)
        self.reader = load_detector(victim.name).detect  # a copy that stays in eval mode

    def forward(self, images: Tensor, targets: Tensor | None = None) -> Any:
        """Total training loss of YOLO targets [P,6]: frame, class, centre x y, width, height.

        Without targets one dictionary of boxes, labels and scores an image.
        """
        if targets is None:
            pictures = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
            return [
                {
                    "boxes": torch.from_numpy(found.boxes).float(),
                    "labels": torch.from_numpy(found.classes),
                    "scores": torch.from_numpy(found.scores).float(),
                }
                for found in self.reader(list(pictures), CONFIDENCE)
            ]
        items = {"batch_idx": targets[:, 0], "cls": targets[:, 1], "bboxes": targets[:, 2:]}
        loss, _ = self.criterion(self.network(images.float()), items | {"img": images})
        return {"loss_total": loss.sum()}


def windows_of(
    scene: ObjectScene, victim: DetectorVictim, photos: list[AnnotatedPhoto]
) -> tuple[np.ndarray, np.ndarray]:
    """``WINDOWS`` windows [N,3,h,w] that hold one person each, and their boxes [N,4]."""
    group = targets_of(photos, victim.window_scale, scene.least_height)[SHAPE]
    images, boxes = [], []
    for step in range(1000):
        generator = generator_for(0, "art windows", step)
        chosen = [group[i] for i in generator.integers(len(group), size=BATCH)]
        crops = cut_crops(chosen, SHAPES[SHAPE], scene.least_height, generator, torch.device("cpu"))
        for n, image in enumerate(crops.images.numpy()):
            own = crops.boxes[crops.frame == n]
            if len(own) == 1 and len(images) < WINDOWS:
                images.append(image)
                boxes.append(own[0])
        if len(images) == WINDOWS:
            return np.stack(images), np.array(boxes)
    raise UserError("windows for ART", f"only {len(images)} hold one person", "Give other data.")


def art_estimator(victim: DetectorVictim, shape: tuple[int, ...]) -> Any:
    """ART's view of a detector for images of ``shape`` [3,h,w].

    A fused network has lost its training head's batch norm, which ART freezes anyway.
    """
    from art.estimators.object_detection import PyTorchYolo

    return PyTorchYolo(
        ForArt(victim),
        input_shape=shape,
        clip_values=(0.0, 1.0),
        attack_losses=("loss_total",),
        device_type="cpu",
    )


def robust_dpatch(
    scene: ObjectScene, images: np.ndarray, boxes: np.ndarray, passes: int
) -> np.ndarray:
    """[T,T,3] uint8 from ART's RobustDPatch, with its brightness range as the scene's contrast."""
    from art.attacks.evasion import RobustDPatch

    height, width = images.shape[2:]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    moved = [
        cv2.warpAffine(
            image.transpose(1, 2, 0),
            np.array([[1, 0, width / 2 - x], [0, 1, height / 2 - y]]),
            (width, height),
            borderMode=cv2.BORDER_REPLICATE,
        ).transpose(2, 0, 1)
        for image, (x, y) in zip(images, middle, strict=True)
    ]
    side = round(float(np.median(scene.patch.share * np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T))))
    np.random.seed(0)  # noqa: NPY002 - what ART draws from
    random.seed(0)
    attack = RobustDPatch(
        art_estimator(load_detector("yolov8n"), images.shape[1:]),
        patch_shape=(3, side, side),
        patch_location=((height - side) // 2, (width - side) // 2),  # used as row, column
        brightness_range=scene.imaging.contrast.extent,
        learning_rate=SIGN_RATE,
        max_iter=passes // len(images),
        batch_size=BATCH,
        verbose=False,
    )
    patch = np.asarray(attack.generate(x=np.stack(moved))).clip(0, 1).transpose(1, 2, 0)
    texels = (scene.patch.texels, scene.patch.texels)
    return np.rint(cv2.resize(patch, texels, interpolation=cv2.INTER_LINEAR) * 255).astype(np.uint8)


def art_patch(
    scene: ObjectScene, images: np.ndarray, boxes: np.ndarray, passes: int, optimizer: str
) -> np.ndarray:
    """[T,T,3] uint8 from ART's AdversarialPatchPyTorch, as shipped."""
    from art.attacks.evasion import AdversarialPatchPyTorch

    victim = load_detector("yolov8n")  # its own copy: ART switches parts of it to train mode
    estimator = art_estimator(victim, images.shape[1:])
    height, width = images.shape[2:]
    sides = scene.patch.share * np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T)
    low, high = np.quantile(sides / min(height, width), [0.1, 0.9])
    size = boxes[:, 2:] - boxes[:, :2]
    middle = boxes[:, :2] + np.array(scene.patch.centre) * size
    y, x = np.mgrid[0:height, 0:width] + 0.5
    near = [
        (abs(x - cx) <= max(_CENTRE * w, 1)) & (abs(y - cy) <= max(_CENTRE * h, 1))
        for (cx, cy), (w, h) in zip(middle, size, strict=True)
    ]
    labels = [
        {
            "boxes": box[None].astype(np.float32),
            "labels": np.array([victim.first_known(scene.true_class)]),
            "scores": np.ones(1, np.float32),
        }
        for box in boxes
    ]
    attack = AdversarialPatchPyTorch(
        estimator,
        rotation_max=scene.placement.roll_deg.extent[1],
        scale_min=float(low),
        scale_max=float(high),
        learning_rate=ADAM_RATE if optimizer == "Adam" else SIGN_RATE,
        max_iter=passes // len(images),
        batch_size=BATCH,
        patch_shape=(3, scene.patch.texels, scene.patch.texels),
        patch_type="square",
        optimizer=optimizer,
        targeted=False,
        verbose=False,
    )
    np.random.seed(0)  # noqa: NPY002 - what ART draws from
    torch.manual_seed(0)
    patch, _ = attack.generate(x=images, y=labels, mask=np.array(near))
    return np.rint(np.asarray(patch).clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)


def keep(scene: ObjectScene, colours: np.ndarray, folder: Path, ours: Path) -> Artwork:
    """An ART patch as a run that ``physadv evaluate objects`` and ``matrix`` read."""
    opaque = np.full(colours.shape[:2], 255, np.uint8)
    artwork = Artwork(
        np.dstack([colours, opaque]),
        scene.patch.width_mm,
        scene.patch.width_mm,
        f"patch:{scene.name}",
        NOTHING,
        ("yolov8n",),
        {"layout": "patch", "palette": "rgb", "colour_texels": scene.patch.texels},
    )
    save_artwork(artwork, folder)
    manifest: dict[str, Any] = json.loads((ours / "run.json").read_text(encoding="utf-8"))
    write_json(folder / "run.json", manifest | {"command": folder.name, "results": {}})
    return artwork


def judge(
    artwork: Artwork, scene: ObjectScene, photos: list[AnnotatedPhoto], run: Path
) -> pl.DataFrame:
    """Trials of the artwork on the photographs left over."""
    victim = load_detector("yolov8n")
    result = evaluate_objects(artwork, scene, photos, victim, group="held back", run_name=run.name)
    save_trials(run / "trials.parquet", result.trials)
    return load_trials(run / "trials.parquet")


def tell(name: str, trials: pl.DataFrame, ours: pl.DataFrame) -> None:
    """Recall of patch, noise and clean; the paired difference to ours."""
    found = {
        t: trials.filter(pl.col("treatment") == t).select(
            "sha256", "frame", hit=pl.col("score") >= CONFIDENCE
        )
        for t in ("clean", "noise", "adversarial")
    }
    shares = ", ".join(f"{t} {rows['hit'].mean():.1%}" for t, rows in found.items())
    line = f"{name}: recall at {CONFIDENCE} on {len(found['clean'])} people: {shares}"
    other = ours.filter(pl.col("treatment") == "adversarial").select(
        "sha256", "frame", ours=pl.col("score") >= CONFIDENCE
    )
    both = found["adversarial"].join(other, on=["sha256", "frame"])
    gains = both.group_by("sha256", maintain_order=True).agg(
        gain=pl.col("hit").cast(int).sum() - pl.col("ours").cast(int).sum(), n=pl.len()
    )
    if (gains["gain"] != 0).any():
        interval = cluster_bootstrap(gains["gain"].to_list(), gains["n"].to_list())
        value = gains["gain"].sum() / gains["n"].sum()
        line += (
            f"; minus ours {100 * value:+.1f} points "
            f"({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"
        )
    print(line, flush=True)


def main() -> None:
    """Make and judge the four patches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--passes", type=int, default=6400)
    parser.add_argument("--data", type=Path, action="append")
    arguments = parser.parse_args()
    sets = [
        find_external(f"data/{name}/annotations.json")
        for name in ("persons_pennfudan", "coco_subset")
    ]
    scene, victim = load_object_scene("person_thys"), load_detector("yolov8n")
    read = [read_coco(path, scene.true_class) for path in arguments.data or sets]
    steps = arguments.passes // HideSettings.crops
    recipe = PatchRecipe(settings=replace(HideSettings(), steps=steps))
    run = arguments.out / "ours"
    ours = make_patch(scene, [victim], read, recipe, run, resume=run.exists())
    rest = _left_over(read[0], run)
    ours_trials = judge(ours, scene, rest, run)
    tell("physadv", ours_trials, ours_trials)
    training = [photo for part in read for photo in split_scenes(part.photos, recipe.share)[0]]
    images, boxes = windows_of(scene, victim, training)
    for optimizer in ("Adam", "pgd"):
        folder = arguments.out / f"art-{optimizer.lower()}"
        colours = art_patch(scene, images, boxes, arguments.passes, optimizer)
        artwork = keep(scene, colours, folder, run)
        tell(f"ART, {optimizer}", judge(artwork, scene, rest, folder), ours_trials)
    colours = robust_dpatch(scene, images, boxes, arguments.passes)
    folder = arguments.out / "art-robust-dpatch"
    artwork = keep(scene, colours, folder, run)
    tell("ART, RobustDPatch", judge(artwork, scene, rest, folder), ours_trials)
    print(f"settings: {asdict(recipe)}")


def _left_over(data: AnnotatedPhotos, run: Path) -> list[AnnotatedPhoto]:
    seen = json.loads((run / "run.json").read_text(encoding="utf-8"))["options"]["photographs"]
    return [photo for photo in data.photos if photo.sha256 not in set(seen)]


if __name__ == "__main__":
    main()
