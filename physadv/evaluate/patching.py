"""Compositing a free patch onto an object in a photograph, with OpenCV, at its own resolution."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from scipy.interpolate import RBFInterpolator

from physadv.evaluate.conditions import Conditions
from physadv.evaluate.exposure import colour_affine, light_field
from physadv.scene.objects import ObjectScene

Picture = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_TEXEL_PX = 4  # least texels' size in the oversampled layer
_MOST_OVERSAMPLE = 16
_CONTROL = 5  # points of the judge's spline along a side
_COARSE = 64


@dataclass(frozen=True)
class Place:
    """Where a patch sits in a photograph: ``centre`` [2] x, y and ``side`` in pixels.

    ``cloth`` [K,2] are the displacements, in shares of the side, of K = 5 x 5 points of a
    thin-plate spline that bends it; None leaves it flat.
    """

    centre: Array
    side: float
    roll_rad: float
    cloth: Array | None = None

    @property
    def corners(self) -> Array:
        """[4,2] corners clockwise from the patch's own top left."""
        cos, sin = np.cos(self.roll_rad), np.sin(self.roll_rad)
        unit = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        turned = unit @ np.array([[cos, sin], [-sin, cos]])
        corners: Array = self.centre + self.side * turned
        return corners


def draw_place(scene: ObjectScene, box: Array, generator: np.random.Generator) -> Place:
    """A place on an object with ``box`` xyxy [4], drawn from the judge's ranges."""
    size = box[2:] - box[:2]
    base = float(np.hypot(*size)) if scene.patch.share_of == "diagonal" else float(size[1])
    ranges = scene.judge_placement
    factor, roll = ranges.size.sample(generator, 1)[0], ranges.roll_deg.sample(generator, 1)[0]
    shift = generator.uniform(-1, 1, 2) * ranges.shift
    centre = box[:2] + (np.array(scene.patch.centre) + shift) * size
    cloth = None
    if ranges.cloth:
        cloth = generator.uniform(-ranges.cloth, ranges.cloth, (_CONTROL**2, 2))
    side = base * scene.patch.share * float(factor)
    return Place(centre, side, float(np.deg2rad(roll)), cloth)


def stick_patch(
    photo: Picture,
    colours: Picture,
    place: Place,
    conditions: Conditions,
    generator: np.random.Generator,
    hidden: npt.NDArray[np.bool_] | None = None,
) -> Picture:
    """Composite a printed patch.

    Printer, light and colour act on the patch, which is blurred and made noisy as the camera would
    have; the photograph has its own.

    Args:
        photo: [H,W,3] uint8 RGB.
        colours: [T,T,3] uint8 RGB, texels as hard squares.
        place: Where; what reaches beyond the photograph is cut off.
        conditions: One draw of printer, light, optics and noise.
        generator: Source of the noise.
        hidden: [H,W] where something is in front of the patch; None for nowhere.

    Returns:
        [H,W,3] uint8 RGB.
    """
    rim = int(np.ceil(3 * conditions.defocus_px)) + 2
    corners = _canvas(place).corners
    low = np.floor(corners.min(axis=0)).astype(int) - rim
    high = np.ceil(corners.max(axis=0)).astype(int) + rim
    width, height = (int(v) for v in high - low)
    seen, alpha = _layer(colours, place, conditions, (width, height), low)
    noise = generator.standard_normal(seen.shape, dtype=np.float32) * 255 * conditions.noise_sd
    out_height, out_width = photo.shape[:2]
    x1, y1 = max(low[0], 0), max(low[1], 0)
    x2, y2 = min(high[0], out_width), min(high[1], out_height)
    if x2 <= x1 or y2 <= y1:
        return photo
    here = (slice(y1 - low[1], y2 - low[1]), slice(x1 - low[0], x2 - low[0]))
    part = photo[y1:y2, x1:x2].astype(np.float32)
    mixed = part * (1 - alpha[here]) + seen[here] + noise[here] * alpha[here]
    if hidden is not None:
        mixed = np.where(hidden[y1:y2, x1:x2, None], part, mixed)
    stuck = photo.copy()
    stuck[y1:y2, x1:x2] = np.rint(mixed.clip(0, 255)).astype(np.uint8)
    return stuck


def _margin(cloth: Array) -> float:
    """By how much, in shares of its side, a bent patch may reach beyond the flat one."""
    return 2 * float(np.abs(cloth).max())


def _canvas(place: Place) -> Place:
    """The flat square that holds the patch, bent or not."""
    if place.cloth is None:
        return place
    return replace(place, side=place.side * (1 + 2 * _margin(place.cloth)), cloth=None)


def _bend(texture: npt.NDArray[np.float32], cloth: Array) -> npt.NDArray[np.float32]:
    """The texture [s,s,4] on its canvas, seen through a thin-plate spline."""
    line = np.linspace(-0.5, 0.5, _CONTROL)
    controls = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    spline = RBFInterpolator(controls, cloth, kernel="thin_plate_spline", degree=1)
    side, margin = len(texture), _margin(cloth)
    canvas = round(side * (1 + 2 * margin))
    # The spline is smooth: it is evaluated on a coarse grid and enlarged.
    coarse = ((np.arange(_COARSE) + 0.5) / _COARSE - 0.5) * (1 + 2 * margin)
    grid = np.stack(np.meshgrid(coarse, coarse), axis=-1)
    moved = spline(grid.reshape(-1, 2)).reshape(grid.shape).astype(np.float32)
    moved = cv2.resize(moved, (canvas, canvas), interpolation=cv2.INTER_CUBIC)
    share = ((np.arange(canvas) + 0.5) / canvas - 0.5) * (1 + 2 * margin)
    place = np.stack(np.meshgrid(share, share), axis=-1) + moved
    pixels = ((place + 0.5) * side - 0.5).astype(np.float32)
    return cv2.remap(
        texture, pixels[..., 0], pixels[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )


def _layer(
    colours: Picture,
    place: Place,
    conditions: Conditions,
    size: tuple[int, int],
    low: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Premultiplied colours [h,w,3] in 0..255 and coverage [h,w,1] of the patch in its window."""
    width, height = size
    printed = colours * conditions.print_gain + 255 * conditions.print_offset
    matrix, bias = colour_affine(conditions)
    lit = printed.clip(0, 255) @ matrix.T + bias
    light = light_field(len(colours), colours.shape[1], conditions)
    if light is not None:
        lit = lit * light[..., None]
    texture = np.dstack([lit.clip(0, 255), np.ones(colours.shape[:2])]).astype(np.float32)
    # Texels stay hard squares: repeated until they are several oversampled pixels wide.
    by = int(np.clip(np.ceil(_TEXEL_PX * len(colours) / place.side), 2, _MOST_OVERSAMPLE))
    repeat = max(1, -(-int(by * place.side) // len(colours)))
    texture = texture.repeat(repeat, 0).repeat(repeat, 1)
    if place.cloth is not None:
        texture = _bend(texture, place.cloth)
    side_y, side_x = texture.shape[:2]
    source = np.array([[0, 0], [side_x, 0], [side_x, side_y], [0, side_y]], np.float32) - 0.5
    target = ((_canvas(place).corners - low) * by - 0.5).astype(np.float32)
    warped = cv2.warpPerspective(
        texture,
        cv2.getPerspectiveTransform(source, target),
        (width * by, height * by),
        flags=cv2.INTER_LINEAR,
    )
    small = cv2.resize(warped, (width, height), interpolation=cv2.INTER_AREA)
    if conditions.defocus_px > 0.2:
        small = cv2.GaussianBlur(small, (0, 0), conditions.defocus_px)
    return small[..., :3], small[..., 3:]
