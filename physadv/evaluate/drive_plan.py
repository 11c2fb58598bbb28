"""How films of an approach are to be judged: what each counts as, and what a car is."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from physadv.calibrate.camera import CameraCalibration, camera_from_fov
from physadv.checks import UserError, check_range
from physadv.data.films import is_camera
from physadv.evaluate.capture_plan import Printed
from physadv.evaluate.confirmation import braking_distance_m, check_rule
from physadv.evaluate.shotlist import treatment_named
from physadv.evaluate.trackchoice import LARGEST, Choice
from physadv.export.sheetfile import SheetLayout
from physadv.types import Treatment
from physadv.units import KMH_PER_MPS


@dataclass(frozen=True)
class FilmCase:
    """One film. ``name`` is unique among those judged together; ``treatment`` None leaves it to
    the markers in the film. ``boxes`` is a CSV file with the object's box. ``speed_log`` is a CSV
    or GPX file, on whose clock the film begins at ``log_start_s``; ``anchor`` (time_s, distance_m)
    a moment of the film at which the distance is known."""

    source: str
    name: str
    treatment: Treatment | None
    boxes: Path | None = None
    speed_log: Path | None = None
    log_start_s: float = 0.0
    anchor: tuple[float, float] | None = None


@dataclass(frozen=True)
class Car:
    """When a car knows of an object, and how it brakes.

    An object is confirmed by ``least`` hits in ``of`` consecutive samples, and then stays so. The
    car must know of it d = v t + v^2 / 2a before it: ``reaction_s`` is t, ``deceleration_mps2`` a.
    """

    least: int = 3
    of: int = 5
    speeds_kmh: tuple[float, ...] = (20.0, 30.0, 50.0)
    reaction_s: float = 1.0
    deceleration_mps2: float = 4.0

    def __post_init__(self) -> None:
        check_rule(self.least, self.of)
        object.__setattr__(self, "speeds_kmh", tuple(dict.fromkeys(self.speeds_kmh)))
        for speed in self.speeds_kmh:
            self.braking_m(speed)

    def braking_m(self, speed_kmh: float) -> float:
        """Braking point for a speed."""
        return braking_distance_m(speed_kmh / KMH_PER_MPS, self.reaction_s, self.deceleration_mps2)


@dataclass(frozen=True)
class DrivePlan:
    """Everything but the film that decides what is judged.

    ``true_names`` are the classes that are right to read, in the words of any victim; ``target``
    is the attacker's class or empty. ``printed`` is the run whose artwork is shown, ``layouts``
    where the markers of its prints lie. ``finders`` are detectors that find the object beside the
    victims themselves. ``every`` or ``fps`` sample the film; ``frame_rate`` is that of folders of
    frames. ``object_height_mm`` (by its box) or ``sign_width_mm`` (by the outline
    of a stop sign) and a camera give distances; ``fov_deg`` stands in for a camera.
    """

    victims: tuple[str, ...]
    true_names: tuple[str, ...]
    target: str = ""
    printed: Printed | None = None
    layouts: tuple[SheetLayout, ...] = ()
    finders: tuple[str, ...] = ()
    every: int = 1
    fps: float | None = None
    frame_rate: float | None = None
    seconds: float = 60.0
    choice: Choice = LARGEST
    camera: CameraCalibration | None = None
    fov_deg: float | None = None
    object_height_mm: float | None = None
    sign_width_mm: float | None = None
    monotone: bool = False
    car: Car = Car()
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("object_height_mm", "sign_width_mm"):
            value = getattr(self, name)
            if value is not None:
                check_range(name, value, 0, 100_000, "mm", low_open=True)

    def camera_of(self, width_px: int, height_px: int) -> CameraCalibration | None:
        """The camera for a film of that size; None if nothing tells its focal length.

        Raises:
            UserError: If the calibration is of another aspect ratio.
        """
        if self.fov_deg is not None:
            return camera_from_fov(self.fov_deg, width_px, height_px)
        return None if self.camera is None else self.camera.for_picture(width_px, height_px)

    def describe(self) -> dict[str, Any]:
        """For ``run.json``."""
        return {
            **asdict(self),
            "printed": None if self.printed is None else self.printed.run,
            "layouts": [layout.code for layout in self.layouts],
            "camera": None if self.camera is None else self.camera.source,
        }


def treatment_of_film(source: str) -> Treatment | None:
    """The treatment that a film's name or folder says: adversarial_02.mp4, noise/pass1.mov."""
    path = Path(source)
    for part in (path.stem, path.parent.name):
        for word in re.split(r"[^A-Za-z]+", part):
            found = treatment_named(word) if word else None
            if found is not None:
                return found
    return None


def unique_names(sources: Sequence[str]) -> list[str]:
    """A name for each film: its file name, with as many folders before it as tell films apart.

    Raises:
        UserError: If a film is given twice.
    """
    paths = [Path(source).resolve() if not is_camera(source) else None for source in sources]
    for depth in range(1, 100):
        names = [
            source if path is None else "/".join(path.parts[-depth:])
            for source, path in zip(sources, paths, strict=True)
        ]
        if len(set(names)) == len(names):
            return names
        if all(path is None or depth >= len(path.parts) for path in paths):
            break
    twice = next(name for name in names if names.count(name) > 1)
    raise UserError("judge films", f"{twice} is given twice", "Give each once.")
