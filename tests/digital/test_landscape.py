"""Loss over PGD's steps, on a victim whose highest loss in the ball is a formula."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from physadv.checks import UserError
from physadv.digital.landscape import loss_paths

EPS = 0.06


def test_every_start_climbs_to_the_highest_loss_of_the_ball(known_two):
    model, image, label = known_two.model, known_two.images[0], int(known_two.labels[0])
    paths = loss_paths(model, image, label, eps=EPS, steps=60, starts=7)
    assert paths.shape == (7, 61)
    assert (paths.diff(dim=1) >= -1e-4).all()
    slope = (model.weights[1 - label] - model.weights[label]).detach().view_as(image)
    corner = image + EPS * slope.sign()
    assert corner.min() >= 0
    assert corner.max() <= 1
    highest = F.cross_entropy(model(corner[None]), torch.tensor([label]))
    assert torch.allclose(paths[:, -1], highest.expand(7), rtol=1e-3)
    assert len(paths[:, 0].unique()) == 7  # the starts differ


def test_losses_are_the_cross_entropy_even_where_its_gradient_underflows(known_two):
    class Steep(nn.Module):
        def forward(self, images):
            return 40 * known_two.model(images)

    image, label = known_two.images[0], int(known_two.labels[0])
    still = loss_paths(Steep(), image, label, eps=0.0, steps=2, starts=2)
    with torch.no_grad():
        value = F.cross_entropy(Steep()(image[None]), torch.tensor([label]))
    assert torch.allclose(still, value.expand(2, 3))
    steep = loss_paths(Steep(), image, label, eps=0.15, steps=20, starts=3)
    assert (steep[:, -1] > 100).all()


def test_seed_and_number_of_starts(known):
    call = (known.model, known.images[3], int(known.labels[3]))
    few = loss_paths(*call, eps=EPS, steps=3, starts=2)
    more = loss_paths(*call, eps=EPS, steps=3, starts=5)
    assert torch.allclose(few, more[:2])
    other = loss_paths(*call, eps=EPS, steps=3, starts=2, seed=1)
    assert not torch.equal(few, other)


@pytest.mark.parametrize(
    "options",
    [{"eps": -0.1}, {"eps": 0.1, "steps": 0}, {"eps": 0.1, "starts": 0}, {"eps": float("inf")}],
)
def test_wrong_options(known, options):
    with pytest.raises(UserError):
        loss_paths(known.model, known.images[0], 0, **options)


def test_wrong_image_label_and_model(known):
    with pytest.raises(UserError, match="0 to 2"):
        loss_paths(known.model, known.images[0], 3, eps=0.1)
    with pytest.raises(UserError, match="\\[0,1\\]"):
        loss_paths(known.model, known.images[0] * 9, 0, eps=0.1)
    with pytest.raises(UserError, match="not a number"):
        loss_paths(lambda x: known.model(x) / 0 * 0, known.images[0], 0, eps=0.1)
