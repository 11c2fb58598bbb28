"""From photographs of the colour chart to a printer's profile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.cluster.vq import kmeans2

from physadv.artwork.colour import delta_e_2000, srgb_to_lab
from physadv.artwork.printer import KINDS, Kind, PrinterProfile, features, linear_light, respond
from physadv.calibrate.chart import read_chart
from physadv.calibrate.macbeth import Correction
from physadv.checks import UserError
from physadv.data.files import read_image_rgb, sha256_of
from physadv.export.chart import Chart
from physadv.seeding import generator_for

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

_MOST_EXPOSURE = 0.15  # between photographs that are to keep the paper's brightness
_FOLDS = 5
_COLOURS = 30
_RIDGE = 1e-3
_HIDDEN, _EPOCHS = 24, 800


@dataclass(frozen=True)
class Fit:
    """``errors`` [N] CIEDE2000 of each chart colour, held out, by model; ``profile`` the best one.

    ``sent`` and ``seen`` [N,3] are sRGB in [0,1]; ``repeat`` is the mean CIEDE2000 between
    photographs, None for a single one.
    """

    profile: PrinterProfile
    errors: dict[Kind, Array]
    sent: Array
    seen: Array
    used: tuple[Path, ...]
    rejected: tuple[tuple[Path, str], ...]
    repeat: float | None


def calibrate_printer(
    photographs: Sequence[Path],
    chart: Chart,
    *,
    correction: Correction | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Fit:
    """Measure the chart in each photograph and fit every model.

    Uneven light is taken out by a quadratic surface, in logarithms of linear light, through the
    chart's white cells; with it goes the colour of lamp and paper (``PAPER_LIGHT``). The model with
    the least mean CIEDE2000 over colours that it was not fitted to, in five parts, is kept and
    fitted to all.

    Args:
        photographs: Files; those that cannot be used are rejected by name.
        chart: What was printed.
        correction: From ``macbeth.colour_correction``, of the same camera in the same light. Then
            lamp and camera are told apart from the paper, whose tint and brightness are kept.
        seed: Of the parts and the network's first weights.
        progress: Called with photographs done and all.

    Raises:
        UserError: If no photograph can be used.

    References:
        Hingun et al., REAP, ICCV 2023 (affine); Lovisotto et al., SLAP, USENIX Security 2021
        (network); see also ``artwork.printer``.
    """
    measured: list[Array] = []
    used: list[Path] = []
    rejected: list[tuple[Path, str]] = []
    seen_before: set[str] = set()
    for number, path in enumerate(photographs):
        try:
            picture = read_image_rgb(path)
            digest = sha256_of(path)
            if digest in seen_before:
                raise UserError(f"{path}", "the same file was given before", "Give each once.")
            seen_before.add(digest)
            measured.append(read_chart(picture, chart, correction))
            used.append(path)
        except UserError as error:
            rejected.append((path, error.got))
        progress(number + 1, len(photographs))
    if not used:
        why = "; ".join(f"{path.name}: {reason}" for path, reason in rejected[:3])
        raise UserError(
            f"calibrate a printer from {len(photographs)} photographs",
            f"none can be used ({why})" if why else "there is none",
            "Photograph the whole chart, flat, in focus, without clipping its white.",
        )
    if correction is not None:
        _check_exposure(measured, (chart.colours == 255).all(axis=2))
    sent, cells = _distinct(chart)
    labs = [srgb_to_lab(_gathered(one, cells)) for one in measured]
    repeat = None
    if len(labs) > 1:
        middle = np.mean(labs, axis=0)
        repeat = float(np.mean([delta_e_2000(lab, middle).mean() for lab in labs]))
    seen = _gathered(np.mean(measured, axis=0), cells)
    profile, errors = fit_models(sent, seen, seed)
    return Fit(profile, errors, sent, seen, tuple(used), tuple(rejected), repeat)


def fit_models(sent: Array, seen: Array, seed: int = 0) -> tuple[PrinterProfile, dict[Kind, Array]]:
    """The best model of what became of colours, and every model's held-out CIEDE2000.

    Args:
        sent: [N,3] sRGB in [0,1] sent to the printer, each once.
        seen: [N,3] what was seen on paper.
        seed: Of the parts and the network's first weights.
    """
    told = {kind: _held_out(kind, sent, seen, seed) for kind in KINDS}
    labs = srgb_to_lab(seen)
    errors = {kind: delta_e_2000(srgb_to_lab(colours), labs) for kind, colours in told.items()}
    best = min(KINDS, key=lambda kind: float(errors[kind].mean()))
    weights = fit_model(best, sent, seen, seed)
    residual = (told[best] - seen).std(axis=0)
    palette, _ = kmeans2(seen, _COLOURS, minit="++", rng=generator_for(seed, "printer palette"))
    profile = PrinterProfile(
        best,
        tuple(tuple(tuple(float(v) for v in row) for row in w.numpy()) for w in weights),
        tuple(tuple(float(v) for v in row) for row in palette),
        (float(residual[0]), float(residual[1]), float(residual[2])),
        float(errors[best].mean()),
    )
    return profile, errors


def _check_exposure(measured: Sequence[Array], white: npt.NDArray[np.bool_]) -> None:
    paper = [float(one[white].mean()) for one in measured]
    if max(paper) / min(paper) > 1 + _MOST_EXPOSURE:
        raise UserError(
            "average photographs of the chart with a ColorChecker",
            f"their white differs by {max(paper) / min(paper) - 1:.0%}",
            "Lock the exposure, for the ColorChecker's photograph too.",
        )


def _distinct(chart: Chart) -> tuple[Array, list[npt.NDArray[np.intp]]]:
    """[N,3] the colours of the chart, each once, and the cells that hold each."""
    flat = chart.colours.reshape(-1, 3)
    colours, which = np.unique(flat, axis=0, return_inverse=True)
    return colours / 255.0, [np.flatnonzero(which == n) for n in range(len(colours))]


def _gathered(measured: Array, cells: list[npt.NDArray[np.intp]]) -> Array:
    flat = measured.reshape(-1, 3)
    return np.stack([flat[places].mean(axis=0) for places in cells])


def _held_out(kind: Kind, sent: Array, seen: Array, seed: int) -> Array:
    """[N,3] every colour as a model foretells it that was not shown it."""
    part = generator_for(seed, "printer folds").permutation(len(sent)) % _FOLDS
    told = np.empty(sent.shape)
    for fold in range(_FOLDS):
        out = part == fold
        weights = fit_model(kind, sent[~out], seen[~out], seed)
        told[out] = _respond(kind, weights, sent[out])
    return told


def _respond(kind: Kind, weights: list[torch.Tensor], sent: Array) -> Array:
    with torch.no_grad():
        return respond(kind, weights, torch.from_numpy(sent)).numpy()


def fit_model(kind: Kind, sent: Array, seen: Array, seed: int = 0) -> list[torch.Tensor]:
    """The matrices of one model (see ``PrinterProfile``) that takes [N,3] ``sent`` to ``seen``."""
    colours, wanted = torch.from_numpy(sent), torch.from_numpy(seen)
    if kind == "network":
        return _train(colours, wanted, seed)
    if kind == "linear-light affine":
        wanted = linear_light(wanted)
    given = features(kind, colours)
    # The constant is not held small.
    ridge = _RIDGE * torch.eye(given.shape[1], dtype=given.dtype)
    ridge[-1, -1] = 0
    return [torch.linalg.solve(given.T @ given + ridge, given.T @ wanted)]


def _train(colours: torch.Tensor, wanted: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """The network's matrices, by Adam on the mean square error in sRGB."""
    generator = generator_for(seed, "printer network")
    hidden = torch.from_numpy(generator.normal(0, 0.7, (4, _HIDDEN))).requires_grad_()
    out = torch.zeros(_HIDDEN + 1, 3, dtype=hidden.dtype, requires_grad=True)
    optimiser = torch.optim.Adam([hidden, out], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _EPOCHS)
    for _ in range(_EPOCHS):
        optimiser.zero_grad()
        # Not clamped, or colours that start outside would never come back.
        inner = torch.cat([colours, torch.ones_like(colours[:, :1])], dim=1) @ hidden
        told = colours + torch.cat([inner.tanh(), torch.ones_like(inner[:, :1])], dim=1) @ out
        loss = (told - wanted).square().mean() + 1e-5 * out.square().mean()
        loss.backward()
        optimiser.step()
        schedule.step()
    return [hidden.detach(), out.detach()]


def draw_fit(fit: Fit) -> Picture:
    """[H,W,3] a picture of every colour: as sent, as seen on paper and as the profile has it."""
    told = _respond(
        fit.profile.kind,
        [torch.tensor(w, dtype=torch.float64) for w in fit.profile.weights],
        fit.sent,
    )
    order = np.lexsort(fit.sent.T)
    side, across = 26, 26
    tiles = []
    for index in order:
        tile = np.full((side * 2 + 4, side + 4, 3), 255, np.uint8)
        parts = (fit.sent[index], fit.seen[index], told[index])
        tile[2 : 2 + side, 2 : 2 + side] = np.round(parts[0] * 255)
        tile[2 + side : 2 + 2 * side, 2 : 2 + side // 2] = np.round(parts[1] * 255)
        tile[2 + side : 2 + 2 * side, 2 + side // 2 : 2 + side] = np.round(parts[2] * 255)
        tiles.append(tile)
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % across)
    rows = [np.hstack(tiles[n : n + across]) for n in range(0, len(tiles), across)]
    return np.vstack(rows)
