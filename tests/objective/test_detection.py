"""The hiding loss: whose candidates count, and a gradient where the sigmoid has none."""

import pytest
import torch
import torchvision

from physadv.objective.detection import HIDING, appear, box_iou, hide, recall
from physadv.victim.detector import DetectorOutput


def _boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 50
    return torch.cat([corner, corner + 5 + 40 * torch.rand(count, 2, generator=generator)], dim=1)


def test_iou_is_torchvisions():
    first, second = _boxes(20, 0), _boxes(30, 1)
    assert torch.allclose(box_iou(first, second), torchvision.ops.box_iou(first, second))


def test_only_overlapping_candidates_of_the_right_frame_and_class_count():
    boxes = torch.tensor([[0.0, 0, 10, 20], [100, 0, 110, 20]]).expand(2, 2, 4)
    logits = torch.zeros(2, 2, 3, requires_grad=True)
    frame, objects = torch.tensor([1]), torch.tensor([[0.0, 0, 10, 22]])
    losses, strongest = hide(DetectorOutput(boxes, logits), frame, objects, 2, top=2)
    losses.sum().backward()
    touched = logits.grad.nonzero().tolist()
    assert touched == [[1, 0, 2]]
    assert strongest.tolist() == [0.0]


def test_a_saturated_score_still_has_a_gradient_and_a_hidden_one_has_none():
    box = torch.tensor([[[0.0, 0, 10, 20]]])
    for logit, expected in ((40.0, 1.0), (-40.0, 0.0)):
        logits = torch.full((1, 1, 1), logit, requires_grad=True)
        losses, _ = hide(DetectorOutput(box, logits), torch.tensor([0]), box[0], 0, top=1)
        losses.sum().backward()
        assert abs(float(logits.grad) - expected) < 1e-6


def test_an_object_without_candidates_costs_nothing():
    box = torch.tensor([[[0.0, 0, 10, 20]]])
    far = torch.tensor([[200.0, 200, 220, 240]])
    losses, strongest = hide(DetectorOutput(box, torch.ones(1, 1, 1)), torch.tensor([0]), far, 0)
    assert losses.tolist() == [0.0]
    assert strongest.tolist() == [-torch.inf]


def test_appear_counts_only_candidates_at_the_place():
    boxes = torch.tensor([[[0.0, 0, 10, 10], [40, 40, 60, 60], [1, 1, 11, 11]]])
    logits = torch.tensor([[[-3.0, 9.0], [8.0, 8.0], [-1.0, 0.0]]], requires_grad=True)
    place = torch.tensor([[0.0, 0, 10, 10]])
    frame = torch.zeros(1, dtype=torch.long)
    losses, seen = appear(DetectorOutput(boxes, logits), frame, place, 0, margin=2.0, top=2)
    assert seen.item() == -1.0
    expected = torch.nn.functional.softplus(torch.tensor([3.0, 5.0])).mean()
    assert torch.isclose(losses[0], expected)
    losses.sum().backward()
    assert logits.grad[0, 1].abs().sum() == 0
    assert (logits.grad[0, [0, 2], 0] < 0).all()
    assert logits.grad[..., 1].abs().sum() == 0


def test_appear_reaches_for_the_nearest_candidates_where_none_overlaps():
    boxes = torch.tensor([[[20.0, 20, 30, 30], [8, 8, 20, 20]]])
    logits = torch.zeros(1, 2, 1, requires_grad=True)
    place = torch.tensor([[0.0, 0, 10, 10]])
    frame = torch.zeros(1, dtype=torch.long)
    losses, seen = appear(DetectorOutput(boxes, logits), frame, place, 0, top=1)
    assert seen.item() == -torch.inf
    losses.sum().backward()
    assert logits.grad[0, 1, 0] < 0
    assert logits.grad[0, 0, 0] == 0


def test_recall_counts_objects_and_pulls_most_at_the_threshold():
    box = torch.tensor([[[0.0, 0, 10, 20]]])
    threshold = torch.tensor(0.4).logit()
    slopes = []
    for offset, expected in ((-30.0, 0.0), (0.0, 2.0), (30.0, 4.0)):
        logits = (threshold + offset).reshape(1, 1, 1).requires_grad_(True)
        losses, _ = recall(DetectorOutput(box, logits), torch.tensor([0]), box[0], 0)
        assert abs(losses.item() - expected) < 1e-5
        losses.sum().backward()
        slopes.append(float(logits.grad))
    assert abs(slopes[1] - 1) < 1e-5  # as steep as ``hide`` at its steepest
    assert slopes[0] < 1e-6
    assert slopes[2] < 1e-6


def test_both_hiding_losses_look_at_the_same_candidates():
    boxes = torch.tensor([[[0.0, 0, 10, 20], [1, 1, 11, 20], [100, 0, 110, 20]]])
    objects, frame = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([0])
    for loss_of in HIDING.values():
        logits = torch.tensor([[[0.3], [-0.2], [5.0]]], requires_grad=True)
        losses, strongest = loss_of(DetectorOutput(boxes, logits), frame, objects, 0, top=2)
        losses.sum().backward()
        assert strongest.tolist() == [pytest.approx(0.3)]
        assert (logits.grad[0, :, 0] > 0).tolist() == [True, True, False]
