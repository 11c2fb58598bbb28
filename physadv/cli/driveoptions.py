"""What the options of evaluate drive-by mean together, checked before any film is read."""

from collections.abc import Sequence
from pathlib import Path

from physadv.checks import UsageError, UserError
from physadv.data.files import sha256_of
from physadv.data.films import is_camera
from physadv.evaluate.capture_plan import Printed
from physadv.evaluate.drive_by import load_victim_on
from physadv.evaluate.drive_plan import DrivePlan, FilmCase
from physadv.types import NOTHING
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim

_FINDER = "yolov8n"


def true_names(names: list[str], printed: Printed | None) -> tuple[str, ...]:
    """What is right to read: as given, else the run's."""
    found = tuple(names) or (() if printed is None else printed.true_names)
    if not found:
        raise UsageError(
            "judge films", "nothing says what is right to read", "Give --truth or --run."
        )
    if found == (NOTHING,):
        raise UserError(
            "judge films of a run that makes something appear",
            "there is no object to follow",
            "Judge photographs of it: `physadv evaluate captures`.",
        )
    return found


def finders_for(
    names: list[str], victims: list[str], device: str, *, marked: bool, boxed: bool
) -> tuple[str, ...]:
    """Who finds the object beside the victims that can, the markers on it, or given boxes.

    Raises:
        UsageError: If finders are named although boxes say where it is, or there is none of a name.
    """
    if boxed:
        if names:
            raise UsageError("--finder", "boxes say where the object is", "Give one of them.")
        return ()
    if not names:
        loaded = [load_victim_on(name, device) for name in victims]
        found = marked or any(isinstance(one, DetectorVictim | ChainVictim) for one in loaded)
        names = [] if found else [_FINDER]
    for name in names:
        load_victim_on(name, device)  # a wrong name is told before any film is read
    return tuple(names)


def parse_anchor(text: str) -> tuple[float, float] | None:
    """TIME=METRES; None for an empty text."""
    if not text:
        return None
    time_s, _, metres = text.partition("=")
    try:
        return float(time_s), float(metres)
    except ValueError:
        raise UsageError(
            f"--distance-at {text!r}", "not TIME=METRES", "Write it as 3.5=20."
        ) from None


def parse_rule(text: str) -> tuple[int, int]:
    """M/N."""
    least, _, of = text.partition("/")
    if not (least.isdecimal() and of.isdecimal()):
        raise UsageError(f"--confirm {text!r}", "not M/N", "Give two whole numbers, e.g. 3/5.")
    return int(least), int(of)


def check_distance(plan: DrivePlan) -> None:
    """Check that what is given for distances is all that they need."""
    if plan.camera is not None and plan.fov_deg is not None:
        raise UsageError("--camera and --fov-deg", "both", "Give one of them.")
    if plan.object_height_mm is not None and plan.sign_width_mm is not None:
        raise UsageError("--object-height-mm and --sign-width-mm", "both", "Give one of them.")
    known = plan.camera is not None or plan.fov_deg is not None
    sized = plan.object_height_mm is not None or plan.sign_width_mm is not None
    if sized and not known:
        raise UsageError(
            "distances from the object's size",
            "the camera's focal length is not known",
            "Give --camera FILE.json or --fov-deg as well; without all of them sizes in pixels "
            "are reported.",
        )
    if known and not sized and not plan.layouts:
        raise UsageError(
            "distances from a camera",
            "the object's size is not known",
            "Give --object-height-mm, or --sign-width-mm for a stop sign, as well.",
        )


def check_cases(
    cases: Sequence[FilmCase], manifest: Path | None, *, given: tuple[str, float]
) -> None:
    """Check that every file is there, and that what was said about logs has one.

    Raises:
        UserError: If a film, boxes or a log is missing, or the same file is given under two names.
        UsageError: If an option has nothing to act on.
    """
    distance_at, log_start_s = given
    logged = any(case.speed_log is not None for case in cases)
    if (distance_at or log_start_s) and (manifest is not None or not logged):
        raise UsageError(
            "--distance-at or --log-start-s",
            "no --speed-log beside it" if manifest is None else "films come from --manifest",
            "Give a log, or write them into the manifest (anchor_s, anchor_m, log_start_s).",
        )
    sizes: dict[int, list[Path]] = {}
    for case in cases:
        for path in (case.boxes, case.speed_log):
            if path is not None and not path.is_file():
                raise UserError(f"read {path}", "no such file", "Check the path.")
        film = Path(case.source)
        if is_camera(case.source) or film.is_dir():
            continue
        if not film.is_file():
            raise UserError(f"read {film}", "no such file", "Check the path.")
        sizes.setdefault(film.stat().st_size, []).append(film)
    for alike in sizes.values():
        seen: dict[str, Path] = {}
        for film in alike if len(alike) > 1 else ():
            first = seen.setdefault(sha256_of(film), film)
            if first is not film:
                raise UserError(
                    f"judge {film}", f"it is the same film as {first}", "Give each film once."
                )


def check_cameras(cases: Sequence[FilmCase], plan: DrivePlan) -> None:
    """A camera is there once: who needs to know first where the object is cannot look again."""
    if not any(is_camera(case.source) for case in cases):
        return
    for name in plan.victims:
        if isinstance(load_victim_on(name, plan.device), ClassifierVictim):
            raise UsageError(
                f"judge a camera with {name}",
                "a classifier is shown the object after it was followed through the whole film",
                "Give DETECTOR+CLASSIFIER, or film first.",
            )
