"""Items of a stream worked on side by side in threads, results in the order of the items."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    task: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int,
    *,
    ahead: int,
    prepare: Callable[[], object] = lambda: None,
) -> Generator[Result, None, None]:
    """``task(item)`` of every item, in order. Closing it ends the threads.

    Args:
        task: Called in any of the threads.
        items: Taken one by one, in the calling thread.
        threads: How many, at least 1.
        ahead: How many items may be begun beyond the one whose result is waited for; with 0, an
            item is taken only when the one before is done.
        prepare: Called once in each thread, first.

    Raises:
        Exception: What a task, or the source of the items, raised, after the results of all items
            before.
    """
    waiting: deque[Future[Result]] = deque()
    source = iter(items)
    fault: Exception | None = None
    pool = ThreadPoolExecutor(threads, initializer=prepare)
    try:
        while True:
            try:
                item = next(source)
            except StopIteration:
                break
            except Exception as error:
                fault = error
                break
            waiting.append(pool.submit(task, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
        if fault is not None:
            raise fault
    finally:
        pool.shutdown(cancel_futures=True)
