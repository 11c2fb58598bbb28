"""Which of the objects that were followed through a film is the treated one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physadv.checks import UsageError, UserError
from physadv.evaluate.tracks import Track

RULES = ("largest", "longest", "left", "right")
_MOST_OTHERS = 0.2


def other_objects(tracks: Sequence[Track], chosen: Track) -> list[str]:
    """What is to be said where a film shows more than the chosen object; nothing if it does not."""
    own = int(chosen.sighted.sum())
    rest = sum(int(track.sighted.sum()) for track in tracks) - own
    if rest <= _MOST_OTHERS * (own + rest):
        return []
    return [
        f"{rest} of {own + rest} sightings of its class belong to other objects, or could not be "
        "joined to it: see the annotated film, and --follow"
    ]


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

    def of(self, tracks: Sequence[Track], times_s: Sequence[float]) -> Track:
        """The one of at least one track that the rule names.

        Raises:
            UserError: If none is at the point.
        """
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

    def _at(self, tracks: Sequence[Track], times_s: Sequence[float]) -> Track:
        sample = int(np.argmin(np.abs(np.asarray(times_s) - self.time_s)))
        for track in tracks:
            for left, top, right, bottom in track.boxes[track.samples == sample]:
                if left <= self.x <= right and top <= self.y <= bottom:
                    return track
        begins, ends = min(t.samples[0] for t in tracks), max(t.samples[-1] for t in tracks)
        raise UserError(
            f"follow the object at {self.x:g}, {self.y:g} px after {self.time_s:g} s",
            f"none is there; objects were seen from {times_s[begins]:.1f} to {times_s[ends]:.1f} s",
            "Give a point inside it, or another rule.",
        )


LARGEST = Choice()
"""The object that comes to be the largest in the picture."""
