"""Pictures for the report: the sign as the judge's camera sees it, under every treatment."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import stuck_colours
from physadv.data.files import atomic_path, write_json
from physadv.evaluate.backgrounds import background_pictures, cut
from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.frames import render_frames
from physadv.evaluate.judging import Picture, Question, ask
from physadv.evaluate.reading import reader_of
from physadv.evaluate.renderer import SignTexture, View, cut_crop, paint, region_of
from physadv.scene.pose import Pose
from physadv.scene.schema import Scene
from physadv.seeding import generator_for
from physadv.types import TREATMENTS, Treatment
from physadv.units import feet_to_m
from physadv.victim.chain import ChainVictim
from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim

PLACES_FT_DEG = ((5, 0.0), (10, 0.0), (20, 0.0), (30, 0.0), (40, 0.0), (5, 45.0))
_CONDITIONS = replace(NEUTRAL, defocus_px=0.6, noise_sd=0.01, jpeg_quality=92)
_FRAME_MARGIN = 0.6


_Looker = Callable[
    [SignTexture, Pose, Picture, Treatment, np.random.Generator],
    tuple[str, float, dict[str, Picture]],
]


def write_views(
    artwork: Artwork,
    scene: Scene,
    victim: ClassifierVictim | DetectorVictim | ChainVictim,
    folder: Path,
    *,
    seed: int = 0,
    backgrounds: Path | None = None,
) -> None:
    """Write ``frame`` (and ``crop``) PNGs and ``views.json`` for five distances and one angle.

    Conditions are those of a good day: little blur and noise, even light. One draw each; they
    illustrate and enter no table.

    Args:
        artwork: What is stuck on the sign.
        scene: Carrier and camera.
        victim: Who is asked.
        folder: Where the pictures go.
        seed: Seed of the backgrounds.
        backgrounds: Folder of photographs to use as backgrounds.

    Raises:
        UserError: If the artwork does not belong to the scene, or the folder cannot be written.
    """
    sign, pictures = SignTexture(scene, artwork.mask), background_pictures(seed, backgrounds)
    if isinstance(victim, ClassifierVictim):
        looker = _crop_looker(artwork, scene, victim)
    else:
        looker = _frame_looker(artwork, scene, victim)
    entries = []
    for distance_ft, yaw_deg in PLACES_FT_DEG:
        distance_m = round(feet_to_m(distance_ft), 3)
        pose = Pose(distance_m, yaw_deg)
        for treatment in TREATMENTS:
            generator = generator_for(0, "examples", str(distance_m), str(yaw_deg))
            picture = pictures[int(generator.integers(len(pictures)))]
            predicted, score, images = looker(sign, pose, picture, treatment, generator)
            for kind, image in images.items():
                name = f"{kind}_{treatment}_{distance_m:g}m_{yaw_deg:g}deg.png"
                with atomic_path(folder / name) as temporary:
                    Image.fromarray(image).save(temporary)
                entries.append(
                    {
                        "file": name,
                        "treatment": treatment,
                        "distance_m": distance_m,
                        "yaw_deg": yaw_deg,
                        "victim": victim.name,
                        "predicted": predicted,
                        "score": round(score, 4),
                        "kind": kind,
                    }
                )
    write_json(folder / "views.json", entries)


def _crop_looker(artwork: Artwork, scene: Scene, victim: ClassifierVictim) -> _Looker:
    """A classifier reads the sign's crop; the frame around it is for the reader."""
    question = Question.of(scene, artwork, victim)

    def look(
        sign: SignTexture,
        pose: Pose,
        picture: Picture,
        treatment: Treatment,
        generator: np.random.Generator,
    ) -> tuple[str, float, dict[str, Picture]]:
        region = region_of(scene, pose, _FRAME_MARGIN)
        behind = cut(picture, generator, region.width_px, region.height_px)
        view = View.of(scene, region, sign, behind, _CONDITIONS)
        frame = paint(view, stuck_colours(treatment, artwork, scene.colour_texels, generator))
        crop = cut_crop(frame, np.asarray(region.box))
        answer = ask(victim, [crop])[0]
        images = {"frame": frame, "crop": crop}
        return question.victim.class_names[answer.index], answer.score, images

    return look


def _frame_looker(artwork: Artwork, scene: Scene, victim: DetectorVictim | ChainVictim) -> _Looker:
    """A detector is shown the whole frame, of which the part around the sign is kept."""
    reader = reader_of(scene, artwork, victim)

    def look(
        sign: SignTexture,
        pose: Pose,
        picture: Picture,
        treatment: Treatment,
        generator: np.random.Generator,
    ) -> tuple[str, float, dict[str, Picture]]:
        frames = render_frames(
            artwork, scene, sign, pose, _CONDITIONS, picture, [treatment], generator
        )
        frame = frames.pictures[treatment]
        reading = reader.read([frame], frames.box)[0]
        size = np.tile(frames.box[2:] - frames.box[:2], 2)
        around = frames.box + _FRAME_MARGIN * size * [-1, -1, 1, 1]
        return reading.predicted, reading.score, {"frame": cut_crop(frame, around)}

    return look
