"""What `evaluate captures` costs: beside a victim's own time, and in memory.

    python scripts/bench_captures.py speed PHOTOS [--count 24] [--rounds 5] [--victim yolov8n]
    python scripts/bench_captures.py memory PHOTOS --counts 100 1000 10000

``speed`` enlarges photographs to 12 megapixels and takes turns, in one process, between: the
victim alone on pictures decoded before; the victim and nothing else from the files, one after
another; all of `evaluate captures`, into an empty folder; and the same with a victim that does
nothing, i.e. decoding and looking for sheets. ``memory`` has `evaluate captures` read so many
different photographs of 0.5 megapixels, each number in a process of its own, and prints the peak.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from physadv.data.photographs import PhotoFile, decode_photograph, photo_files
from physadv.data.photos import list_photos
from physadv.evaluate.capture_plan import CapturePlan
from physadv.evaluate.capture_reading import Victim
from physadv.evaluate.capture_trials import CaptureTable
from physadv.evaluate.captures import read_captures
from physadv.seeding import generator_for
from physadv.victim.fitting import Picture
from physadv.victim.named import load_judged
from physadv.victim.protocol import ClassifierVictim

_LARGE, _SMALL = (4000, 3000), (800, 600)
_BATCH = 4
_PLAN = CapturePlan(truth=("car",), treatment="clean")


class _Blind(torch.nn.Module):
    """Says the same of everything."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[B,2] zeros."""
        return images.new_zeros(len(images), 2)


def blind() -> ClassifierVictim:
    """A victim that takes no time."""
    return ClassifierVictim("blind", ("car", "tree"), "0" * 64, 8, _Blind())


def write_photographs(source: list[Path], folder: Path, count: int, size: tuple[int, int]) -> None:
    """So many different JPEG files of a size."""
    for number in range(count):
        picture = cv2.imread(str(source[number % len(source)]))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
        grain = generator_for(0, "grain", number).normal(0, 2, (size[1] // 4, size[0] // 4, 1))
        grain = np.atleast_3d(cv2.resize(grain, size, interpolation=cv2.INTER_NEAREST))
        picture = (picture + grain).clip(0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), picture, quality)


def captures_s(files: Sequence[PhotoFile], victim: Victim, plan: CapturePlan = _PLAN) -> float:
    """Seconds that all of `evaluate captures` but the page takes, from an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        table = CaptureTable()
        started = time.perf_counter()
        for captured in read_captures(files, [victim], plan, Path(folder)):
            table.add(captured, plan, [victim])
        assert len(table.trials) == len(files)
        return time.perf_counter() - started


def without_victim_s(files: Sequence[PhotoFile]) -> float:
    """Seconds of decoding and looking for sheets: the victim is shown a corner and does nothing."""
    corners = {file.name: ((0.0, 0.0, 32.0, 32.0),) for file in files}
    return captures_s(files, blind(), replace(_PLAN, boxes=corners))


def ask(victim: Victim, pictures: Sequence[Picture]) -> None:
    """What the victim itself does with pictures."""
    for first in range(0, len(pictures), _BATCH):
        victim.detect(pictures[first : first + _BATCH], 0.01)  # type: ignore[union-attr]


def from_files_s(files: Sequence[PhotoFile], victim: Victim) -> float:
    """Seconds of the victim from files, one after another."""
    started = time.perf_counter()
    for file in files:
        ask(victim, [decode_photograph(file.name, file.read()).rgb])
    return time.perf_counter() - started


@dataclass(frozen=True)
class _Round:
    alone: float
    from_files: float
    captures: float
    without: float


def measure_speed(source: list[Path], count: int, rounds: int, name: str) -> None:
    """Print photographs a second and the ratios of each round."""
    victim = load_judged(name)
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(source, Path(folder), count, _LARGE)
        files = photo_files(Path(folder))
        pictures = [decode_photograph(f.name, f.read()).rgb for f in files[:8]]
        size = np.mean([path.stat().st_size for path in Path(folder).iterdir()]) / 1e6
        print(
            f"{torch.get_num_threads()} threads, {count} photographs of 12 megapixels, "
            f"{size:.1f} MB each, {victim.name}"
        )
        ask(victim, pictures[:_BATCH])
        found: list[_Round] = []
        for _ in range(rounds):
            started = time.perf_counter()
            for _ in range(count // len(pictures)):
                ask(victim, pictures)
            alone = (time.perf_counter() - started) / (count // len(pictures) * len(pictures))
            found.append(
                _Round(
                    alone,
                    from_files_s(files, victim) / count,
                    captures_s(files, victim) / count,
                    without_victim_s(files) / count,
                )
            )
            one = found[-1]
            print(
                f"seconds each: victim alone {one.alone:.3f}, from files {one.from_files:.3f}, "
                f"captures {one.captures:.3f}; without a victim {one.without:.3f}",
                flush=True,
            )
    for words, values in (
        ("captures over the victim alone", [r.captures / r.alone for r in found]),
        ("captures over the victim from files", [r.captures / r.from_files for r in found]),
        ("photographs a second without a victim", [1 / r.without for r in found]),
    ):
        print(f"{words}: {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")


def peak_mib(folder: Path) -> float:
    """Peak memory of reading a folder with the victim that does nothing, in its own process."""
    words = [sys.executable, __file__, "peak", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def measure_memory(source: list[Path], counts: Sequence[int]) -> None:
    """Print the peak memory of each number of photographs."""
    with tempfile.TemporaryDirectory() as folder:
        write_photographs(source, Path(folder), 1, _SMALL)
        base = (Path(folder) / "00000.jpg").read_bytes()
        for count in sorted(counts):
            for number in range(count):
                # A comment makes each file another one; its pixels cost nothing to write.
                note = f"{number:08d}".encode()
                data = base[:2] + b"\xff\xfe" + (2 + len(note)).to_bytes(2, "big") + note + base[2:]
                (Path(folder) / f"{number:05d}.jpg").write_bytes(data)
            started = time.perf_counter()
            found = peak_mib(Path(folder))
            took = time.perf_counter() - started
            print(f"{count} photographs: {found:.0f} MiB at most, {took:.0f} s", flush=True)


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("speed", "memory", "peak"))
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--victim", default="yolov8n")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000])
    given = parser.parse_args()
    if given.what == "speed":
        measure_speed(list_photos(given.photos), given.count, given.rounds, given.victim)
    elif given.what == "memory":
        measure_memory(list_photos(given.photos), given.counts)
    else:
        without_victim_s(photo_files(given.photos))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
