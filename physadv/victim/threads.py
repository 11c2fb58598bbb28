"""Victims for threads that look side by side."""

import copy
from dataclasses import replace
from typing import TypeVar

from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim

V = TypeVar("V", DetectorVictim, ClassifierVictim)


def own_module(victim: V) -> V:
    """The same victim with a module of its own, which shares the weights.

    Modules may keep things between calls (a detector's anchors for a picture's size); two threads
    must not share those.
    """
    shared = {id(value): value for value in victim.module.parameters()}
    return replace(victim, module=copy.deepcopy(victim.module, shared))
