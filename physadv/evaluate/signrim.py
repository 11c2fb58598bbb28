"""A small stop sign's outline, by a model of its rim as a blurred picture shows it.

Light that changes across a sign moves the place where redness falls to half of one level: under a
soft shadow the dark side of a 26 px sign is found a pixel too far in. At 20 px the white border is
half a pixel wide, and blur and the coarse colour of films round the octagon off. Such errors are
alike in frame after frame, so that no smoothing helps. Here red field, border and what is behind
are drawn as lit and blurred, and moved until they look like the picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from physadv.scene.faces import StopFace, octagon

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_LUMA = np.array([0.2126, 0.7152, 0.0722])  # BT.709
_OUTWARD_PX = 3.5  # of the rim that is compared; what lies further out is none of the sign's
_INWARD, _INWARD_PX = 0.2, 2.5  # share of the sign's width, and at least
_LEGEND_PX = 1.5  # left out around the legend
LEAST_PX = 8
"""Smaller signs show too little of their rim."""
_ROOM_PX = 5.0  # beyond the rim, for the blur
_BEHIND = 12  # directions in which what is behind has a colour of its own
_BEHIND_SD = 60.0  # by which neighbouring ones differ
_SLOPE_SD = 0.4  # of the red's level: its change across the sign, by light and shadow
_WHITE_SD = 60.0, 0.15  # of the border: of its luma; of its redness, as a share of the red's
_DULL = 0.75  # how much less the border outshines the field than in the drawing
_BLUR_PX = 1.0, 1.4  # first guess for luma and for the colour, which films keep at half the size
_LEAST_BLUR_PX, _MOST_BLUR_PX, _LOG_BLUR_SD = 0.35, 4.0, 0.5
_MOVE, _MOVE_PX, _GROW = 0.08, 1.5, 0.15  # how far off the first outline may be: one sigma
_ROUNDS = 6
_STEP_PX = 0.05
_STILL_PX = 0.02
_LEAST_NOISE = 0.7
_BISQUARE = 4.5


@dataclass(frozen=True)
class _Rim:
    """The pixels that are compared, and the model's parts that do not move.

    ``x`` [W] and ``y`` [H] are pixel centres, ``band`` [H,W] tells which of them are compared;
    ``seen`` [2,N] is their luma and redness, ``across`` [2,N] their place from the middle in the
    sign's size, ``behind`` [N,_BEHIND] the shares of the directions, ``beliefs`` [2,M,4+_BEHIND]
    what is known of the colours beforehand, and ``stuck`` [N] what is no red field.
    """

    x: Array
    y: Array
    band: npt.NDArray[np.bool_]
    seen: Array
    across: Array
    behind: Array
    beliefs: Array
    stuck: npt.NDArray[np.bool_]


def refine_outline(picture: Picture, box: Array, face: StopFace) -> Array:
    """The box of a stop sign, from one that is a tenth of its size off at most.

    Luma and redness of the rim are each a mixture of red field (with a linear change of light),
    white border and, in twelve directions, what is behind; the shares are those of an octagon and
    its inset, blurred, with a blur of its own for either. Middle, width, height and blurs are found
    by Gauss and Newton's method; for each trial of them the colours follow by linear least squares
    (variable projection). Pixels that do not fit, as stickers', lose their say.

    Args:
        picture: [H,W,3] uint8 RGB.
        box: [4] xyxy around the sign's outer edge, at least ``LEAST_PX`` high and wide.
        face: Its border and legend.

    Returns:
        [4] xyxy of the outer edge in pixels, centres at +0.5.

    References:
        Golub & Pereyra, The Differentiation of Pseudo-Inverses and Nonlinear Least Squares
        Problems Whose Variables Separate, SIAM J. Numer. Anal. 10, 1973.
    """
    middle, span = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    size = float(span.mean())
    rim = _rim(picture, middle, span, face)
    start = np.concatenate([np.zeros(4), np.log(_BLUR_PX)])
    room = max(_MOVE_PX, _MOVE * size)
    belief = np.array([room, room, _GROW, _GROW, _LOG_BLUR_SD, _LOG_BLUR_SD])
    step = _STEP_PX * np.array([1, 1, 1 / size, 1 / size, 1, 1])
    moved = start.copy()
    weights = np.where(rim.stuck, 0.0, 1.0) * np.full((2, 1), 1 / 6.0)

    def misfit(by: Array) -> tuple[Array, Array]:
        return _misfit(rim, middle + by[:2], span * np.exp(by[2:4]), np.exp(by[4:]), face, weights)

    for _ in range(_ROUNDS):
        _, left = misfit(moved)
        weights = _weights(left, rim.stuck)
        now, _ = misfit(moved)
        slopes = [(misfit(moved + one)[0] - now) / one.sum() for one in np.diag(step)]
        jacobian = np.stack(slopes, axis=1)
        normal = jacobian.T @ jacobian + np.diag(1 / belief**2)
        change = -np.linalg.solve(normal, jacobian.T @ now + (moved - start) / belief**2)
        moved = moved + np.clip(change, -belief, belief)
        moved[4:] = np.clip(moved[4:], np.log(_LEAST_BLUR_PX), np.log(_MOST_BLUR_PX))
        if np.abs(change[:4] * [1, 1, size, size]).max() < _STILL_PX:
            break
    middle, span = middle + moved[:2], span * np.exp(moved[2:4])
    return np.concatenate([middle - span / 2, middle + span / 2])


def _rim(picture: Picture, middle: Array, span: Array, face: StopFace) -> _Rim:
    size = float(span.mean())
    reach = span / 2 + _OUTWARD_PX + _ROOM_PX + _MOVE * size
    low = np.maximum(np.floor(middle - reach), 0).astype(int)
    high = np.minimum(np.ceil(middle + reach), picture.shape[1::-1]).astype(int)
    part = picture[low[1] : high[1], low[0] : high[0]].astype(np.float64)
    luma = part @ _LUMA
    x, y = (np.arange(low[axis], high[axis]) + 0.5 for axis in (0, 1))
    inside = _inside(x, y, middle, span)
    over = [np.abs(a - m) for a, m in zip((x, y), middle, strict=True)]
    legend = (over[0] < face.legend_width / 2 * span[0] + _LEGEND_PX)[None] & (
        over[1] < face.letter_height / 2 * span[1] + _LEGEND_PX
    )[:, None]
    band = (inside > -_OUTWARD_PX) & (inside < max(_INWARD * size, _INWARD_PX))
    band &= ~(legend & (inside > 0))
    seen = np.stack([luma[band], (part[..., 0] - luma)[band]])
    rows, columns = np.nonzero(band)
    across = np.stack([(x[columns] - middle[0]) / span[0], (y[rows] - middle[1]) / span[1]])
    turn = np.arctan2(across[1], across[0]) / (2 * np.pi) % 1 * _BEHIND
    before = turn.astype(int) % _BEHIND
    behind = np.zeros((len(turn), _BEHIND))
    each = np.arange(len(turn))
    behind[each, before] = 1 - turn % 1
    behind[each, (before + 1) % _BEHIND] = turn % 1
    depth = inside[band]
    level = np.array([np.median(seen[0][depth > 0]), np.quantile(seen[1][depth > 0], 0.7)])
    stuck = (depth > 2) & (seen[1] < 0.5 * level[1])
    beliefs = np.stack([_beliefs(number, value, face) for number, value in enumerate(level)])
    return _Rim(x, y, band, seen, across, behind, beliefs, stuck)


def _beliefs(number: int, level: float, face: StopFace) -> Array:
    """Rows that times the colours (red, its change along x and y, white, behind) should be 0."""
    colours = np.eye(4 + _BEHIND)
    red, white, behind = colours[0], colours[3], colours[4:]
    slope = colours[1:3] / (_SLOPE_SD * max(level, 10.0))
    if number == 0:
        brighter = _DULL * float(np.array(face.white) @ _LUMA / (np.array(face.red) @ _LUMA))
        border = (white - brighter * red) / _WHITE_SD[0]
    else:
        border = white / (_WHITE_SD[1] * max(level, 10.0))
    alike = (behind - np.roll(behind, -1, axis=0)) / _BEHIND_SD
    return np.concatenate([slope, border[None], alike])


def _inside(x: Array, y: Array, middle: Array, span: Array) -> Array:
    """[H,W] how far pixels lie inside the octagon, negative outside."""
    corners = octagon() - 0.5
    sides = (corners + np.roll(corners, -1, axis=0)) / 2 / span
    depth = np.full((len(y), len(x)), np.inf)
    for normal in sides:
        length = float(np.hypot(*normal))
        along_x, along_y = normal[0] * (x - middle[0]), normal[1] * (y - middle[1])
        np.minimum(depth, (0.25 - along_x[None] - along_y[:, None]) / length, out=depth)
    return depth


def _misfit(
    rim: _Rim, middle: Array, span: Array, blur_px: Array, face: StopFace, weights: Array
) -> tuple[Array, Array]:
    """What the best colours leave, with beliefs and in units of the noise; and [2,N] as seen."""
    outer = _inside(rim.x, rim.y, middle, span)
    inner = outer - face.border * span.mean()
    all_left, raw = [], []
    for seen, sigma, beliefs, weight in zip(rim.seen, blur_px, rim.beliefs, weights, strict=True):
        sign, field = (_blurred(depth, sigma)[rim.band] for depth in (outer, inner))
        shares = [field, field * rim.across[0], field * rim.across[1], sign - field]
        design = np.column_stack([*shares, (1 - sign)[:, None] * rim.behind])
        matrix = np.concatenate([design * weight[:, None], beliefs])
        wanted = np.concatenate([seen * weight, np.zeros(len(beliefs))])
        normal = matrix.T @ matrix + 1e-9 * np.eye(matrix.shape[1])
        colours = np.linalg.solve(normal, matrix.T @ wanted)
        all_left.append(matrix @ colours - wanted)
        raw.append(design @ colours - seen)
    return np.concatenate(all_left), np.stack(raw)


def _blurred(depth: Array, sigma: float) -> Array:
    covered = np.clip(depth + 0.5, 0, 1)  # of each pixel
    return cv2.GaussianBlur(covered, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def _weights(left: Array, stuck: npt.NDArray[np.bool_]) -> Array:
    """[2,N] one over the noise, less where much is left."""
    noise = 1.4826 * np.median(np.abs(left[:, ~stuck]), axis=1, keepdims=True) + _LEAST_NOISE
    return np.where(stuck, 0.0, np.clip(1 - (left / (_BISQUARE * noise)) ** 2, 0, None) / noise)
