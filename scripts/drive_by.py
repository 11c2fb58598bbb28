"""A drive-by judged from Python, without the command line.

    python scripts/drive_by.py OUT FILM [FILM ...]

Films are named after what they show (clean.mp4, noise_2.mp4, adversarial.mp4). Every 10th frame is
looked at, as in RP2's field test; the sign is found and followed, and a detector and classifier in
a row read it.
"""

import sys
from pathlib import Path

from physadv.evaluate.drive_by import judge_film
from physadv.evaluate.drive_plan import Car, DrivePlan
from physadv.evaluate.filmlist import film_cases

PLAN = DrivePlan(
    victims=("yolov8n+gtsrb-cnn",),
    true_names=("stop sign", "Stop"),
    target="Speed limit (80km/h)",
    every=10,
    fov_deg=60.0,  # of the camera: better a calibration, camera=load_camera("camera.json")
    object_height_mm=762.0,
    car=Car(least=3, of=5, speeds_kmh=(20.0, 30.0)),
)


def main() -> None:
    """Judge, and print what a car would have known."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    out = Path(sys.argv[1])
    for case in film_cases(sys.argv[2:]):
        drive = judge_film(case, PLAN, out)
        if drive.problem:
            print(f"{case.name}: not judged, {drive.problem}")
        for film in drive.records:
            wrong = film["samples"] - film["hit"]
            print(
                f"{case.name} ({film['treatment']}): {wrong} of {film['samples']} frames not read "
                f"as a stop sign, {film['target']} as the target"
            )
            for speed in film["speeds"]:
                known = {True: "in time", False: "too late", None: speed["why"]}[speed["in_time"]]
                print(f"  at {speed['speed_kmh']:g} km/h: {known}")


if __name__ == "__main__":
    main()
