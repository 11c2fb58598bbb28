"""Sub-pixel corners of dark squares on light ground, from lines fitted to their sides."""

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

_ALONG = np.linspace(0.12, 0.88, 25)  # of a side; its ends are rounded by blur
_STEPS = np.linspace(-1.0, 1.0, 17)  # across a side, times the reach
_MAX_REACH_PX = 16.0
_MIN_REACH_PX = 1.5
_REACH_CELLS = 0.8
_REACH_SPREADS = 2.5  # times the edge's own width
_LEAST_CONTRAST = 12.0  # grey levels between the two sides of an edge
_ROUNDS = 3


def refine_quads(grey: Grey, quads: Array, *, cells: float = 8.0) -> Array:
    """Move the corners of dark squares to where lines fitted to their sides cross.

    Across each side the grey level rises once, from the marker's border to its quiet zone; the
    edge is the centroid of that rise, which a symmetric blur does not move. Corners of contours,
    by contrast, lie half a pixel too far inside.

    Args:
        grey: [H,W] uint8.
        quads: [N,4,2] corners within about a pixel, clockwise in the image, pixel centres at +0.5.
        cells: Cells along a side; border and quiet zone are one cell wide each.

    Returns:
        [N,4,2] refined corners; a quadrilateral with a side that shows no clear edge, or that
        would move by more than a cell, is returned as it came.
    """
    if not len(quads):
        return quads.copy()
    start = np.asarray(quads, dtype=np.float64)
    sides = np.linalg.norm(np.roll(start, -1, axis=1) - start, axis=2)
    cell = sides.min(axis=1) / cells
    widest = np.clip(_REACH_CELLS * cell, _MIN_REACH_PX, _MAX_REACH_PX)
    reach = widest
    corners, good = start, np.ones(len(start), dtype=bool)
    for _ in range(_ROUNDS):
        moved, spread, found = _fit_once(grey, corners, reach)
        good &= found
        corners = np.where(good[:, None, None], moved, corners)
        # A wide look finds a blurred edge, a narrow one measures a sharp edge better.
        reach = np.clip(_REACH_SPREADS * spread + 1.0, _MIN_REACH_PX, widest)
    near = np.linalg.norm(corners - start, axis=2).max(axis=1) <= np.maximum(cell, 2.0)
    return np.where((good & near)[:, None, None], corners, start)


def _fit_once(grey: Grey, quads: Array, reach: Array) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """One round: [N,4,2] corners, [N] widths of the edges, [N] whether all four sides had one."""
    ends = np.roll(quads, -1, axis=1)
    along = ends - quads
    length = np.linalg.norm(along, axis=2, keepdims=True)
    direction = along / np.maximum(length, 1e-6)
    outward = np.stack([direction[..., 1], -direction[..., 0]], axis=-1)
    on_side = quads[:, :, None] + _ALONG[:, None] * along[:, :, None]
    offsets = (reach[:, None] * _STEPS).astype(np.float32)
    across = offsets[:, None, None, :, None] * outward.astype(np.float32)[:, :, None, None, :]
    # cv2 counts from pixel centres
    places = (on_side - 0.5).astype(np.float32)[:, :, :, None] + across
    flat = places.reshape(-1, len(_STEPS), 2)
    levels = np.concatenate(
        [
            # remap takes at most 32767 rows
            cv2.remap(
                grey, part[..., 0], part[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE
            )
            for part in np.array_split(flat, -(-len(flat) // 30000))
        ]
    ).reshape(places.shape[:-1])
    rise = np.diff(levels.astype(np.float32), axis=-1)
    rise *= rise > 0.05 * rise.max(axis=-1, keepdims=True)
    total = rise.sum(axis=-1)
    middle = (offsets[:, :-1] + offsets[:, 1:]) / 2
    middle = middle[:, None, None, :]
    position = (rise * middle).sum(axis=-1) / np.maximum(total, 1e-9)
    variance = (rise * (middle - position[..., None]) ** 2).sum(axis=-1) / np.maximum(total, 1e-9)
    spread = np.sqrt(np.median(variance.reshape(len(quads), -1), axis=1))
    weight = (total > _LEAST_CONTRAST).astype(np.float64)
    offset, slope, seen = _robust_lines(position, weight)
    # A line through (0, offset) and (1, offset + slope) in (share along, px outward).
    first = quads + offset[..., None] * outward
    last = ends + (offset + slope)[..., None] * outward
    return _crossings(first, last), spread, np.asarray(seen.all(axis=1))


def _robust_lines(position: Array, weight: Array) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Offset and slope of [.., K] positions over ``_ALONG``, twice without what lies far off."""
    for _ in range(3):
        total = np.maximum(weight.sum(axis=-1), 1e-9)
        mean_x = (weight * _ALONG).sum(axis=-1) / total
        mean_y = (weight * position).sum(axis=-1) / total
        dx = _ALONG - mean_x[..., None]
        spread = np.maximum((weight * dx**2).sum(axis=-1), 1e-9)
        slope = (weight * dx * (position - mean_y[..., None])).sum(axis=-1) / spread
        offset = mean_y - slope * mean_x
        away = np.abs(position - offset[..., None] - slope[..., None] * _ALONG)
        typical = np.sqrt((weight * away**2).sum(axis=-1) / total)
        kept = weight * (away <= np.maximum(2.0 * typical, 0.05)[..., None])
        seen = kept.sum(axis=-1) >= len(_ALONG) / 2
        weight = np.where(seen[..., None], kept, weight)
    return offset, slope, seen


def _crossings(first: Array, last: Array) -> Array:
    """[N,4,2] where side i crosses the side before it."""
    normal = np.stack([last[..., 1] - first[..., 1], first[..., 0] - last[..., 0]], axis=-1)
    constant = (normal * first).sum(axis=-1)
    before, level = np.roll(normal, 1, axis=1), np.roll(constant, 1, axis=1)
    determinant = before[..., 0] * normal[..., 1] - before[..., 1] * normal[..., 0]
    determinant = np.where(np.abs(determinant) < 1e-9, 1e-9, determinant)
    x = (level * normal[..., 1] - constant * before[..., 1]) / determinant
    y = (constant * before[..., 0] - level * normal[..., 0]) / determinant
    return np.stack([x, y], axis=-1)
