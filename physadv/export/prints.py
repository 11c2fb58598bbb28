"""Everything a run prints: the artwork, its controls, cards, and what reads their markers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from physadv.artwork.files import Artwork
from physadv.export.cards import write_cards
from physadv.export.pdf import Fiducials, PdfSummary, covers_face, write_pdf
from physadv.export.sheetfile import SheetLayout, add_layout
from physadv.types import Treatment


@dataclass(frozen=True)
class Prints:
    """Files written: one PDF for each treatment, and cards where markers cannot go beside it.

    ``layout`` is what was entered into the run's ``sheet.json``, None if nothing has markers.
    """

    pdfs: dict[Path, PdfSummary]
    cards: Path | None
    layout: SheetLayout | None


def print_run(
    artwork: Artwork,
    run: Path,
    path: Path,
    *,
    width_mm: float,
    page: str = "a4",
    treatments: Sequence[Treatment] = ("adversarial",),
    fiducials: bool | None = None,
    face: npt.NDArray[np.uint8] | None = None,
) -> Prints:
    """Write the print sheets of a run.

    Args:
        artwork: The run's artwork.
        run: The run folder; its ``sheet.json`` learns where the markers lie.
        path: The PDF of the artwork; a control's name gets ``-blank`` or ``-noise``.
        width_mm: Printed width of the face, in (0, 5000].
        page: Paper, as for ``write_pdf``.
        treatments: What to print.
        fiducials: Whether to print markers; None prints them around a rectangular patch where
            that takes no more sheets. Artwork in several pieces gets a card to hang beside it.
        face: Picture of the carrier, as for ``write_pdf``.

    Raises:
        UserError: As ``write_pdf``.
        UsageError: If a treatment or the page is unknown.
    """
    name = run.resolve().name
    cards = path.with_name(f"{path.stem}-cards{path.suffix}")
    by_card = fiducials is True and not covers_face(artwork)
    mode: Fiducials = "auto" if fiducials is None else "on" if fiducials and not by_card else "off"
    pdfs = {}
    for treatment in treatments:
        ending = "" if treatment == "adversarial" else f"-{treatment}"
        file = path.with_name(f"{path.stem}{ending}{path.suffix}")
        pdfs[file] = write_pdf(
            artwork,
            file,
            width_mm=width_mm,
            page=page,
            run_name=name,
            face=face,
            treatment=treatment,
            fiducials=mode,
        )
    layout = next((summary.layout for summary in pdfs.values()), None)
    if by_card:
        layout = write_cards(artwork, cards, width_mm=width_mm, page=page, run_name=name)
    if layout is not None:
        add_layout(run, layout)
    return Prints(pdfs, cards if by_card else None, layout)
