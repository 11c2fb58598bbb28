"""The colour chart in a photograph: found, straightened, measured, its light made even."""

import cv2
import numpy as np
import numpy.typing as npt
import torch

from physadv.artwork.colour import encoded_srgb
from physadv.artwork.printer import linear_light
from physadv.calibrate.fiducials import find_sheets
from physadv.calibrate.macbeth import Correction
from physadv.checks import UserError
from physadv.export.chart import Chart

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

PAPER_LIGHT = 0.88
"""What white paper is taken to reflect, in every channel: a photograph cannot tell its brightness
and tint from those of the lamp."""

_CELL_PX = (24, 256)  # of the straightened chart, at least and at most; both multiples of 8
_CLIPPED, _MOST_CLIPPED = 252, 0.05
_DIM = 70
_MOST_UNEVEN = 0.08  # of the white cells from the smooth light, as a share


def read_chart(picture: Picture, chart: Chart, correction: Correction | None = None) -> Array:
    """[20,14,3] sRGB in [0,1] of the chart's cells under even white light on white paper.

    With a ``correction`` the light is only made even, and the paper as white as it is.

    Raises:
        UserError: If the chart is not there, cut off, mirrored, too small, clipped or too dim.
    """
    asked, do = "measure the colour chart", "Photograph it whole, flat and evenly lit."
    sheets = [s for s in find_sheets(picture, [chart.layout]) if s.code == chart.layout.code]
    if not sheets:
        raise UserError(asked, f"no {chart.page} chart found in the picture", do)
    if len(sheets) > 1:
        raise UserError(asked, f"{len(sheets)} charts in one picture", "Show one at a time.")
    sheet = sheets[0]
    if sheet.mirrored:
        raise UserError(asked, "the picture is mirrored", "Switch mirroring off.")
    if len(sheet.corners_px) < 4:
        raise UserError(asked, f"only {len(sheet.corners_px)} of its 4 markers can be seen", do)
    to_picture = sheet.plane_to_picture()
    assert to_picture is not None  # the layout is the chart's
    rows, columns = chart.colours.shape[:2]
    corner = chart.centres_mm()[0, 0] + np.array([-0.5, 0.5]) * chart.cell_mm
    whole = to_picture / to_picture[2, 2]
    slope = whole[:2, :2] - whole[:2, 2:] * whole[2, :2]  # px per mm in the chart's middle
    side = np.sqrt(abs(np.linalg.det(slope))) * chart.cell_mm
    if side < 6:
        raise UserError(asked, f"its cells cover {side:.0f} px", "Come closer.")
    # As fine as the photograph: points taken from a finer one would fall on dots of ink or between.
    cell = int(np.clip(8 * round(side / 8), *_CELL_PX))
    scale = chart.cell_mm / cell
    to_plane = np.array([[scale, 0, corner[0]], [0, -scale, corner[1]], [0, 0, 1.0]])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    matrix = np.linalg.inv(half) @ to_picture @ to_plane @ half
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    straight = cv2.warpPerspective(picture, matrix, (columns * cell, rows * cell), flags=flags)
    cells = straight.reshape(rows, cell, columns, cell, 3).transpose(0, 2, 1, 3, 4)
    inner = cells[:, :, cell // 4 : -cell // 4, cell // 4 : -cell // 4]
    seen = encoded_srgb(_middle_light(inner))
    white = (chart.colours == 255).all(axis=2)
    clipped = (inner[white] >= _CLIPPED).any(axis=-1).mean()
    if clipped > _MOST_CLIPPED:
        raise UserError(
            asked, f"{clipped:.0%} of its white is clipped", "Expose less, by a stop or so."
        )
    if np.median(seen[white]) < _DIM / 255:
        raise UserError(asked, "it is too dark", "Light it better, or expose longer.")
    colours = seen if correction is None else correction(seen)
    light = linear_light(torch.from_numpy(colours)).numpy()
    lamp = _lamp(light, white)
    uneven = np.quantile(np.abs(np.log(np.maximum(light, 1e-4) / lamp))[white], 0.95)
    if uneven > _MOST_UNEVEN:
        raise UserError(
            asked,
            f"the light on it changes abruptly (by {uneven:.0%} on its white cells)",
            "Keep shadows and reflections off it.",
        )
    paper = PAPER_LIGHT if correction is None else np.exp(np.log(lamp).mean(axis=(0, 1)))
    return encoded_srgb(light * (paper / lamp))


def _middle_light(inner: Picture) -> Array:
    """[R,C,3] linear light of cells whose middles are [R,C,P,P,3], P a multiple of 4.

    The dots of a print mix as light does, so that their mean is taken in linear light; specks and
    scratches are left out by a median of 4 x 4 such means.
    """
    rows, columns, side = inner.shape[:3]
    light = linear_light(torch.arange(256) / 255).numpy()[inner]
    parts = light.reshape(rows, columns, 4, side // 4, 4, side // 4, 3).mean(axis=(3, 5))
    return np.median(parts.reshape(rows, columns, 16, 3), axis=2).astype(np.float64)


def _lamp(light: Array, white: npt.NDArray[np.bool_]) -> Array:
    """[20,14,3] what white paper would send back everywhere: a surface through the white cells."""
    rows, columns = white.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    logs = np.log(np.maximum(light, 1e-4))
    weights, *_ = np.linalg.lstsq(terms[white], logs[white], rcond=None)
    return np.exp(terms @ weights)
