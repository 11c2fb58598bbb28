"""Sticking artwork onto a sign in a photograph: its place, its light, its resolution."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from physadv.evaluate.octagon import face_to_photo, red_mask
from physadv.scene.pose import bounding_box, project

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_LAYER_TX = 600
_MOST_OVERSAMPLE = 16
_MIN_PIXELS = 30
_BLUR_REACH = 4.0  # sigmas beyond which nothing of a blurred print is seen


@dataclass(frozen=True)
class Lighting:
    """How the photograph renders the face's colours: v -> gain(x, y) * v + offset, per channel.

    ``gain`` [3] and ``offset`` [3] on values in 0..255; ``slope`` [2] is the relative change of
    light per pixel along x and y around ``centre``.
    """

    gain: Array
    offset: Array
    slope: Array
    centre: Array

    def apply(self, colours: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Relight [h,w,3] colours that lie at their own pixel positions."""
        height, width = colours.shape[:2]
        x = np.arange(width)[None, :] + 0.5 - self.centre[0]
        y = np.arange(height)[:, None] + 0.5 - self.centre[1]
        field = np.clip(1 + self.slope[0] * x + self.slope[1] * y, 0.3, 3.0)
        lit = colours * self.gain * field[..., None] + self.offset
        return lit.astype(np.float32)


def match_lighting(photo: Picture, corners: Array, face: Picture) -> Lighting | None:
    """Fit the light on a sign from the two colours that its face is known to have.

    Inside the octagon the photograph's red pixels and its bright, unsaturated ones (legend and
    border) are told apart; the median white against the face's own gives each channel's gain, the
    red's green and blue give haze, and a plane through the red's brightness gives the slope.

    Args:
        photo: [H,W,3] uint8 RGB.
        corners: [8,2] or [4,2] corners (see ``octagon.face_to_photo``).
        face: [S,S,4] uint8 RGBA of the drawn face.

    Returns:
        The lighting, or None if too few pixels of either colour are there.
    """
    inside = _warp_face(face[..., 3], corners, photo.shape) > 250
    is_red = red_mask(photo) & inside
    value = photo.astype(np.float64)
    spread = value.max(axis=-1) - value.min(axis=-1)
    drawn = _warp_face(face[..., :3], corners, photo.shape)
    is_white = inside & ~red_mask(photo) & (drawn.min(axis=-1) > 180)
    is_red &= drawn.min(axis=-1) < 90
    if is_red.sum() < _MIN_PIXELS or is_white.sum() < _MIN_PIXELS:
        return None
    # The drawn legend is not the photograph's letter for letter: keep its less coloured half.
    is_white &= spread <= np.median(spread[is_white])
    red, white = (np.median(value[part], axis=0) for part in (is_red, is_white))
    solid = face[..., 3] == 255
    red_face = solid & (face[..., :3].min(axis=-1) < 90)
    white_face = solid & (face[..., :3].min(axis=-1) > 180)
    if red_face.sum() < _MIN_PIXELS or white_face.sum() < _MIN_PIXELS:
        return None
    known_red = np.median(face[red_face][:, :3], axis=0)
    known_white = np.median(face[white_face][:, :3], axis=0)
    # The white legend gives the light's colour; what the red field has of green and blue beyond
    # that is haze, the same for all channels: white = g w + h and red = g r + h, solved for h.
    ratio = known_red / known_white
    haze = float(np.clip(((red - white * ratio) / (1 - ratio))[1:].min(), 0, 80))
    gain = (white - haze) / known_white
    offset = np.full(3, haze)
    rows, columns = np.nonzero(is_red)
    centre = np.array([columns.mean() + 0.5, rows.mean() + 0.5])
    brightness = value[is_red].mean(axis=1) / value[is_red].mean()
    plane = np.column_stack([np.ones(len(rows)), columns + 0.5 - centre[0], rows + 0.5 - centre[1]])
    slope = np.linalg.lstsq(plane, brightness, rcond=None)[0][1:]
    return Lighting(gain, offset, slope, centre)


def _warp_face(texture: Picture, corners: Array, shape: tuple[int, ...], by: int = 1) -> Picture:
    """Texture over the face's square, warped onto a photograph enlarged ``by`` times."""
    height, width = texture.shape[:2]
    to_unit = np.diag([1 / width, 1 / height, 1.0])
    half = np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    matrix = np.diag([by, by, 1.0]) @ face_to_photo(corners) @ to_unit
    return cv2.warpPerspective(
        texture,
        np.linalg.inv(half) @ matrix @ half,
        (shape[1] * by, shape[0] * by),
        flags=cv2.INTER_LINEAR,
    )


def stick(
    photo: Picture,
    corners: Array,
    colours: Picture,
    mask: npt.NDArray[np.bool_],
    lighting: Lighting,
    blur_px: float = 0.0,
) -> Picture:
    """Composite a print onto the sign.

    The print is warped at the resolution of its own texels (3 to 16 times the photograph's) and
    averaged down, so that it is filtered by area; its colours take the light of the sign.

    Args:
        photo: [H,W,3] uint8 RGB.
        corners: Corners of the sign.
        colours: [T,T,3] uint8 RGB of the print over the face's square.
        mask: [T,T] True where it is stuck.
        lighting: From ``match_lighting``.
        blur_px: Sigma of the photograph's blur beyond the average over a pixel.

    Returns:
        [H,W,3] uint8 RGB.
    """
    layer = np.dstack([colours * mask[..., None], mask.astype(np.uint8) * 255])
    factor = max(1, round(_LAYER_TX / len(mask)))
    layer = layer.repeat(factor, 0).repeat(factor, 1)
    square = project(face_to_photo(corners), np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
    box = bounding_box(square)
    rim = int(np.ceil(_BLUR_REACH * blur_px))
    low = (np.floor(box[:2]).astype(int) - rim).clip(0)
    high = np.minimum(np.ceil(box[2:]).astype(int) + rim, photo.shape[1::-1])
    if (high <= low).any():
        return photo.copy()
    oversample = int(np.clip(np.ceil(len(layer) / (box[2:] - box[:2]).min()), 3, _MOST_OVERSAMPLE))
    part = photo[low[1] : high[1], low[0] : high[0]]
    warped = _warp_face(layer, corners - low, part.shape, oversample).astype(np.float32)
    small = cv2.resize(warped, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_AREA)
    if blur_px > 0:
        small = cv2.GaussianBlur(small, (0, 0), blur_px)
    alpha = small[..., 3:] / 255
    pure = small[..., :3] / np.maximum(alpha, 1e-3)
    lit = replace(lighting, centre=lighting.centre - low).apply(pure)
    mixed = part * (1 - alpha) + lit * alpha
    stuck = photo.copy()
    stuck[low[1] : high[1], low[0] : high[0]] = np.rint(mixed.clip(0, 255)).astype(np.uint8)
    return stuck
