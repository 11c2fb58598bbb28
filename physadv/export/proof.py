"""What a printer will lose of the artwork's colours, from its ICC profile."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageDraw

from physadv.artwork.colour import delta_e_2000, srgb_to_lab
from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.data.files import atomic_path

VISIBLE = 3.0  # a deltaE2000 that most people see side by side
_WORST = 20.0  # shown as fully lost
_PANEL_PX = 480
_GAP_PX = 16
_TITLE_PX = 26


@dataclass(frozen=True)
class Proof:
    """A soft proof of the artwork's printed texels.

    ``rgb`` [H,W,3] uint8 is how the print will look on a screen, ``delta_e`` [H,W] the CIEDE2000
    difference from the artwork (0 outside its mask). ``mean`` and ``worst`` (95th percentile) are
    over the mask, ``visible_share`` is the share of it that changes by more than 3.
    """

    rgb: npt.NDArray[np.uint8]
    delta_e: npt.NDArray[np.float64]
    mean: float
    worst: float
    visible_share: float


def soft_proof(artwork: Artwork, profile: Path) -> Proof:
    """Show the artwork through a printer's profile, relative to the paper's white.

    Args:
        artwork: What is to be printed.
        profile: ICC profile of printer, ink and paper.

    Raises:
        UserError: If the file is missing or no profile of an output device.
    """
    try:
        printer = ImageCms.getOpenProfile(str(profile))
        srgb = ImageCms.createProfile("sRGB")
        relative = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildProofTransform(
            srgb, srgb, printer, "RGB", "RGB", relative, relative
        )
        given = Image.fromarray(np.ascontiguousarray(artwork.rgba[..., :3]))
        shown = ImageCms.applyTransform(given, transform)
    except (OSError, ImageCms.PyCMSError) as error:
        raise UserError(
            f"proof with the profile {profile}",
            f"{error}" or type(error).__name__,
            "Give the ICC profile (.icc, .icm) of your printer and paper.",
        ) from error
    assert shown is not None  # only None when transformed in place
    rgb = np.asarray(shown, dtype=np.uint8)
    difference = delta_e_2000(srgb_to_lab(artwork.rgba[..., :3]), srgb_to_lab(rgb))
    difference = np.where(artwork.mask, difference, 0.0)
    inside = difference[artwork.mask]
    return Proof(
        rgb,
        difference,
        float(inside.mean()),
        float(np.percentile(inside, 95)),
        float((inside > VISIBLE).mean()),
    )


def write_proof(artwork: Artwork, proof: Proof, path: Path) -> None:
    """Write a PNG: artwork, proof, and where colours are lost (black: not, yellow: deltaE 20)."""
    heat = np.clip(proof.delta_e / _WORST, 0, 1)
    lost = np.stack([heat, heat**1.5, 0.25 * heat], axis=-1)
    panels = (
        ("artwork", artwork.rgba[..., :3]),
        ("as printed", proof.rgb),
        ("lost (yellow: deltaE 20)", (lost * 255).astype(np.uint8)),
    )
    side = _PANEL_PX
    height = round(side * artwork.height_mm / artwork.width_mm)
    canvas = Image.new(
        "RGB", (3 * side + 4 * _GAP_PX, height + _TITLE_PX + 2 * _GAP_PX), (255, 255, 255)
    )
    pen = ImageDraw.Draw(canvas)
    stuck = Image.fromarray(artwork.mask).resize((side, height), Image.Resampling.NEAREST)
    for index, (title, rgb) in enumerate(panels):
        left = _GAP_PX + index * (side + _GAP_PX)
        part = Image.fromarray(np.ascontiguousarray(rgb))
        canvas.paste(
            part.resize((side, height), Image.Resampling.NEAREST),
            (left, _GAP_PX + _TITLE_PX),
            stuck,
        )
        pen.text((left, _GAP_PX), title, fill=(40, 40, 40), font_size=16)
    with atomic_path(path) as temporary:
        canvas.save(temporary)
