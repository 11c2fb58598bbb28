"""Commands run in the tests' own process."""

import sys

from physadv.cli.main import main


def call_physadv(*words: object) -> int:
    """Exit code of ``physadv`` with some words after it."""
    before = sys.argv
    sys.argv = ["physadv", *map(str, words)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0
