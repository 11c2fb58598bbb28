"""What a car makes of one look after another: confirmation, latching, the point to brake at."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError, check_range

Array = npt.NDArray[np.float64]


def check_rule(least: int, of: int) -> None:
    """Check a rule of ``least`` hits in ``of`` samples.

    Raises:
        UserError: If it is not 1 <= least <= of.
    """
    if not 1 <= least <= of:
        raise UserError(
            f"confirm with {least} of {of} samples",
            "that can never, or need not, be",
            "Give M/N with 1 <= M <= N, e.g. 3/5.",
        )


def confirmed_at(hits: Sequence[bool], least: int, of: int) -> int | None:
    """The first sample at which at least ``least`` of the last ``of`` samples are hits.

    From there on the object counts as known, whatever is seen later: commercial cars latch a sign
    that they have once seen.

    Args:
        hits: One value for each consecutive sample.
        least: M of M-of-N.
        of: N of M-of-N; at the beginning fewer samples may do.

    Returns:
        Its position in ``hits``; None if there is none.

    Raises:
        UserError: If it is not 1 <= least <= of.

    References:
        Wang et al., Revisiting Physical-World Adversarial Attack on Traffic Sign Recognition, NDSS
        2025 (arXiv 2409.09860), spatial memorisation.
    """
    check_rule(least, of)
    count = np.cumsum([0, *hits])
    end = np.arange(1, len(count))
    within = count[end] - count[np.maximum(end - of, 0)]
    there = np.flatnonzero(within >= least)
    return int(there[0]) if len(there) else None


def longest_run(missed: Sequence[bool], ends_s: Sequence[float]) -> tuple[int, int] | None:
    """The run of consecutive samples without a hit that lasts longest, as [first, last] positions.

    Args:
        missed: One value for each of N consecutive samples.
        ends_s: [N+1] times: sample i stands for the time from ``ends_s[i]`` to ``ends_s[i + 1]``.

    Returns:
        The run, of several equally long ones the first; None if there is none.
    """
    best: tuple[int, int] | None = None
    longest = -1.0
    start = None
    for position, miss in enumerate([*missed, False]):
        if miss and start is None:
            start = position
        elif not miss and start is not None:
            lasts = ends_s[position] - ends_s[start]
            if lasts > longest:
                best, longest = (start, position - 1), lasts
            start = None
    return best


def braking_distance_m(speed_mps: float, reaction_s: float, deceleration_mps2: float) -> float:
    """How far before the sign a car must know of it: d = v t + v^2 / (2 a).

    Args:
        speed_mps: Speed of the car, above 0.
        reaction_s: Time until the brakes act, from 0.
        deceleration_mps2: Of the car, above 0.

    Raises:
        UserError: If a value is out of range.
    """
    check_range("speed", speed_mps, 0, 150, "m/s", low_open=True)
    check_range("reaction time", reaction_s, 0, 60, "s")
    check_range("deceleration", deceleration_mps2, 0, 20, "m/s^2", low_open=True)
    return speed_mps * reaction_s + speed_mps**2 / (2 * deceleration_mps2)


def looks_at_speed(
    distances_m: Array, speed_mps: float, interval_s: float
) -> list[npt.NDArray[np.intp]]:
    """The samples that a car of another speed would have had on the same way.

    A film taken slowly has more looks for each metre than a fast car gets. Of the samples those
    are taken that lie nearest to where a car of ``speed_mps`` is every ``interval_s``. When its
    first look falls is chance: every sample within the first interval begins a sequence.

    Args:
        distances_m: [N] distance of each sample, not increasing.
        speed_mps: Speed of the car.
        interval_s: Time between two looks, above 0.

    Returns:
        For each first look, positions in ``distances_m``, increasing.
    """
    times = (distances_m[0] - distances_m) / speed_mps
    begins = np.flatnonzero(times < interval_s * (1 - 1e-6))
    return [_looks_from(int(first), times, interval_s) for first in begins]


def _looks_from(first: int, times: Array, interval_s: float) -> npt.NDArray[np.intp]:
    if first == len(times) - 1:
        return np.array([first], dtype=np.intp)
    ticks = np.arange(times[first], times[-1] + 1e-6 * interval_s, interval_s)
    after = np.searchsorted(times, ticks).clip(1, len(times) - 1)
    nearer = np.where(ticks - times[after - 1] <= times[after] - ticks, after - 1, after)
    return np.unique(nearer)
