"""The artwork on disk: ``artwork.png`` (texels as printed) and ``artwork.json``."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from physadv.checks import UserError
from physadv.data.files import atomic_path, read_json, write_json

PNG_NAME = "artwork.png"
JSON_NAME = "artwork.json"


@dataclass(frozen=True)
class Artwork:
    """What is printed and where it sits on its carrier.

    ``rgba`` [H, W, 4] uint8 sRGB covers the square that bounds the carrier's face; alpha is 0
    where nothing is stuck and 255 where something is. ``width_mm`` and ``height_mm`` are the
    size of that square. ``target`` is the class that the artwork was made to be read as.
    """

    rgba: npt.NDArray[np.uint8]
    width_mm: float
    height_mm: float
    carrier: str
    target: str
    victims: tuple[str, ...]
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """[H, W] True where something is stuck."""
        return self.rgba[..., 3] > 127

    @cached_property
    def sha256(self) -> str:
        """Digest of the pixels and the size; the artwork's identity in every Trial."""
        digest = hashlib.sha256(self.rgba.tobytes())
        digest.update(f"{self.rgba.shape}{self.width_mm:.6f}x{self.height_mm:.6f}".encode())
        return digest.hexdigest()


def save_artwork(artwork: Artwork, folder: Path | str) -> None:
    """Write ``artwork.png`` (RGBA, sRGB-tagged) and ``artwork.json`` into ``folder``."""
    folder = Path(folder)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    with atomic_path(folder / PNG_NAME) as temporary:
        Image.fromarray(artwork.rgba).save(temporary, icc_profile=profile)
    write_json(
        folder / JSON_NAME,
        {
            "carrier": artwork.carrier,
            "width_mm": artwork.width_mm,
            "height_mm": artwork.height_mm,
            "target": artwork.target,
            "victims": list(artwork.victims),
            "sha256": artwork.sha256,
            "recipe": artwork.recipe,
        },
    )


def load_artwork(folder: Path | str) -> Artwork:
    """Read the artwork of a run folder.

    Raises:
        UserError: If a file is missing or unreadable, a key is missing, or the pixels are not
            those that ``artwork.json`` describes.
    """
    folder = Path(folder)
    about = read_json(folder / JSON_NAME)
    try:
        with Image.open(folder / PNG_NAME) as image:
            rgba = np.asarray(image.convert("RGBA"))
        artwork = Artwork(
            rgba,
            float(about["width_mm"]),
            float(about["height_mm"]),
            about["carrier"],
            about["target"],
            tuple(about["victims"]),
            about.get("recipe", {}),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"read the artwork in {folder}",
            f"{type(error).__name__}: {error}",
            f"It needs {PNG_NAME} and {JSON_NAME} as `physadv generate` writes them.",
        ) from error
    if about.get("sha256") not in (None, artwork.sha256):
        raise UserError(
            f"read the artwork in {folder}",
            f"{PNG_NAME} is not the picture that {JSON_NAME} describes (sha256 differs)",
            "Generate it again, or remove the sha256 line if you changed the picture on purpose.",
        )
    return artwork
