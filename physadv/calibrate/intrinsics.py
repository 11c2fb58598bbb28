"""Intrinsics from photographs of a board, with what was left out and what was covered."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from physadv.calibrate.boards import Board, BoardView, find_board
from physadv.calibrate.camera import CameraCalibration
from physadv.checks import UserError

LEAST_PICTURES = 3
GOOD_PICTURES = 15  # OpenCV's advice; fewer leave the focal length loose
COVERAGE_CELLS = (8, 6)
_OUTLIER = 3.0  # times the median picture's error
_TOLERATED_PX = 1.0


@dataclass(frozen=True)
class UsedPicture:
    """One picture that the calibration rests on; ``error_px`` is its rms reprojection error."""

    path: Path
    view: BoardView
    residual_px: npt.NDArray[np.float64]
    error_px: float


@dataclass(frozen=True)
class CameraFit:
    """A calibration, the pictures it rests on and those left out with the reason.

    ``coverage`` [6,8] counts the corners seen in each part of the picture.
    """

    camera: CameraCalibration
    used: tuple[UsedPicture, ...]
    rejected: tuple[tuple[Path, str], ...]
    coverage: npt.NDArray[np.int64]

    @property
    def covered_share(self) -> float:
        """Share of the picture's parts that hold a corner."""
        return float((self.coverage > 0).mean())


def read_stored_grey(path: Path) -> npt.NDArray[np.uint8]:
    """[H,W] uint8 as the sensor stored it: its EXIF orientation is not applied.

    Raises:
        UserError: If the file is not a readable image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise UserError(
            f"read image {path}", f"not a readable image ({error})", "Give a JPEG or PNG file."
        ) from error


def calibrate_camera(
    paths: list[Path],
    board: Board,
    progress: Callable[[int, int], None] | None = None,
) -> CameraFit:
    """Fit a camera to photographs of a board.

    Pictures of another size than most, without the board, or with an error above three times the
    median (and a pixel) are left out and named.

    Args:
        paths: The photographs.
        board: The board they show.
        progress: Called with (done, total) after each photograph.

    Raises:
        UserError: If fewer than three photographs can be used.

    References:
        Zhang, A Flexible New Technique for Camera Calibration, PAMI 2000.
    """
    views: dict[Path, BoardView] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    rejected: dict[Path, str] = {}
    for done, path in enumerate(paths, start=1):
        try:
            grey = read_stored_grey(path)
        except UserError as error:
            rejected[path] = error.got
        else:
            sizes[path] = (grey.shape[1], grey.shape[0])
            found = find_board(grey, board)
            if isinstance(found, str):
                rejected[path] = found
            else:
                views[path] = found
        if progress is not None:
            progress(done, len(paths))
    if views:
        size, _ = Counter(sizes[path] for path in views).most_common(1)[0]
        for path in [path for path in views if sizes[path] != size]:
            rejected[path] = "{} x {} px, not {} x {} px".format(*sizes[path], *size)
            del views[path]
    _enough(views, rejected)
    camera, used = _fit(views, size)
    errors = {picture.path: picture.error_px for picture in used}
    limit = max(_TOLERATED_PX, _OUTLIER * float(np.median(list(errors.values()))))
    outliers = [path for path, error in errors.items() if error > limit]
    if outliers:
        for path in outliers:
            rejected[path] = f"error {errors[path]:.2f} px, far above the other pictures'"
            del views[path]
        _enough(views, rejected)
        camera, used = _fit(views, size)
    points = np.concatenate([picture.view.image_px for picture in used])
    columns, rows = COVERAGE_CELLS
    coverage, _, _ = np.histogram2d(
        points[:, 1], points[:, 0], bins=(rows, columns), range=((0, size[1]), (0, size[0]))
    )
    return CameraFit(camera, used, tuple(sorted(rejected.items())), coverage.astype(np.int64))


def _enough(views: dict[Path, BoardView], rejected: dict[Path, str]) -> None:
    if len(views) >= LEAST_PICTURES:
        return
    reasons = "; ".join(f"{n} x {why}" for why, n in Counter(rejected.values()).most_common(3))
    raise UserError(
        "calibrate the camera",
        f"{len(views)} of {len(views) + len(rejected)} pictures show the board ({reasons})",
        f"Give {GOOD_PICTURES} or more from different sides, and check the board's kind, counts "
        "and dictionary.",
    )


def _fit(
    views: dict[Path, BoardView], size: tuple[int, int]
) -> tuple[CameraCalibration, tuple[UsedPicture, ...]]:
    objects = [np.ascontiguousarray(view.object_mm, np.float32) for view in views.values()]
    images = [np.ascontiguousarray(view.image_px, np.float32) for view in views.values()]
    rms, matrix, distortion, rotations, translations, deviations, _, _ = (
        cv2.calibrateCameraExtended(objects, images, size, None, None)
    )
    distortion = distortion.ravel()
    used = []
    for (path, view), rotation, translation in zip(
        views.items(), rotations, translations, strict=True
    ):
        shown = cv2.projectPoints(view.object_mm, rotation, translation, matrix, distortion)[0]
        residual = view.image_px - shown.reshape(-1, 2)
        error = float(np.sqrt(np.square(residual).sum(axis=1).mean()))
        used.append(UsedPicture(path, view, residual, error))
    camera = CameraCalibration(
        float(matrix[0, 0]),
        float(matrix[1, 1]),
        float(matrix[0, 2]),
        float(matrix[1, 2]),
        tuple(float(value) for value in distortion),
        *size,
        float(rms),
        "board",
        float(deviations.ravel()[0] / matrix[0, 0]),
    )
    return camera, tuple(used)


def draw_coverage(fit: CameraFit, width_px: int = 1200) -> npt.NDArray[np.uint8]:
    """[H,W,3] uint8 RGB: where the board was seen, with residuals drawn 20 times too long.

    Parts of the picture without a corner are hatched red; each picture's corners have a colour.
    """
    camera = fit.camera
    scale = width_px / camera.width_px
    height = round(camera.height_px * scale)
    canvas = np.full((height, width_px, 3), 255, np.uint8)
    rows, columns = fit.coverage.shape
    for row, column in np.argwhere(fit.coverage == 0):
        corner = (round(column * width_px / columns), round(row * height / rows))
        end = (round((column + 1) * width_px / columns), round((row + 1) * height / rows))
        cv2.rectangle(canvas, corner, end, (255, 226, 226), -1)
    for column in range(1, columns):
        x = round(column * width_px / columns)
        cv2.line(canvas, (x, 0), (x, height), (225, 225, 225), 1)
    for row in range(1, rows):
        y = round(row * height / rows)
        cv2.line(canvas, (0, y), (width_px, y), (225, 225, 225), 1)
    for index, picture in enumerate(fit.used):
        hue = np.array([[[round(179 * index / len(fit.used)), 220, 170]]], np.uint8)
        colour = tuple(int(value) for value in cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])
        points = picture.view.image_px * scale
        for point, residual in zip(points, picture.residual_px * scale, strict=True):
            start = (round(point[0]), round(point[1]))
            tip = (round(point[0] + 20 * residual[0]), round(point[1] + 20 * residual[1]))
            cv2.line(canvas, start, tip, colour, 1, cv2.LINE_AA)
            cv2.circle(canvas, start, 2, colour, -1, cv2.LINE_AA)
    rms = f"rms {camera.rms_px:.3f} px, " if camera.rms_px is not None else ""
    text = f"{len(fit.used)} pictures, {rms}{100 * fit.covered_share:.0f} % covered, errors x 20"
    cv2.putText(canvas, text, (10, height - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (40, 40, 40), 1)
    return canvas
