"""The object's boxes in a film, found and followed by a detector."""

from collections.abc import Callable, Sequence

import numpy as np

from physadv.checks import UserError
from physadv.data.boxes import FrameBox
from physadv.data.film import Film
from physadv.evaluate.capture_reading import class_indices
from physadv.evaluate.trackchoice import Choice
from physadv.evaluate.tracks import WEAK_CONFIDENCE, Sightings, find_tracks
from physadv.victim.detector import DetectorVictim


def find_boxes(
    film: Film,
    finder: DetectorVictim,
    true_names: Sequence[str],
    choice: Choice,
    progress: Callable[[str, int, int], None],
) -> dict[int, FrameBox]:
    """Find an object in every frame of a film.

    Args:
        film: The film.
        finder: Who looks.
        true_names: What the object is called.
        choice: Which object, where there are several.
        progress: Called as (task, frames done, of how many).

    Returns:
        Its box by frame, from the first sighting to the last; between sightings, boxes between.

    Raises:
        UserError: If the finder knows no such class, sees no such object, or the film is damaged.
    """
    classes = class_indices(finder, true_names)
    frames, times, sightings = [], [], []
    for frame in film.frames():
        (seen,) = finder.detect([frame.rgb], WEAK_CONFIDENCE)
        own = np.isin(seen.classes, classes)
        frames.append(frame.index)
        times.append(frame.time_s)
        sightings.append(Sightings(seen.boxes[own].astype(np.float64), seen.scores[own]))
        progress("look for it", len(frames), max(film.frames_hint, len(frames)))
    tracks = find_tracks(times, sightings, (film.width_px, film.height_px))
    if not tracks:
        raise UserError(
            f"find {' or '.join(true_names)} in {film.name}",
            f"{finder.name} never saw it there",
            "Give its --boxes, or a --finder that sees it.",
        )
    track = choice.of(tracks, times)
    size = np.array([film.width_px, film.height_px] * 2)
    label = finder.class_names[classes[0]]
    return {
        frames[sample]: FrameBox(frames[sample], box.clip(0, size), label, score, finder.name)
        for sample, box, score in zip(
            track.samples.tolist(), track.boxes, track.scores.tolist(), strict=True
        )
    }
