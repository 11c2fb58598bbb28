"""The panda picture: FGSM and a targeted PGD that stops at success, on an ImageNet classifier."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from physadv.data.files import atomic_path, find_external, read_image_rgb
from physadv.digital.fgsm import fgsm
from physadv.digital.outcome import Adversarials
from physadv.digital.pgd import pgd
from physadv.victim.catalog import load_victim
from physadv.victim.protocol import ClassifierVictim

PICTURE, VICTIM = "data/imagenet_samples/panda.jpg", "squeezenet"
TRUE, TARGET = "giant panda", "maraca"
EPS, STEPS = 0.007, 100


@dataclass(frozen=True)
class Row:
    """One attack: its title and the images [1,3,H,W] before and after."""

    title: str
    clean: Tensor
    adversarial: Tensor


def write_panda_sheet(path: Path) -> str:
    """Attack the panda and write the sheet; returns what happened, in words.

    Raises:
        UserError: If the photograph or the weights are missing.
    """
    victim = load_victim(VICTIM)
    image = centre_square(find_external(PICTURE), victim.input_px)
    label = torch.tensor([victim.class_index(TRUE)])
    target = torch.tensor([victim.class_index(TARGET)])
    once = fgsm(victim, image, label, eps=EPS)
    towards = pgd(victim, image, label, eps=EPS, steps=STEPS, targets=target)
    rows = [
        Row(f"FGSM, eps {EPS:g}", image, once.images),
        Row(f"PGD to {TARGET!r}, eps {EPS:g}, stopped at success", image, towards.images),
    ]
    with atomic_path(path) as temporary:
        _draw(victim, rows).savefig(temporary, dpi=150)
    return "\n".join(
        [
            f"{VICTIM}: {described(victim, image)}",
            _told(victim, rows[0], once),
            _told(victim, rows[1], towards),
            f"picture sheet: {path}",
        ]
    )


def centre_square(path: Path, size_px: int) -> Tensor:
    """[1,3,size_px,size_px] in [0,1]: the largest square in the middle, resampled."""
    image = Image.fromarray(read_image_rgb(path))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize((size_px, size_px), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255


@torch.no_grad()
def described(victim: ClassifierVictim, image: Tensor) -> str:
    """The predicted class and its confidence."""
    confidence, index = victim.module(image).softmax(dim=1)[0].max(dim=0)
    return f"{victim.class_names[int(index)]}, {float(confidence):.1%}"


def _told(victim: ClassifierVictim, row: Row, found: Adversarials) -> str:
    eight = "and as an 8-bit file" if found.success_8bit.all() else "not as an 8-bit file"
    return (
        f"{row.title}: {described(victim, row.adversarial)} ({found.status[0]}, {eight}; "
        f"{int(found.backwards[0])} gradients, l2 {float(found.l2[0]):.3f})"
    )


def _draw(victim: ClassifierVictim, rows: list[Row]) -> Figure:
    """A line an attack: picture, change enlarged around grey, result."""
    figure = Figure(figsize=(9, 3.5 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, row in zip(figure.subplots(len(rows), 3, squeeze=False), rows, strict=True):
        change = row.adversarial - row.clean
        factor = 0.5 / max(float(change.abs().max()), 1e-9)
        shown = (
            (row.clean, described(victim, row.clean)),
            (0.5 + factor * change, f"change × {factor:.0f}"),
            (row.adversarial, described(victim, row.adversarial)),
        )
        for place, (image, title) in zip(axes, shown, strict=True):
            place.imshow(image[0].permute(1, 2, 0).clamp(0, 1).numpy())
            place.set_title(title, fontsize=10)
            place.set_xticks([])
            place.set_yticks([])
        axes[0].set_ylabel(row.title, fontsize=9)
    return figure
