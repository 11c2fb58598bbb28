"""Commands that are imported when they are called: ``--help`` does not wait for torch."""

import importlib
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class Command:
    """Where a command is defined, as ``module:name``, and its line in the list of commands."""

    source: str
    help: str


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "demo:demo",
        'Stickers that turn a stop sign into "Speed limit (80km/h)": artwork, PDF, judge, report.',
    ),
    "generate": Command(
        "make:generate",
        "Optimise printable artwork that fools every given classifier and detector.",
    ),
    "patch": Command(
        "patch:patch",
        "Optimise a printable patch that hides the scene's objects from every given detector.",
    ),
    "print": Command(
        "make:print_pdf",
        "Write a PDF that prints the artwork at exact size, in tiles or as cut-outs.",
    ),
    "calibrate": Command("calibrate:app", "Calibrate what lies between screen and street."),
    "plan": Command("plan:app", "Plan a field test: how many photographs, from where."),
    "evaluate": Command("judge:app", "Judge an artwork with controls and intervals."),
    "simulate": Command("simulate:app", "Make films to rehearse with before anything is printed."),
    "report": Command(
        "make:report",
        "Write RUN/report.html from what the run folder holds; no victim is run.",
    ),
    "matrix": Command(
        "matrix:matrix",
        "Compare what artworks and digital attacks do to every victim; no victim is run.",
    ),
    "import": Command(
        "patch:import_detector",
        "Import an official YOLO checkpoint as a victim, without running any code in it.",
    ),
    "victims": Command("inspect:victims", "List the victims that can be attacked and judged."),
    "scenes": Command("inspect:scenes", "List the bundled scenes and grids."),
    "doctor": Command(
        "inspect:doctor",
        "Say what is installed, which devices work, and which data are found or missing.",
    ),
}


def load_command(name: str) -> Any:
    """Import a command of ``COMMANDS``."""
    module_name, _, attribute = COMMANDS[name].source.partition(":")
    found = getattr(importlib.import_module(f"physadv.cli.{module_name}"), attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        found.command(name)(function)
    command = typer.main.get_command(found)
    command.name = name
    return command


class LazyGroup(TyperGroup):
    """Lists ``COMMANDS`` by their lines alone, and imports the one that is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, help=known.help) for name, known in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is called, imported."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load_command(name), rest
