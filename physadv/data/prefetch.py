"""Frames read ahead by a thread, in a bounded queue."""

import queue
import threading
from collections.abc import Iterator

from physadv.data.film import Frame


def read_ahead(frames: Iterator[Frame], most: int = 8) -> Iterator[Frame]:
    """The same frames, of which up to ``most`` are decoded before they are asked for.

    What the source raises is raised here after its last good frame. The thread ends when this
    iterator is exhausted or closed.
    """
    ahead: queue.Queue[Frame | BaseException | None] = queue.Queue(most)
    stopped = threading.Event()

    def put(item: Frame | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ahead.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for frame in frames:
                put(frame)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (item := ahead.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
