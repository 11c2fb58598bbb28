"""Numbers as text, in one form for terminal, table and sentence."""

from physadv.report.rates import Rate
from physadv.stats.intervals import Interval

NBSP = "\u00a0"
DASH = "\u2013"
MINUS = "\u2212"
NONE = "\u2014"


def percent(value: float | None) -> str:
    """``0.9803`` as ``98.0 %``; never rounds to 0 or 100 % what is neither."""
    return NONE if value is None else f"{_tenths(value)}{NBSP}%"


def interval(limits: Interval | None) -> str:
    """``97.4–98.5 %``."""
    if limits is None:
        return NONE
    return f"{bare(limits)}{NBSP}%"


def points(value: float | None) -> str:
    """A difference of shares as signed percentage points, ``+97.9``."""
    if value is None:
        return NONE
    text = f"{abs(value) * 100:.1f}"
    if text == "0.0":
        return "0.0"
    return f"{'+' if value > 0 else MINUS}{text}"


def points_interval(limits: Interval | None) -> str:
    """``+97.2 to +98.4``."""
    return NONE if limits is None else f"{points(limits.low)} to {points(limits.high)}"


def counts(rate: Rate) -> str:
    """``2,931/2,990``."""
    return f"{rate.k:,}/{rate.n:,}"


def rate_interval(rate: Rate) -> str:
    """``94.0–99.1``, in per cent; at 0 and 100 % the exact interval follows in brackets."""
    if rate.interval is None:
        return NONE
    text = bare(rate.interval)
    return text if rate.exact is None else f"{text} [{bare(rate.exact)}]"


def degrees(angle_deg: float) -> str:
    """``−15°``."""
    return f"{angle_deg:g}\u00b0".replace("-", MINUS)


def p_value(value: float | None) -> str:
    """``< 0.001``, or three decimals."""
    if value is None:
        return NONE
    return "<" + NBSP + "0.001" if value < 0.001 else f"{value:.3f}"


def plural(count: int, noun: str) -> str:
    """``1 view``, ``2,990 views``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def attack_title(attack: object, eps: float | None) -> str:
    """``pgd 0.03``; attacks without a budget by name alone."""
    return str(attack) if eps is None else f"{attack} {eps:g}"


def in_a_line(rate: Rate) -> str:
    """``97.9 % 47/48 (89.1–99.6)``, for a terminal."""
    limits = f" ({bare(rate.interval)})" if rate.interval else ""
    return f"{percent(rate.value)} {counts(rate)}{limits}".replace(NBSP, " ")


def bare(limits: Interval) -> str:
    """``97.4–98.5``, in per cent; 0 and 100 without a decimal are exact."""
    ends = (limits.low, limits.high)
    shown = (f"{x * 100:.0f}" if x in (0.0, 1.0) else f"{x * 100:.1f}" for x in ends)
    return DASH.join(shown)


def _tenths(share: float) -> str:
    """Per cent with one decimal, and none at exactly 0 and 100."""
    if share in (0.0, 1.0):
        return f"{share * 100:.0f}"
    text = f"{share * 100:.1f}"
    if text == "100.0":
        return "> 99.9" if share < 1 else text
    if text == "0.0":
        return "< 0.1"
    return text
