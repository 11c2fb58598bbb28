"""Drawing on frames: only where it says it draws, in RGB, at any size."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physadv.evaluate.annotated import VERDICT_RGB, Marks, annotate, bar_rows, layout
from physadv.report.svg import VERDICT_COLOURS

KINDS = tuple(VERDICT_RGB)
FULL = Marks(
    victim="yolov8n+gtsrb_cnn",
    treatment="adversarial",
    time_s=4.0,
    verdict="target",
    predicted_class="Vorfahrt gewähren",
    score=0.83,
    distance_m=12.4,
    box=(400.2, 60.0, 460.0, 121.7),
    detections=(((400.0, 60.0, 460.0, 122.0), "stop sign", 0.4), ((-9, 20, 70, 90), "kite", 0.3)),
    history=("missed", "missed", "target", "hit"),
    total=8,
    confirmed=True,
    target_confirmed=True,
    braking=((3, "50 km/h"), (6, "20 km/h")),
)
PLAIN = Marks(victim="v", treatment="clean", time_s=0.0)


def frame(height_px: int, width_px: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height_px, width_px, 3), np.uint8)


def allowed(height_px: int, width_px: int, marks: Marks) -> np.ndarray:
    """Where the layout says that something is drawn; every place must be inside the frame."""
    mask = np.zeros((height_px, width_px), bool)
    outlines, plates = layout(height_px, width_px, marks)
    for one in [*outlines, *plates]:
        assert 0 <= one.left < one.right <= width_px
        assert 0 <= one.top < one.bottom <= height_px
    for one in plates:
        mask[one.top : one.bottom, one.left : one.right] = True
    for one in outlines:
        ring = np.zeros_like(mask)
        ring[one.top : one.bottom, one.left : one.right] = True
        t = one.thick
        ring[one.top + t : one.bottom - t, one.left + t : one.right - t] = False
        mask |= ring
    top, bottom = bar_rows(height_px)
    mask[top:bottom] = True
    return mask


boxes = st.tuples(*[st.floats(-300, 900)] * 4)
words = st.text(max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(24, 400), st.integers(24, 700)),
    box=st.none() | boxes,
    found=st.lists(st.tuples(boxes, words, st.floats(0, 1)), max_size=3),
    names=st.tuples(words, words),
    verdict=st.none() | st.sampled_from(KINDS),
    history=st.lists(st.sampled_from(KINDS), max_size=1000),
    total=st.integers(0, 1200),
    flags=st.tuples(st.booleans(), st.booleans()),
    braking=st.lists(st.tuples(st.integers(0, 1500), words), max_size=4),
)
def test_nothing_else_is_touched(size, box, found, names, verdict, history, total, flags, braking):
    marks = Marks(
        names[0],
        "noise",
        3.5,
        verdict,
        names[1],
        0.5,
        None,
        box,
        tuple(found),
        history,
        total,
        *flags,
        tuple(braking),
    )
    before = frame(*size)
    kept = before.copy()
    after = annotate(before, marks)
    assert after.shape == before.shape
    assert after.dtype == np.uint8
    assert (before == kept).all()
    outside = ~allowed(*size, marks)
    assert (after[outside] == before[outside]).all()


def test_colours_are_rgb_and_those_of_the_report():
    for verdict, rgb in VERDICT_RGB.items():
        assert VERDICT_COLOURS[verdict] == "#{:02x}{:02x}{:02x}".format(*rgb)
    drawn = annotate(frame(360, 640), replace(FULL, detections=()))
    assert tuple(drawn[90, 400]) == VERDICT_RGB["target"]  # the left side of its box
    assert tuple(annotate(frame(360, 640), replace(FULL, verdict="hit"))[90, 400]) == (86, 180, 233)


def test_the_bar_shows_what_was_read_and_what_is_ahead():
    drawn = annotate(frame(360, 640), replace(FULL, braking=()))
    row = drawn[bar_rows(360)[1] - 2]
    cells = [tuple(row[80 * cell + 40]) for cell in range(8)]
    assert cells[:4] == [VERDICT_RGB[verdict] for verdict in FULL.history]
    ahead = set(cells[4:])
    assert len(ahead) == 1
    assert not ahead & set(VERDICT_RGB.values())
    # Half way the bar is half full, without any length known it is full.
    assert (row[:320] != np.array(cells[7])).any(axis=1).all()
    unknown = annotate(frame(360, 640), replace(FULL, braking=(), total=0))
    shown = {tuple(pixel) for pixel in unknown[bar_rows(360)[1] - 2]}
    assert shown == {VERDICT_RGB[v] for v in ("missed", "target", "hit")}


def test_one_hit_among_more_samples_than_pixels_is_seen():
    history = ["missed"] * 3000
    history[1501] = "hit"
    row = annotate(frame(64, 100), replace(PLAIN, history=history, total=3000))[-2]
    differs = (row != VERDICT_RGB["missed"]).any(axis=1)
    assert differs.sum() == 1
    assert differs[50]


@pytest.mark.parametrize("height_px", [720, 2160])
def test_sizes_go_with_the_frame(height_px):
    width_px = height_px * 16 // 9
    scale = height_px / 360
    marks = replace(FULL, box=tuple(scale * value for value in FULL.box), detections=())
    # Labels of braking points are as small as is legible in the smallest frame.
    outlines, plates = layout(height_px, width_px, replace(marks, braking=()))
    small_outlines, small_plates = layout(360, 640, replace(FULL, detections=(), braking=()))
    assert outlines[0].thick == small_outlines[0].thick * scale
    for large, small in zip(plates, small_plates, strict=True):
        assert large.text == small.text
        wide = (large.right - large.left) / (small.right - small.left)
        high = (large.bottom - large.top) / (small.bottom - small.top)
        assert (wide, high) == pytest.approx((scale, scale), rel=0.13)


def test_texts_say_what_was_read():
    _, plates = layout(720, 1280, FULL)
    texts = [plate.text for plate in plates]
    for part in (
        "Vorfahrt gewähren 0.83",
        "stop sign 0.40",
        "yolov8n+gtsrb_cnn · adversarial",
        "4.0 s   12.4 m",
        "confirmed",
        "confirmed as the target",
        "50 km/h",
    ):
        assert part in texts
    bare = [plate.text for plate in layout(720, 1280, PLAIN)[1]]
    assert bare == ["v · clean", "0.0 s"]


def test_ink_stands_out_on_every_ground():
    """Contrast of WCAG 2 for large text."""

    def luminance(rgb):
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (value / 255 for value in rgb)
        ]
        return sum(a * b for a, b in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))

    for verdict in KINDS:
        for plate in layout(720, 1280, replace(FULL, verdict=verdict))[1]:
            high, low = sorted((luminance(plate.ink), luminance(plate.ground)), reverse=True)
            assert (high + 0.05) / (low + 0.05) > 4.5


def test_text_is_really_drawn():
    _, plates = layout(720, 1280, FULL)
    drawn = annotate(np.zeros((720, 1280, 3), np.uint8), FULL)
    top = next(plate for plate in plates if plate.text.startswith("yolov8n"))
    room = drawn[top.top : top.bottom, top.left : top.right].reshape(-1, 3)
    ink = (np.abs(room.astype(int) - top.ink).max(axis=1) < 8).mean()
    assert 0.05 < ink < 0.5
    assert (room == top.ground).all(axis=1).mean() > 0.4
