"""One passage through a film: every network that has not yet seen a sample looks at it.

Networks look at several samples side by side, each on one processor: how many there are, and how
many films are judged at once, then changes no bit of what they answer.
"""

from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from physadv.data.film import Film, FilmFault, Frame
from physadv.data.livecamera import LiveCamera
from physadv.data.prefetch import read_ahead
from physadv.engine.threads import in_threads
from physadv.evaluate.filmaskers import Asker, ChainAsker
from physadv.evaluate.looklog import LookLog
from physadv.victim.threads import MOST_THREADS, Turns, one_each, one_thread_each

Array = npt.NDArray[np.float64]


def look_at_film(
    film: Film,
    askers: Sequence[tuple[Asker, LookLog]],
    chains: Sequence[tuple[ChainAsker, LookLog, LookLog]] = (),
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Show a film's samples to those who have not seen them.

    Args:
        film: The film.
        askers: Who looks, and where the answers are kept.
        chains: Chains, where their answers are kept, and the log of their detector, which must be
            one of those in ``askers``.
        progress: Called with samples done, and about how many there are.

    Raises:
        UserError: If a log cannot be written. A fault of the film ends it, and is kept in the
            logs.
    """
    logs = [log for _, log in askers] + [log for _, log, _ in chains]
    if all(log.end is not None for log in logs):
        return
    done = min(len(log.frames) for log in logs)
    why = ""
    live = isinstance(film, LiveCamera)
    most = 1 if live else min(torch.get_num_threads(), MOST_THREADS)
    lookers = one_each(_Lookers.of(askers, chains), _Lookers.for_thread, most)
    threads = len(lookers)
    # What a camera shows is looked at as it comes, not after a queue.
    frames = film.frames(min(log.last for log in logs))
    source, ahead = (frames, 0) if live else (read_ahead(frames, most=threads), threads)
    try:
        task = partial(_look, Turns(lookers))
        # A camera waits for nobody; each of its looks may have all processors.
        prepare = (lambda: None) if live else partial(torch.set_num_threads, 1)
        with (
            nullcontext() if live else one_thread_each(),
            closing(in_threads(task, source, threads, ahead=ahead, prepare=prepare)) as seen,
        ):
            for frame_index, time_s, tables in seen:
                for number, table in tables.items():
                    logs[number].add(frame_index, time_s, table)
                done += 1
                progress(done, max(done, film.frames_hint))
    except FilmFault as fault:
        why = fault.got
    for log in logs:
        log.finish(why)


@dataclass(frozen=True)
class _Lookers:
    """Who looks in one thread, with the last frame that each has seen before; a chain also with
    its detector's place among the askers, and that one's log."""

    askers: tuple[tuple[Asker, int], ...]
    chains: tuple[tuple[ChainAsker, int, int, LookLog], ...]

    @staticmethod
    def of(
        askers: Sequence[tuple[Asker, LookLog]],
        chains: Sequence[tuple[ChainAsker, LookLog, LookLog]],
    ) -> "_Lookers":
        places = {id(log): number for number, (_, log) in enumerate(askers)}
        return _Lookers(
            tuple((asker, log.last) for asker, log in askers),
            tuple((chain, log.last, places[id(eye)], eye) for chain, log, eye in chains),
        )

    def for_thread(self) -> "_Lookers":
        """Who looks in another one."""
        return _Lookers(
            tuple((asker.for_thread(), last) for asker, last in self.askers),
            tuple((chain.for_thread(), last, n, log) for chain, last, n, log in self.chains),
        )

    def look(self, frame: Frame) -> dict[int, Array]:
        """Tables by the number of the log that they are for."""
        found = {
            number: asker.look(frame)
            for number, (asker, last) in enumerate(self.askers)
            if frame.index > last
        }
        for number, (chain, last, place, log) in enumerate(self.chains, start=len(self.askers)):
            if frame.index > last:
                # The detector's table as it is read back, whoever looked first.
                rows = log.as_kept(found[place]) if place in found else log.of(frame.index)
                found[number] = chain.read(frame, rows)
        return found


def _look(looking: Turns[_Lookers], frame: Frame) -> tuple[int, float, dict[int, Array]]:
    """A sample's number, time and tables, by whoever is free."""
    with looking.taken() as lookers:
        return frame.index, frame.time_s, lookers.look(frame)
