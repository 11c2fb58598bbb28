"""matrix: artworks and digital attacks by victims, from what several runs hold."""

from pathlib import Path
from typing import Annotated

import typer

from physadv.cli.console import out
from physadv.data.files import write_json
from physadv.report.beside import digital_tables, is_digital, other_weights
from physadv.report.matrix import (
    digital_attacks_table,
    digital_records,
    matrix_records,
    matrix_table,
    write_matrix,
)
from physadv.report.transfer import transfer_matrices


def matrix(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Judged run folders, and folders of `evaluate digital`."
        ),
    ],
    page: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.html", help="Write a self-contained page as well."),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE.json", help="Write the figures as JSON as well."),
    ] = None,
) -> None:
    """Compare what artworks and digital attacks do to every victim; no victim is run.

    Detectors: objects still found at confidence 0.4. Classifiers: views read as the target; of
    digital attacks without a target, images misread.
    """
    attacked = [run for run in runs if is_digital(run)]
    judged = [run for run in runs if run not in attacked]
    found = transfer_matrices(judged) if judged else []
    columns = list(dict.fromkeys(victim for table in found for victim in table.victims))
    digital = digital_tables(attacked, columns)
    warnings = other_weights(runs)
    for table in found:
        out.print(matrix_table(table))
    for attacks in digital:
        out.print(digital_attacks_table(attacks))
    for words in warnings:
        out.print(f"{words}: their figures are not of one victim", markup=False)
    if page is not None:
        write_matrix(page, found, digital, warnings)
        out.print(str(page), markup=False)
    if records is not None:
        write_json(
            records,
            {
                "matrices": matrix_records(found),
                "digital": digital_records(digital),
                "warnings": warnings,
            },
        )
        out.print(str(records), markup=False)
