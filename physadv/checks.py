"""Argument checks with one message form: what was asked, what was found, what to do."""

import difflib
import math
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can mend. The command line prints it without a traceback."""

    def __init__(self, asked: str, got: str, do: str) -> None:
        self.asked, self.got, self.do = asked, got, do
        super().__init__(f"{asked}: {got}. {do}")

    def __reduce__(self) -> tuple[type["UserError"], tuple[str, str, str]]:
        # Else an error that crosses from a worker process would be made from its message alone.
        return type(self), (self.asked, self.got, self.do)


class UsageError(UserError):
    """A wrong name or option: the command line exits with code 2 rather than 1."""


def check_range(
    name: str,
    value: float,
    low: float,
    high: float,
    unit: str = "",
    *,
    low_open: bool = False,
) -> float:
    """Return ``value`` if it is finite and within [low, high] (or (low, high] if ``low_open``).

    Raises:
        UserError: If it is not.
    """
    above = value > low if low_open else value >= low
    if math.isfinite(value) and above and value <= high:
        return value
    bracket = "(" if low_open else "["
    suffix = f" {unit}" if unit else ""
    raise UserError(
        f"{name} = {value:g}{suffix}",
        f"outside the allowed range {bracket}{low:g}, {high:g}]{suffix}",
        "Give a value in that range.",
    )


def check_name(kind: str, name: str, known: Iterable[str], do: str = "") -> str:
    """Return ``name`` if it is one of ``known``.

    Raises:
        UsageError: If it is not; the message lists the known names and the closest one.
    """
    names = list(known)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join(names) if names else "(none)"
    raise UsageError(
        f"{kind} {name!r}",
        "no such name",
        f"Known: {listed}.{hint}{' ' + do if do else ''}",
    )
