"""An object followed through a film: sightings joined over gaps, one track chosen by a rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import supervision
from trackers import ByteTrackTracker

from physadv.checks import UsageError, UserError
from physadv.data.boxes import FrameBox
from physadv.evaluate.matching import overlaps

Array = npt.NDArray[np.float64]

RULES = ("largest", "longest", "left", "right")
SIGHTED_CONFIDENCE = 0.25
"""Confidence at which a box begins a track; weaker ones, from 0.1, only carry it on."""
WEAK_CONFIDENCE = 0.1
GAP_S = 2.0
"""Time over which two parts of a track are joined, where they fit."""
_LEAST_IOU = 0.1
_FIT_SAMPLES = 5  # at a part's end, by which its way on is guessed
_SAME_IOU = 0.5  # boxes of two finders around one object


@dataclass(frozen=True)
class Sightings:
    """Boxes of the object's class in one sample: ``boxes`` [N,4] xyxy and ``scores`` [N]."""

    boxes: Array
    scores: Array


NOTHING_SIGHTED = Sightings(np.zeros((0, 4)), np.zeros(0))


@dataclass(frozen=True)
class Track:
    """One object in consecutive samples, from its first sighting to its last.

    ``samples`` [K] are positions among the film's samples, without holes; ``boxes`` [K,4] xyxy in
    pixels; ``scores`` [K] the finder's confidence; where ``sighted`` [K] is False the object was
    not found, and its box lies between those before and after.
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


def find_tracks(times_s: Sequence[float], sightings: Sequence[Sightings]) -> list[Track]:
    """Follow every object through a film.

    ByteTrack follows boxes from sample to sample; its parts are joined over up to ``GAP_S`` where
    the one, carried on, meets the other.

    Args:
        times_s: Time of each sample.
        sightings: What was seen in each.

    Returns:
        Tracks in the order in which they begin.

    References:
        Zhang et al., ByteTrack: Multi-Object Tracking by Associating Every Detection Box, ECCV
        2022.
    """
    lasts = times_s[-1] - times_s[0] if len(times_s) else 0.0
    rate = (len(times_s) - 1) / lasts if lasts > 0 else 1.0
    tracker = ByteTrackTracker(
        # The library counts its buffer in frames of a film with 30 frames a second.
        lost_track_buffer=max(1, round(GAP_S * 30)),
        frame_rate=rate,
        track_activation_threshold=SIGHTED_CONFIDENCE,
        minimum_consecutive_frames=1,
        minimum_iou_threshold=_LEAST_IOU,
        high_conf_det_threshold=SIGHTED_CONFIDENCE,
    )
    parts: dict[int, list[tuple[int, Array, float]]] = {}
    alone = -1
    for sample, (time_s, seen) in enumerate(zip(times_s, sightings, strict=True)):
        given = supervision.Detections(
            xyxy=seen.boxes.reshape(-1, 4),
            confidence=seen.scores,
            class_id=np.zeros(len(seen.scores), dtype=int),
        )
        followed = tracker.update(given, timestamp=time_s)
        if followed.tracker_id is None or followed.confidence is None:
            continue
        for box, score, number in zip(
            followed.xyxy, followed.confidence, followed.tracker_id, strict=True
        ):
            if number < 0:
                # The tracker names nobody at first sight: this may be a part's first sighting.
                if score < SIGHTED_CONFIDENCE:
                    continue
                alone -= 1
                number = alone
            entry = (sample, np.asarray(box, dtype=np.float64), float(score))
            parts.setdefault(int(number), []).append(entry)
    tracks = [_filled(part) for part in parts.values()]
    return _joined(sorted(tracks, key=lambda t: int(t.samples[0])), np.asarray(times_s))


def track_of_boxes(boxes: Mapping[int, FrameBox], frames: Sequence[int]) -> Track:
    """The track that a user's boxes describe, at the frames that are looked at.

    A sample without a box of its own gets one from the boxes before and after it, and counts as
    sighted only if it has its own.

    Args:
        boxes: By frame number.
        frames: Frame number of each sample.

    Raises:
        UserError: If no sample lies between the first box and the last.
    """
    known = np.array(sorted(boxes), dtype=np.int64)
    corners = np.stack([boxes[frame].box for frame in known])
    wanted = np.asarray(frames, dtype=np.int64)
    samples = np.flatnonzero((wanted >= known[0]) & (wanted <= known[-1]))
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


@dataclass(frozen=True)
class Choice:
    """Which track is the treated object's: one of ``RULES``, or the one at a point and time."""

    rule: str = "largest"
    time_s: float = 0.0
    x: float = 0.0
    y: float = 0.0

    @staticmethod
    def parse(text: str) -> "Choice":
        """``largest``, ``longest``, ``left``, ``right``, or ``TIME:X,Y`` in seconds and pixels.

        Raises:
            UsageError: If it is none of these.
        """
        if text in RULES:
            return Choice(text)
        try:
            time_text, _, point = text.partition(":")
            x, y = (float(value) for value in point.split(","))
            return Choice("at", float(time_text), x, y)
        except ValueError:
            raise UsageError(
                f"follow {text!r}",
                "no such rule",
                f"Give {', '.join(RULES)}, or TIME:X,Y in seconds and pixels, as 3.5:640,200.",
            ) from None

    def of(self, tracks: Sequence[Track], times_s: Sequence[float]) -> Track | None:
        """The track that the rule names; None if there is none."""
        if not tracks:
            return None
        if self.rule == "at":
            return self._at(tracks, times_s)
        return max(tracks, key=self._rank)

    def _rank(self, track: Track) -> float:
        middle = float((track.boxes[:, 0] + track.boxes[:, 2]).mean() / 2)
        by = {
            "largest": float((track.boxes[:, 2:] - track.boxes[:, :2]).prod(axis=1).max()),
            "longest": float(track.sighted.sum()),
            "left": -middle,
            "right": middle,
        }
        return by[self.rule]

    def _at(self, tracks: Sequence[Track], times_s: Sequence[float]) -> Track | None:
        sample = int(np.argmin(np.abs(np.asarray(times_s) - self.time_s)))
        for track in tracks:
            place = sample - int(track.samples[0])
            if 0 <= place < len(track.samples):
                left, top, right, bottom = track.boxes[place]
                if left <= self.x <= right and top <= self.y <= bottom:
                    return track
        return None


LARGEST = Choice()
"""The object that comes to be the largest in the picture."""


def _filled(part: Sequence[tuple[int, Array, float]]) -> Track:
    """A track without holes, from sightings in order."""
    seen = np.array([sample for sample, _, _ in part], dtype=np.int64)
    boxes = np.stack([box for _, box, _ in part])
    samples = np.arange(seen[0], seen[-1] + 1)
    between = np.stack([np.interp(samples, seen, boxes[:, side]) for side in range(4)], axis=1)
    scores = np.zeros(len(samples))
    scores[seen - seen[0]] = [score for _, _, score in part]
    return Track(samples, between, scores, np.isin(samples, seen))


def _joined(parts: list[Track], times_s: Array) -> list[Track]:
    """Parts of one object put together, the best fit first; ``parts`` in order of their begins."""
    begins = np.array([times_s[part.samples[0]] for part in parts])
    fits = []
    for first, part in enumerate(parts):
        end = times_s[part.samples[-1]]
        near = range(
            int(np.searchsorted(begins, end, side="right")),
            int(np.searchsorted(begins, end + GAP_S, side="right")),
        )
        fits += [(fit, first, n) for n in near if (fit := _fit(part, parts[n], times_s)) > 0]
    follower: dict[int, int] = {}
    led: set[int] = set()
    for _, first, second in sorted(fits, reverse=True):
        if first not in follower and second not in led:
            follower[first] = second
            led.add(second)
    whole = []
    for first in range(len(parts)):
        if first in led:
            continue
        chain = [first]
        while chain[-1] in follower:
            chain.append(follower[chain[-1]])
        whole.append(_filled([sighting for n in chain for sighting in _sightings(parts[n])]))
    return whole


def _sightings(part: Track) -> list[tuple[int, Array, float]]:
    rows = zip(part.samples, part.boxes, part.scores, part.sighted, strict=True)
    return [(int(sample), box, float(score)) for sample, box, score, seen in rows if seen]


def _fit(before: Track, after: Track, times_s: Array) -> float:
    """How well ``after`` goes on where ``before`` ends: an IoU, 0 if it does not."""
    guess = _carried_on(before, times_s, float(times_s[after.samples[0]]))
    found = float(overlaps(guess, after.boxes[:1])[0])
    return found if found >= _LEAST_IOU else 0.0


def _carried_on(track: Track, times_s: Array, at_s: float) -> Array:
    """The box that the last sightings lead to."""
    seen = np.flatnonzero(track.sighted)[-_FIT_SAMPLES:]
    boxes = track.boxes[seen]
    if len(seen) < 2:
        return np.asarray(boxes[-1])
    times = times_s[track.samples[seen]]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    size = np.log(boxes[:, 2:] - boxes[:, :2])
    # Straight on in place, at a steady rate in size; through the last sighting.
    slopes = np.polyfit(times - times[-1], np.concatenate([middle, size], axis=1), 1)[0]
    moved = np.concatenate([middle[-1], size[-1]]) + slopes * (at_s - times[-1])
    half = np.exp(moved[2:]) / 2
    return np.concatenate([moved[:2] - half, moved[:2] + half])
