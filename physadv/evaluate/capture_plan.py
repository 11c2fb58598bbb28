"""How photographs are to be judged: what was printed, what is right to read, how they are named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from physadv.artwork.files import load_artwork
from physadv.calibrate.camera import CameraCalibration
from physadv.calibrate.fiducials import FoundSheet
from physadv.checks import UserError
from physadv.data.files import read_json
from physadv.evaluate.capture_reading import Wanted
from physadv.evaluate.shotlist import Shot, treatment_named
from physadv.evaluate.sighting import Sighting
from physadv.export.sheetfile import SheetLayout, load_layouts
from physadv.scene.faces import FACES, BoardFace, octagon
from physadv.types import NOTHING, Treatment

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Printed:
    """A run whose sheets are photographed.

    ``true_names`` are the classes that are right to read, ``target`` the attacker's. ``worn`` says
    that the artwork is a part of the object only, as a patch on a person; ``eight_sided`` that the
    face it covers is an octagon.
    """

    run: str
    artwork_sha256: str
    true_names: tuple[str, ...]
    target: str
    worn: bool
    eight_sided: bool


@dataclass(frozen=True)
class CapturePlan:
    """Everything that decides what a photograph counts as.

    ``shots`` are a manifest's rows by file; ``boxes`` xyxy by file replace theirs. ``truth``,
    ``target`` and ``treatment`` hold where nothing else says so. ``same`` gives further names of a
    class, in folded case. ``camera`` is for all photographs, None for what each one's EXIF says;
    ``fov_deg`` replaces it. ``sign_width_mm`` has the octagon of a sign measured,
    ``object_height_mm`` its box. ``cells`` are (distance_m, yaw_deg) to sort into, in place of
    round values.
    """

    printed: tuple[Printed, ...] = ()
    layouts: tuple[SheetLayout, ...] = ()
    shots: Mapping[str, tuple[Shot, ...]] = field(default_factory=dict)
    boxes: Mapping[str, tuple[tuple[float, float, float, float], ...]] = field(default_factory=dict)
    truth: tuple[str, ...] = ()
    target: str = ""
    treatment: Treatment | None = None
    same: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    camera: CameraCalibration | None = None
    fov_deg: float | None = None
    sign_width_mm: float | None = None
    object_height_mm: float | None = None
    cells: tuple[tuple[float, float], ...] = ()

    def shots_of(self, name: str) -> tuple[Shot, ...]:
        """What is written down of a photograph: one for each object in it, one where nothing is."""
        listed = self.shots.get(name, ())
        boxes = self.boxes.get(name, ())
        if not boxes:
            return listed or (Shot(name),)
        written = listed[0] if listed else Shot(name)
        return tuple(replace(written, box=box) for box in boxes)

    def printed_of(self, sheet: FoundSheet | None) -> Printed | None:
        """The run that a sheet is of; the only run where there is no sheet."""
        if sheet is not None and sheet.layout is not None:
            known = {one.artwork_sha256: one for one in self.printed}
            return known.get(sheet.layout.artwork_sha256)
        return self.printed[0] if len(self.printed) == 1 else None

    def wanted(self, shot: Shot, sighting: Sighting) -> Wanted:
        """What is to be read in a photograph."""
        run = self.printed_of(sighting.sheet)
        names = (shot.true_class,) if shot.true_class else self.truth
        if not names and run is not None:
            names = run.true_names
        names = tuple(dict.fromkeys(name for given in names for name in self._names(given)))
        target = shot.target_class or self.target or ("" if run is None else run.target)
        targets = self._names(target) if target else ()
        if shot.box is not None:
            return Wanted(names, targets, box=np.array(shot.box))
        box, point = place_of(sighting.sheet, run)
        return Wanted(names, targets, box=box, point=point)

    def problem(self, shot: Shot, sighting: Sighting) -> str:
        """Why a photograph cannot count; empty if it can."""
        treatment, why = self.treatment_of(shot, sighting)
        if treatment is None:
            return f"its treatment is not clear: {why}"
        if not self.wanted(shot, sighting).true_names:
            return "nothing says what is right to read in it"
        return ""

    def _names(self, name: str) -> tuple[str, ...]:
        return self.same.get(name.casefold(), (name,))

    def treatment_of(self, shot: Shot, sighting: Sighting) -> tuple[Treatment | None, str]:
        """The treatment and who says so: markers, manifest, folder or option.

        Where the markers contradict the manifest or the folder the treatment is None and the
        second value says why.
        """
        folder = next(
            (
                found
                for part in reversed(PurePosixPath(shot.file).parts[:-1])
                if (found := treatment_named(part)) is not None
            ),
            None,
        )
        written, source = (shot.treatment, "manifest") if shot.treatment else (folder, "folder")
        if sighting.sheet is None:
            if written is not None:
                return written, source
            return self.treatment, "option" if self.treatment else "no sheet found, none stated"
        read = sighting.sheet.treatment
        if written is not None and written != read:
            return None, f"its {source} says {written}, its markers say {read}"
        return read, "markers"


def place_of(sheet: FoundSheet | None, run: Printed | None) -> tuple[Array | None, Array | None]:
    """The object's box, or a point on it, from a sheet that lies on it."""
    if sheet is None or sheet.layout is None or sheet.layout.kind != "board":
        return None, None
    matrix = sheet.plane_to_picture()
    if matrix is None:
        return None, None
    if run is None or run.worn:
        middle = cv2.perspectiveTransform(np.zeros((1, 1, 2)), matrix)[0, 0]
        return None, np.asarray(middle, dtype=np.float64)
    half = np.array([sheet.layout.width_mm, sheet.layout.height_mm]) / 2
    outline = np.array([[-1.0, 1.0], [1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    if run.eight_sided:
        outline = (octagon(2.0) - 1.0) * [1.0, -1.0]
    seen = cv2.perspectiveTransform((outline * half)[None], matrix)[0]
    return np.concatenate([seen.min(axis=0), seen.max(axis=0)]), None


def printed_runs(runs: Sequence[Path]) -> tuple[tuple[Printed, ...], tuple[SheetLayout, ...]]:
    """What runs have printed, and where the markers of their sheets lie.

    Raises:
        UserError: If a run cannot be read, or says nothing of its scene. A run that printed no
            markers is no error.
    """
    printed = []
    for run in runs:
        artwork = load_artwork(run)
        scene = read_json(run / "run.json").get("scene") or {}
        carrier = scene.get("carrier") or {}
        names = scene.get("true_class") or carrier.get("true_class")
        if not names:
            raise UserError(f"the scene of {run}", "run.json does not hold it", "Give --truth.")
        if artwork.recipe.get("goal") == "appear":
            names = NOTHING
        printed.append(
            Printed(
                run.resolve().name,
                artwork.sha256,
                (names,) if isinstance(names, str) else tuple(names),
                artwork.target,
                scene.get("kind") == "objects",
                not isinstance(FACES.get(carrier.get("face", "")), BoardFace),
            )
        )
    with_sheets = [run for run in runs if (run / "sheet.json").is_file()]
    return tuple(printed), load_layouts(with_sheets)


def describe(plan: CapturePlan) -> dict[str, Any]:
    """The plan for ``run.json``."""
    return {
        "runs": [one.run for one in plan.printed],
        "truth": list(plan.truth),
        "target": plan.target,
        "treatment": plan.treatment,
        "camera": None if plan.camera is None else plan.camera.source,
        "fov_deg": plan.fov_deg,
        "sign_width_mm": plan.sign_width_mm,
        "object_height_mm": plan.object_height_mm,
    }
