"""What a film is to the rest of the package: frames with time stamps, read one after another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError, check_range

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Frame:
    """``index`` counts the film's frames from 0, ``time_s`` runs from its first frame.

    ``rgb`` is [H,W,3] uint8, upright.
    """

    index: int
    time_s: float
    rgb: Picture


class FilmFault(UserError):
    """A film that cannot be read to its end. The frames that came before it are good."""


@dataclass(frozen=True)
class Sampling:
    """Which frames are looked at: every ``every``-th, or ``fps`` a second by the time stamps."""

    every: int = 1
    fps: float | None = None

    def __post_init__(self) -> None:
        check_range("every", self.every, 1, 1_000_000, "frames")
        if self.fps is not None:
            check_range("fps", self.fps, 0, 1000, "frames/s", low_open=True)

    def picker(self) -> "Picker":
        """A fresh choice, for one reading of a film."""
        return Picker(self)

    def describe(self) -> str:
        """In words."""
        if self.fps is not None:
            return f"{self.fps:g} frames a second"
        if self.every == 1:
            return "every frame"
        tens = self.every % 100 // 10 == 1
        ending = "th" if tens else {1: "st", 2: "nd", 3: "rd"}.get(self.every % 10, "th")
        return f"every {self.every}{ending} frame"


class Picker:
    """Says of each frame in turn whether it is looked at."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._taken = 0

    def takes(self, index: int, time_s: float) -> bool:
        """Whether the frame counts; frames are asked about in order, each once."""
        fps = self._sampling.fps
        if fps is None:
            return index % self._sampling.every == 0
        # Half a microsecond of slack: time stamps are rounded to the container's ticks.
        due = time_s + 5e-7 >= self._taken / fps
        if due:
            # A gap in the film is not made up for by taking its next frames all at once.
            self._taken = max(self._taken + 1, int((time_s + 5e-7) * fps) + 1)
        return due


class Film(Protocol):
    """A source of frames; reading begins anew with each call of ``frames``."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str:
        """Tells films with other content or another sampling apart."""
        ...

    @property
    def width_px(self) -> int: ...

    @property
    def height_px(self) -> int: ...

    @property
    def frames_hint(self) -> int:
        """About how many frames will be looked at; 0 if nobody knows."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of how the film is read."""
        ...

    def frames(self, after: int = -1) -> Iterator[Frame]:
        """The frames that are looked at, in order, from the first one whose index is above."""
        ...
