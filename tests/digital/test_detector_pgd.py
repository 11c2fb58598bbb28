"""PGD on a detector whose confidence is a formula of the picture's red and green."""

import numpy as np
import pytest
import torch
from reads import Reads
from torch import Tensor, nn

from physadv.checks import UsageError, UserError
from physadv.digital.detector_pgd import detector_pgd
from physadv.victim.detector import DetectorOutput, DetectorVictim
from physadv.victim.fitting import Letterboxed

BOX = np.array([[64.0, 64.0, 160.0, 256.0]])  # 96 x 192 px, on the detector's grid


class RedOrGreen(nn.Module):
    """One box a cell of 32 px; the logits of its two classes are 16 (mean red - .5), or green."""

    def forward(self, images: Tensor) -> tuple[DetectorOutput, ...]:
        padded = nn.functional.pad(images[:, :2], (32, 32, 80, 80))
        means = nn.functional.avg_pool2d(padded, (192, 96), stride=32)
        rows, columns = means.shape[-2:]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        middle = torch.stack([32 * x + 16, 32 * y + 16], dim=-1).reshape(-1, 2).float()
        half = torch.tensor([48.0, 96.0])
        boxes = torch.cat([middle - half, middle + half], dim=1).expand(len(images), -1, -1)
        logits = 16 * (means.flatten(2).transpose(1, 2) - 0.5)
        return (DetectorOutput(boxes, logits),)


@pytest.fixture
def detector() -> DetectorVictim:
    return DetectorVictim("rg", ("red", "green"), "none", Letterboxed(320), RedOrGreen())


@pytest.fixture
def picture():
    image = np.full((320, 224, 3), 70, np.uint8)
    image[64:256, 64:160] = (180, 100, 40)
    return image


def confidence(detector: DetectorVictim, picture, index: int) -> float:
    found = detector.detect([picture], 0.001)[0]
    return float(found.scores[found.classes == index].max(initial=0.0))


@pytest.mark.parametrize("levels", [8, 60, 100])
def test_red_falls_by_the_whole_budget_and_confidence_as_the_formula_says(
    detector, picture, levels
):
    before = confidence(detector, picture, 0)
    found = detector_pgd(detector, picture, BOX, 0, eps=levels / 255, steps=20)
    inside = found.picture[64:256, 64:160].astype(int)
    assert np.abs(found.picture.astype(int) - picture).max() <= levels
    assert (inside[..., 0] == 180 - levels).mean() > 0.99
    # Boxes of 96 x 192 px around the grid's middles share at most so much of the object.
    assert before > 0.5
    expected = 1 / (1 + np.exp(-16 * ((180 - levels) / 255 - 0.5)))
    assert confidence(detector, found.picture, 0) <= expected + 0.02
    assert found.felt
    assert found.passes == 41


def test_a_target_is_made_to_appear_where_the_object_was(detector, picture):
    assert confidence(detector, picture, 1) < 0.2
    found = detector_pgd(detector, picture, BOX, 0, eps=100 / 255, target_index=1, steps=20)
    assert confidence(detector, found.picture, 0) < 0.1
    assert confidence(detector, found.picture, 1) > 0.5
    assert found.picture[160, 110, 1] > 150  # greener than it was


def test_less_than_a_grey_level_changes_no_file(detector, picture):
    found = detector_pgd(detector, picture, BOX, 0, eps=0.9 / 255)
    assert np.array_equal(found.picture, picture)
    still = detector_pgd(detector, picture, BOX, 0, eps=0.0)
    assert np.array_equal(still.picture, picture)


def test_without_a_gradient_the_picture_stays_and_it_is_said(picture):
    class Blind(nn.Module):
        def forward(self, images: Tensor) -> tuple[DetectorOutput, ...]:
            head = RedOrGreen()(images)[0]
            return (DetectorOutput(head.boxes, 0 * head.class_logits),)

    victim = DetectorVictim("blind", ("red", "green"), "none", Letterboxed(320), Blind())
    found = detector_pgd(victim, picture, BOX, 0, eps=0.1)
    assert not found.felt
    assert np.array_equal(found.picture, picture)


def test_more_steps_read_no_more_from_the_device(detector, picture):
    counts = []
    for steps in (3, 9):
        with Reads() as reads:
            detector_pgd(detector, picture, BOX, 0, eps=0.1, steps=steps)
        counts.append(reads.found)
    assert counts[0] == counts[1]
    assert counts[0]["_local_scalar_dense"] == 1  # whether there is a gradient at all


def test_the_seed_decides_and_the_picture_given_is_not_written_to(detector, picture):
    before = picture.copy()
    picture.setflags(write=False)
    first, again, other = (
        detector_pgd(detector, picture, BOX, 0, eps=0.02, steps=2, seed=seed).picture
        for seed in (0, 0, 1)
    )
    assert np.array_equal(picture, before)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("options", "error", "word"),
    [
        ({"eps": -0.1}, UserError, "eps"),
        ({"eps": 0.1, "steps": 0}, UserError, "steps"),
        ({"eps": 0.1, "step_size": float("nan")}, UserError, "step_size"),
        ({"eps": 0.1, "target_index": 0}, UsageError, "what the objects are"),
    ],
)
def test_wrong_options(detector, picture, options, error, word):
    with pytest.raises(error, match=word):
        detector_pgd(detector, picture, BOX, 0, **options)


def test_no_objects(detector, picture):
    with pytest.raises(UserError, match="none"):
        detector_pgd(detector, picture, np.zeros((0, 4)), 0, eps=0.1)
