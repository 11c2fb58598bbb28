"""Which digital attacks are made with which options, checked before any work begins."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from physadv.checks import UsageError, check_name
from physadv.digital.apgd import TARGETED_DLR
from physadv.digital.catalog import ATTACKS, LEARNED, OWN_NORM
from physadv.digital.losses import LOSSES
from physadv.digital.noise import KINDS
from physadv.digital.norms import check_budget
from physadv.digital.objectives import OBJECTIVES
from physadv.digital.outcome import Adversarials
from physadv.digital.substitute import train_substitute

_FLAGS = {"kind": "noise_kind"}  # options that the command line calls by another name
_DIVERSITY = 0.5  # of the images made against a substitute
_ALSO = {"iterations": "steps"}  # parameters that are set by another option
_NOT_SET = {
    "targets",
    "starts",
    "seed",
    "progress",
}  # here; the rest of what an attack takes is its settings


@dataclass(frozen=True)
class Task:
    """One attack with its budget; ``eps`` is None for those that look for the smallest change."""

    attack: str
    eps: float | None
    options: dict[str, Any]

    @property
    def title(self) -> str:
        """For people."""
        return self.attack if self.eps is None else f"{self.attack} {self.eps:g}"

    @property
    def own_norm(self) -> str | None:
        """What it keeps small whatever norm was asked for; None if that was its to choose."""
        return OWN_NORM.get(self.attack)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that decides the attack but seed and target; None is the attack's own rule."""
        own = {name: self.options.get(name, value) for name, value in _defaults(self.attack)}
        if self.attack != "substitute":
            return own
        learnt = inspect.signature(train_substitute).parameters.values()
        return own | {
            f"learning_{one.name}": one.default
            for one in learnt
            if one.default is not one.empty and one.name not in _NOT_SET
        }

    @property
    def learns(self) -> bool:
        """Whether it learns from other images first."""
        return self.attack in LEARNED


def plan_attacks(
    names: Sequence[str],
    eps: Sequence[float],
    norm: str,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    *,
    targeted: bool = False,
) -> list[Task]:
    """Every attack at every budget; those without a budget once.

    Args:
        names: Of ``catalog.ATTACKS`` and ``catalog.LEARNED``.
        eps: Budgets on the scale of [0,1] pixels.
        norm: For the attacks that have a choice.
        settings: More options by the names of the attacks' parameters; an attack that has no such
            parameter goes without.
        seed: Of every draw.
        targeted: Whether a class is to be reached.

    Raises:
        UsageError: If a name is unknown, a budget or a setting is missing, out of range or of no
            use to any attack, or an attack cannot do ``norm`` or has no target to choose.
    """
    settings = {key: value for key, value in (settings or {}).items() if value is not None}
    tasks: list[Task] = []
    used: set[str] = set()
    for name in dict.fromkeys(names):
        attack = check_attack(name)
        known = inspect.signature(attack).parameters
        if targeted and "targets" not in known:
            raise UsageError(
                f"attack {name} towards a target", "it has none to choose", "Leave --target out."
            )
        wanted = {_ALSO.get(key, key): key for key in known}
        options = {wanted[key]: value for key, value in settings.items() if key in wanted}
        used |= settings.keys() & wanted.keys()
        _check_settings(name, options)
        if name == "substitute":
            options["diversity"] = _DIVERSITY
        if "seed" in known:
            options["seed"] = seed
        if "norm" in known:
            can = get_args(get_type_hints(attack)["norm"])
            if norm not in can:
                raise UsageError(
                    f"attack {name} in {norm}",
                    f"it works in {' and '.join(can)}",
                    "Choose another --norm.",
                )
            options["norm"] = norm
        elif "eps" in known and norm != "linf":
            raise UsageError(
                f"attack {name} in {norm}",
                "it works in linf only",
                "Give --norm linf, or leave it out.",
            )
        if "eps" not in known:
            tasks.append(Task(name, None, options))
            continue
        if not eps:
            raise UsageError(f"attack {name}", "no budget", "Give --eps, once or several times.")
        for value in sorted(set(eps)):
            check_budget(options.get("norm", "linf"), value)
            tasks.append(Task(name, value, {**options, "eps": value}))
    idle = sorted(settings.keys() - used)
    if idle:
        flags = ", ".join(f"--{_FLAGS.get(key, key).replace('_', '-')}" for key in idle)
        raise UsageError(
            flags, f"no use to {', '.join(names)}", "Leave it out, or choose another attack."
        )
    return tasks


def check_attack(name: str) -> Callable[..., Adversarials]:
    """The function whose parameters are the options of the attack of that name.

    Raises:
        UsageError: If there is none.
    """
    known = {**ATTACKS, **LEARNED}
    check_name("attack", name, known)
    return known[name]


def _defaults(attack: str) -> list[tuple[str, Any]]:
    known = inspect.signature(check_attack(attack)).parameters.values()
    settings = (one for one in known if one.kind is one.KEYWORD_ONLY)
    return [(one.name, one.default) for one in settings if one.name not in _NOT_SET]


def check_distinct(names: Sequence[str]) -> None:
    """Refuse a victim that is given twice: its images would transfer to itself.

    Raises:
        UsageError: If one is.
    """
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        raise UsageError(f"victim {twice[0]}", "given twice", "Give every victim once.")


def _check_settings(name: str, options: Mapping[str, Any]) -> None:
    if options.get("step_size", 1) <= 0:
        raise UsageError(
            f"steps of {options['step_size']:g}", "they lead nowhere", "Give a length above 0."
        )
    if "loss" in options:
        check_name("loss", options["loss"], [*LOSSES, *([TARGETED_DLR] if name == "apgd" else [])])
    if "objective" in options:
        check_name("objective", options["objective"], OBJECTIVES)
    if "kind" in options:
        check_name("noise", options["kind"], KINDS)
