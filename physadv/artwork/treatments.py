"""What is stuck on the sign under each treatment: nothing, a blank card, noise, the artwork."""

import cv2
import numpy as np
import numpy.typing as npt

from physadv.artwork.files import Artwork
from physadv.checks import check_name
from physadv.seeding import generator_for
from physadv.types import Treatment

Picture = npt.NDArray[np.uint8]

BLANK_GREY = 128


def noise_colours(artwork: Artwork, texels: int, generator: np.random.Generator) -> Picture:
    """Uniform random colours, one per colour texel, from what the artwork may print.

    Free RGB draws each channel uniformly; grey draws one value; a palette draws one of its
    colours.

    Args:
        artwork: Gives the size and, in its recipe, the palette.
        texels: Colour texels along a side.
        generator: Source of the draws.

    Returns:
        [T,T,3] uint8 with the artwork's T.
    """
    palette = artwork.recipe.get("palette", "rgb")
    if palette == "rgb":
        colours = generator.integers(0, 256, (texels, texels, 3)).astype(np.uint8)
    elif palette == "grey":
        greys = generator.integers(0, 256, (texels, texels, 1)).astype(np.uint8)
        colours = greys.repeat(3, axis=2)
    else:
        known = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in palette], np.uint8)
        colours = known[generator.integers(0, len(known), (texels, texels))]
    height, width = artwork.rgba.shape[:2]
    return cv2.resize(colours, (width, height), interpolation=cv2.INTER_NEAREST)


def stuck_colours(
    treatment: Treatment, artwork: Artwork, texels: int, generator: np.random.Generator
) -> Picture | None:
    """[T,T,3] uint8 to stick inside the artwork's mask, or None for the clean sign."""
    if treatment == "clean":
        return None
    if treatment == "blank":
        return np.full(artwork.rgba[..., :3].shape, BLANK_GREY, np.uint8)
    if treatment == "noise":
        return noise_colours(artwork, texels, generator)
    return cv2.cvtColor(artwork.rgba, cv2.COLOR_RGBA2RGB)


def printed_colours(artwork: Artwork, treatment: Treatment) -> Picture:
    """[T,T,3] uint8 to print as that treatment's sheet; the noise is the same on every print.

    Raises:
        UsageError: If nothing is printed for the treatment.
    """
    check_name("treatment to print", treatment, ("adversarial", "blank", "noise"))
    texels = int(artwork.recipe.get("colour_texels", len(artwork.rgba)))
    generator = generator_for(0, "printed noise", artwork.sha256)
    colours = stuck_colours(treatment, artwork, texels, generator)
    assert colours is not None  # only the clean sign has none
    return np.ascontiguousarray(colours)
