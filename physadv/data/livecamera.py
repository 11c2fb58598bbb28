"""A camera at this computer, as a film that is only there once."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from physadv.checks import UserError
from physadv.data.film import FilmFault, Frame, Sampling


@dataclass
class LiveCamera:
    """Frames as a camera gives them, for ``seconds``; see ``physadv.data.film.Film``.

    Time stamps are of the moment at which a frame was asked for. What the camera delivers while
    nobody asks is lost.
    """

    number: int
    capture: cv2.VideoCapture
    seconds: float
    sampling: Sampling
    width_px: int
    height_px: int
    started: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M:%S"))
    notes: tuple[str, ...] = ("a camera is there only once: nothing can be judged again later",)

    @property
    def name(self) -> str:
        """``camera N``."""
        return f"camera {self.number}"

    @property
    def identity(self) -> str:
        """The camera and when it was opened."""
        return f"{self.name} {self.started} {self.sampling}"

    @property
    def frames_hint(self) -> int:
        """Nobody knows."""
        return 0

    def frames(self, after: int = -1) -> Iterator[Frame]:
        """Frames until ``seconds`` are over.

        Raises:
            FilmFault: If the camera stops delivering, or its frames change their size.
        """
        picker = self.sampling.picker()
        begun = time.monotonic()
        index = 0
        while (now := time.monotonic() - begun) < self.seconds:
            there, bgr = self.capture.read()
            if not there:
                raise FilmFault(
                    f"read {self.name}", f"no frame after {now:.1f} s", "Is it still connected?"
                )
            if bgr.shape[:2] != (self.height_px, self.width_px):
                raise FilmFault(
                    f"read {self.name}", "its frames changed their size", "Fix its mode."
                )
            if picker.takes(index, now) and index > after:
                yield Frame(index, now, np.ascontiguousarray(bgr[..., ::-1]))
            index += 1


def open_camera(
    number: int, seconds: float, *, every: int = 1, fps: float | None = None
) -> LiveCamera:
    """Open camera ``number`` of this computer.

    Raises:
        UserError: If there is none, or it gives no picture.
    """
    capture = cv2.VideoCapture(number)
    there, bgr = capture.read() if capture.isOpened() else (False, None)
    if not there or bgr is None:
        raise UserError(
            f"open camera {number}", "it gives no picture", "Is it connected, and free?"
        )
    height, width = bgr.shape[:2]
    return LiveCamera(number, capture, seconds, Sampling(every, fps), width, height)
