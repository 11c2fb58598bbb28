"""The command line: parse, call the library, print."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from physadv.checks import UsageError, UserError
from physadv.cli.console import err, out
from physadv.cli.lazy import LazyGroup

_INTERRUPTED = 130  # what typer exits with on Ctrl-C

app = typer.Typer(
    name="physadv",
    cls=LazyGroup,
    help="Physical-world adversarial attacks on vision models that you own or may test: "
    "generate printable artwork, print it at a known size, judge it with controls and intervals.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:
    if asked:
        out.print(version("physadv"), markup=False)
        raise typer.Exit


@app.callback()
def _options(
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Options that come before the command."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    try:
        app(prog_name="physadv")
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            err.print("interrupted; what had been written is whole")
            sys.exit(1)
        raise
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        err.print(f"error: cannot write the output: {error.strerror}", markup=False)
        sys.exit(1)
    except UserError as error:
        err.print(f"[bold red]error:[/] {_escaped(error.asked)}")
        err.print(f"  found: {_escaped(error.got)}")
        err.print(f"  do:    {_escaped(error.do)}")
        sys.exit(2 if isinstance(error, UsageError) else 1)


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    main()
