"""matrix: artworks by victims, from the Trials of several runs."""

from pathlib import Path
from typing import Annotated

import typer

from physadv.cli.console import out
from physadv.data.files import write_json
from physadv.report.matrix import matrix_records, matrix_table, write_matrix
from physadv.report.transfer import transfer_matrices


def matrix(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Judged run folders.")],
    page: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.html", help="Write a self-contained page as well."),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE.json", help="Write the figures as JSON as well."),
    ] = None,
) -> None:
    """Compare what the artworks of several runs do to every victim; no victim is run.

    Detectors: objects still found at confidence 0.4. Classifiers: views read as the target.
    """
    found = transfer_matrices(runs)
    for table in found:
        out.print(matrix_table(table))
    if page is not None:
        write_matrix(page, found)
        out.print(str(page), markup=False)
    if records is not None:
        write_json(records, {"matrices": matrix_records(found)})
        out.print(str(records), markup=False)
