"""What was read in a frame of a film, drawn on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from physadv.data.film import Picture
from physadv.types import Verdict

Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]

VERDICT_RGB: dict[Verdict, Colour] = {
    "hit": (86, 180, 233),
    "target": (213, 94, 0),
    "misclassified": (240, 196, 25),
    "missed": (77, 77, 77),
}
"""The colours of the report's timelines."""
_DARK, _LIGHT, _AHEAD = (24, 24, 24), (255, 255, 255), (222, 222, 222)
_OTHER: Colour = (255, 255, 255)
_SPLIT = 0.199
"""Luminance at which white and our near-black stand out alike."""
_LEAST_TEXT_PX = 11
_FONT = cv2.FontFace("sans")
_WEIGHT = 500


@dataclass(frozen=True)
class Marks:
    """What is drawn on a frame.

    Boxes are xyxy in pixels of the frame. ``box`` is where the object is, None where it is not
    followed; ``detections`` what the victim found, as (box, class, score). ``verdict`` and the
    class read with its score are of this frame's sample, ``history`` the verdicts of all samples
    up to it and ``total`` how many the whole film has, 0 if nobody knows. ``braking`` are samples
    at which the object came nearer than a braking point, with what to call it; those ahead may be
    given too.
    """

    victim: str
    treatment: str
    time_s: float
    verdict: Verdict | None = None
    predicted_class: str = ""
    score: float = 0.0
    distance_m: float | None = None
    box: Box | None = None
    detections: tuple[tuple[Box, str, float], ...] = ()
    history: Sequence[Verdict] = ()
    total: int = 0
    confirmed: bool = False
    target_confirmed: bool = False
    braking: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Plate:
    """A text on its ground: left, top, right, bottom in whole pixels, right and bottom excluded."""

    left: int
    top: int
    right: int
    bottom: int
    text: str
    ink: Colour
    ground: Colour


@dataclass(frozen=True)
class Outline:
    """A box's outline: corners in whole pixels inside the frame, and how thick it is inwards."""

    left: int
    top: int
    right: int
    bottom: int
    thick: int
    colour: Colour


def annotate(rgb: Picture, marks: Marks) -> Picture:
    """A copy of the frame with boxes, class, distance and a bar of the verdicts so far.

    Sizes go with the frame's height. Nothing is drawn outside the frame, and no text without a
    ground. What is drawn is what :func:`layout` lists and the bar of :func:`bar_rows`.

    Args:
        rgb: [H, W, 3] uint8 RGB; not changed.
        marks: What to draw.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    drawn = np.ascontiguousarray(rgb).copy()
    outlines, plates = layout(drawn.shape[0], drawn.shape[1], marks)
    for outline in outlines:
        _draw_outline(drawn, outline)
    top, bottom = bar_rows(drawn.shape[0])
    drawn[top:bottom] = _bar(drawn.shape[1], bottom - top, marks)
    for plate in plates:
        _draw_plate(drawn, plate)
    return drawn


def bar_rows(height_px: int) -> tuple[int, int]:
    """First row of the verdict bar, and the row after its last: it spans the frame's width."""
    return height_px - max(4, round(height_px / 45)), height_px


def layout(height_px: int, width_px: int, marks: Marks) -> tuple[list[Outline], list[Plate]]:
    """Where outlines and texts go in a frame of that size, in the order they are drawn."""
    size = max(_LEAST_TEXT_PX, round(height_px / 32))
    thick = max(1, round(height_px / 360))
    floor, _ = bar_rows(height_px)
    outlines: list[Outline] = []
    plates: list[Plate] = []

    def mark(box: Box, words: str, colour: Colour, width: int, below: bool) -> None:
        outline = _outline(box, width_px, height_px, width, colour)
        if outline is None:
            return
        outlines.append(outline)
        wide, high = _plate_size(words, size, width_px)
        above, under = outline.top - high, outline.bottom
        top = under if below and under + high <= floor else above
        top = int(np.clip(top, 0, floor - high))
        if top < 0:
            return
        left = int(np.clip(outline.left, 0, width_px - wide))
        ink = _ink_on(colour)
        plates.append(Plate(left, top, left + wide, top + high, words, ink, colour))

    # Weakest first, so that the strongest one's label stays on top.
    for box, name, score in sorted(marks.detections, key=lambda one: one[2]):
        mark(box, f"{name} {score:.2f}", _OTHER, thick, below=False)
    if marks.box is not None:
        colour = VERDICT_RGB[marks.verdict] if marks.verdict else _OTHER
        mark(marks.box, _read(marks), colour, 2 * thick, below=True)
    plates += _corner(marks, size, width_px, floor)
    plates += _braking_labels(marks, size, width_px, floor)
    return outlines, plates


def _read(marks: Marks) -> str:
    if marks.verdict is None:
        return "followed"
    if marks.verdict == "missed":
        return f"missed ({marks.score:.2f})"
    return f"{marks.predicted_class or marks.verdict} {marks.score:.2f}"


def _corner(marks: Marks, size: int, width_px: int, floor: int) -> list[Plate]:
    """Lines at the top left, where a sign by the road is least often; as many as fit."""
    far = "" if marks.distance_m is None else f"   {marks.distance_m:.1f} m"
    lines = [(f"{marks.victim} · {marks.treatment}", _DARK), (f"{marks.time_s:.1f} s{far}", _DARK)]
    if marks.verdict is not None:
        lines.append((f"{marks.verdict}: {_read(marks)}", VERDICT_RGB[marks.verdict]))
    if marks.confirmed:
        lines.append(("confirmed", VERDICT_RGB["hit"]))
    if marks.target_confirmed:
        lines.append(("confirmed as the target", VERDICT_RGB["target"]))
    plates: list[Plate] = []
    for words, ground in lines:
        wide, high = _plate_size(words, size, width_px)
        top = len(plates) * high
        if top + high > floor:
            break
        plates.append(Plate(0, top, wide, top + high, words, _ink_on(ground), ground))
    return plates


def _braking_labels(marks: Marks, size: int, width_px: int, floor: int) -> list[Plate]:
    """Above the bar, where each braking point lies; dodged to the left where they would meet."""
    plates: list[Plate] = []
    small = max(_LEAST_TEXT_PX, round(size * 0.75))
    edge = width_px
    if floor < _plate_size("", small, width_px)[1]:
        return []
    for sample, words in sorted(marks.braking, reverse=True):
        wide, high = _plate_size(words, small, width_px)
        column = _column(sample, marks, width_px)
        left = max(0, min(column - wide // 2, edge - wide))
        plates.append(Plate(left, floor - high, left + wide, floor, words, _LIGHT, _DARK))
        edge = left
    return plates


def _column(sample: int, marks: Marks, width_px: int) -> int:
    total = max(marks.total, len(marks.history), 1)
    return int(np.clip(round(sample * width_px / total), 0, width_px - 1))


def _bar(width_px: int, height_px: int, marks: Marks) -> Picture:
    """[h, w, 3]: a cell for each sample of the film, in the colour of its verdict once judged."""
    total = max(marks.total, len(marks.history), 1)
    cells = np.empty((1, total, 3), np.uint8)
    cells[:] = _AHEAD
    if len(marks.history):
        cells[0, : len(marks.history)] = [VERDICT_RGB[verdict] for verdict in marks.history]
    # More samples than pixels are mixed, so that none is passed over.
    kind = cv2.INTER_AREA if total > width_px else cv2.INTER_NEAREST
    row = cv2.resize(cells, (width_px, 1), interpolation=kind)
    bar = np.repeat(row, height_px, axis=0)
    bar[0] = _DARK
    wide = max(1, height_px // 12)
    for sample, _ in marks.braking:
        column = _column(sample, marks, width_px)
        bar[:, max(0, column - wide) : column + wide] = _DARK
    return bar


def _outline(box: Box, width_px: int, height_px: int, thick: int, colour: Colour) -> Outline | None:
    """The part of a box inside the frame; None if nothing of it is."""
    left, top = (max(0, round(value)) for value in box[:2])
    right, bottom = min(width_px, round(box[2])), min(height_px, round(box[3]))
    if right <= left or bottom <= top:
        return None
    return Outline(left, top, right, bottom, thick, colour)


def _draw_outline(drawn: Picture, outline: Outline) -> None:
    inside = drawn[outline.top : outline.bottom, outline.left : outline.right]
    thick = outline.thick
    for part in (inside[:thick], inside[-thick:], inside[:, :thick], inside[:, -thick:]):
        part[:] = outline.colour


def _plate_size(words: str, size: int, width_px: int) -> tuple[int, int]:
    """Width and height of a text's ground; never wider than the frame."""
    pad = size // 3
    _, _, wide, _ = cv2.getTextSize((0, 0), words, (0, 0), _FONT, size, _WEIGHT)
    return min(width_px, wide + 2 * pad), round(size * 1.45)


def _draw_plate(drawn: Picture, plate: Plate) -> None:
    """The text is drawn on its ground alone and cut where that ends."""
    high, wide = plate.bottom - plate.top, plate.right - plate.left
    ground = np.empty((high, wide, 3), np.uint8)
    ground[:] = plate.ground
    size = round(high / 1.45)
    words = _fitted(plate.text, size, wide)
    base = (size // 3, round(high * 0.72))
    cv2.putText(ground, words, base, plate.ink, _FONT, size, _WEIGHT, wrap=(0, 1 << 20))
    room = drawn[plate.top : plate.bottom, plate.left : plate.right]
    room[:] = ground[: room.shape[0], : room.shape[1]]


def _fitted(words: str, size: int, wide: int) -> str:
    """The text, or as much of it as fits with an ellipsis."""
    shown = words
    while len(shown) > 1 and _plate_size(shown, size, 1 << 20)[0] > wide:
        words = words[:-1]
        shown = f"{words.rstrip()}…"
    return shown


def _ink_on(ground: Colour) -> Colour:
    """Black or white, whichever stands out more (relative luminance, WCAG 2)."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (value / 255 for value in ground)
    ]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return _DARK if luminance > _SPLIT else _LIGHT
