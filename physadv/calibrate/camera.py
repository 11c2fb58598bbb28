"""The intrinsics of a real camera: on disk, for a picture's size, or estimated from its EXIF."""

import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from physadv.checks import UserError, check_range
from physadv.data.files import read_json, write_json
from physadv.units import deg_to_rad

Array = npt.NDArray[np.float64]

FORMAT = "physadv camera 1"
_DIAGONAL_35MM = math.hypot(36.0, 24.0)
_EXIF_SD = 0.04
_FOV_SD = 0.03
_ASPECT_SLACK_PX = 1.0


@dataclass(frozen=True)
class CameraCalibration:
    """A pinhole with lens distortion, for pictures as the sensor stores them.

    ``fx``, ``fy``, ``cx``, ``cy`` are in pixels (pixel centres at +0.5, so a centred principal
    point is at half the width); ``distortion`` is OpenCV's k1, k2, p1, p2, k3. ``rms_px`` is the
    reprojection error of the calibration, None where no board was seen. ``focal_sd`` is one sigma
    of the focal length as a share of it. ``source`` says where it comes from: photographs of a
    ``board``, the ``exif`` 35 mm equivalent, or a ``fov`` that the user gave. ``note`` tells what
    was done to it since.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...]
    width_px: int
    height_px: int
    rms_px: float | None
    source: Literal["board", "exif", "fov"]
    focal_sd: float = 0.0
    note: str = ""

    @property
    def matrix(self) -> Array:
        """[3,3] intrinsic matrix K."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def undistort(self, points: npt.ArrayLike) -> Array:
        """[N,2] pixels to where the same rays would fall without lens distortion."""
        given = np.asarray(points, dtype=np.float64).reshape(-1, 1, 2)
        matrix = self.matrix
        moved = cv2.undistortPoints(given, matrix, np.array(self.distortion), P=matrix)
        return moved.reshape(-1, 2)

    def project(self, points: npt.ArrayLike, rotation: Array, translation: Array) -> Array:
        """[N,3] points through [3,3] rotation and [3] translation to [N,2] pixels."""
        given = np.asarray(points, dtype=np.float64).reshape(-1, 1, 3)
        vector = cv2.Rodrigues(rotation)[0]
        return cv2.projectPoints(
            given, vector, translation, self.matrix, np.array(self.distortion)
        )[0].reshape(-1, 2)

    def for_picture(
        self, width_px: int, height_px: int, quarter_turns: int = 0
    ) -> "CameraCalibration":
        """The calibration for an upright picture of that size.

        Args:
            width_px: Width of the picture as it is looked at.
            height_px: Its height.
            quarter_turns: How often the stored picture was turned clockwise by 90 degrees to be
                upright (see ``quarter_turns_of``). A picture whose sides are swapped although
                nothing was turned is taken for one that was turned once, and the note says so.

        Raises:
            UserError: If the picture has another aspect ratio: it was cropped, or taken with
                another camera or mode.
        """
        turns = quarter_turns % 4
        upright = (width_px, height_px)
        given = self._turned(turns)
        if not turns % 2 and not _same_aspect(given, *upright):
            turned = self._turned(turns + 1)
            if _same_aspect(turned, *upright):
                given = replace(turned, note=_joined(turned.note, "taken as turned clockwise"))
        if not _same_aspect(given, *upright):
            raise UserError(
                f"use a calibration of {self.width_px} x {self.height_px} px",
                f"the picture has {width_px} x {height_px} px, another aspect ratio",
                "Calibrate with pictures of that size and mode, and do not crop photographs.",
            )
        if (given.width_px, given.height_px) == upright:
            return given
        x, y = width_px / given.width_px, height_px / given.height_px
        return replace(
            given,
            fx=given.fx * x,
            fy=given.fy * y,
            cx=given.cx * x,
            cy=given.cy * y,
            width_px=width_px,
            height_px=height_px,
            note=_joined(given.note, f"rescaled from {given.width_px} x {given.height_px} px"),
        )

    def _turned(self, turns: int) -> "CameraCalibration":
        """For the picture turned clockwise: (x, y) goes to (height - y, x)."""
        turned = self
        for _ in range(turns % 4):
            k1, k2, p1, p2, *more = (*turned.distortion, *[0.0] * (4 - len(turned.distortion)))
            turned = replace(
                turned,
                fx=turned.fy,
                fy=turned.fx,
                cx=turned.height_px - turned.cy,
                cy=turned.cx,
                distortion=(k1, k2, p2, -p1, *more),
                width_px=turned.height_px,
                height_px=turned.width_px,
            )
        return turned


def _same_aspect(camera: CameraCalibration, width_px: int, height_px: int) -> bool:
    """Whether the sizes have one aspect ratio, but for rounding to whole pixels."""
    wanted = camera.height_px * width_px / camera.width_px
    return abs(wanted - height_px) <= _ASPECT_SLACK_PX * max(1.0, width_px / camera.width_px)


def _joined(note: str, more: str) -> str:
    return f"{note}; {more}" if note else more


def save_camera(camera: CameraCalibration, path: Path, **about: Any) -> None:
    """Write a calibration as JSON; ``about`` adds what is only to be read by people."""
    write_json(path, {"format": FORMAT, **asdict(camera), **about})


def load_camera(path: Path) -> CameraCalibration:
    """Read a calibration that ``save_camera`` wrote.

    Raises:
        UserError: If the file is missing, another kind of file, or holds impossible values.
    """
    content = read_json(path)
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}")
        camera = CameraCalibration(
            float(content["fx"]),
            float(content["fy"]),
            float(content["cx"]),
            float(content["cy"]),
            tuple(float(value) for value in content["distortion"]),
            int(content["width_px"]),
            int(content["height_px"]),
            None if content["rms_px"] is None else float(content["rms_px"]),
            content["source"],
            float(content["focal_sd"]),
            str(content["note"]),
        )
        numbers = (camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion)
        if not all(map(math.isfinite, numbers)) or min(camera.fx, camera.fy) <= 0:
            raise ValueError("a focal length that is not positive, or a value that is not finite")
        if min(camera.width_px, camera.height_px) <= 0 or camera.source not in (
            "board",
            "exif",
            "fov",
        ):
            raise ValueError(f"size {camera.width_px} x {camera.height_px}, {camera.source!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"read the camera in {path}",
            f"{type(error).__name__}: {error}",
            "Give a file that `physadv calibrate camera` wrote.",
        ) from error
    return camera


def camera_from_fov(fov_deg: float, width_px: int, height_px: int) -> CameraCalibration:
    """A pinhole from the horizontal field of view of an upright picture.

    Raises:
        UserError: If the angle is not in [1, 170] degrees.
    """
    check_range("field of view", fov_deg, 1, 170, "degrees")
    focal = width_px / 2 / math.tan(deg_to_rad(fov_deg) / 2)
    return _centred(focal, width_px, height_px, "fov", _FOV_SD, f"field of view {fov_deg:g} deg")


def _centred(
    focal: float,
    width_px: int,
    height_px: int,
    source: Literal["exif", "fov"],
    focal_sd: float,
    note: str,
) -> CameraCalibration:
    return CameraCalibration(
        focal,
        focal,
        width_px / 2,
        height_px / 2,
        (0.0,) * 5,
        width_px,
        height_px,
        None,
        source,
        focal_sd,
        note,
    )


def camera_from_exif(path: Path | BinaryIO) -> CameraCalibration | None:
    """A pinhole from the 35 mm equivalent focal length in a photograph's EXIF.

    The equivalent is taken over the diagonal, as CIPA DCG-001 defines it: f_px = f35 / 43.27 mm *
    the picture's diagonal. Makers who take it over the 36 mm width differ by up to 4 % on 4:3
    sensors, and the tag is rounded to whole millimetres; ``focal_sd`` = 4 % covers both.

    Returns:
        The camera of the picture as stored; None if the tag is absent or zero, or the picture is
        not as large as its EXIF says and has another aspect ratio (it was cropped).

    Raises:
        UserError: If the file is not a readable image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
    except FileNotFoundError as error:
        raise UserError(f"read image {path}", "no such file", "Check the path.") from error
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise UserError(
            f"read image {path}", f"not a readable image ({error})", "Give a JPEG or PNG file."
        ) from error
    equivalent = _number(tags.get(ExifTags.Base.FocalLengthIn35mmFilm))
    if not equivalent:
        return None
    was = [
        _number(tags.get(tag))
        for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
    ]
    if all(was):
        long, short = max(was), min(was)
        if abs(max(width, height) * short / long - min(width, height)) > 2:
            return None
    focal = equivalent / _DIAGONAL_35MM * math.hypot(width, height)
    note = f"35 mm equivalent {equivalent:g} mm, over the diagonal"
    return _centred(focal, width, height, "exif", _EXIF_SD, note)


def _number(value: Any) -> float:
    """An EXIF number, 0 where it is absent or nonsense."""
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0
