"""Calibration boards and their corners in photographs: ChArUco, chessboard, ArUco grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from physadv.calibrate.edges import refine_quads
from physadv.checks import UserError, check_name, check_range

Grey = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]

Corners = Literal["lines", "opencv"]
BOARDS = ("charuco", "chessboard", "aruco")
CORNERS: tuple[Corners, ...] = ("lines", "opencv")
_MOST_SIDE = 100


@dataclass(frozen=True)
class Board:
    """A printed board.

    ``columns`` and ``rows`` count inner corners on a chessboard, squares on a ChArUco board and
    markers on an ArUco grid. ``square_mm`` is the side of a chessboard or ChArUco square, on an
    ArUco grid the pitch from one marker to the next; ``marker_mm`` the side of a marker.
    ``corners`` tells how an ArUco grid's marker corners are found: ``lines`` fits the markers'
    sides; ``opencv`` takes OpenCV's contours, which lie half a pixel inside the marker.
    """

    kind: str
    columns: int
    rows: int
    square_mm: float
    marker_mm: float = 0.0
    dictionary: str = "6x6_250"
    corners: Corners = "lines"
    legacy: bool = False

    def __post_init__(self) -> None:
        check_name("board", self.kind, BOARDS)
        check_name("way to find corners", self.corners, CORNERS)
        for name, count in (("columns", self.columns), ("rows", self.rows)):
            check_range(f"{name} of the board", count, 2, _MOST_SIDE)
        check_range("square of the board", self.square_mm, 0, 10000, "mm", low_open=True)
        if self.kind != "chessboard":
            find_dictionary(self.dictionary)
            if not 0 < self.marker_mm < self.square_mm:
                raise UserError(
                    f"markers of {self.marker_mm:g} mm in squares of {self.square_mm:g} mm",
                    "a marker must be smaller than its square (or pitch) and have a size",
                    "Measure both on the printed board.",
                )

    @property
    def least_points(self) -> int:
        """How many corners a picture must show to be of use."""
        return self.columns * self.rows if self.kind == "chessboard" else 8

    @property
    def centre_mm(self) -> Array:
        """[3] the middle of the board in its own frame (x right, y down from its first corner)."""
        if self.kind == "chessboard":
            extent = [(self.columns - 1) * self.square_mm, (self.rows - 1) * self.square_mm, 0.0]
        elif self.kind == "charuco":
            extent = [self.columns * self.square_mm, self.rows * self.square_mm, 0.0]
        else:
            gap = self.square_mm - self.marker_mm
            extent = [self.columns * self.square_mm - gap, self.rows * self.square_mm - gap, 0.0]
        return np.array(extent) / 2


def find_dictionary(name: str) -> cv2.aruco.Dictionary:
    """OpenCV's dictionary of that name, with or without its ``DICT_``, in any case.

    Raises:
        UsageError: If there is none.
    """
    known = {key[5:].lower(): key for key in dir(cv2.aruco) if key.startswith("DICT_")}
    short = check_name("dictionary", name.lower().removeprefix("dict_"), sorted(known))
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, known[short]))


@dataclass(frozen=True)
class BoardView:
    """Matched points of one picture: ``object_mm`` [N,3] and ``image_px`` [N,2] (centres +0.5)."""

    object_mm: Array
    image_px: Array


def find_board(grey: Grey, board: Board) -> BoardView | str:
    """The board's corners in a picture.

    Args:
        grey: [H,W] uint8.
        board: What to look for.

    Returns:
        The matched points, or why there are too few.
    """
    finders = {"chessboard": _chessboard, "charuco": _charuco, "aruco": _aruco_grid}
    view = finders[board.kind](grey, board)
    if view is None:
        return "no board found"
    if len(view.image_px) < board.least_points:
        return f"only {len(view.image_px)} corners of the board found"
    return view


def _chessboard(grey: Grey, board: Board) -> BoardView | None:
    """Duda & Frese, Accurate Detection and Localization of Checkerboard Corners, BMVC 2018."""
    flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_ACCURACY
    found, corners = cv2.findChessboardCornersSB(grey, (board.columns, board.rows), None, flags)
    if not found:
        return None
    x, y = np.meshgrid(np.arange(board.columns), np.arange(board.rows))
    flat = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    return BoardView(
        flat.astype(np.float64) * board.square_mm, corners.reshape(-1, 2).astype(np.float64) + 0.5
    )


def _charuco(grey: Grey, board: Board) -> BoardView | None:
    printed = cv2.aruco.CharucoBoard(
        (board.columns, board.rows),
        board.square_mm,
        board.marker_mm,
        find_dictionary(board.dictionary),
    )
    printed.setLegacyPattern(board.legacy)
    corners, ids, _, _ = cv2.aruco.CharucoDetector(printed).detectBoard(grey)
    return _matched(printed, corners, ids)


def _aruco_grid(grey: Grey, board: Board) -> BoardView | None:
    dictionary = find_dictionary(board.dictionary)
    printed = cv2.aruco.GridBoard(
        (board.columns, board.rows),
        board.marker_mm,
        board.square_mm - board.marker_mm,
        dictionary,
    )
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary).detectMarkers(grey)
    if ids is not None and board.corners == "lines":
        cells = dictionary.markerSize + 2
        quads = refine_quads(grey, np.array(corners).reshape(-1, 4, 2) + 0.5, cells=cells) - 0.5
        corners = [quad[None].astype(np.float32) for quad in quads]
    return _matched(printed, corners, ids)


def _matched(
    printed: cv2.aruco.Board,
    corners: Sequence[Any] | None,
    ids: npt.NDArray[np.int32] | None,
) -> BoardView | None:
    if corners is None or ids is None or not len(ids):
        return None
    object_mm, image_px = printed.matchImagePoints(corners, ids)
    if object_mm is None:
        return None
    return BoardView(
        object_mm.reshape(-1, 3).astype(np.float64),
        image_px.reshape(-1, 2).astype(np.float64) + 0.5,
    )
