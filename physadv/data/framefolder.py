"""A folder of pictures that are the frames of a film."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from physadv.checks import UserError, check_range
from physadv.data.files import read_image_rgb
from physadv.data.film import FilmFault, Frame, Sampling

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class FrameFolder:
    """Pictures taken ``rate`` times a second; see ``physadv.data.film.Film``."""

    folder: Path
    files: tuple[Path, ...]
    rate: float
    sampling: Sampling
    width_px: int
    height_px: int
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @cached_property
    def identity(self) -> str:
        """Names, sizes and times of the files, and the sampling."""
        stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in self.files]
        return f"{sha256(repr((stats, self.rate)).encode()).hexdigest()} {self.sampling}"

    @property
    def frames_hint(self) -> int:
        """How many frames will be looked at."""
        picker = self.sampling.picker()
        return sum(picker.takes(index, index / self.rate) for index in range(len(self.files)))

    def frames(self, after: int = -1) -> Iterator[Frame]:
        """The frames that are looked at.

        Raises:
            FilmFault: Where a picture is unreadable or of another size; what came before is good.
        """
        picker = self.sampling.picker()
        for index, path in enumerate(self.files):
            if not picker.takes(index, index / self.rate) or index <= after:
                continue
            try:
                rgb = read_image_rgb(path)
            except UserError as error:
                raise FilmFault(error.asked, error.got, error.do) from error
            if rgb.shape[:2] != (self.height_px, self.width_px):
                raise FilmFault(
                    f"read the frames in {self.folder}",
                    f"{path.name} has {rgb.shape[1]} x {rgb.shape[0]} px, those before it "
                    f"{self.width_px} x {self.height_px}",
                    "Keep one film in a folder; what came before is kept.",
                )
            yield Frame(index, index / self.rate, rgb)


def open_frame_folder(
    folder: Path, rate: float | None, *, every: int = 1, fps: float | None = None
) -> FrameFolder:
    """Open a folder of frames, in the order of the numbers in their names.

    Args:
        folder: The folder; its subfolders are not looked into.
        rate: Frames a second at which they were taken.
        every: Look at every so manieth frame.
        fps: Look at so many frames a second instead.

    Raises:
        UserError: If it holds no pictures, or ``rate`` is missing.
    """
    files = sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES), key=_natural
    )
    asked = f"read the frames in {folder}"
    if not files:
        raise UserError(asked, "it holds no pictures", f"Known: {', '.join(SUFFIXES)}.")
    if rate is None:
        raise UserError(
            asked, "pictures do not say when they were taken", "Give --frame-rate, e.g. 30."
        )
    check_range("frame rate", rate, 0, 10_000, "frames/s", low_open=True)
    height, width = read_image_rgb(files[0]).shape[:2]
    return FrameFolder(folder, tuple(files), rate, Sampling(every, fps), width, height)


def _natural(path: Path) -> tuple[list[tuple[int, str]], str]:
    """2.png before 10.png."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in parts], path.name
