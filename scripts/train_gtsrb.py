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

import torch
import torch.nn.functional as F
from gtsrb_card import TEST_PX, card, classes_of, crops, predict, share
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from physadv.checks import UserError
from physadv.data.files import atomic_path, find_external, read_json, sha256_of, write_json
from physadv.data.gtsrb import GTSRB_CLASSES, GtsrbSet, read_gtsrb
from physadv.imaging.backgrounds import background_pool
from physadv.imaging.render import render_views
from physadv.imaging.views import Views, sample_views
from physadv.scene.catalog import load_scene
from physadv.scene.schema import Scene
from physadv.seeding import generator_for
from physadv.victim.gtsrb import GtsrbCnn, GtsrbResnet
from physadv.victim.weights import FOLDER, load_weights

NETWORKS = {"gtsrb-cnn": GtsrbCnn, "gtsrb-resnet": GtsrbResnet}
CONTEXT = 1.4  # side of a canvas over side of the sign's box
CANVAS_PX, VIEW_PX, BATCH = 64, 48, 128
MILD_SHARE, MILD_STRENGTH = 0.35, 0.4
JPEG_PER_BATCH = 6
LABEL_SMOOTHING, EMA_DECAY = 0.05, 0.998


def load_parts(folder: Path) -> tuple[GtsrbSet, GtsrbSet]:
    """Photographs to train on and photographs of other tracks to test on.

    Raises:
        UserError: If the set cannot be read.
    """
    everything = read_gtsrb(folder)
    fit, test = everything.part("train"), everything.part("test_tracks")
    # torchvision's layout has no split by track of its own.
    return (fit, test) if test.records else hold_out(fit)


def hold_out(data: GtsrbSet) -> tuple[GtsrbSet, GtsrbSet]:
    """Split off about a sixth of the tracks, by their names alone."""

    def is_held(track: str) -> bool:
        return int(generator_for(0, "track", track).integers(1 << 30)) % 6 == 0

    held = tuple(record for record in data.records if is_held(record.track))
    kept = tuple(record for record in data.records if not is_held(record.track))
    return replace(data, records=kept), replace(data, records=held)


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


def trained_by(path: Path) -> str:
    """The command that made a weight file, from the file itself."""
    with safe_open(path, "pt") as stream:
        return (stream.metadata() or {}).get("trained by", "unknown")


def main() -> None:
    """Parse, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(NETWORKS))
    parser.add_argument("--data", type=Path, help="GTSRB folder [PHYSADV_DATA/data/gtsrb]")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the weights")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 activations while training")
    parser.add_argument("--validate", action="store_true", help="hold out a sixth; no files")
    parser.add_argument("--card-only", action="store_true", help="measure the weights in --out")
    arguments = parser.parse_args()
    fit, test = load_parts(arguments.data or find_external("data/gtsrb"))
    torch.manual_seed(arguments.seed)
    network: nn.Module = NETWORKS[arguments.name]()
    path = arguments.out / f"{arguments.name}.safetensors"
    if arguments.card_only:
        load_weights(network, path)
    else:
        held = None
        if arguments.validate:
            fit, held = hold_out(fit)
        images, classes = crops(fit, CANVAS_PX, CONTEXT), classes_of(fit)
        network = train(network, images, classes, arguments.epochs, arguments.seed, arguments.bf16)
        if held:
            right = predict(network, crops(held, TEST_PX)).argmax(dim=1) == classes_of(held)
            print(
                "held-out tracks:", share(int(right.sum()), len(right)).replace("|", "Wilson 95 %")
            )
            return
        how = f"python scripts/train_gtsrb.py {arguments.name} --epochs {arguments.epochs}"
        how += f" --seed {arguments.seed}" + (" --bf16" if arguments.bf16 else "")
        with atomic_path(path) as temporary:
            temporary.write_bytes(save(network.state_dict(), {"trained by": how}))
        digests = arguments.out / "sha256.json"
        known = read_json(digests) if digests.exists() else {}
        write_json(digests, {**known, path.name: sha256_of(path)})
    text = card(
        arguments.name,
        network.eval(),
        test,
        trained_by=trained_by(path),
        mild_share=MILD_SHARE,
        label_smoothing=LABEL_SMOOTHING,
    )
    with atomic_path(path.with_suffix(".md")) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(text.split("## Per class")[0])


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
