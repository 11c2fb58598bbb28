"""From what was read in photographs to Trials: distance, angle, cell, and why not."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from physadv.calibrate.camera import CameraCalibration, camera_from_fov
from physadv.calibrate.pose import (
    PoseEstimate,
    contradiction,
    distance_from_box,
    pose_from_manifest,
    pose_from_octagon,
    pose_from_sheet,
)
from physadv.checks import UserError
from physadv.evaluate.capture_plan import CapturePlan
from physadv.evaluate.capture_reading import Victim, crop_of
from physadv.evaluate.captures import Captured, CapturedObject
from physadv.evaluate.shotlist import Shot, treatment_named
from physadv.types import Trial

ROUND_M = (0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100)
"""Distances that measured ones are sorted to where no cells are given."""
ROUND_DEG = 15.0
_CELL_SHARE, _CELL_DEG = 0.15, 10.0  # how far from a given cell a photograph may be taken


@dataclass
class CaptureTable:
    """Trials, and a record for each object or photograph that became none or needs a word.

    ``photographs`` are rows for people: file, what it counts as, and ``note``; ``skipped`` are
    (file, reason); ``flags`` what does not fit together.
    """

    trials: list[Trial] = field(default_factory=list)
    photographs: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    flags: list[tuple[str, str]] = field(default_factory=list)

    def add(self, captured: Captured, plan: CapturePlan, victims: Sequence[Victim]) -> None:
        """Enter one photograph."""
        if captured.problem or captured.sighting is None:
            self.skipped.append((captured.name, captured.problem))
            return
        for number, one in enumerate(captured.objects):
            self._add_object(captured, number, one, plan, victims)

    def _add_object(
        self,
        captured: Captured,
        number: int,
        one: CapturedObject,
        plan: CapturePlan,
        victims: Sequence[Victim],
    ) -> None:
        sighting = captured.sighting
        assert sighting is not None  # add() has left those without one
        treatment, source = plan.treatment_of(one.shot, sighting)
        if treatment is None or one.problem:
            self.skipped.append((captured.name, one.problem))
            return
        pose, notes = _pose(captured, one, plan)
        for note in notes:
            self.flags.append((captured.name, note))
        cell = _cell(pose, one.shot, plan)
        if cell is None:
            self.skipped.append((captured.name, "it was taken at none of the grid's cells"))
            return
        run = plan.printed_of(sighting.sheet)
        facts: dict[str, Any] = {
            "run": "" if run is None else run.run,
            "artwork": "" if run is None else run.artwork_sha256,
            "source": "capture",
            "treatment": treatment,
            "cell": cell,
            "distance_m": None if pose is None else pose.distance_m,
            "yaw_deg": None if pose is None else pose.yaw_deg,
            "pitch_deg": None if pose is None else pose.pitch_deg,
            "roll_deg": None if pose is None else pose.roll_deg,
            "pose_source": "none" if pose is None else pose.source,
            "group": one.shot.session or _session(captured.name),
            "frame": len(self.photographs),
            "sha256": captured.sha256,
        }
        for victim, reading in zip(victims, one.readings, strict=True):
            self.trials.append(
                Trial(
                    victim=victim.name,
                    verdict=reading.verdict,
                    predicted_class=reading.predicted,
                    true_class=one.wanted.true_names[0],
                    target_class=one.wanted.target,
                    score=reading.score,
                    iou=reading.iou,
                    near_score=reading.near_score,
                    crop=crop_of(victim, one.wanted),
                    **facts,
                )
            )
        self.photographs.append(
            {
                "file": captured.name,
                "object": number,
                "treatment_source": source,
                "distance_sd_m": None if pose is None else pose.distance_sd_m,
                "angle_sd_deg": None if pose is None else pose.angle_sd_deg,
                "note": "; ".join((*sighting.notes, *notes)),
                **{k: v for k, v in facts.items() if k not in ("run", "source")},
            }
        )


def _session(name: str) -> str:
    """The folders of a file that do not name a treatment: photographs taken together."""
    return "/".join(
        part for part in PurePosixPath(name).parts[:-1] if treatment_named(part) is None
    )


def _camera(captured: Captured, plan: CapturePlan) -> CameraCalibration | None:
    """The camera of the upright picture, None if nothing tells its focal length."""
    sighting = captured.sighting
    assert sighting is not None
    size = (sighting.width_px, sighting.height_px)
    if plan.fov_deg is not None:
        return camera_from_fov(plan.fov_deg, *size)
    known = plan.camera or captured.exif
    if known is None:
        return None
    sides_swapped = (known.width_px > known.height_px) != (size[0] > size[1])
    if sighting.quarter_turns % 2 and not sides_swapped:
        # A program had turned the file itself; upright it is as the sensor saw it.
        return known.for_picture(*size)
    return known.for_picture(*size, sighting.quarter_turns)


def _pose(
    captured: Captured, one: CapturedObject, plan: CapturePlan
) -> tuple[PoseEstimate | None, list[str]]:
    """Where the camera stood, and what is to be said about it."""
    notes: list[str] = []
    try:
        camera = _camera(captured, plan)
        measured = None if camera is None else _measured(captured, one, plan, camera)
    except UserError as error:
        measured = None
        notes.append(f"its distance is not measured: {error.got}")
    shot = one.shot
    stated = None
    if shot.distance_m is not None:
        stated = pose_from_manifest(shot.distance_m, shot.yaw_deg, shot.pitch_deg, shot.roll_deg)
    if measured is None:
        return stated, notes
    if stated is not None:
        fault = contradiction(measured.distance_m, stated.distance_m)
        if fault:
            notes.append(f"{fault} ({measured.source})")
        if measured.source == "box":
            return stated, notes
    if measured.ambiguous or measured.yaw_deg is None:
        if shot.yaw_deg is not None:
            measured = replace(measured, yaw_deg=shot.yaw_deg, pitch_deg=shot.pitch_deg)
        elif measured.ambiguous:
            other = "" if measured.other_deg is None else f" or {measured.other_deg[0]:.0f}"
            notes.append(f"its yaw may be {measured.yaw_deg:.0f}{other} degrees")
    return measured, notes


def _measured(
    captured: Captured, one: CapturedObject, plan: CapturePlan, camera: CameraCalibration
) -> PoseEstimate | None:
    sheet = None if captured.sighting is None else captured.sighting.sheet
    if sheet is not None and sheet.layout is not None:
        pose = pose_from_sheet(sheet, camera)
        if sheet.layout.kind == "board":
            return pose
        # A card hangs beside the object: as far away, but turned as it was hung.
        return replace(pose, yaw_deg=None, pitch_deg=None, roll_deg=None, ambiguous=False)
    if plan.sign_width_mm is not None and one.octagon is not None:
        return pose_from_octagon(np.array(one.octagon), plan.sign_width_mm, camera)
    if plan.object_height_mm is not None and one.wanted.box is not None:
        return distance_from_box(one.wanted.box, plan.object_height_mm, camera)
    return None


def _cell(pose: PoseEstimate | None, shot: Shot, plan: CapturePlan) -> str | None:
    """The stratum of a photograph by name; None if it belongs to none of the plan's cells."""
    parts = []
    distance = None if pose is None else pose.distance_m
    yaw = shot.yaw_deg if pose is None else pose.yaw_deg
    if plan.cells and distance is not None:
        near = [
            (abs(np.log(distance / d)) / _CELL_SHARE + abs((yaw or 0.0) - y) / _CELL_DEG, d, y)
            for d, y in plan.cells
            if abs(distance / d - 1) <= _CELL_SHARE and abs((yaw or 0.0) - y) <= _CELL_DEG
        ]
        if not near:
            return None
        _, distance, yaw = min(near)
    elif pose is not None and distance is not None and pose.source != "manifest":
        distance = min(ROUND_M, key=lambda d: abs(np.log(pose.distance_m / d)))
        yaw = None if yaw is None else float(np.round(yaw / ROUND_DEG) * ROUND_DEG) + 0.0
    if distance is not None:
        parts.append(f"{distance:g} m")
    if yaw is not None:
        parts.append(f"{yaw:g} deg")
    return ", ".join((*parts, *(s for s in shot.strata if s))) or "all"
