"""Writing films as H.264 in MP4, which every player and browser shows."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from av.video.stream import VideoStream

from physadv.checks import UserError

Picture = npt.NDArray[np.uint8]

TICKS_PER_S = 90_000
_TICK = Fraction(1, TICKS_PER_S)
_NOMINAL_FPS = 30  # what the encoder reckons its level with; frames keep their own times
_THREADS = 2
# x264 chooses its arithmetic by processor; its AVX-512 also lets old memory decide some blocks.
_SAME_EVERYWHERE = "cpu-independent=1"
_CONTAINER = {"movflags": "+faststart", "movie_timescale": str(TICKS_PER_S)}
_ASKED = "write a film"
_BT709 = 1  # AVCOL_SPC_BT709, for which PyAV has no name
_SCALING = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


def write_video(
    path: Path,
    frames: Iterable[tuple[float, Picture]],
    *,
    crf: int = 18,
    preset: str = "medium",
) -> None:
    """Encode frames into a new file; the same frames give the same bytes.

    The picture is 4:2:0 with BT.709's matrix and limited range, and tagged so. H.264 needs even
    sides: an odd one gets its last row or column twice, which moves no pixel.

    Args:
        path: Written as it grows; ``data.files.atomic_path`` keeps half a film from being found.
        frames: (time_s, picture [H,W,3] uint8 RGB), ascending by at least 1/90000 s, the precision
            at which times are kept.
        crf: Constant rate factor of x264, 0 (lossless but for the colours) to 51.
        preset: x264's trade of time for size, ultrafast to veryslow.

    Raises:
        UserError: If there is no frame, the size changes, or a time is negative or not after the
            one before.
        OSError: If the file cannot be written.
    """
    before = -1
    with av.open(str(path), "w", format="mp4", options=_CONTAINER) as container:
        stream = container.add_stream("libx264", rate=_NOMINAL_FPS)
        reformatter = VideoReformatter()
        for number, (time_s, picture) in enumerate(frames):
            ticks = round(time_s * TICKS_PER_S)
            if ticks <= before:
                raise UserError(
                    _ASKED,
                    f"frame {number} is at {time_s:.6f} s"
                    + (f", the one before at {before / TICKS_PER_S:.6f} s" if number else ""),
                    "Give a film whose time stamps go forward from 0 s or later.",
                )
            before = ticks
            raw = av.VideoFrame.from_ndarray(_even(picture), format="rgb24")
            if number == 0:
                _set_up(stream, raw.width, raw.height, crf, preset)
            if (raw.width, raw.height) != (stream.width, stream.height):
                raise UserError(
                    _ASKED,
                    f"frame {number} is {raw.width} x {raw.height} px, the first "
                    f"{stream.width} x {stream.height} px",
                    "Give frames of one size.",
                )
            frame = reformatter.reformat(
                raw,
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                interpolation=_SCALING,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
                threads=1,
            )
            frame.pts, frame.time_base = ticks, _TICK
            container.mux(stream.encode(frame))
        if before < 0:
            raise UserError(_ASKED, "there is no frame", "Give a film with frames.")
        container.mux(stream.encode())


def _set_up(stream: VideoStream, width: int, height: int, crf: int, preset: str) -> None:
    stream.width, stream.height = width, height
    stream.pix_fmt = "yuv420p"
    stream.time_base = _TICK
    context = stream.codec_context
    context.time_base = _TICK
    context.thread_count = _THREADS  # given, as the bytes depend on it
    context.options = {"crf": str(crf), "preset": preset, "x264-params": _SAME_EVERYWHERE}
    context.colorspace, context.color_range = _BT709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709


def _even(picture: Picture) -> Picture:
    """The picture with its last row and column repeated where a side is odd."""
    height, width = picture.shape[:2]
    if height % 2 == width % 2 == 0:
        return np.ascontiguousarray(picture)
    repeated = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray(repeated, dtype=np.uint8)
