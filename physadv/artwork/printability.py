"""Can it be printed and does it show: non-printability, total variation, perceptibility."""

import torch
from torch import Tensor

# Under the square roots: gradients stay finite at zero. 1e-6 is (0.25 / 255) squared, so nothing
# that 8 bits can hold is affected visibly.
_EPS = 1e-6


def _smooth_norm(squares: Tensor) -> Tensor:
    """Square root, shifted so that zero stays zero and has gradient zero."""
    return (squares + _EPS).sqrt() - _EPS**0.5


def _mean_inside(values: Tensor, inside: Tensor) -> Tensor:
    """Mean of ``values`` where ``inside``, of the same shape, is True; 0 if it is nowhere.

    By weights: choosing by a mask would make a GPU wait to count them.
    """
    return (values * inside).sum() / inside.sum().clamp(min=1)


def non_printability_score(colours: Tensor, palette: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over texels of the distance to the nearest printable colour.

    The minimum (Thys), not Sharif's product over the palette, which vanishes numerically with 30
    factors.

    Args:
        colours: [N,3], or [3,H,W] with or without a mask.
        palette: [K,3] printable colours.
        mask: [H,W] bool; only these texels count. Needs [3,H,W] colours.

    Returns:
        Scalar >= 0; 0 if every colour is in the palette or if no texel counts.

    Raises:
        ValueError: If the shapes do not fit.

    References:
        Thys, Van Ranst & Goedeme, Fooling automated surveillance cameras, CVPRW 2019, sec. 3.3;
        Sharif et al., Accessorize to a Crime, CCS 2016, sec. 5.2.2.
    """
    if colours.ndim == 3 and colours.shape[0] == 3:
        texels = colours.flatten(1).T
    elif colours.ndim == 2 and colours.shape[1] == 3 and mask is None:
        texels = colours
    else:
        raise ValueError(
            f"colours {list(colours.shape)}: need [N,3] without mask, or [3,H,W] with or without"
        )
    if palette.ndim != 2 or palette.shape[1] != 3 or len(palette) == 0:
        raise ValueError(f"palette {list(palette.shape)}: need [K,3], K >= 1")
    squares = (texels[:, None] - palette).square().sum(dim=2).amin(dim=1)
    inside = torch.ones_like(squares, dtype=torch.bool) if mask is None else mask.flatten() > 0
    return _mean_inside(_smooth_norm(squares), inside)


def total_variation(image: Tensor, mask: Tensor) -> Tensor:
    """Mean colour difference between horizontal and vertical neighbours inside the mask.

    The difference of a pair is the Euclidean norm over channels. Pairs that cross the mask's edge
    do not count: what is beside a sticker is the sign, not the print.

    Args:
        image: [3,H,W].
        mask: [H,W], nonzero inside.

    Returns:
        Scalar >= 0; 0 for a constant image or where no two neighbours are both inside.

    Raises:
        ValueError: If the shapes do not fit.

    References:
        Rudin, Osher & Fatemi 1992; Mahendran & Vedaldi 2015; Sharif et al. 2016, sec. 5.2.1.
    """
    if image.ndim != 3 or mask.shape != image.shape[1:]:
        raise ValueError(f"image {list(image.shape)} and mask {list(mask.shape)} do not fit")
    inside = mask > 0
    across = (image[:, :, 1:] - image[:, :, :-1]).square().sum(dim=0)
    down = (image[:, 1:] - image[:, :-1]).square().sum(dim=0)
    pairs = torch.cat([across.flatten(), down.flatten()])
    both = [inside[:, 1:] & inside[:, :-1], inside[1:] & inside[:-1]]
    return _mean_inside(_smooth_norm(pairs), torch.cat([part.flatten() for part in both]))


def perceptibility(delta: Tensor, mask: Tensor, p: int = 2) -> Tensor:
    """Size of a change inside the mask, as RP2's ||M delta||_p but independent of resolution.

    Args:
        delta: [3,H,W] artwork minus the carrier's own colours.
        mask: [H,W], nonzero inside.
        p: 1 for the mean absolute change (sparse solutions: where does it matter?), 2 for the root
            mean square change.

    Returns:
        Scalar >= 0, a mean over channels and texels inside the mask; 0 if there are none.

    Raises:
        ValueError: If the shapes do not fit or p is neither 1 nor 2.

    References:
        Eykholt et al. 2018 (RP2), eq. 3.
    """
    if p not in (1, 2):
        raise ValueError(f"p = {p}: need 1 or 2")
    if delta.ndim != 3 or mask.shape != delta.shape[1:]:
        raise ValueError(f"delta {list(delta.shape)} and mask {list(mask.shape)} do not fit")
    inside = (mask > 0).expand_as(delta)
    if p == 1:
        return _mean_inside(delta.abs(), inside)
    return _smooth_norm(_mean_inside(delta.square(), inside))
