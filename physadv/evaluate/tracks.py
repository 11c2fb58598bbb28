"""Objects followed through a film: sightings joined over gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from physadv.checks import UserError
from physadv.data.boxes import FrameBox
from physadv.evaluate.matching import overlaps

Array = npt.NDArray[np.float64]

SIGHTED_CONFIDENCE = 0.25
"""Confidence at which a box begins a track; weaker ones, from 0.1, only carry it on."""
WEAK_CONFIDENCE = 0.1
GAP_S = 5.0
"""Time over which an object is looked for where its way leads."""
_SHORT_GAP_S = 2.0  # where it was seen too seldom to know its way
_STILL_S = 0.5  # for which it may also just stay where it was
_WAY_S, _WAY_SIGHTINGS = 2.0, 3  # sightings by which a way is told: how far back, how many at least
_MOST_APART, _MOST_LOG_SIZE = 0.75, 0.4  # of the size; of its logarithm: from where it should be
_PAN_SHARE_PER_S = 0.15  # of the picture's width by which a turning car moves everything
_SAME_IOU = 0.5  # boxes of two finders around one object
_BOX_GAP = 1.5  # of the usual spacing of a user's boxes, over which none is guessed
_LEAST_INVERSE = 1e-4


@dataclass(frozen=True)
class Sightings:
    """Boxes of the object's class in one sample: ``boxes`` [N,4] xyxy and ``scores`` [N]."""

    boxes: Array
    scores: Array


NOTHING_SIGHTED = Sightings(np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True)
class Track:
    """One object in the samples in which it is judged, from its first sighting to its last.

    ``samples`` [K] are positions among the film's samples, increasing; ``boxes`` [K,4] xyxy in
    pixels; ``scores`` [K] the finder's confidence; where ``sighted`` [K] is False the object was
    not found, and its box lies on its way between those before and after.
    """

    samples: npt.NDArray[np.int64]
    boxes: Array
    scores: Array
    sighted: npt.NDArray[np.bool_]


def merge_sightings(found: Sequence[Sightings]) -> Sightings:
    """What several finders saw in one sample; of boxes around one object the strongest."""
    boxes = np.concatenate([one.boxes for one in found])
    scores = np.concatenate([one.scores for one in found])
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if not (overlaps(boxes[index], boxes[kept]) >= _SAME_IOU).any():
            kept.append(int(index))
    return Sightings(boxes[kept], scores[kept])


def find_tracks(
    times_s: Sequence[float],
    sightings: Sequence[Sightings],
    size_px: tuple[int, int],
) -> list[Track]:
    """Follow every object through a film.

    Before a camera that moves straight on at constant speed, one over an object's size is linear in
    time, and its place measured from the picture's middle in its own size is constant. Sightings
    are assigned to the objects that should be there by that (or by a steady motion across the
    picture), strong ones first; at three looks a second boxes of a near sign do not even overlap.

    Args:
        times_s: Time of each sample.
        sightings: What was seen in each.
        size_px: Width and height of the picture.

    Returns:
        Tracks in the order in which they begin.
    """
    ways: list[_Way] = []
    live: list[_Way] = []
    for sample, (time_s, seen) in enumerate(zip(times_s, sightings, strict=True)):
        boxes = seen.boxes.reshape(-1, 4)
        states = _states(boxes, size_px)
        free = live = [way for way in live if way.is_awaited(time_s)]
        strong = seen.scores >= SIGHTED_CONFIDENCE
        for group in (strong, ~strong):
            rows = np.flatnonzero(group)
            taken = _assign(free, states[rows], time_s, size_px)
            for place, way in taken.items():
                row = int(rows[place])
                way.add(sample, time_s, states[row], float(seen.scores[row]))
            free = [way for way in free if way not in taken.values()]
            if group is strong:
                begun = [
                    _Way(sample, time_s, states[row], float(seen.scores[row]))
                    for place, row in enumerate(rows)
                    if place not in taken
                ]
        ways += begun
        live = live + begun
    return [way.track(np.asarray(times_s), size_px) for way in ways]


class _Way:
    """An object's sightings so far: state = (1 / size, log width / height, place in sizes)."""

    def __init__(self, sample: int, time_s: float, state: Array, score: float) -> None:
        self.samples, self.times_s, self.states, self.scores = [sample], [time_s], [state], [score]

    def add(self, sample: int, time_s: float, state: Array, score: float) -> None:
        self.samples.append(sample)
        self.times_s.append(time_s)
        self.states.append(state)
        self.scores.append(score)

    def is_awaited(self, time_s: float) -> bool:
        known = len(self.samples) >= _WAY_SIGHTINGS
        return time_s - self.times_s[-1] <= (GAP_S if known else _SHORT_GAP_S)

    def state_at(self, time_s: float) -> Array:
        """Where the last sightings lead; the last one where they are few."""
        times, states = np.array(self.times_s[-8:]), np.array(self.states[-8:])
        recent = times >= times[-1] - _WAY_S
        recent[-_WAY_SIGHTINGS:] = True
        times, states = times[recent], states[recent]
        if len(times) < 2:
            return np.asarray(states[-1])
        # Medians over pairs (Theil and Sen): one wrong box does not lead astray.
        first, second = np.triu_indices(len(times), 1)
        apart = (times[second] - times[first])[:, None]
        slope = np.median((states[second] - states[first]) / apart, axis=0)
        found = np.median(states - slope * (times - time_s)[:, None], axis=0)
        found[0] = max(found[0], _LEAST_INVERSE)
        found[1] = states[-1][1]
        return np.asarray(found)

    def track(self, times_s: Array, size_px: tuple[int, int]) -> Track:
        """The whole way, filled in where nothing was seen."""
        seen = np.array(self.samples, dtype=np.int64)
        samples = np.arange(seen[0], seen[-1] + 1)
        states = np.array(self.states)
        between = [np.interp(times_s[samples], self.times_s, column) for column in states.T]
        scores = np.zeros(len(samples))
        scores[seen - seen[0]] = self.scores
        boxes = _boxes(np.stack(between, axis=1), size_px)
        return Track(samples, boxes, scores, np.isin(samples, seen))


def _states(boxes: Array, size_px: tuple[int, int]) -> Array:
    """[N,4] one over the size (the square's of the same area), log of width over height, and the
    middle's place in sizes."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    size = np.sqrt(sides.prod(axis=1, keepdims=True))
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 - np.array(size_px) / 2
    return np.concatenate([1 / size, np.log(sides[:, :1] / sides[:, 1:]), middle / size], axis=1)


def _boxes(states: Array, size_px: tuple[int, int]) -> Array:
    """What ``_states`` came from."""
    size, stretch = 1 / states[:, :1], np.exp(states[:, 1:2] / 2)
    half = np.concatenate([size * stretch, size / stretch], axis=1) / 2
    middle = states[:, 2:] * size + np.array(size_px) / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def _cost(states: Array, due: Array, pan_px: float) -> Array:
    """How far sightings are from where an object is due, in its size; infinite if too far."""
    size, due_size = 1 / states[:, 0], 1 / due[0]
    apart = np.hypot(*(states[:, 2:] * size[:, None] - due[2:] * due_size).T)
    larger = np.maximum(size, due_size)
    log_size = np.abs(np.log(size / due_size))
    near = (apart <= _MOST_APART * larger + pan_px) & (log_size <= _MOST_LOG_SIZE)
    return np.where(near, apart / larger + log_size, np.inf)


def _assign(
    ways: Sequence[_Way], states: Array, time_s: float, size_px: tuple[int, int]
) -> dict[int, _Way]:
    """Which of the sightings is which object's, by row."""
    if not ways or not len(states):
        return {}
    costs = np.full((len(ways), len(states)), np.inf)
    for row, way in enumerate(ways):
        pan = _PAN_SHARE_PER_S * size_px[0] * min(time_s - way.times_s[-1], 1.0)
        dues = [way.state_at(time_s)]
        if len(way.samples) <= _WAY_SIGHTINGS or time_s - way.times_s[-1] <= _STILL_S:
            dues.append(way.states[-1])  # a few sightings, or wrong boxes, may lead anywhere
        costs[row] = np.min([_cost(states, due, pan) for due in dues], axis=0)
    finite = np.where(np.isfinite(costs), costs, 1e6)
    pairs = zip(*linear_sum_assignment(finite), strict=True)
    return {int(col): ways[row] for row, col in pairs if np.isfinite(costs[row, col])}


def track_of_boxes(boxes: Mapping[int, FrameBox], frames: Sequence[int]) -> Track:
    """The track that a user's boxes describe, at the frames that are looked at.

    A sample without a box of its own gets one from those before and after it where boxes are given
    for every so manieth frame; where there is a hole in their list the object is not judged.

    Args:
        boxes: By frame number.
        frames: Frame number of each sample.

    Raises:
        UserError: If no sample lies between the first box and the last.
    """
    known = np.array(sorted(boxes), dtype=np.int64)
    corners = np.stack([boxes[frame].box for frame in known])
    wanted = np.asarray(frames, dtype=np.int64)
    after = np.searchsorted(known, wanted).clip(0, len(known) - 1)
    before = np.maximum(np.where(known[after] > wanted, after - 1, after), 0)
    steps = np.diff(known)
    usual = float(np.median(steps)) if len(steps) else 0.0
    near = (wanted >= known[0]) & (wanted <= known[-1])
    near &= np.isin(wanted, known) | (known[after] - known[before] <= _BOX_GAP * usual)
    samples = np.flatnonzero(near)
    if not len(samples):
        raise UserError(
            "follow the object by its boxes",
            f"they are of frames {known[0]} to {known[-1]}, none of which is looked at",
            "Give boxes of this film, or look at more of its frames.",
        )
    at = wanted[samples]
    between = np.stack([np.interp(at, known, corners[:, side]) for side in range(4)], axis=1)
    scores = np.array([boxes[f].score if f in boxes else 0.0 for f in at.tolist()])
    return Track(samples, between, scores, np.isin(at, known))
