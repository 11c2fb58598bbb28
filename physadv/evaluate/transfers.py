"""Digital attacks made against one victim and shown to others, image by image."""

from collections.abc import Sequence

import polars as pl
from torch import Tensor

from physadv.digital.problem import rounded
from physadv.digital.transfer import misread, read_by_all
from physadv.evaluate.digital_lessons import Making
from physadv.evaluate.digital_plan import Task
from physadv.victim.protocol import ClassifierVictim


def transfer_rows(
    task: Task,
    attack: Making,
    victims: Sequence[ClassifierVictim],
    known: Tensor,
    images: Tensor,
    labels: Tensor,
    first: int,
) -> pl.DataFrame:
    """Every victim's adversarial images judged by all, one row each.

    Only images that every victim reads as labelled are attacked and counted.

    Args:
        task: Which attack, at which budget.
        attack: Makes it.
        victims: Their names differ.
        known: [B,C,H,W] what the attack made of ``images`` against the first victim.
        images: [B,C,H,W] in [0,1].
        labels: [B] true classes.
        first: Number of the first image in the whole set.

    Returns:
        Columns attack, eps, made_on, judged_by, image, fooled, and fooled_8bit: rounded to 8 bits
        too.
    """
    models = {victim.name: victim for victim in victims}
    shared = read_by_all(models, images, labels)
    clean, truth = images[shared], labels[shared]
    numbers = (first + shared.nonzero().flatten()).tolist()
    frames = []
    for victim in victims:
        made = known[shared]
        if victim is not victims[0]:
            made = attack(victim, clean, truth).images
        plain = misread(models, made, truth)
        eight = plain & misread(models, rounded(made), truth)
        frames += [
            pl.DataFrame(
                {
                    "attack": [task.attack] * len(numbers),
                    "eps": pl.Series([task.eps] * len(numbers), dtype=pl.Float64),
                    "made_on": [victim.name] * len(numbers),
                    "judged_by": [name] * len(numbers),
                    "image": pl.Series(numbers, dtype=pl.Int64),
                    "fooled": plain[judge].tolist(),
                    "fooled_8bit": eight[judge].tolist(),
                },
                schema_overrides={"fooled": pl.Boolean, "fooled_8bit": pl.Boolean}
                | dict.fromkeys(("attack", "made_on", "judged_by"), pl.String),
            )
            for judge, name in enumerate(models)
        ]
    return pl.concat(frames)
