"""Pictures for the report: the sign as the judge's camera sees it, under every treatment."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from physadv.artwork.files import Artwork
from physadv.artwork.treatments import stuck_colours
from physadv.data.files import atomic_path, write_json
from physadv.evaluate.backgrounds import background_pictures, cut
from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.judging import Question, ask
from physadv.evaluate.renderer import SignTexture, View, cut_crop, paint, region_of
from physadv.scene.pose import Pose
from physadv.scene.schema import Scene
from physadv.seeding import generator_for
from physadv.types import TREATMENTS
from physadv.units import feet_to_m
from physadv.victim.protocol import ClassifierVictim

PLACES_FT_DEG = ((5, 0.0), (10, 0.0), (20, 0.0), (30, 0.0), (40, 0.0), (5, 45.0))
_CONDITIONS = replace(NEUTRAL, defocus_px=0.6, noise_sd=0.01, jpeg_quality=92)
_FRAME_MARGIN = 0.6


def write_views(
    artwork: Artwork,
    scene: Scene,
    victim: ClassifierVictim,
    folder: Path,
    *,
    seed: int = 0,
    backgrounds: Path | None = None,
) -> None:
    """Write ``frame`` and ``crop`` PNGs and ``views.json`` for five distances and one angle.

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
    question = Question.of(scene, artwork, victim)
    sign, pictures = SignTexture(scene, artwork.mask), background_pictures(seed, backgrounds)
    entries = []
    for distance_ft, yaw_deg in PLACES_FT_DEG:
        distance_m = round(feet_to_m(distance_ft), 3)
        region = region_of(scene, Pose(distance_m, yaw_deg), _FRAME_MARGIN)
        for treatment in TREATMENTS:
            generator = generator_for(0, "examples", str(distance_m), str(yaw_deg))
            picture = pictures[int(generator.integers(len(pictures)))]
            behind = cut(picture, generator, region.width_px, region.height_px)
            view = View.of(scene, region, sign, behind, _CONDITIONS)
            colours = stuck_colours(treatment, artwork, scene.colour_texels, generator)
            frame = paint(view, colours)
            crop = cut_crop(frame, np.asarray(region.box))
            answer = ask(question.victim, [crop])[0]
            for kind, image in (("frame", frame), ("crop", crop)):
                name = f"{kind}_{treatment}_{distance_m:g}m_{yaw_deg:g}deg.png"
                with atomic_path(folder / name) as temporary:
                    Image.fromarray(image).save(temporary)
                entries.append(
                    {
                        "file": name,
                        "treatment": treatment,
                        "distance_m": distance_m,
                        "yaw_deg": yaw_deg,
                        "victim": question.victim.name,
                        "predicted": question.victim.class_names[answer.index],
                        "score": round(answer.score, 4),
                        "kind": kind,
                    }
                )
    write_json(folder / "views.json", entries)
