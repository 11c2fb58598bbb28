"""The grid for detectors: whole frames of the camera, all treatments on the same draws."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import stuck_colours
from physadv.checks import check_range
from physadv.evaluate.backgrounds import background_pictures, cut
from physadv.evaluate.conditions import Conditions, sample_conditions
from physadv.evaluate.grid import check_cells, draw_pose
from physadv.evaluate.reading import Array, Picture, Reader, Reading, reader_of
from physadv.evaluate.renderer import Region, SignTexture, View, paint, region_of, sign_box
from physadv.scene.pose import Pose
from physadv.scene.schema import Cell, Grid, Scene
from physadv.seeding import generator_for
from physadv.types import TREATMENTS, Treatment, Trial
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.threads import Turns, one_each, one_thread_each, own_module

_OFF_CENTRE = 0.2  # share of the frame by which the sign strays from its middle
_LEAST_BACKGROUND = 0.8  # a frame shows most of a background picture


@dataclass(frozen=True)
class Frames:
    """One draw: ``pictures`` by treatment, and the sign's ``box`` xyxy [4] in all of them."""

    pose: Pose
    pictures: dict[Treatment, Picture]
    box: Array


def frame_region(scene: Scene, pose: Pose, generator: np.random.Generator) -> Region:
    """The whole frame as the region to render; the sign lies anywhere near its middle, whole."""
    camera = scene.camera
    size = np.array([camera.width_px, camera.height_px], np.float64)
    box = sign_box(scene, pose)
    corner = generator.uniform(-_OFF_CENTRE, _OFF_CENTRE, 2) * size
    low, high = np.minimum(box[2:] - size, box[:2]), np.maximum(box[2:] - size, box[:2])
    corner = np.rint(corner.clip(low, high))
    whole = region_of(scene, pose, also=np.concatenate([corner, corner + size]))
    # The rim is for blur at the edges of small regions; a camera's frame ends where it ends.
    shift = corner - np.array([whole.left, whole.top])
    move = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]], [0, 0, 1]])
    return Region(
        int(corner[0]),
        int(corner[1]),
        camera.width_px,
        camera.height_px,
        whole.box - np.tile(shift, 2),
        move @ whole.to_region,
    )


def render_frames(
    artwork: Artwork,
    scene: Scene,
    sign: SignTexture,
    pose: Pose,
    conditions: Conditions,
    picture: Picture,
    treatments: Sequence[Treatment],
    generator: np.random.Generator,
) -> Frames:
    """The camera's frame under every treatment, in one pose before one background."""
    region = frame_region(scene, pose, generator)
    size = region.width_px, region.height_px
    behind = cut(picture, generator, *size, _LEAST_BACKGROUND)
    view = View.of(scene, region, sign, behind, conditions)
    pictures = {}
    for treatment in treatments:
        colours = stuck_colours(treatment, artwork, scene.colour_texels, generator)
        pictures[treatment] = paint(view, colours)
    return Frames(pose, pictures, region.box)


def evaluate_frames(
    artwork: Artwork,
    scene: Scene,
    grid: Grid,
    victim: DetectorVictim | ChainVictim,
    *,
    draws: int = 200,
    seed: int = 0,
    backgrounds: Path | None = None,
    run_name: str = "",
    workers: int = 2,
    treatments: Sequence[Treatment] = TREATMENTS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Trial]:
    """Render whole camera frames over a grid with OpenCV and record what a detector finds.

    Arguments, order and errors as in ``evaluate_grid``; ``crop`` is "whole" for a detector and
    "detector" for a chain. What counts as a hit is the artwork's goal: see ``reading``.
    """
    check_range("draws", draws, 1, 1_000_000)
    check_range("workers", workers, 1, 256)
    check_cells(scene, grid)
    reader = reader_of(scene, artwork, victim)
    readers = Turns(
        one_each(reader, lambda _: reader_of(scene, artwork, own_module(victim)), workers)
    )
    sign = SignTexture(scene, artwork.mask)
    pictures = background_pictures(seed, backgrounds)

    def judge(place: tuple[Cell, int]) -> list[Trial]:
        cell, draw = place
        generator = generator_for(seed, "judge frames", grid.name, cell.name, draw)
        pose = draw_pose(grid, cell, generator)
        picture = pictures[int(generator.integers(len(pictures)))]
        conditions = sample_conditions(scene.judge, generator)
        frames = render_frames(
            artwork, scene, sign, pose, conditions, picture, treatments, generator
        )
        with readers.taken() as free:
            readings = free.read(list(frames.pictures.values()), frames.box)
        return [
            _trial(artwork, reader, reading, treatment, pose, grid, cell, draw, run_name)
            for treatment, reading in zip(frames.pictures, readings, strict=True)
        ]

    places = [(cell, draw) for cell in grid.cells for draw in range(draws)]
    trials: list[Trial] = []
    with one_thread_each(), ThreadPoolExecutor(workers) as pool:
        for done, found in enumerate(pool.map(judge, places), start=1):
            trials.extend(found)
            if progress is not None:
                progress(done, len(places))
    return trials


def _trial(
    artwork: Artwork,
    reader: Reader,
    reading: Reading,
    treatment: Treatment,
    pose: Pose,
    grid: Grid,
    cell: Cell,
    draw: int,
    run_name: str,
) -> Trial:
    return Trial(
        run=run_name,
        artwork=artwork.sha256,
        victim=reader.name,
        source="grid",
        treatment=treatment,
        verdict=reading.verdict,
        predicted_class=reading.predicted,
        true_class=reader.true_class,
        target_class=reader.target_class,
        score=reading.score,
        cell=cell.name,
        distance_m=cell.distance_m,
        yaw_deg=cell.yaw_deg,
        pitch_deg=pose.pitch_deg,
        roll_deg=pose.roll_deg,
        crop=reader.crop,
        group=grid.name,
        frame=draw,
        iou=reading.iou,
        near_score=reading.near_score,
    )
