"""calibrate: a camera from photographs of a board, a printer from those of a colour chart."""

import re
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer
from PIL import Image
from rich.table import Table

from physadv.artwork.printer import save_profile
from physadv.calibrate.boards import Board, Corners
from physadv.calibrate.camera import save_camera
from physadv.calibrate.chart import PAPER_LIGHT
from physadv.calibrate.intrinsics import GOOD_PICTURES, calibrate_camera, draw_coverage
from physadv.calibrate.macbeth import colour_correction
from physadv.calibrate.printer import calibrate_printer, draw_fit
from physadv.checks import UsageError
from physadv.cli.console import out, progress_line
from physadv.cli.options import Seed
from physadv.data.files import atomic_path, read_image_rgb, sha256_of
from physadv.data.photos import list_photos
from physadv.export.chart import chart_of, write_chart

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Calibrate what lies between screen and street.",
)
_LEAST_COVERED = 0.6


@app.callback()
def _group() -> None:
    """Commands of ``physadv calibrate``."""


@app.command()
def camera(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Photographs of the board.")],
    board: Annotated[str, typer.Option(metavar="charuco|chessboard|aruco", help="Kind of board.")],
    size: Annotated[
        str,
        typer.Option(
            metavar="CxR",
            help="Columns x rows: inner corners of a chessboard, squares of a ChArUco board, "
            "markers of an ArUco grid.",
        ),
    ],
    square_mm: Annotated[
        float,
        typer.Option(
            help="Side of a square in mm; on an ArUco grid, from one marker's edge to the next's. "
            "It does not change the intrinsics."
        ),
    ] = 25.0,
    marker_mm: Annotated[
        float | None,
        typer.Option(help="Side of a marker in mm, in the same measure.", show_default=False),
    ] = None,
    dictionary: Annotated[
        str, typer.Option(metavar="NAME", help="Markers: 4x4_50 ... 7x7_1000, apriltag_36h11 ...")
    ] = "6x6_250",
    corners: Annotated[
        str,
        typer.Option(
            metavar="lines|opencv",
            help="Marker corners of an ArUco grid: lines fitted to the sides, or OpenCV's "
            "contours, which lie half a pixel inside (to compare with other calibrations).",
        ),
    ] = "lines",
    legacy: Annotated[
        bool, typer.Option(help="ChArUco board drawn by OpenCV before 4.6 (even row counts).")
    ] = False,
    file: Annotated[Path, typer.Option("--out", metavar="FILE.json", help="Output.")] = Path(
        "camera.json"
    ),
) -> None:
    """Fit a camera to photographs of a board; writes FILE.json and a picture of the coverage."""
    _check_output(file)
    columns, rows = _columns_and_rows(size)
    spec = Board(
        board,
        columns,
        rows,
        square_mm,
        _marker_mm(board, marker_mm),
        dictionary,
        cast(Corners, corners),
        legacy,
    )
    paths = list_photos(folder)
    with progress_line() as line:
        fit = calibrate_camera(paths, spec, lambda done, all_: line.update("board", done, all_))
    picture = file.with_suffix(".coverage.png")
    save_camera(
        fit.camera,
        file,
        pictures=[
            {
                "file": str(used.path.relative_to(folder)),
                "corners": len(used.view.image_px),
                "error_px": round(used.error_px, 4),
            }
            for used in fit.used
        ],
        rejected=[
            {"file": str(path.relative_to(folder)), "reason": reason}
            for path, reason in fit.rejected
        ],
    )
    with atomic_path(picture) as temporary:
        Image.fromarray(draw_coverage(fit)).save(temporary)
    table = Table("picture", "corners", "error px")
    for used in fit.used:
        name = str(used.path.relative_to(folder))
        table.add_row(name, str(len(used.view.image_px)), f"{used.error_px:.3f}")
    for path, reason in fit.rejected:
        table.add_row(str(path.relative_to(folder)), "-", f"left out: {reason}")
    out.print(table)
    found = fit.camera
    out.print(
        f"fx {found.fx:.2f} fy {found.fy:.2f} cx {found.cx:.2f} cy {found.cy:.2f} px, rms "
        f"{found.rms_px:.4f} px, focal length +-{200 * found.focal_sd:.2f} % (95 %).",
        markup=False,
    )
    if len(fit.used) < GOOD_PICTURES or fit.covered_share < _LEAST_COVERED:
        out.print(
            f"note: {len(fit.used)} pictures cover {fit.covered_share:.0%} of the frame; "
            f"{GOOD_PICTURES} or more that also show the board near the corners are better.",
            markup=False,
        )
    out.print(f"{file} and {picture}: give the first as --camera.", markup=False)


@app.command()
def chart(
    file: Annotated[Path, typer.Argument(metavar="FILE.pdf", help="Output.")] = Path("chart.pdf"),
    page: Annotated[
        str, typer.Option(help="a4, a3, letter, tabloid, or a size like 610x914 in mm.")
    ] = "a4",
) -> None:
    """Write the colour chart to print, photograph and give to `calibrate printer`."""
    found = write_chart(file, page)
    out.print(
        f"{file}: {found.colours.size // 3} cells of {found.cell_mm:g} mm on {found.page}. Print "
        f"it at 100 %, photograph it, then: physadv calibrate printer PHOTO... --page {found.page}",
        markup=False,
    )


@app.command()
def printer(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photographs of the printed chart.")
    ],
    page: Annotated[str, typer.Option(help="Page size of the chart.")] = "a4",
    macbeth: Annotated[
        Path | None,
        typer.Option(
            metavar="PHOTO",
            help="The same camera's photograph of a 24-patch ColorChecker in the same light: tells "
            "the paper's tint from the lamp's.",
        ),
    ] = None,
    file: Annotated[Path, typer.Option("--out", metavar="FILE.json", help="Output.")] = Path(
        "printer.json"
    ),
    seed: Seed = 0,
) -> None:
    """Fit what printer and camera make of colours; writes FILE.json and a picture of the fit."""
    _check_output(file)
    correction = None
    if macbeth is not None:
        correction, loss = colour_correction(read_image_rgb(macbeth))
        out.print(f"ColorChecker in {macbeth}: CIEDE2000 {loss:.2f} is left.", markup=False)
    with progress_line() as line:
        fit = calibrate_printer(
            photos,
            chart_of(page),
            correction=correction,
            seed=seed,
            progress=lambda done, total: line.update("chart", done, total),
        )
    scores = {
        kind: {
            "mean": round(float(errors.mean()), 3),
            "p95": round(float(np.quantile(errors, 0.95)), 3),
            "max": round(float(errors.max()), 3),
        }
        for kind, errors in fit.errors.items()
    }
    save_profile(
        fit.profile,
        file,
        held_out_delta_e_2000=scores,
        photographs=[{"file": str(path), "sha256": sha256_of(path)} for path in fit.used],
        rejected=[{"file": str(path), "reason": reason} for path, reason in fit.rejected],
        between_photographs=fit.repeat,
        paper_light=PAPER_LIGHT if correction is None else None,
    )
    picture = file.with_suffix(".fit.png")
    with atomic_path(picture) as temporary:
        Image.fromarray(draw_fit(fit)).save(temporary)
    table = Table("model", "mean dE2000", "95 %", "largest")
    for kind, score in scores.items():
        mark = "  chosen" if kind == fit.profile.kind else ""
        table.add_row(kind + mark, *(f"{score[name]:.2f}" for name in ("mean", "p95", "max")))
    out.print(table)
    for path, reason in fit.rejected:
        out.print(f"left out {path}: {reason}", markup=False)
    if fit.repeat is not None:
        out.print(f"Photographs differ by {fit.repeat:.2f} from their mean.", markup=False)
    paper = f" White paper is taken to be neutral and to reflect {PAPER_LIGHT:.0%}."
    out.print(
        "Errors are of colours that the model was not fitted to."
        + ("" if correction is not None else paper),
        markup=False,
    )
    out.print(f"{file} and {picture}: give the first as --printer.", markup=False)


def _check_output(file: Path) -> None:
    """No photograph is written over by a slip in the order of words."""
    if file.suffix.lower() != ".json":
        raise UsageError(f"--out {file}", "not the name of a .json file", "End it in .json.")


def _columns_and_rows(size: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,4})\s*[xX×]\s*(\d{1,4})\s*", size)
    if match is None:
        raise UsageError(f"size {size!r}", "not columns x rows", "Write it like 9x6.")
    return int(match[1]), int(match[2])


def _marker_mm(board: str, marker_mm: float | None) -> float:
    if marker_mm is None and board in ("charuco", "aruco"):
        raise UsageError(
            f"a {board} board", "no --marker-mm", "Give the side of a marker and --square-mm."
        )
    return marker_mm or 0.0
