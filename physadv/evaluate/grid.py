"""The grid: all treatments over cells of distance and angle, on the same draws."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import stuck_colours
from physadv.checks import UserError, check_range
from physadv.evaluate.backgrounds import background_pictures, cut
from physadv.evaluate.conditions import sample_conditions
from physadv.evaluate.judging import Array, Picture, Question, ask, jittered_box, trial
from physadv.evaluate.renderer import SignTexture, View, cut_crop, paint, region_of, sign_box
from physadv.scene.pose import Pose
from physadv.scene.schema import Cell, Grid, Scene
from physadv.seeding import generator_for
from physadv.types import CROPS, TREATMENTS, Crop, Treatment, Trial
from physadv.victim.protocol import ClassifierVictim
from physadv.victim.threads import one_thread_each

_MIN_SIGN_PX = 4.0
_DRAWS_AT_ONCE = 20


@dataclass(frozen=True)
class _Job:
    """What every draw of one evaluation shares."""

    artwork: Artwork
    scene: Scene
    grid: Grid
    question: Question
    sign: SignTexture
    pictures: list[Picture]
    treatments: tuple[Treatment, ...]
    crops: tuple[Crop, ...]
    seed: int
    run_name: str


def draw_pose(grid: Grid, cell: Cell, generator: np.random.Generator) -> Pose:
    """Where the camera really stands for one draw of a cell."""
    distance = cell.distance_m * (1 + generator.uniform(-1, 1) * grid.distance_jitter)
    yaw = cell.yaw_deg + generator.uniform(-1, 1) * grid.yaw_jitter_deg
    pitch = grid.pitch_deg.sample(generator, 1)[0]
    roll = grid.roll_deg.sample(generator, 1)[0]
    return Pose(float(distance), float(yaw), float(pitch), float(roll))


def _judge_draws(job: _Job, cell: Cell, draws: range) -> list[Trial]:
    """Render and judge some draws of a cell; their crops are read in one batch."""
    crops: list[Picture] = []
    contexts: list[tuple[Treatment, dict[str, object]]] = []
    for draw in draws:
        pose, found = _crops_of_draw(job, cell, draw)
        for (crop, treatment), picture in found.items():
            crops.append(picture)
            context = {
                "run": job.run_name,
                "source": "grid",
                "cell": cell.name,
                "distance_m": cell.distance_m,
                "yaw_deg": cell.yaw_deg,
                "pitch_deg": pose.pitch_deg,
                "roll_deg": pose.roll_deg,
                "crop": crop,
                "group": job.grid.name,
                "frame": draw,
            }
            contexts.append((treatment, context))
    answers = ask(job.question.victim, crops)
    return [
        trial(job.question, job.artwork, answer, treatment, **context)
        for answer, (treatment, context) in zip(answers, contexts, strict=True)
    ]


def _crops_of_draw(
    job: _Job, cell: Cell, draw: int
) -> tuple[Pose, dict[tuple[Crop, Treatment], Picture]]:
    """Both crops of every treatment of one draw."""
    generator = generator_for(job.seed, "judge", job.grid.name, cell.name, draw)
    pose = draw_pose(job.grid, cell, generator)
    box = sign_box(job.scene, pose)
    jittered = jittered_box(box, generator)
    region = region_of(job.scene, pose, also=jittered)
    picture = job.pictures[int(generator.integers(len(job.pictures)))]
    behind = cut(picture, generator, region.width_px, region.height_px)
    conditions = sample_conditions(job.scene.judge, generator)
    view = View.of(job.scene, region, job.sign, behind, conditions)
    origin = np.array([region.left, region.top, region.left, region.top])
    boxes: dict[Crop, Array] = {"exact": region.box, "jittered": jittered - origin}
    images = {}
    for treatment in job.treatments:
        colours = stuck_colours(treatment, job.artwork, job.scene.colour_texels, generator)
        images[treatment] = paint(view, colours)
    return pose, {
        (crop, treatment): cut_crop(image, boxes[crop])
        for crop in job.crops
        for treatment, image in images.items()
    }


def check_cells(scene: Scene, grid: Grid) -> None:
    """Check that every cell shows the whole sign at a size that can be rendered.

    Raises:
        UserError: If a cell does not; the message names it.
    """
    for cell in grid.cells:
        asked = f"grid {grid.name}, cell {cell.name}"
        try:
            x1, y1, x2, y2 = sign_box(scene, Pose(cell.distance_m, cell.yaw_deg))
        except UserError as error:
            raise UserError(asked, error.got, error.do) from error
        if x1 < 0 or y1 < 0 or x2 > scene.camera.width_px or y2 > scene.camera.height_px:
            raise UserError(
                asked,
                f"the sign ({x2 - x1:.0f} x {y2 - y1:.0f} px) does not fit into the camera's "
                f"{scene.camera.width_px} x {scene.camera.height_px} px",
                "Move the cell away, or give the scene's camera a shorter focal length.",
            )
        if min(x2 - x1, y2 - y1) < _MIN_SIGN_PX:
            raise UserError(
                asked,
                f"the sign is {x2 - x1:.1f} x {y2 - y1:.1f} px",
                f"Stay where it is at least {_MIN_SIGN_PX:g} px wide and high.",
            )


def evaluate_grid(
    artwork: Artwork,
    scene: Scene,
    grid: Grid,
    victim: ClassifierVictim,
    *,
    draws: int = 200,
    seed: int = 0,
    backgrounds: Path | None = None,
    run_name: str = "",
    workers: int = 2,
    treatments: Sequence[Treatment] = TREATMENTS,
    crops: Sequence[Crop] = CROPS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Trial]:
    """Render the sign over a grid with OpenCV and record what the victim reads.

    Every treatment is seen on the same draws: pose, background, light, optics, noise and file.
    Each view is read once in every crop: the sign's exact box and a jittered one.

    Args:
        artwork: What is stuck on the sign.
        scene: Carrier, camera, and the judge's imaging ranges.
        grid: Cells of distance and yaw.
        victim: Who is asked.
        draws: Views per cell and treatment.
        seed: Judge's seed; its draws share no key with the optimiser's, whatever the seeds.
        backgrounds: Folder of photographs (the half that the optimiser does not use).
        run_name: Recorded in every Trial.
        workers: Threads; the Trials do not depend on their number.
        treatments: Which to judge.
        crops: How each view is cut out for the victim; the Trials of one do not depend on the
            other's being there.
        progress: Called as (done, total) in draws.

    Returns:
        Trials ordered by cell, draw, crop and treatment.

    Raises:
        UserError: If a cell does not show the sign, or the victim has no class for it.
        UsageError: If the victim does not know the artwork's target.
    """
    check_range("draws", draws, 1, 1_000_000)
    check_range("workers", workers, 1, 256)
    check_cells(scene, grid)
    job = _Job(
        artwork,
        scene,
        grid,
        Question.of(scene, artwork, victim),
        SignTexture(scene, artwork.mask),
        background_pictures(seed, backgrounds),
        tuple(treatments),
        tuple(crops),
        seed,
        run_name,
    )
    places = [
        (cell, range(first, min(first + _DRAWS_AT_ONCE, draws)))
        for cell in grid.cells
        for first in range(0, draws, _DRAWS_AT_ONCE)
    ]
    trials: list[Trial] = []
    done = 0
    with one_thread_each(), ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda place: _judge_draws(job, *place), places)
        for (_, judged), found in zip(places, results, strict=True):
            trials.extend(found)
            done += len(judged)
            if progress is not None:
                progress(done, len(grid.cells) * draws)
    return trials
