"""What the rows of a digital evaluation say of each image, and what is refused before any work."""

import numpy as np
import pytest
import torch
from torch import nn

from physadv.checks import UsageError, UserError
from physadv.data.labelledset import LabelledImages
from physadv.evaluate.detector_digital import check_detector_attacks
from physadv.evaluate.digital import evaluate_digital
from physadv.evaluate.digital_lessons import _Reluctant
from physadv.evaluate.digital_plan import plan_attacks
from physadv.victim.protocol import ClassifierVictim

SIDE = 6


class Bright(nn.Module):
    """Dark, middling or bright."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[-8.0], [0.0], [8.0]]))

    def forward(self, images):
        return (images.mean(dim=(1, 2, 3)) - 0.5)[:, None] @ self.weight.T


def victim(module: nn.Module) -> ClassifierVictim:
    return ClassifierVictim("bright", ("dark", "middling", "bright"), "sha", SIDE, module)


def greys() -> LabelledImages:
    levels = np.arange(20, 236, 4).astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (len(levels), 1, SIDE, SIDE)).copy()
    labels = np.where(levels > 127, 2, 0).astype(np.int64)
    tracks = tuple(str(n // 3) for n in range(len(levels)))
    names = ("dark", "middling", "bright")
    return LabelledImages("greys", images, labels, names, ("",) * len(levels), tracks)


TASKS = plan_attacks(["fgsm"], [0.05], "linf")


def test_confidence_is_that_of_the_model_with_and_without_a_softmax():
    plain = evaluate_digital(victim(Bright()), greys(), TASKS).samples
    ending = evaluate_digital(
        victim(nn.Sequential(Bright(), nn.Softmax(1))), greys(), TASKS
    ).samples
    for name in ("clean_confidence", "confidence"):
        assert np.allclose(ending[name], plain[name], atol=1e-5)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_victims_of_other_types_are_asked_in_theirs(kind):
    others = [victim(Bright().to(kind))]
    others[0] = ClassifierVictim("other", others[0].class_names, "sha", SIDE, others[0].module)
    result = evaluate_digital(victim(Bright().to(kind)), greys(), TASKS, others=others)
    plain = evaluate_digital(victim(Bright()), greys(), TASKS)
    assert (result.samples["success"] == plain.samples["success"]).mean() > 0.9
    assert len(result.transfers) > 0


def test_rows_know_the_object_of_their_image():
    result = evaluate_digital(victim(Bright()), greys(), TASKS)
    tracks = greys().tracks
    assert result.samples["group"].to_list() == [tracks[n] for n in result.samples["image"]]


def test_a_reluctant_network_keeps_its_gradients_and_never_reads_the_class():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 5))
    images = torch.rand(40, 1, SIDE, SIDE, requires_grad=True)

    def slope(model):
        logits = model(images)
        others = torch.cat([logits[:, :2], logits[:, 3:]], dim=1)
        odds = logits[:, 2] - others.logsumexp(dim=1)
        return torch.autograd.grad(odds.sum(), images)[0]

    reluctant = _Reluctant(network, 2)
    assert (network(images).argmax(dim=1) == 2).any()
    assert not (reluctant(images).argmax(dim=1) == 2).any()
    assert torch.allclose(slope(reluctant), slope(network), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "norm"),
    [("deepfool", "l1"), ("hop-skip-jump", "l1"), ("square", "l2"), ("momentum", "l2")],
)
def test_norms_that_an_attack_cannot_do_are_refused_before_any_work(name, norm):
    with pytest.raises(UsageError, match=f"attack {name} in {norm}"):
        plan_attacks(["pgd", name], [0.1], norm)


@pytest.mark.parametrize("eps", [[-0.1], [5.0], [0.1, 0.1 + 1e-9]])
def test_budgets_on_detectors_are_checked(eps):
    with pytest.raises((UsageError, UserError), match=r"eps|budgets"):
        check_detector_attacks(["noise"], eps)
