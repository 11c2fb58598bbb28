"""Finding a stop sign's outline in a photograph: red field, convex hull, eight fitted sides."""

import cv2
import numpy as np
import numpy.typing as npt

from physadv.scene.faces import FACES, StopFace, octagon

Picture = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]

_MIN_SIDE_PX = 20
_MAX_MISFIT = 0.03  # rms distance of hull from fitted sides, as a share of the sign's size
_LEGEND_CONTRAST = 1.15  # the legend is at least so much brighter than the red
_MIN_FILL, _MAX_FILL = 0.45, 0.97  # share of the field that is red; the legend is the rest


def red_mask(photo: Picture) -> Mask:
    """[H,W] True where [H,W,3] uint8 RGB is the red of a sign in any common light."""
    lab = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB).astype(np.int16)
    a, b = lab[..., 1] - 128, lab[..., 2] - 128
    # Otsu on a* follows the light; red is far from green and not more yellow than red.
    level, _ = cv2.threshold(
        a.clip(0, 127).astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU
    )
    return (a > max(12, 0.8 * level)) & (b < 1.1 * a) & (b > -0.4 * a)


def find_octagon(photo: Picture, face: str = "us_r1_1") -> Array | None:
    """Corners of the largest red octagon in a photograph.

    The red field's hull is reduced to eight sides, each side fitted to the hull's points, and the
    field's corners related to the face's geometry by a homography, which gives the outer corners.

    Args:
        photo: [H,W,3] uint8 RGB.
        face: The drawn face whose border the sign has.

    Returns:
        [8,2] outer corners in pixels (centres at +0.5), in the order of ``faces.octagon``; None
        if nothing like an octagon is there.
    """
    mask = cv2.morphologyEx(red_mask(photo).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    hull = cv2.convexHull(max(contours, key=lambda c: cv2.contourArea(cv2.convexHull(c))))
    size = float(np.sqrt(cv2.contourArea(hull)))
    if size < _MIN_SIDE_PX:
        return None
    # Contours run through pixel centres; the field's edge is half a pixel further out.
    points = _densify(hull[:, 0].astype(np.float64) + 0.5, size / 200)
    centre = points.mean(axis=0)
    points += 0.5 * (points - centre) / np.linalg.norm(points - centre, axis=1, keepdims=True)
    start = _eight_corners(hull)
    if start is None:
        return None
    corners = _fit_sides(points, start + 0.5)
    if corners is None or _misfit(points, corners) > _MAX_MISFIT * size:
        return None
    corners = _in_order(corners)
    return _outer_corners(corners, mask, photo, face)


def _densify(polygon: Array, step: float) -> Array:
    """Points every ``step`` along a closed polygon."""
    parts = []
    for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        count = max(1, round(float(np.linalg.norm(end - start)) / step))
        parts.append(start + (end - start) * np.arange(count)[:, None] / count)
    return np.concatenate(parts)


def _eight_corners(hull: npt.NDArray[np.int32]) -> Array | None:
    """The hull simplified to exactly eight corners, or None."""
    length = cv2.arcLength(hull, True)
    for share in np.linspace(0.008, 0.06, 40):
        simple = cv2.approxPolyDP(hull, share * length, True)
        if len(simple) == 8:
            return simple[:, 0].astype(np.float64)
        if len(simple) < 8:
            return None
    return None


def _fit_sides(points: Array, corners: Array) -> Array | None:
    """Refine corners as intersections of lines fitted to the middle of each side."""
    for _ in range(3):
        lines = []
        for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            along = (end - start) / (np.linalg.norm(end - start) + 1e-9)
            position = (points - start) @ along / (np.linalg.norm(end - start) + 1e-9)
            away = np.abs((points - start) @ [-along[1], along[0]])
            near = (position > 0.15) & (position < 0.85)
            near &= away < 0.1 * np.linalg.norm(end - start) + 1.5
            if near.sum() < 4:
                return None
            vx, vy, x, y = cv2.fitLine(
                points[near].astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01
            ).ravel()
            lines.append(np.array([vy, -vx, vx * y - vy * x]))
        crossings = [np.cross(lines[i - 1], lines[i]) for i in range(8)]
        if any(abs(c[2]) < 1e-6 for c in crossings):
            return None
        corners = np.array([c[:2] / c[2] for c in crossings])
    return corners


def _misfit(points: Array, corners: Array) -> float:
    """Rms distance of the points from the nearest side."""
    outline = corners.astype(np.float32)[:, None]
    distances = [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in points]
    return float(np.sqrt(np.mean(np.square(distances))))


def _in_order(corners: Array) -> Array:
    """Clockwise in the image from the left end of the top side, for signs turned < 22.5 degrees."""
    middle = corners.mean(axis=0)
    angle = np.arctan2(*(corners - middle).T[::-1])
    ordered = corners[np.argsort(angle)]
    low, high = ordered.min(axis=0), ordered.max(axis=0)
    normalised = (ordered - low) / (high - low)
    shifts = [np.roll(normalised, k, axis=0) for k in range(8)]
    best = int(np.argmin([np.square(shift - octagon()).sum() for shift in shifts]))
    return np.roll(ordered, best, axis=0)


def _outer_corners(
    field: Array, mask: npt.NDArray[np.uint8], photo: Picture, face: str
) -> Array | None:
    """The face's outer corners from those of its red field, if there is a legend in it."""
    known = FACES[face]
    if not isinstance(known, StopFace):
        return None
    inset = known.border
    inner = 0.5 + (octagon() - 0.5) * (1 - 2 * inset)
    matrix, _ = cv2.findHomography(inner, field)
    if matrix is None:
        return None
    filled = np.zeros_like(mask)
    cv2.fillConvexPoly(filled, np.rint(field - 0.5).astype(np.int32), 1)
    if not _MIN_FILL <= mask[filled > 0].mean() <= _MAX_FILL:
        return None
    inside, red = cv2.erode(filled, np.ones((5, 5))) > 0, mask > 0
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    legend, ground = grey[inside & ~red], grey[inside & red]
    if not len(legend) or np.median(legend) < _LEGEND_CONTRAST * np.median(ground):
        return None
    return cv2.perspectiveTransform(octagon()[None], matrix)[0]


def face_to_photo(corners: Array) -> Array:
    """[3,3] homography from the face's unit square (x right, y down) to the photograph.

    Args:
        corners: [8,2] octagon corners, or [4,2] corners of the bounding square clockwise from
            its top left.
    """
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64)
    source = octagon() if len(corners) == 8 else square
    matrix, _ = cv2.findHomography(source, np.asarray(corners, dtype=np.float64))
    return matrix
