"""Who looks at a film's samples: detectors, classifiers, chains, and what finds a sign's edge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from physadv.data.film import Frame
from physadv.evaluate.judging import ask
from physadv.evaluate.renderer import cut_crop
from physadv.evaluate.signoutline import find_outline
from physadv.types import Detections
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.identity import identity
from physadv.victim.protocol import ClassifierVictim
from physadv.victim.threads import own_module

Array = npt.NDArray[np.float64]

FLOOR = 0.05
"""Least confidence of detections that are kept; a film has many frames."""
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

    def look(self, frame: Frame) -> Array:
        """A table [N,width]."""
        ...

    def for_thread(self) -> Self:
        """One that answers the same, and may look while this one does."""
        ...


@dataclass(frozen=True)
class DetectorAsker:
    """Rows: left, top, right, bottom, score, class."""

    victim: DetectorVictim
    width: int = 6

    @property
    def key(self) -> str:
        """Name, weights, and how pictures are prepared and boxes sorted out."""
        known = (self.victim.class_names, self.victim.fitting, self.victim.reporting)
        return f"detector {identity(self.victim)} {known} {FLOOR}"

    def for_thread(self) -> Self:
        """With a module of its own."""
        return replace(self, victim=own_module(self.victim))

    def look(self, frame: Frame) -> Array:
        """What is detected."""
        (found,) = self.victim.detect([frame.rgb], FLOOR)
        columns = [found.boxes, found.scores[:, None], found.classes[:, None]]
        return np.concatenate(columns, axis=1)[:_MOST]


@dataclass(frozen=True)
class Clock:
    """Sees nothing but that there is a sample: for films whose boxes are known beforehand."""

    key: str = "clock"
    width: int = 1

    def for_thread(self) -> Self:
        """Itself."""
        return self

    def look(self, frame: Frame) -> Array:
        """An empty table."""
        return np.zeros((0, 1))


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
        """Name, weights, classes, and the boxes."""
        return f"classifier {identity(self.victim)} {self.victim.class_names} {_places(self.boxes)}"

    def for_thread(self) -> Self:
        """With a module of its own."""
        return replace(self, victim=own_module(self.victim))

    def look(self, frame: Frame) -> Array:
        """What is read in the box."""
        if frame.index not in self.boxes:
            return np.zeros((0, 2))
        (answer,) = ask(self.victim, [cut_crop(frame.rgb, self.boxes[frame.index])])
        return np.array([[answer.index, answer.score]])


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

    def for_thread(self) -> Self:
        """Itself."""
        return self

    def look(self, frame: Frame) -> Array:
        """One row where there is an outline."""
        if frame.index not in self.boxes:
            return np.zeros((0, 4))
        found = find_outline(frame.rgb, self.boxes[frame.index])
        return np.zeros((0, 4)) if found is None else found[None]


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
        parts = self.victim.detector, self.victim.classifier
        who = " + ".join(f"{identity(part)} {part.class_names}" for part in parts)
        return f"chain {who} {self.classes} {self.confidence}"

    def for_thread(self) -> "ChainAsker":
        """With modules of its own."""
        victim = replace(self.victim, classifier=own_module(self.victim.classifier))
        return ChainAsker(victim, self.classes, self.confidence)

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
