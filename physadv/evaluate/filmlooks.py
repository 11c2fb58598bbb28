"""One passage through a film: every network that has not yet seen a sample looks at it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from physadv.data.film import Film, FilmFault, Frame
from physadv.data.livecamera import LiveCamera
from physadv.data.prefetch import read_ahead
from physadv.evaluate.judging import ask
from physadv.evaluate.looklog import LookLog
from physadv.evaluate.renderer import cut_crop
from physadv.evaluate.signoutline import find_outline
from physadv.types import Detections
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

FLOOR = 0.05
"""Least confidence of detections that are kept; a film has many frames."""
_BATCH = 4
_MOST = 100  # detections kept of a sample


class Answering(Protocol):
    """Whose answers are tables of numbers."""

    @property
    def key(self) -> str:
        """Tells those with other answers apart."""
        ...

    @property
    def width(self) -> int:
        """Numbers in a row."""
        ...


class Asker(Answering, Protocol):
    """Someone who looks at samples and answers with a table of numbers for each."""

    def look(self, frames: Sequence[Frame]) -> list[Array]:
        """A table [N,width] for each frame."""
        ...


@dataclass(frozen=True)
class DetectorAsker:
    """Rows: left, top, right, bottom, score, class."""

    victim: DetectorVictim
    width: int = 6

    @property
    def key(self) -> str:
        """Name and weights."""
        return f"detector {self.victim.name} {self.victim.weights_sha256} {FLOOR}"

    def look(self, frames: Sequence[Frame]) -> list[Array]:
        """What is detected."""
        return [
            np.concatenate([d.boxes, d.scores[:, None], d.classes[:, None]], axis=1)[:_MOST]
            for d in self.victim.detect([frame.rgb for frame in frames], FLOOR)
        ]


@dataclass(frozen=True)
class Clock:
    """Sees nothing but that there is a sample: for films whose boxes are known beforehand."""

    key: str = "clock"
    width: int = 1

    def look(self, frames: Sequence[Frame]) -> list[Array]:
        """Empty tables."""
        return [np.zeros((0, 1)) for _ in frames]


@dataclass(frozen=True)
class CropAsker:
    """A classifier that is shown a known box of each sample; rows: class, score.

    ``boxes`` [4] xyxy by frame number; other frames get an empty table.
    """

    victim: ClassifierVictim
    boxes: Mapping[int, Array]
    width: int = 2

    @property
    def key(self) -> str:
        """Name, weights, and the boxes."""
        who = f"{self.victim.name} {self.victim.weights_sha256}"
        return f"classifier {who} {_places(self.boxes)}"

    def look(self, frames: Sequence[Frame]) -> list[Array]:
        """What is read in the boxes."""
        shown = [frame for frame in frames if frame.index in self.boxes]
        crops = [cut_crop(frame.rgb, self.boxes[frame.index]) for frame in shown]
        answers = ask(self.victim, crops) if crops else []
        read = {f.index: [[a.index, a.score]] for f, a in zip(shown, answers, strict=True)}
        return [np.array(read.get(frame.index, [])).reshape(-1, 2) for frame in frames]


@dataclass(frozen=True)
class OutlineAsker:
    """Finds the outline of a stop sign in a known box of each sample; rows: xyxy of its edge.

    ``boxes`` [4] xyxy by frame number; other frames get an empty table.
    """

    boxes: Mapping[int, Array]
    width: int = 4

    @property
    def key(self) -> str:
        """The boxes."""
        return f"outline {_places(self.boxes)}"

    def look(self, frames: Sequence[Frame]) -> list[Array]:
        """One row where there is an outline."""
        found = [
            find_outline(frame.rgb, self.boxes[frame.index]) if frame.index in self.boxes else None
            for frame in frames
        ]
        return [np.zeros((0, 4)) if one is None else one[None] for one in found]


def _places(boxes: Mapping[int, Array]) -> list[tuple[int, list[float]]]:
    return [(frame, box.round(3).tolist()) for frame, box in boxes.items()]


class ChainAsker:
    """A chain; rows: left, top, right, bottom, class and score of the classifier.

    Its classifier reads every box of the object's classes that the detector reports at
    ``confidence``. The detector's own looks are given, so that it is not run twice.
    """

    width = 6

    def __init__(self, victim: ChainVictim, classes: Sequence[int], confidence: float) -> None:
        self.victim, self.classes, self.confidence = victim, tuple(classes), confidence

    @property
    def key(self) -> str:
        """Names, weights, and what is cut out."""
        who = f"{self.victim.name} {self.victim.weights_sha256}"
        return f"chain {who} {self.classes} {self.confidence}"

    def read(self, frame: Frame, rows: npt.NDArray[np.float32]) -> Array:
        """The table of one sample, from the detector's."""
        found = detections_of(rows)
        own = (found.scores >= self.confidence) & np.isin(found.classes, self.classes)
        boxes = found.boxes[own]
        if not len(boxes):
            return np.zeros((0, self.width))
        answers = ask(self.victim.classifier, [cut_crop(frame.rgb, box) for box in boxes])
        read = np.array([[answer.index, answer.score] for answer in answers])
        return np.concatenate([boxes, read], axis=1)


def detections_of(rows: npt.NDArray[np.float32]) -> Detections:
    """A row of a detector's log as ``Detections``."""
    table = rows.astype(np.float64)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def look_at_film(
    film: Film,
    askers: Sequence[tuple[Asker, LookLog]],
    chains: Sequence[tuple[ChainAsker, LookLog, LookLog]] = (),
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Show a film's samples to those who have not seen them.

    Args:
        film: The film.
        askers: Who looks, and where the answers are kept.
        chains: Chains, where their answers are kept, and the log of their detector, which must be
            one of those in ``askers``.
        progress: Called with samples done, and about how many there are.

    Raises:
        UserError: If a log cannot be written. A fault of the film ends it, and is kept in the
            logs.
    """
    logs = [log for _, log in askers] + [log for _, log, _ in chains]
    if all(log.end is not None for log in logs):
        return
    done = min(len(log.frames) for log in logs)
    why = ""
    try:
        for batch in _batches(_source(film, min(log.last for log in logs))):
            for asker, log in askers:
                fresh = [frame for frame in batch if frame.index > log.last]
                for frame, rows in zip(fresh, asker.look(fresh) if fresh else [], strict=True):
                    log.add(frame.index, frame.time_s, rows)
            for chain, log, detector in chains:
                for frame in batch:
                    if frame.index > log.last:
                        found = chain.read(frame, detector.of(frame.index))
                        log.add(frame.index, frame.time_s, found)
            done += len(batch)
            progress(done, max(done, film.frames_hint))
    except FilmFault as fault:
        why = fault.got
    for log in logs:
        log.finish(why)


def _source(film: Film, after: int) -> Iterator[Frame]:
    frames = film.frames(after)
    # What a camera shows is looked at as it comes, not after a queue.
    return frames if isinstance(film, LiveCamera) else read_ahead(frames)


def _batches(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    """Groups of samples; those before a fault are handed on before it is raised."""
    waiting: list[Frame] = []
    while True:
        try:
            frame = next(frames, None)
        except FilmFault:
            if waiting:
                yield waiting
            raise
        if frame is None:
            break
        waiting.append(frame)
        if len(waiting) == _BATCH:
            yield waiting
            waiting = []
    if waiting:
        yield waiting
