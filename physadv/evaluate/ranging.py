"""How far the object is along the road in each sample of a film, and how well that is known."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from physadv.calibrate.camera import CameraCalibration
from physadv.checks import UserError
from physadv.data.speedlog import SpeedLog
from physadv.units import MM_PER_M

Array = npt.NDArray[np.float64]
RangeSource = Literal["box", "outline", "fiducial", "speed log", "none"]

WINDOW_S = 1.0
"""Sightings up to this long before and after a sample have a say in its distance."""
_LEAST_IN_WINDOW = 5
_BOX_SD_PX = 1.0
BOX_SHARE = 0.03
"""By how much of its height all boxes of a film, or all outlines, may be off."""
_EDGE_PX = 1.0
_ROBUST_ROUNDS = 3
_BISQUARE = 4.685
_ANCHOR_SD_M, _LOG_SHARE = 0.5, 0.02


@dataclass(frozen=True)
class Ranges:
    """``distance_m`` [K] along the camera's axis, that is along the road for a camera that looks
    along it; NaN where unknown. ``sd_m`` [K] is its one-sigma error."""

    distance_m: Array
    sd_m: Array
    source: RangeSource


def unknown_ranges(count: int) -> Ranges:
    """No distances."""
    nothing = np.full(count, np.nan)
    return Ranges(nothing, nothing.copy(), "none")


@dataclass(frozen=True)
class Measured:
    """Distances as measured in single samples: ``distance_m`` [K] and ``sd_m`` [K], NaN where
    there is none; ``share`` is the error that all of them may have in common."""

    distance_m: Array
    sd_m: Array
    share: float


def measure_boxes(
    times_s: Array,
    boxes: Array,
    sighted: npt.NDArray[np.bool_],
    height_mm: float,
    camera: CameraCalibration,
) -> Measured:
    """Distances from the height of boxes around an upright object of known height: d = f S / p.

    Boxes that the picture's edge cuts, or that were filled in, tell nothing.

    Args:
        times_s: [K] times of the samples.
        boxes: [K,4] xyxy in pixels.
        sighted: [K] whether the box was found rather than filled in.
        height_mm: Height of the object.
        camera: The camera, for the film's size.
    """
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    top = camera.undistort(np.stack([middle, boxes[:, 1]], axis=1))
    bottom = camera.undistort(np.stack([middle, boxes[:, 3]], axis=1))
    height_px = bottom[:, 1] - top[:, 1]
    whole = (boxes[:, 1] > _EDGE_PX) & (boxes[:, 3] < camera.height_px - _EDGE_PX)
    good = sighted & whole & (height_px > 0)
    distance, sd = np.full((2, len(times_s)), np.nan)
    if good.any():
        product = camera.fy * height_mm / MM_PER_M
        distance[good] = product / height_px[good]
        # A pixel is d^2 / f S metres. That weight is taken at smoothed distances: at measured
        # ones those would weigh most that came out too near.
        about, _ = smooth(times_s[good], distance[good], np.ones(good.sum()), times_s[good])
        sd[good] = _BOX_SD_PX * about**2 / product
    return Measured(distance, sd, float(np.hypot(BOX_SHARE, camera.focal_sd)))


def ranges_from(
    times_s: Array, measured: Measured, source: RangeSource, *, monotone: bool = False
) -> Ranges:
    """Smoothed distances, from the first measurement to the last.

    Args:
        times_s: [K] times of the samples.
        measured: [K] what was measured in them.
        source: What the measurements are.
        monotone: Whether the object only comes nearer.
    """
    good = np.isfinite(measured.distance_m)
    if not good.any():
        return unknown_ranges(len(times_s))
    at = times_s[good]
    distance, sd = smooth(
        at, measured.distance_m[good], measured.sd_m[good], times_s, monotone=monotone
    )
    outside = (times_s < at[0]) | (times_s > at[-1])
    distance[outside], sd[outside] = np.nan, np.nan
    return Ranges(distance, np.hypot(sd, measured.share * distance), source)


def ranges_from_log(
    times_s: Array, log: SpeedLog, anchor: tuple[float, float] | None, measured: Measured | None
) -> Ranges:
    """Distances from how far the car had driven.

    Args:
        times_s: [K] times of the samples.
        log: What the car had driven, on the film's clock.
        anchor: A time and the distance to the object then; without it the measurements tell where
            the object is.
        measured: [K] distances as measured in single samples.

    Raises:
        UserError: If there is neither anchor nor measurement, or the log does not cover them.
    """
    driven = log.travelled_at(times_s)
    if anchor is not None:
        place = float(log.travelled_at(np.array([anchor[0]]))[0]) + anchor[1]
        place_sd = _ANCHOR_SD_M
    elif measured is not None and np.isfinite(measured.distance_m + driven).any():
        good = np.isfinite(measured.distance_m + driven)
        places = measured.distance_m[good] + driven[good]
        order = np.argsort(places)
        weight = np.cumsum(1 / measured.sd_m[good][order] ** 2)
        middle = int(np.searchsorted(weight, weight[-1] / 2))
        place = float(places[order][middle])
        place_sd = measured.share * float(measured.distance_m[good][order][middle])
    else:
        raise UserError(
            "distances from a speed log",
            "nothing says how far the object is at any moment that it covers",
            "Give --distance-at TIME=METRES, or --object-height-mm with --camera or --fov-deg.",
        )
    if not np.isfinite(place) or not np.isfinite(driven).any():
        raise UserError(
            "distances from a speed log",
            f"it lasts from {log.times_s[0]:g} s to {log.times_s[-1]:g} s of the film, the samples "
            f"from {times_s[0]:g} s to {times_s[-1]:g} s",
            "Say when the film began by the log's clock: --log-start-s.",
        )
    distance = place - driven
    # Wheels, pulses and satellites are a few per cent off, over the way from the anchor.
    way = np.abs(distance - (anchor[1] if anchor is not None else np.nanmin(distance)))
    return Ranges(distance, np.hypot(place_sd, _LOG_SHARE * way), "speed log")


def smooth(
    measured_s: Array, measured: Array, sd: Array, at_s: Array, *, monotone: bool = False
) -> tuple[Array, Array]:
    """Distances at given times from noisy ones: local straight lines, outliers given no say.

    Args:
        measured_s: [N] times of the measurements, increasing.
        measured: [N] distances.
        sd: [N] one-sigma error of each; only their ratios matter where enough are there.
        at_s: [K] times wanted.
        monotone: Whether the distance never grows; then the measurements are first made so
            (isotonic regression).

    Returns:
        [K] distances and their one-sigma errors, from how far the measurements lie from the line.

    References:
        Cleveland, Robust Locally Weighted Regression and Smoothing Scatterplots, JASA 74, 1979.
    """
    values = measured
    if monotone:
        values = np.asarray(isotonic_regression(measured, weights=1 / sd**2, increasing=False).x)
    robust = np.ones(len(values))
    for _ in range(_ROBUST_ROUNDS):
        fitted = np.array([_line(measured_s, values, robust / sd**2, t)[0] for t in measured_s])
        misfit = np.abs(values - fitted) / sd
        scale = 1.4826 * float(np.median(misfit))
        if scale < 1e-9:
            break
        robust = np.clip(1 - (misfit / (_BISQUARE * scale)) ** 2, 0, None) ** 2
    found = np.array([_line(measured_s, values, robust / sd**2, t) for t in at_s])
    # Errors are taken to be what the measurements themselves show, but not below a tenth of a
    # pixel's: four sightings on a line by chance are no proof.
    scale = max(1.4826 * float(np.median(np.abs(values - fitted) / sd)), 0.1)
    return found[:, 0], found[:, 1] * scale


def _line(times: Array, values: Array, weights: Array, at: float) -> tuple[float, float]:
    """A weighted straight line near ``at``: its value there, and that value's error if the weights
    are inverse variances."""
    low, high = np.searchsorted(times, [at - WINDOW_S, at + WINDOW_S])
    # At least the five nearest, which in a sparse film lie further away.
    low, high = max(0, low - _LEAST_IN_WINDOW), min(len(times), high + _LEAST_IN_WINDOW)
    times, values, weights = times[low:high], values[low:high], weights[low:high]
    apart = np.abs(times - at)
    count = min(_LEAST_IN_WINDOW, len(apart)) - 1
    reach = max(WINDOW_S, 1.001 * float(np.partition(apart, count)[count]))
    kernel = np.clip(1 - (apart / reach) ** 3, 0, None) ** 3
    w = kernel * weights
    if not (w > 0).any():
        w = kernel + 1e-12
    total = w.sum()
    mean = (w * times).sum() / total
    spread = (w * (times - mean) ** 2).sum()
    level = (w * values).sum() / total
    if spread <= 1e-12 * total:
        return float(level), float(1 / np.sqrt(total))
    slope = (w * (times - mean) * (values - level)).sum() / spread
    # The kernel is no part of a measurement's variance: sum of (coefficient^2 / inverse variance).
    coefficients = w / total + (at - mean) * w * (times - mean) / spread
    good = weights > 0
    variance = (coefficients[good] ** 2 / weights[good]).sum()
    return float(level + slope * (at - mean)), float(np.sqrt(variance))
