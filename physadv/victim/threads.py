"""Victims for threads that look side by side, each on one processor."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar, cast

import torch

from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim

V = TypeVar("V", bound=DetectorVictim | ClassifierVictim | ChainVictim)
Looker = TypeVar("Looker")

MOST_THREADS = 8


def own_module(victim: V) -> V:
    """The same victim with a module of its own, which shares the weights.

    Modules may keep things between calls (a detector's anchors for a picture's size); two threads
    must not share those.
    """
    if isinstance(victim, ChainVictim):
        chain = ChainVictim(own_module(victim.detector), own_module(victim.classifier))
        return cast(V, chain)
    shared = {id(value): value for value in victim.module.parameters()}
    return replace(victim, module=copy.deepcopy(victim.module, shared))


def one_each(first: Looker, for_thread: Callable[[Looker], Looker], threads: int) -> list[Looker]:
    """``first`` and a copy for every further thread; alone where its modules cannot be copied."""
    try:
        return [first, *(for_thread(first) for _ in range(1, threads))]
    except (TypeError, RuntimeError, NotImplementedError):
        return [first]  # a user's module


@contextmanager
def torch_threads_kept() -> Iterator[None]:
    """Have torch start later threads as it would have before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
