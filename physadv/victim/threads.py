"""Victims for threads that look side by side, each on one processor."""

import copy
import queue
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Generic, TypeVar, cast

import cv2
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
    """``first`` and a copy for every further thread.

    Alone, with a warning, where a user's module cannot be copied: threads then take turns with it.
    """
    try:
        return [first, *(for_thread(first) for _ in range(1, threads))]
    except torch.OutOfMemoryError:
        raise
    except (TypeError, AttributeError, RuntimeError, NotImplementedError, copy.Error) as error:
        warnings.warn(
            f"a victim's module cannot be copied ({error}): it looks at one picture at a time",
            stacklevel=2,
        )
        return [first]


class Turns(Generic[Looker]):
    """Lookers that threads take turns with."""

    def __init__(self, lookers: Iterable[Looker]) -> None:
        self._free: queue.SimpleQueue[Looker] = queue.SimpleQueue()
        for looker in lookers:
            self._free.put(looker)

    @contextmanager
    def taken(self) -> Iterator[Looker]:
        """Whichever is free, once one is, for as long as the block runs."""
        looker = self._free.get()
        try:
            yield looker
        finally:
            self._free.put(looker)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep OpenCV and torch to one thread inside, so that our workers do not fight over cores."""
    before_cv, before_torch = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before_cv)
        torch.set_num_threads(before_torch)
