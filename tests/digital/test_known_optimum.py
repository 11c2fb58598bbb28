"""Every attack against a linear victim, whose optimum is a formula."""

import pytest
import torch

from physadv.digital.apgd import apgd
from physadv.digital.bim import bim
from physadv.digital.carlini_wagner import carlini_wagner
from physadv.digital.carlini_wagner_l0 import carlini_wagner_l0
from physadv.digital.carlini_wagner_linf import carlini_wagner_linf
from physadv.digital.ddn import ddn
from physadv.digital.deepfool import deepfool
from physadv.digital.fgsm import fgsm
from physadv.digital.hop_skip_jump import hop_skip_jump
from physadv.digital.losses import log_odds
from physadv.digital.pgd import pgd
from physadv.digital.problem import opened

SLACK = 1.05


@pytest.mark.parametrize(
    ("attack", "norm"),
    [
        (lambda *a: deepfool(*a), "l2"),
        (lambda *a: deepfool(*a, norm="linf"), "linf"),
        (lambda *a: carlini_wagner(*a), "l2"),
        (lambda *a: ddn(*a), "l2"),
    ],
    ids=["deepfool-l2", "deepfool-linf", "cw-l2", "ddn"],
)
def test_smallest_change_is_near_the_optimum(known, attack, norm):
    found = attack(known.model, known.images, known.labels)
    assert found.success.all()
    assert found.success_8bit.all()
    ratio = getattr(found, norm) / getattr(known, norm)
    assert ratio.min() > 0.999  # below the optimum something is counted wrongly
    assert ratio.max() < SLACK


def test_penalty_on_the_largest_change_leads_near_the_optimum(known, known_two):
    # With two wrong classes a descent may end at the second nearest border.
    for case, most in ((known_two, SLACK), (known, 1.15)):
        found = carlini_wagner_linf(case.model, case.images, case.labels, rounds=20)
        assert found.success_8bit.all()
        assert (found.linf / case.linf).max() < most


def test_fewest_pixels_are_found_up_to_one(known):
    found = carlini_wagner_l0(known.model, known.images, known.labels, rounds=40, steps=40)
    assert found.success_8bit.all()
    assert ((known.l0 <= found.l0) & (found.l0 <= known.l0 + 1)).all()
    assert (found.l0 == known.l0).float().mean() > 0.4


def test_decisions_alone_lead_near_the_optimum(known_two):
    found = hop_skip_jump(known_two.model, known_two.images, known_two.labels, probes=200)
    assert found.success_8bit.all()
    assert (found.l2 / known_two.l2).max() < SLACK


@pytest.mark.parametrize(
    ("attack", "norm"),
    [
        (fgsm, "linf"),
        (fgsm, "l2"),
        (bim, "linf"),
        (bim, "l2"),
        (bim, "l1"),
        (pgd, "linf"),
        (pgd, "l2"),
        (pgd, "l1"),
        (apgd, "linf"),
        (apgd, "l2"),
        (apgd, "l1"),
    ],
)
def test_budget_just_above_the_optimum_suffices(known_two, attack, norm):
    optimum = getattr(known_two, norm)
    above, below = 0, 0
    for n in range(len(known_two.images)):
        one = known_two.model, known_two.images[n : n + 1], known_two.labels[n : n + 1]
        above += int(attack(*one, eps=SLACK * float(optimum[n]), norm=norm).success)
        below += int(attack(*one, eps=0.99 * float(optimum[n]), norm=norm).success)
    assert below == 0
    assert above == len(known_two.images)


def test_runs_on_saved_passes_cost_no_more_than_one_to_the_end(known):
    budget = float(known.linf.median())  # half of the samples are done early, half never
    once = apgd(known.model, known.images, known.labels, eps=budget, steps=20)
    more = apgd(known.model, known.images, known.labels, eps=budget, steps=20, restarts=None)
    assert 0 < int(more.success.sum()) < len(known.images)
    assert (more.success >= once.success).all()
    assert int(once.backwards.sum()) < int(more.backwards.sum()) <= 20 * len(known.images)


def test_gradients_in_chunks_are_those_of_the_whole(known, monkeypatch):
    rows = torch.arange(len(known.images))
    with opened(known.model, known.images, known.labels) as problem:
        whole = problem.gradient(known.images, rows, log_odds, (known.labels + 1) % 3)
        monkeypatch.setattr("physadv.digital.passes._CHUNK", 7 * known.images[0].numel())
        monkeypatch.setattr("physadv.digital.passes._LOOK", 7 * known.images[0].numel())
        monkeypatch.setattr("physadv.digital.passes._FEWEST", 1)
        parts = problem.gradient(known.images, rows, log_odds, (known.labels + 1) % 3)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)
    assert problem.gradients == 2 * len(rows)


@pytest.mark.parametrize("factor", [1.0, 1e4], ids=["as it is", "saturated"])
def test_the_first_look_in_chunks_finds_what_the_whole_does(known, monkeypatch, factor):
    """A model that has to be cured is asked for its gradient again."""

    def model(images):
        return factor * known.model(images)

    whole = fgsm(model, known.images, known.labels, eps=0.15)
    monkeypatch.setattr("physadv.digital.passes._CHUNK", 7 * known.images[0].numel())
    monkeypatch.setattr("physadv.digital.passes._LOOK", 7 * known.images[0].numel())
    monkeypatch.setattr("physadv.digital.passes._FEWEST", 1)
    parts = fgsm(model, known.images, known.labels, eps=0.15)
    assert len(known.images) > 7
    torch.testing.assert_close(whole.images, parts.images)
    assert whole.status == parts.status
    assert torch.equal(whole.forwards, parts.forwards)
    assert (parts.images != known.images).any()
    assert bool(parts.notes) == (factor != 1)
