"""Tasks over items on this computer, results in the order of the items."""

import multiprocessing
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from functools import partial
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Report = Callable[[str, int, int], None]
"""Progress: a name, units done, and of how many."""

_POLL_S = 0.2


class Engine(Protocol):
    """Runs one task for each item. What a task gives must not depend on where it is run."""

    def map(
        self,
        task: Callable[[Item, Report], Result],
        items: Sequence[Item],
        report: Report,
    ) -> Iterator[Result]:
        """``task(item, report)`` of every item, in the order of the items.

        Raises:
            Exception: What a task raised, when its turn comes; tasks that wait are not begun.
        """
        ...


class Serial:
    """One item after another, in this process."""

    def map(
        self,
        task: Callable[[Item, Report], Result],
        items: Sequence[Item],
        report: Report,
    ) -> Iterator[Result]:
        """See ``Engine``."""
        for item in items:
            yield task(item, report)


class Processes:
    """Several items side by side, each in one of ``workers`` processes.

    Task, items and results must be picklable. The processors are shared out evenly.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(
        self,
        task: Callable[[Item, Report], Result],
        items: Sequence[Item],
        report: Report,
    ) -> Iterator[Result]:
        """See ``Engine``."""
        # A forked process would inherit locks of libraries that run threads.
        context = multiprocessing.get_context("spawn")
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        with context.Manager() as manager:
            told: queue.Queue[tuple[str, int, int]] = manager.Queue()
            pool = ProcessPoolExecutor(
                self.workers, mp_context=context, initializer=_prepare, initargs=(threads, told)
            )
            try:
                futures = [pool.submit(partial(_run, task), item) for item in items]
                for future in futures:
                    while not future.done():
                        wait([future], timeout=_POLL_S)
                        _pass_on(told, report)
                    _pass_on(told, report)
                    yield future.result()
            finally:
                pool.shutdown(cancel_futures=True)


def engine_of(workers: int) -> Engine:
    """The engine for so many workers on this computer."""
    return Serial() if workers == 1 else Processes(workers)


_told: "queue.Queue[tuple[str, int, int]] | None" = None


def _prepare(threads: int, told: "queue.Queue[tuple[str, int, int]]") -> None:
    """In a new process: its share of the processors, and whom it reports to."""
    global _told
    _told = told
    import torch  # only here: who runs one process need not wait for it

    torch.set_num_threads(threads)


def _run(task: Callable[[Item, Report], Result], item: Item) -> Result:
    assert _told is not None
    told = _told
    return task(item, lambda name, done, total: told.put((name, done, total)))


def _pass_on(told: "queue.Queue[tuple[str, int, int]]", report: Report) -> None:
    while True:
        try:
            report(*told.get_nowait())
        except queue.Empty:
            return
