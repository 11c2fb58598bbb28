"""The attacks by name."""

from collections.abc import Callable
from typing import Any

from physadv.digital.apgd import apgd
from physadv.digital.bim import bim
from physadv.digital.carlini_wagner import carlini_wagner
from physadv.digital.carlini_wagner_l0 import carlini_wagner_l0
from physadv.digital.carlini_wagner_linf import carlini_wagner_linf
from physadv.digital.ddn import ddn
from physadv.digital.deepfool import deepfool
from physadv.digital.fgsm import fgsm
from physadv.digital.hop_skip_jump import hop_skip_jump
from physadv.digital.momentum import momentum
from physadv.digital.noise import noise
from physadv.digital.outcome import Adversarials
from physadv.digital.pgd import pgd
from physadv.digital.semantic import semantic
from physadv.digital.square import square
from physadv.digital.universal import train_universal

WITH_BUDGET: dict[str, Callable[..., Adversarials]] = {
    "noise": noise,
    "fgsm": fgsm,
    "bim": bim,
    "pgd": pgd,
    "momentum": momentum,
    "apgd": apgd,
    "square": square,
}
"""Attacks that take ``eps``."""

SMALLEST: dict[str, Callable[..., Adversarials]] = {
    "deepfool": deepfool,
    "carlini-wagner": carlini_wagner,
    "carlini-wagner-linf": carlini_wagner_linf,
    "carlini-wagner-l0": carlini_wagner_l0,
    "ddn": ddn,
    "hop-skip-jump": hop_skip_jump,
}
"""Attacks that look for the smallest change."""

ATTACKS: dict[str, Callable[..., Adversarials]] = {
    **WITH_BUDGET,
    **SMALLEST,
    "semantic": semantic,
}
"""Every attack on (model, images, labels)."""

OWN_NORM = {
    "carlini-wagner": "l2",
    "carlini-wagner-linf": "linf",
    "carlini-wagner-l0": "l0",
    "ddn": "l2",
}
"""What those attacks of ``SMALLEST`` keep small that have no choice."""

LEARNED: dict[str, Callable[..., Any]] = {
    "substitute": momentum,
    "universal": train_universal,
}
"""Attacks that learn from other images of the set first, and what takes their options: images are
made against a substitute by momentum."""
