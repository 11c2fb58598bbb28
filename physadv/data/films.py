"""Opens what a user calls a film: a video file, a folder of frames, a camera."""

import re
from pathlib import Path

from physadv.data.film import Film
from physadv.data.framefolder import open_frame_folder
from physadv.data.livecamera import open_camera
from physadv.data.video import open_video

_CAMERA = re.compile(r"camera:(\d+)")


def is_camera(source: str) -> bool:
    """Whether a film is what a camera shows, which is there only once."""
    return _CAMERA.fullmatch(source) is not None


def open_film(
    source: str,
    *,
    every: int = 1,
    fps: float | None = None,
    frame_rate: float | None = None,
    seconds: float = 60.0,
) -> Film:
    """Open a film.

    Args:
        source: A video file, a folder of pictures, or ``camera:N``.
        every: Look at every so manieth frame.
        fps: Look at so many frames a second instead.
        frame_rate: At which the pictures of a folder were taken.
        seconds: How long to look through a camera.

    Raises:
        UserError: If it cannot be read.
    """
    if camera := _CAMERA.fullmatch(source):
        return open_camera(int(camera[1]), seconds, every=every, fps=fps)
    path = Path(source)
    if path.is_dir():
        return open_frame_folder(path, frame_rate, every=every, fps=fps)
    return open_video(path, every=every, fps=fps)
