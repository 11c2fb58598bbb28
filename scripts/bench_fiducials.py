"""How well and how fast printed sheets are found: simulated photographs before real backgrounds.

    python scripts/bench_fiducials.py read PHOTOS --count 10000
    python scripts/bench_fiducials.py speed PHOTOS --workers 2

``read`` counts markers whose cells cover at least 4 px along their shorter side and lie wholly in
the frame, and every sheet that is reported but is not there. ``speed`` does with 12-megapixel JPEG
files what `evaluate captures` does before a victim looks.
"""

import argparse
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from physadv.calibrate.fiducials import find_sheets
from physadv.data.photographs import decode_photograph
from physadv.data.photos import list_photos
from physadv.evaluate.sighting import look_over
from physadv.export.codes import CELLS, marker_bits, marker_id
from physadv.export.sheetfile import SheetLayout
from physadv.scene.pose import Camera, Pose, plane_to_image, project
from physadv.seeding import generator_for
from physadv.types import TREATMENTS, Treatment

Picture = npt.NDArray[np.uint8]
_PX_PER_MM = 6.0
_SMALL, _LARGE = (1600, 1200), (4000, 3000)
_FINEST = 4  # times the photograph's pixels, in which a sheet is drawn


@dataclass(frozen=True)
class Shot:
    """One simulated photograph and where each marker is in it (corner -> [4,2] px)."""

    picture: Picture
    layout: SheetLayout
    treatment: Treatment
    mirrored: bool
    corners_px: dict[int, npt.NDArray[np.float64]]


def board_picture(layout: SheetLayout, treatment: Treatment, seed: int) -> Picture:
    """[h,w,3] a patch of noise with its four markers on white paper."""
    quiet = layout.marker_mm / CELLS
    size = np.array(layout.spacing_mm) + layout.marker_mm + 2 * quiet
    width, height = (round(side * _PX_PER_MM) for side in size)
    canvas = np.full((height, width, 3), 245, np.uint8)
    middle = np.array([width, height]) / 2
    noise = generator_for(seed, "patch").integers(0, 256, (16, 16, 3), dtype=np.uint8)
    _paste(canvas, noise, middle, layout.width_mm)
    for corner in range(4):
        bits = marker_bits(marker_id(layout.code, treatment, corner))
        square = np.where(bits, 245, 20).astype(np.uint8)[..., None].repeat(3, axis=2)
        place = layout.corners_mm(corner).mean(axis=0) * [1, -1] * _PX_PER_MM + middle
        _paste(canvas, square, place, layout.marker_mm)
    return canvas


def _paste(canvas: Picture, part: Picture, middle: npt.NDArray[np.float64], side_mm: float) -> None:
    side = round(side_mm * _PX_PER_MM)
    left, top = (round(value - side / 2) for value in middle)
    shown = cv2.resize(part, (side, side), interpolation=cv2.INTER_NEAREST)
    canvas[top : top + side, left : left + side] = shown


def simulate(background: Picture, number: int, size: tuple[int, int]) -> Shot:
    """A sheet at a random pose, light, blur, noise and JPEG quality before a background."""
    generator = generator_for(0, "shot", number)
    run = f"{generator.integers(1 << 62):064x}"
    layout = SheetLayout("board", "bench", run, 160, 160, 40, (120.0, 210.0))
    treatment = TREATMENTS[int(generator.integers(4))]
    paper = board_picture(layout, treatment, number)
    camera = Camera(0.94 * size[0], *size)
    cell_px = generator.uniform(3.9, 9) if generator.random() < 0.8 else generator.uniform(9, 25)
    yaw, pitch = generator.uniform(-60, 60), generator.uniform(-30, 30)
    shortened = np.cos(np.radians(max(abs(yaw), abs(pitch))))
    distance = camera.focal_px * layout.marker_mm / CELLS / 1000 / cell_px * shortened
    room = np.maximum(0.42 * np.array(size) - 0.15 * camera.focal_px / distance, 0)
    offset = generator.uniform(-room, room)
    roll = generator.uniform(-180, 180)
    pose = Pose(distance, yaw, pitch, roll, (float(offset[0]), float(offset[1])))
    to_picture = plane_to_image(pose, camera)
    corners = {c: project(to_picture, layout.corners_mm(c)) for c in range(4)}
    picture = _composited(background, paper, to_picture, generator)
    mirrored = bool(generator.random() < 0.1)
    if mirrored:
        picture = np.ascontiguousarray(picture[:, ::-1])
        corners = {c: np.c_[size[0] - quad[:, 0], quad[:, 1]] for c, quad in corners.items()}
    return Shot(picture, layout, treatment, mirrored, corners)


def _composited(
    background: Picture,
    paper: Picture,
    to_picture: npt.NDArray[np.float64],
    generator: np.random.Generator,
) -> Picture:
    height, width = background.shape[:2]
    middle = np.array([paper.shape[1], paper.shape[0]]) / 2
    to_plane = np.diag([1 / _PX_PER_MM, -1 / _PX_PER_MM, 1.0])
    to_plane[:2, 2] = -middle[0] / _PX_PER_MM, middle[1] / _PX_PER_MM
    matrix = to_picture @ to_plane  # from the paper's pixels, centres at +0.5
    outline = project(matrix, [[0, 0], [2 * middle[0], 0], 2 * middle, [0, 2 * middle[1]]])
    low = np.clip(np.floor(outline.min(axis=0)) - 6, 0, [width, height]).astype(int)
    high = np.clip(np.ceil(outline.max(axis=0)) + 6, 0, [width, height]).astype(int)
    if (high - low).min() < 8:
        return background
    shrink = np.sqrt(paper.shape[0] * paper.shape[1] / cv2.contourArea(outline.astype(np.float32)))
    fine = int(np.clip(np.ceil(shrink), 2, _FINEST))
    zoom = np.array([[fine, 0, -low[0] * fine], [0, fine, -low[1] * fine], [0, 0, 1.0]])
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    whole = np.linalg.inv(half) @ zoom @ matrix @ half
    size = tuple(int(side) for side in (high - low) * fine)
    target = tuple(int(side) for side in high - low)
    if shrink > 1.3 * fine:
        paper = cv2.GaussianBlur(paper, (0, 0), 0.45 * shrink / fine)
    sheet, cover = (
        cv2.resize(
            cv2.warpPerspective(part, whole, size, flags=cv2.INTER_LINEAR),
            target,
            interpolation=cv2.INTER_AREA,
        ).astype(np.float32)
        for part in (paper, np.full(paper.shape[:2], 255, np.uint8))
    )
    picture = background.copy()
    region = np.s_[low[1] : high[1], low[0] : high[0]]
    light = np.float32(generator.uniform(0.35, 1.0))
    shown = light * sheet + picture[region].astype(np.float32) * (1 - cover[..., None] / 255)
    shown = cv2.GaussianBlur(shown, (0, 0), generator.uniform(0.3, 1.0))
    shown += generator.normal(0, generator.uniform(0, 5), shown.shape)
    picture[region] = shown.clip(0, 255)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(generator.integers(70, 96))]
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", picture[..., ::-1], quality)[1], cv2.IMREAD_COLOR_RGB)
    )


def read_share(paths: list[Path], numbers: range) -> np.ndarray:
    """[markers that should be read, read, photographs, sheets reported wrongly]."""
    cv2.setNumThreads(1)
    counts = np.zeros(4, dtype=int)
    for number in numbers:
        photo = cv2.imread(str(paths[number % len(paths)]))[..., ::-1]
        shot = simulate(np.ascontiguousarray(cv2.resize(photo, _SMALL)), number, _SMALL)
        seen = set()
        counts[2] += 1
        for sheet in find_sheets(shot.picture):
            right = (
                sheet.treatment == shot.treatment
                and sheet.code in (None, shot.layout.code)
                and sheet.mirrored == shot.mirrored
            )
            counts[3] += not right
            if not right:
                print(f"photograph {number}: {sheet.treatment}, print {sheet.code}, is not there")
            seen |= set(sheet.corners_px)
        for corner, quad in shot.corners_px.items():
            sides = np.linalg.norm(quad - quad[[1, 2, 3, 0]], axis=1)
            if sides.min() >= 4 * CELLS and quad.min() > 4 and (quad < np.array(_SMALL) - 4).all():
                counts[0] += 1
                counts[1] += corner in seen
                if corner not in seen:
                    cell_px = sides.min() / CELLS
                    print(
                        f"photograph {number}: corner {corner}, cells of {cell_px:.1f} px, unread"
                    )
    return counts


def decode_and_find(path: Path) -> tuple[int, float]:
    """Number of markers found in one file, and the processor's seconds from its bytes on."""
    cv2.setNumThreads(1)
    start = time.process_time()
    photograph = decode_photograph(path.name, path.read_bytes())
    sighting, _ = look_over(photograph.rgb, photograph.quarter_turns, ())
    markers = 0 if sighting.sheet is None else len(sighting.sheet.corners_px)
    return markers, time.process_time() - start


def measure_speed(paths: list[Path], workers: int, count: int) -> None:
    """Print photographs a second: one photo each, enlarged; and many photos side by side."""
    pictures = [cv2.imread(str(path))[..., ::-1] for path in paths[:48]]
    busy = np.vstack(
        [
            np.hstack(
                [cv2.resize(pictures[(8 * row + n) % len(pictures)], (500, 500)) for n in range(8)]
            )
            for row in range(6)
        ]
    )
    for name in ("one photograph enlarged", "48 photographs side by side"):
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number in range(count):
                one = cv2.resize(
                    pictures[number % len(pictures)], _LARGE, interpolation=cv2.INTER_CUBIC
                )
                grain = generator_for(0, "grain", number).normal(0, 2, (*_LARGE[::-1], 1))
                one = (one + grain).clip(0, 255).astype(np.uint8)
                shot = simulate(one if name.startswith("one") else busy, number, _LARGE)
                files.append(Path(folder) / f"{number}.jpg")
                quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
                cv2.imwrite(str(files[-1]), shot.picture[..., ::-1], quality)
            with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
                list(pool.map(decode_and_find, 4 * workers * files[:1]))  # starts every worker
                start = time.perf_counter()
                seen = list(pool.map(decode_and_find, files))
                took = time.perf_counter() - start
            markers, busy_s = sum(n for n, _ in seen), np.median([s for _, s in seen])
            size = np.mean([file.stat().st_size for file in files]) / 1e6
            print(
                f"{name}: {count / took:.1f} photographs a second with {workers} workers "
                f"(12 megapixels, {size:.1f} MB each, {markers} markers found in {count}); "
                f"{1000 * busy_s:.0f} ms of one core each, so {workers / busy_s:.1f} on idle cores"
            )


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("read", "speed"))
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    paths = list_photos(given.photos)
    if given.what == "speed":
        measure_speed(paths, given.workers, given.count or 40)
        return
    count = given.count or 1000
    parts = [range(first, min(first + 50, count)) for first in range(0, count, 50)]
    total = np.zeros(4, dtype=int)
    with ProcessPoolExecutor(given.workers, get_context("spawn")) as pool:
        for part, counts in zip(
            parts, pool.map(read_share, [paths] * len(parts), parts), strict=True
        ):
            total += counts
            if part.stop % 1000 and part.stop != count:
                continue
            wanted, read, photos, wrong = total
            print(
                f"{read} of {wanted} markers with cells of 4 px or more read ({read / wanted:.3%}) "
                f"in {photos} photographs; {wrong} sheets reported wrongly",
                flush=True,
            )


if __name__ == "__main__":
    main()
