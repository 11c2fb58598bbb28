"""Speed of evaluate drive-by over ultralytics' own stream, in one run, turn by turn.

    python scripts/bench_drive_by.py FILM [--every 1] [--rounds 3] [--weights yolov8n]
    python scripts/bench_drive_by.py FILM --memory

Both read the same file, look at the same frames and run the same network on the same device; ours
also follows, ranges and judges the object, and keeps what it saw on disk. A ratio above 1 means
that ours is faster. ``--memory`` writes a film of one minute and one of an hour (the given
film again and again) and prints the peak memory that each takes in a process of its own.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import torch

from physadv.evaluate.drive_by import film_of, judge_film, load_victim_on
from physadv.evaluate.drive_film import annotate_film
from physadv.evaluate.drive_plan import DrivePlan, FilmCase
from physadv.victim.detector import DetectorVictim


def ours(case: FilmCase, plan: DrivePlan, *, annotate: bool) -> float:
    """Seconds for one film, from an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        drive = judge_film(case, plan, Path(folder))
        if annotate and drive.followed is not None:
            (victim,) = plan.victims
            path = Path(folder) / "annotated.mp4"
            annotate_film(
                path, film_of(case, plan), drive.followed, victim, drive.readings[victim], plan.car
            )
        return time.perf_counter() - started


def theirs(film: Path, model: object, every: int) -> float:
    """Seconds that ultralytics takes to predict the same frames."""
    started = time.perf_counter()
    stream = model.predict(  # type: ignore[attr-defined]
        str(film), stream=True, vid_stride=every, verbose=False, imgsz=640, conf=0.25
    )
    for _ in stream:
        pass
    return time.perf_counter() - started


def ultralytics_model(name: str) -> object:
    """Ultralytics' own model with the weights that physadv judges with."""
    victim = load_victim_on(name, "cpu")
    assert isinstance(victim, DetectorVictim)
    from ultralytics import YOLO  # after physadv has set its switches

    model = YOLO(f"{name}.yaml")
    own = next(m for m in victim.module.modules() if type(m).__name__ == "DetectionModel")
    model.model.fuse(verbose=False)
    model.model.load_state_dict(own.state_dict())
    return model


def peak_mib(film: Path, every: int, weights: str) -> float:
    """Peak memory of judging a film, in a process of its own."""
    words = [sys.executable, __file__, str(film), "--every", str(every), "--weights", weights]
    done = subprocess.run([*words, "--peak"], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def lengthen(film: Path, path: Path, seconds: float) -> None:
    """A film of so many seconds: another's packets again and again, without encoding."""
    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        given = source.streams.video[0]
        stream = target.add_stream_from_template(given)
        begins = 0
        lasts = round(seconds / given.time_base)
        while begins < lasts:
            source.seek(0)
            ends = begins
            for packet in source.demux(given):
                if packet.dts is None:
                    continue
                packet.dts += begins
                packet.pts += begins
                ends = max(ends, packet.pts + packet.duration)
                packet.stream = stream
                target.mux(packet)
            begins = ends


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("film", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="yolov8n")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    case = FilmCase(str(given.film), given.film.name, "clean")
    plan = DrivePlan((given.weights,), ("stop sign",), every=given.every)
    if given.peak:
        with tempfile.TemporaryDirectory() as folder:
            judge_film(case, plan, Path(folder))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    if given.memory:
        with tempfile.TemporaryDirectory() as folder:
            for seconds in (60, 3600):
                path = Path(folder) / f"{seconds}.mp4"
                lengthen(given.film, path, seconds)
                found = peak_mib(path, given.every, given.weights)
                print(f"{seconds} s of film: {found:.0f} MiB at most", flush=True)
        return
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, every {given.every}")
    model = ultralytics_model(given.weights)
    theirs(given.film, model, 30)
    ours(case, plan, annotate=False)
    ratios: dict[str, list[float]] = {"judged": [], "judged and drawn": []}
    for number in range(given.rounds):
        reference = theirs(given.film, model, given.every)
        for name, annotate in (("judged", False), ("judged and drawn", True)):
            ratios[name].append(reference / ours(case, plan, annotate=annotate))
        print(f"round {number + 1}: ultralytics {reference:.1f} s,", end=" ")
        print(", ".join(f"{name} {values[-1]:.2f}" for name, values in ratios.items()), flush=True)
    for name, values in ratios.items():
        print(f"{name}: {statistics.median(values):.2f} times as fast as ultralytics' stream")


if __name__ == "__main__":
    main()
