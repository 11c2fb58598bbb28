"""Finding the object in a film by a detector whose sightings are known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from physadv.checks import UserError
from physadv.data.film import Film
from physadv.evaluate.finding import find_boxes
from physadv.evaluate.trackchoice import LARGEST, Choice
from physadv.victim.detector import DetectorOutput, DetectorVictim
from physadv.victim.fitting import Letterboxed

Make = Callable[[np.ndarray], Film]
RED, BLUE = (255, 0, 0), (0, 0, 255)


def unheard(task: str, done: int, total: int) -> None:
    pass


class Colours(nn.Module):
    """Sees one red and one blue person, exactly where they are."""

    def forward(self, images: Tensor) -> tuple[DetectorOutput, ...]:
        boxes = torch.zeros(len(images), 2, 4)
        logits = torch.full((len(images), 2, 2), -9.0)
        for number, image in enumerate(images):
            for candidate, channel in enumerate((0, 2)):
                rows, columns = torch.nonzero(image[channel] > 0.9, as_tuple=True)
                if len(rows):
                    low, high = (torch.stack([f(columns), f(rows)]) for f in (torch.min, torch.max))
                    boxes[number, candidate] = torch.cat([low, high + 1])
                    logits[number, candidate, 0] = 2.0
        return (DetectorOutput(boxes, logits),)


@pytest.fixture
def finder() -> DetectorVictim:
    return DetectorVictim("eye", ("person", "dog"), "none", Letterboxed(320), Colours())


def street(*colours: tuple[int, int, int], lost: tuple[int, ...] = ()) -> np.ndarray:
    """Eight frames in which people walk right, from 30 px and from 190 px."""
    frames = np.full((8, 320, 320, 3), 70, np.uint8)
    for number, frame in enumerate(frames):
        for left, colour in () if number in lost else zip((30, 190), colours, strict=False):
            frame[64:256, left + 4 * number : left + 4 * number + 96] = colour
    return frames


def test_an_object_is_boxed_from_its_first_sighting_to_its_last(
    film_of: Make, finder: DetectorVictim
) -> None:
    heard: list[tuple[str, int, int]] = []
    found = find_boxes(
        film_of(street(RED, lost=(0, 3))),
        finder,
        ("person",),
        LARGEST,
        lambda *words: heard.append(words),
    )
    assert set(range(2, 8)) <= set(found) <= set(range(1, 8))
    for number, one in found.items():
        assert np.allclose(one.box, [30 + 4 * number, 64, 126 + 4 * number, 256], atol=1)
        assert (one.frame, one.label, one.origin) == (number, "person", "eye")
    assert 0 <= found[3].score < found[4].score <= 1
    assert heard[-1] == ("look for it", 8, 8)


def test_which_of_two_is_chosen(film_of: Make, finder: DetectorVictim) -> None:
    film = film_of(street(RED, BLUE))
    for rule, start in (("left", 30), ("right", 190)):
        found = find_boxes(film, finder, ("person",), Choice(rule), unheard)
        assert len(found) >= 7
        assert all(abs(one.box[0] - 4 * n - start) < 1 for n, one in found.items())


def test_what_is_not_there(film_of: Make, finder: DetectorVictim) -> None:
    film = film_of(street())
    with pytest.raises(UserError, match="eye never saw it"):
        find_boxes(film, finder, ("person",), LARGEST, unheard)
    with pytest.raises(UserError, match="no such class"):
        find_boxes(film, finder, ("stop sign",), LARGEST, unheard)
