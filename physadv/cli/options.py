"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from physadv.checks import UsageError
from physadv.evaluate.shotlist import treatment_named
from physadv.types import Treatment

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder made by generate.")]
VictimNames = Annotated[
    list[str],
    typer.Option(
        "--victim",
        metavar="NAME",
        help="Victim by name (see `physadv victims`) or module:factory; may be repeated.",
    ),
]
JudgedNames = Annotated[
    list[str],
    typer.Option(
        "--victim",
        metavar="NAME",
        help="Victim by name (see `physadv victims`), module:factory, or DETECTOR+CLASSIFIER for "
        "the chain of both; may be repeated.",
    ),
]
TrueNames = Annotated[
    list[str] | None,
    typer.Option(
        "--truth",
        metavar="CLASS",
        help="What is right to read; several all count (default: the run's).",
        show_default=False,
    ),
]
FovDeg = Annotated[
    float | None, typer.Option(help="Horizontal field of view instead.", show_default=False)
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Backgrounds = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Photographs to use as backgrounds instead of drawn ones; one half is for the "
        "optimiser, the other for the judge.",
    ),
]
Replace = Annotated[
    bool,
    typer.Option("--replace", help="Let fewer or other looks replace an earlier judgement."),
]
Printer = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help="From `physadv calibrate printer`: optimise the colours as they will be on paper.",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of every random draw.")]
Palette = Annotated[
    str,
    typer.Option(
        metavar="K|grey|rgb",
        help="Colours to print: K = 2 (black and white) to 32 flat colours, grey, or rgb.",
    ),
]


def parse_treatment(name: str) -> Treatment | None:
    """The treatment that ``--treatment`` names; None where it was not given.

    Raises:
        UsageError: If there is none of that name.
    """
    found = treatment_named(name) if name else None
    if name and found is None:
        raise UsageError(
            f"treatment {name!r}",
            "not one that is known",
            "Use clean, blank, noise, control or adversarial.",
        )
    return found
