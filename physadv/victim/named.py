"""Any victim by name: a classifier, a detector, or a chain of the two."""

from physadv.checks import UsageError, UserError, check_name
from physadv.victim.catalog import VICTIMS, load_victim
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.detectors import list_detectors, load_detector
from physadv.victim.protocol import ClassifierVictim

Victim = ClassifierVictim | DetectorVictim


def load_named(name: str) -> Victim:
    """A classifier or a detector.

    Args:
        name: As for ``load_victim`` or ``load_detector``.

    Raises:
        UsageError: If there is none of that name; all names are listed.
        UserError: If its weights are missing or damaged.
    """
    if ":" in name or name in VICTIMS:
        return load_victim(name)
    detectors = [info.name for info in list_detectors()]
    if name.endswith((".yaml", ".yml")) or name in detectors:
        return load_detector(name)
    check_name("victim", name, [*VICTIMS, *detectors], "Your own: package.module:factory.")
    raise AssertionError("unreachable: an unknown victim passed the check")


def load_judged(name: str) -> Victim | ChainVictim:
    """A victim to be judged: ``load_named``, or ``DETECTOR+CLASSIFIER`` for a chain.

    Raises:
        UsageError: If a name is unknown or a chain is not of that form.
        UserError: If weights are missing or damaged.
    """
    parts = name.split("+")
    if len(parts) == 1:
        return load_named(name)
    found = [load_named(part) for part in parts]
    if len(found) == 2:
        first, second = found
        if isinstance(first, DetectorVictim) and isinstance(second, ClassifierVictim):
            return ChainVictim(first, second)
    raise UsageError(
        f"victim {name!r}", "not a detector and a classifier", "Give DETECTOR+CLASSIFIER."
    )


def load_attacked(names: list[str]) -> list[Victim]:
    """The victims of an attack; a chain is attacked through both of its parts.

    Raises:
        UsageError: If a name is unknown.
        UserError: If weights are missing or damaged.
    """
    if any("+" in name for name in names):
        raise UserError(
            f"attack {', '.join(names)}",
            "a chain is judged as one, but attacked through its parts",
            "Give both: --victim DETECTOR --victim CLASSIFIER.",
        )
    return [load_named(name) for name in names]
