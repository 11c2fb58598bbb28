"""Train gtsrb-cnn or gtsrb-resnet on GTSRB and write weights, digest and model card.

    PHYSADV_DATA=... python scripts/train_gtsrb.py gtsrb-cnn --epochs 24
    PHYSADV_DATA=... python scripts/train_gtsrb.py gtsrb-cnn --card-only

Splits are by track: no photograph of a test track's sign is ever trained on. The weights are the
moving average after the last epoch, so ``test_tracks`` chooses nothing; to try other settings,
use ``--validate``, which holds tracks out of ``train``.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from physadv.checks import UserError
from physadv.data.files import atomic_path, find_external, read_json, sha256_of, write_json
from physadv.data.gtsrb import GTSRB_CLASSES, SignPhoto, read_gtsrb
from physadv.imaging.backgrounds import background_pool
from physadv.imaging.render import render_views
from physadv.imaging.views import Views, sample_views
from physadv.scene.catalog import load_scene
from physadv.scene.schema import Scene
from physadv.seeding import generator_for
from physadv.stats.intervals import wilson
from physadv.victim.catalog import DIGESTS, WEIGHTS
from physadv.victim.gtsrb import GtsrbCnn, GtsrbResnet
from physadv.victim.weights import load_weights

NETWORKS = {"gtsrb-cnn": GtsrbCnn, "gtsrb-resnet": GtsrbResnet}
CONTEXT = 1.4  # side of a canvas over side of the sign's box
CANVAS_PX, VIEW_PX, BATCH = 64, 48, 128
MILD_SHARE, MILD_STRENGTH = 0.35, 0.4
JPEG_PER_BATCH = 6
LABEL_SMOOTHING, EMA_DECAY = 0.05, 0.998


def canvas(photo: SignPhoto) -> np.ndarray:
    """[64,64,3]: the sign's box in the middle, with a border of its surroundings."""
    x1, y1, x2, y2 = photo.box
    width, height = (x2 - x1) * CONTEXT, (y2 - y1) * CONTEXT
    scale = np.array([CANVAS_PX / width, CANVAS_PX / height])
    centre = np.array([x1 + x2, y1 + y2]) / 2
    # cv2 puts pixel centres at integers: shift by half a pixel on both sides.
    shift = CANVAS_PX / 2 - centre * scale + 0.5 * scale - 0.5
    return cv2.warpAffine(
        photo.image,
        np.column_stack([np.diag(scale), shift]),
        (CANVAS_PX, CANVAS_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def load_split(folder: Path, split: str) -> tuple[Tensor, Tensor, list[str]]:
    """Canvases [N,3,64,64] uint8, classes [N], tracks."""
    photos = list(read_gtsrb(folder, split))
    images = torch.from_numpy(np.stack([canvas(photo) for photo in photos]))
    classes = torch.tensor([photo.class_id for photo in photos])
    return images.permute(0, 3, 1, 2).contiguous(), classes, [photo.track for photo in photos]


def training_scene() -> Scene:
    """The stop sign's imaging ranges, with wider poses and crops: photographs vary more."""
    content = load_scene("stop_sign").model_dump()
    yaw = {"sd": 15, "low": -45, "high": 45, "wide_share": 0.3, "wide_low": -68, "wide_high": 68}
    content["views"] |= {
        "distance_m": {"kind": "log_uniform", "low": 1.5, "high": 16},
        "yaw_deg": {"kind": "normal", **yaw},
        "pitch_deg": {"kind": "normal", "sd": 8, "low": -25, "high": 25},
        "roll_deg": {"kind": "normal", "sd": 6, "low": -15, "high": 15},
        "crop_jitter": 0.15,
        "exact_crop_share": 0.2,
    }
    return Scene.model_validate(content)


def training_views(scene: Scene, seed: int, epoch: int, batch: int, pool: int) -> Views:
    """Views of one batch; ``MILD_SHARE`` of them with light and noise pulled towards neutral."""
    views = sample_views(scene, BATCH, VIEW_PX, seed=seed, keys=("train", epoch, batch), pool=pool)
    generator = generator_for(seed, "mild", epoch, batch)
    mild = torch.from_numpy(generator.random(BATCH) < MILD_SHARE)[:, None, None]
    colour = torch.lerp(torch.eye(3), views.colour, MILD_STRENGTH)
    return replace(
        views,
        to_texture=torch.diag(torch.tensor([1 / CONTEXT, 1 / CONTEXT, 1.0])) @ views.to_texture,
        colour=torch.where(mild, colour, views.colour),
        colour_bias=torch.where(mild[..., None], MILD_STRENGTH, 1.0) * views.colour_bias,
        noise=torch.where(mild[..., None], 0.2, 1.0) * views.noise,
        compressed=views.compressed[:JPEG_PER_BATCH],
        quality=views.quality[:JPEG_PER_BATCH],
    )


def with_alpha(images: Tensor) -> Tensor:
    """[B,4,H,W] opaque textures in [0,1] from [B,3,H,W] uint8."""
    return torch.cat([images.float() / 255, torch.ones(len(images), 1, *images.shape[2:])], dim=1)


def train(
    network: nn.Module, images: Tensor, classes: Tensor, epochs: int, seed: int, autocast: bool
) -> nn.Module:
    """AdamW, one-cycle rate, smoothed labels; returns the exponential moving average."""
    average = type(network)()
    average.load_state_dict(network.state_dict())
    average.eval()
    scene, pool = training_scene(), background_pool(seed, VIEW_PX)
    steps = len(images) // BATCH
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 3e-3, total_steps=epochs * steps, pct_start=0.15
    )
    weights = 1 / torch.bincount(classes, minlength=len(GTSRB_CLASSES))[classes].float().sqrt()
    chooser = torch.Generator().manual_seed(seed)
    done = 0
    for epoch in range(epochs):
        network.train()
        started, total = time.monotonic(), 0.0
        for batch in range(steps):
            chosen = torch.multinomial(weights, BATCH, True, generator=chooser)
            with torch.no_grad():
                views = training_views(scene, seed, epoch, batch, len(pool))
                seen = render_views(with_alpha(images[chosen]), views, pool)
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                logits = network(seen)
            loss = F.cross_entropy(logits.float(), classes[chosen], label_smoothing=LABEL_SMOOTHING)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            done += 1
            total += loss.item()
            follow(average, network, min(EMA_DECAY, done / (done + 20)))
        seconds = time.monotonic() - started
        print(f"epoch {epoch + 1}/{epochs} loss {total / steps:.3f} {seconds:.0f} s", flush=True)
    return average


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average's state towards the network's."""
    for mean, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.dtype.is_floating_point:
            mean.lerp_(new, 1 - decay)
        else:
            mean.copy_(new)


@torch.no_grad()
def predict(network: nn.Module, images: Tensor, margin: float) -> Tensor:
    """[N,K] probabilities on the sign's box widened by the factor ``margin``."""
    scale = margin / CONTEXT
    grid = F.affine_grid(
        torch.tensor([[[scale, 0, 0], [0, scale, 0]]]),
        [1, 3, VIEW_PX, VIEW_PX],
        align_corners=False,
    )
    found = []
    for part in images.split(256):
        crops = F.grid_sample(
            part.float() / 255, grid.expand(len(part), -1, -1, -1), align_corners=False
        )
        found.append(network(crops).softmax(dim=1))
    return torch.cat(found)


def calibration_error(probabilities: Tensor, classes: Tensor, bins: int = 15) -> float:
    """Expected calibration error over equal bins of confidence (Guo et al. 2017, eq. 3)."""
    confidence, predicted = probabilities.max(dim=1)
    correct = (predicted == classes).float()
    index = (confidence * bins).long().clamp(max=bins - 1)
    return sum(
        float((correct[index == b].mean() - confidence[index == b].mean()).abs())
        * float((index == b).float().mean())
        for b in range(bins)
        if (index == b).any()
    )


def card(name: str, network: nn.Module, tests: tuple[Tensor, Tensor, list[str]], how: str) -> str:
    """The model card, every figure measured on ``test_tracks``."""
    images, classes, tracks = tests
    probabilities = predict(network, images, 1.0)
    right = probabilities.argmax(dim=1) == classes
    wide = (predict(network, images, 1.2).argmax(dim=1) == classes).float().mean()
    k, n = int(right.sum()), len(right)
    interval = wilson(k, n)
    parameters = sum(p.numel() for p in network.parameters())
    rows = "\n".join(
        f"| {c} | {label} | {int(right[classes == c].sum())}/{int((classes == c).sum())} |"
        for c, label in enumerate(GTSRB_CLASSES)
    )
    summary = (type(network).__doc__ or "").splitlines()[0]
    return f"""# {name}

{summary}
{parameters:,} parameters; input: RGB in [0,1], any size, resized inside to {network.input_px} px.

**Use.** A victim for measuring attacks and defences, in research and on systems you own. Not for
driving. It knows 43 German signs and always answers with one of them.

**Data.** GTSRB (Stallkamp et al. 2012), Final_Training photographs capped at 64 px, split by track:
a physical sign is in one split only. {n:,} test photographs of {len(set(tracks))} tracks.

**Training.** `{how}`
Weighted sampling, random perspective (yaw to 68 degrees), crops 15 % off, light, colour, blur,
noise and JPEG as in `scenes/stop_sign.yaml`, {MILD_SHARE:.0%} of the views milder; AdamW with a
one-cycle rate, label smoothing {LABEL_SMOOTHING}, moving average of the weights.

**Accuracy on test_tracks**, crop = the sign's exact box: {k}/{n} = {k / n:.2%}
(95 % Wilson interval {interval.low:.2%} to {interval.high:.2%}). With a 10 % margin around the box:
{wide:.2%}. Expected calibration error (15 bins): {calibration_error(probabilities, classes):.3f}
(label smoothing makes it under-confident).

| class | name | right |
|---:|---|---:|
{rows}
"""


def main() -> None:
    """Parse, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(NETWORKS))
    parser.add_argument("--data", type=Path, help="GTSRB folder [PHYSADV_DATA/data/gtsrb]")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="folder for the weights")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 activations while training")
    parser.add_argument("--validate", action="store_true", help="hold out a sixth; no files")
    parser.add_argument("--card-only", action="store_true", help="measure the weights in --out")
    arguments = parser.parse_args()
    folder = arguments.data or find_external("data/gtsrb")
    how = f"python scripts/train_gtsrb.py {arguments.name} --epochs {arguments.epochs}"
    how += f" --seed {arguments.seed}" + (" --bf16" if arguments.bf16 else "")
    torch.manual_seed(arguments.seed)
    network: nn.Module = NETWORKS[arguments.name]()
    path = arguments.out / f"{arguments.name}.safetensors"
    if not arguments.card_only:
        images, classes, tracks = load_split(folder, "train")
        held_out = torch.tensor([hash_of(track) % 6 == 0 for track in tracks])
        used = ~held_out if arguments.validate else torch.ones_like(held_out)
        network = train(
            network, images[used], classes[used], arguments.epochs, arguments.seed, arguments.bf16
        )
        if arguments.validate:
            found = predict(network, images[held_out], 1.0).argmax(dim=1) == classes[held_out]
            share = found.float().mean()
            print(f"validation tracks: {int(found.sum())}/{len(found)} = {share:.2%}")
            return
        with atomic_path(path) as temporary:
            temporary.write_bytes(save(network.state_dict(), {"trained by": how}))
        known = read_json(DIGESTS) if DIGESTS.exists() else {}
        write_json(DIGESTS, {**known, path.name: sha256_of(path)})
    else:
        load_weights(network, path)
    text = card(arguments.name, network.eval(), load_split(folder, "test_tracks"), how)
    with atomic_path(path.with_suffix(".md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text.split("| class")[0])


def hash_of(track: str) -> int:
    """A number that depends on the track's name alone."""
    return int(generator_for(0, "track", track).integers(1 << 30))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
