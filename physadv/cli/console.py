"""What the commands share at the terminal: live progress, and messages in one form."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:  # the list of commands must not wait for torch
    from physadv.optimize.task import Progress as OptimiserProgress

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

_STAGES = {"find": "find where it matters", "fit": "optimise artwork"}


class ProgressLine:
    """One task after another, as a live bar on a terminal and as a line per tenth elsewhere."""

    def __init__(self, live: Progress | None) -> None:
        self._live = live
        self._tasks: dict[str, object] = {}
        self._tenths: dict[str, int] = {}

    def update(self, name: str, done: int, total: int, note: str = "") -> None:
        """Show that ``done`` of ``total`` units of the task called ``name`` are finished."""
        if self._live is not None:
            if name not in self._tasks:
                self._tasks[name] = self._live.add_task(name, total=total, note="")
            self._live.update(self._tasks[name], completed=done, note=note)  # type: ignore[arg-type]
            return
        tenth = 10 * done // max(total, 1)
        if tenth > self._tenths.get(name, -1) and (done == total or tenth):
            self._tenths[name] = tenth
            err.print(f"{name}: {done}/{total} {note}".rstrip(), markup=False)

    def optimiser(self) -> "OptimiserProgress":
        """A callback for ``generate``."""

        def report(stage: str, step: int, steps: int, figures: dict[str, Any]) -> None:
            note = f"fooled {figures['success']:.0%}, loss {figures['loss']:.2f}"
            self.update(_STAGES.get(stage, stage), step, steps, note)

        return report


@contextmanager
def progress_line() -> Iterator[ProgressLine]:
    """Progress on stderr while the block runs."""
    if not sys.stderr.isatty():
        yield ProgressLine(None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=err) as live:
        yield ProgressLine(live)


@contextmanager
def goes_on(kept: str) -> Iterator[None]:
    """Say on Ctrl-C what is ``kept``, and that the same command goes on."""
    try:
        yield
    except KeyboardInterrupt:
        err.print(
            f"interrupted; {kept}, the same command goes on:\n  "
            + shlex.join(["physadv", *sys.argv[1:]]),
            markup=False,
        )
        raise typer.Exit(1) from None


def interrupted(command: str, folder: Path, *, resume: bool, named: bool) -> typer.Exit:
    """Say how to go on with the run in ``folder`` after Ctrl-C; the exit to raise.

    Args:
        command: The command as typed.
        folder: The run folder.
        resume: Whether it was given ``--resume``.
        named: Whether it was given ``--out``.
    """
    again = command if resume else f"{command} --resume"
    again = again if named else f"{again} --out {shlex.quote(str(folder))}"
    err.print(f"interrupted; continue from the last checkpoint with:\n  {again}", markup=False)
    return typer.Exit(1)
