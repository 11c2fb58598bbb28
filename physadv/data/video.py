"""Video files, read with PyAV: streaming, upright, with the container's time stamps."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc
from av.video.stream import VideoStream

from physadv.checks import UserError
from physadv.data.files import sha256_of
from physadv.data.film import FilmFault, Frame, Picture, Sampling
from physadv.data.jpeg import turned_clockwise

_HD_HEIGHT = 720  # from here an untagged film is BT.709, below BT.601, as players take it
_LOOKED_AT = 32  # frames by which it is told whether an AVI's are in order
_BT601, _BT709 = 5, 1  # of swscale
_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_HDR = {ColorTrc.SMPTE2084.value: "PQ", ColorTrc.ARIB_STD_B67.value: "HLG"}
_END_SLACK_S, _MISSING_SHARE = 0.25, 0.02  # of the time that a container promises


@dataclass(frozen=True)
class Video:
    """A video file; see ``physadv.data.film.Film``. ``count`` is the container's frame count,
    ``rate`` its average frame rate, ``duration_s`` how long it says it lasts; 0 where unknown.
    ``counted`` tells that its frames are timed by that rate, for want of time stamps."""

    path: Path
    sampling: Sampling
    width_px: int
    height_px: int
    count: int
    rate: float
    duration_s: float
    codec: str
    counted: bool
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @cached_property
    def sha256(self) -> str:
        """Checksum of the file."""
        return sha256_of(self.path)

    @property
    def identity(self) -> str:
        """The file's checksum and the sampling."""
        return f"{self.sha256} {self.sampling}"

    @property
    def frames_hint(self) -> int:
        """About how many frames will be looked at; 0 if the container does not say."""
        if self.sampling.fps is None or self.rate <= 0:
            return math.ceil(self.count / self.sampling.every)
        return math.ceil(self.count * min(1.0, self.sampling.fps / self.rate))

    def frames(self, after: int = -1) -> Iterator[Frame]:
        """The frames that are looked at.

        Raises:
            FilmFault: Where the file is damaged, ends early, changes its size, or its time stamps
                run backwards; what was yielded before is good.
        """
        asked = f"read {self.path}"
        with _opened(self.path) as (container, stream):
            # Without this the decoder hides damage by inventing pixels, and they would be judged.
            stream.codec_context.options = {"err_detect": "explode"}
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = min(4, os.cpu_count() or 1)
            picker = self.sampling.picker()
            first = last = None
            index = -1
            decoded = container.decode(stream)
            while True:
                where = f"after frame {index}" if index >= 0 else "at its first frame"
                try:
                    frame = next(decoded, None)
                except av.error.FFmpegError as error:
                    raise FilmFault(
                        asked,
                        f"damaged {where} ({error.strerror})",
                        "Copy or export the film again; what came before is kept.",
                    ) from error
                if frame is None:
                    break
                index += 1
                time_s = self._time(frame, index, asked)
                if last is not None and time_s <= last:
                    raise FilmFault(
                        asked,
                        f"its time stamps run backwards at frame {index}: {time_s:g} s after "
                        f"{last:g} s",
                        "Write it anew with an encoder; what came before is kept.",
                    )
                last = time_s
                first = time_s if first is None else first
                if not picker.takes(index, time_s - first) or index <= after:
                    continue
                yield Frame(index, time_s - first, self._upright(frame, index, asked))
            if first is not None and last is not None:
                self._check_end(max(last, last - first), asked)

    def _time(self, frame: VideoFrame, index: int, asked: str) -> float:
        if frame.time is not None and not self.counted:
            return float(frame.time)
        if self.rate > 0:
            return index / self.rate
        raise FilmFault(
            asked, f"frame {index} has no time stamp", "Put the film into a container (.mp4, .mkv)."
        )

    def _upright(self, frame: VideoFrame, index: int, asked: str) -> Picture:
        rgb = _upright(frame)
        if rgb.shape[:2] != (self.height_px, self.width_px):
            raise FilmFault(
                asked,
                f"its size changes at frame {index} from {self.width_px} x {self.height_px} px to "
                f"{rgb.shape[1]} x {rgb.shape[0]} px",
                "Cut the film there; what came before is kept.",
            )
        return rgb

    def _check_end(self, last_s: float, asked: str) -> None:
        """A container cut off in the middle reads as if it ended there."""
        missing = self.duration_s - last_s
        frame_s = 1 / self.rate if self.rate > 0 else 0.0
        if missing > max(_END_SLACK_S, 3 * frame_s, _MISSING_SHARE * self.duration_s):
            raise FilmFault(
                asked,
                f"it ends at {last_s:.2f} s of {self.duration_s:.2f} s",
                "It was cut off: copy it again; what is there is kept.",
            )


def open_video(path: Path, *, every: int = 1, fps: float | None = None) -> Video:
    """Open a video file of any format that FFmpeg reads.

    Args:
        path: The file.
        every: Look at every so manieth frame.
        fps: Look at so many frames a second instead, by the time stamps.

    Raises:
        UserError: If there is no such file, or it has no video that can be decoded.
    """
    sampling = Sampling(every, fps)
    with _opened(path) as (container, stream):
        try:
            frame = next(container.decode(stream), None)
        except av.error.FFmpegError as error:
            raise UserError(
                f"read {path}",
                f"damaged at its first frame ({error.strerror})",
                "Copy or export the film again.",
            ) from error
        if frame is None:
            raise UserError(f"read {path}", "it has no frames", "Copy or export the film again.")
        notes = []
        transfer = _HDR.get(int(frame.color_trc))
        if transfer:
            notes.append(
                f"{path.name} is an HDR film ({transfer}); its values are read as if they were "
                "SDR, paler than on a screen: film in SDR to compare with other films"
            )
        if frame.interlaced_frame:
            notes.append(f"{path.name} is interlaced; its frames are read as they are, combed")
        counted = frame.time is None or (container.format.name == "avi" and _reordered(path))
        if counted:
            notes.append(f"{path.name} has no time stamps of its own; its frame rate is used")
        height, width = _upright(frame).shape[:2]
        rate = float(stream.average_rate or 0)
        lasts = 0.0
        if stream.duration is not None and stream.time_base is not None:
            lasts = float(stream.duration * stream.time_base)
        elif container.duration is not None and len(container.streams) == 1:
            lasts = container.duration / av.time_base
        codec = stream.codec_context.name
        return Video(
            path, sampling, width, height, stream.frames, rate, lasts, codec, counted, tuple(notes)
        )


def _reordered(path: Path) -> bool:
    """Whether an AVI, which stores no time of display, holds frames out of their order."""
    with _opened(path) as (container, stream):
        times = [frame.time or 0.0 for frame in islice(container.decode(stream), _LOOKED_AT)]
    return any(later <= earlier for earlier, later in pairwise(times))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    asked = f"read {path}"
    if not path.is_file():
        raise UserError(asked, "no such file", "Check the path.")
    if path.stat().st_size == 0:
        raise UserError(asked, "the file is empty", "Copy the film again.")
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(
            asked,
            f"not a video that can be read ({error.strerror})",
            "Was it copied whole? Else export it as .mp4 with H.264.",
        ) from error
    with container:
        if not container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
            raise UserError(asked, f"it holds no video, only {kinds}", "Give a film.")
        yield container, container.streams.video[0]


def _upright(frame: VideoFrame) -> Picture:
    """[H,W,3] uint8 sRGB, turned as the film's display matrix says."""
    matrix = None
    if int(frame.colorspace) == _UNSPECIFIED:
        matrix = _BT709 if min(frame.height, frame.width) >= _HD_HEIGHT else _BT601
    rgb = np.asarray(frame.to_ndarray(format="rgb24", src_colorspace=matrix), dtype=np.uint8)
    turns = round(frame.rotation / 90) % 4
    return turned_clockwise(rgb, -turns % 4)
