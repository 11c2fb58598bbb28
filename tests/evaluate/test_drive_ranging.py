"""Distances from boxes: on drives whose distances are known."""

import numpy as np
import pytest

from physadv.calibrate.camera import camera_from_fov
from physadv.evaluate.ranging import BOX_SHARE, measure_boxes, ranges_from, smooth

CAMERA = camera_from_fov(60.0, 1280, 720)
HEIGHT_MM = 762.0


def ranges_from_boxes(times, boxes, seen, height_mm, camera, monotone=False):
    measured = measure_boxes(times, boxes, seen, height_mm, camera)
    return ranges_from(times, measured, "box", monotone=monotone)


def _drive(speed=8.0, start=60.0, end=4.5, fps=10.0, noise_px=0.0, seed=0):
    times = np.arange(0, (start - end) / speed, 1 / fps)
    distance = start - speed * times
    height = CAMERA.fy * 0.762 / distance
    x = CAMERA.cx + CAMERA.fx * 2.0 / distance
    y = CAMERA.cy - CAMERA.fy * 0.8 / distance
    boxes = np.stack([x - height / 2, y - height / 2, x + height / 2, y + height / 2], axis=1)
    boxes += np.random.default_rng(seed).normal(0, noise_px, boxes.shape)
    return times, distance, boxes, height


def test_exact_boxes_give_exact_distances():
    times, distance, boxes, _ = _drive()
    seen = np.ones(len(times), bool)
    seen[20:24] = False  # filled in
    boxes[20:24] += 30
    ranges = ranges_from_boxes(times, boxes, seen, HEIGHT_MM, CAMERA)
    assert ranges.source == "box"
    assert np.abs(ranges.distance_m / distance - 1).max() < 1e-3


def test_noisy_boxes_are_within_three_per_cent_from_20_px_on():
    worst, deviations = [], []
    for seed in range(20):
        times, distance, boxes, height = _drive(noise_px=0.5, seed=seed)
        ranges = ranges_from_boxes(times, boxes, np.ones(len(times), bool), HEIGHT_MM, CAMERA)
        error = ranges.distance_m / distance - 1
        worst.append(np.abs(error[height >= 20]).max())
        # Without what all boxes of a film may have in common.
        own = np.sqrt(
            ranges.sd_m**2 - (np.hypot(BOX_SHARE, CAMERA.focal_sd) * ranges.distance_m) ** 2
        )
        deviations.append((ranges.distance_m - distance) / own)
    assert np.quantile(worst, 0.9) < 0.03
    # The errors stated are of the size of those made.
    assert 0.7 < np.std(np.concatenate(deviations)) < 1.4
    bias = np.mean([np.mean(d) for d in deviations])
    assert abs(bias) < 0.3


def test_a_few_wrong_boxes_have_no_say():
    times, distance, boxes, _ = _drive(noise_px=0.3)
    boxes[[12, 30, 31, 50], 3] += 15
    ranges = ranges_from_boxes(times, boxes, np.ones(len(times), bool), HEIGHT_MM, CAMERA)
    assert np.abs(ranges.distance_m / distance - 1)[5:].max() < 0.04


def test_what_the_edge_cuts_off_is_not_measured():
    times, distance, boxes, _ = _drive(end=1.0)
    boxes[:, 1] = boxes[:, 1].clip(0)
    ranges = ranges_from_boxes(times, boxes, np.ones(len(times), bool), HEIGHT_MM, CAMERA)
    cut = boxes[:, 1] <= 1
    assert cut.any()
    assert np.isnan(ranges.distance_m[cut]).all()
    assert np.isfinite(ranges.distance_m[~cut]).all()
    all_cut = ranges_from_boxes(times[cut], boxes[cut], np.ones(cut.sum(), bool), HEIGHT_MM, CAMERA)
    assert np.isnan(all_cut.distance_m).all()
    assert distance[cut].max() < 4


def test_a_monotone_approach_never_moves_away():
    times, distance, boxes, _ = _drive(speed=1.0, start=12.0, noise_px=1.0)
    seen = np.ones(len(times), bool)
    free = ranges_from_boxes(times, boxes, seen, HEIGHT_MM, CAMERA)
    forced = ranges_from_boxes(times, boxes, seen, HEIGHT_MM, CAMERA, monotone=True)
    # Lines through values that fall can rise by next to nothing at most.
    assert np.diff(forced.distance_m).max() < 0.01
    errors = [np.abs(r.distance_m / distance - 1).mean() for r in (forced, free)]
    assert errors[0] < errors[1] * 1.2


def test_a_car_that_brakes_is_followed():
    times = np.arange(0, 6, 0.1)
    distance = 40 - 12 * times + times**2
    noisy = distance * (1 + np.random.default_rng(1).normal(0, 0.01, len(times)))
    found, sd = smooth(times, noisy, 0.01 * distance, times)
    # A line over two seconds of braking at 2 m/s^2 lies 0.14 m beside it.
    assert np.abs(found - distance).max() < 0.3
    assert (sd > 0).all()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_sightings_are_enough_to_say_something(count):
    times, distance, boxes, _ = _drive()
    pick = np.arange(count) * 5
    ranges = ranges_from_boxes(times[pick], boxes[pick], np.ones(count, bool), HEIGHT_MM, CAMERA)
    assert np.abs(ranges.distance_m / distance[pick] - 1).max() < 0.01
    assert (ranges.sd_m > 0).all()
