"""On a GPU the steps of an attack read nothing back: the host never waits for the device.

No GPU is needed. The attacks are told that they are on one, and every operation that would make a
host wait there is counted: more steps must not mean more of them.
"""

from functools import partial

import pytest
import torch
from reads import Reads

from physadv.digital.apgd import apgd
from physadv.digital.bim import bim
from physadv.digital.carlini_wagner import carlini_wagner
from physadv.digital.carlini_wagner_l0 import carlini_wagner_l0
from physadv.digital.carlini_wagner_linf import carlini_wagner_linf
from physadv.digital.ddn import ddn
from physadv.digital.deepfool import deepfool
from physadv.digital.momentum import momentum
from physadv.digital.pgd import pgd
from physadv.digital.square import square
from physadv.digital.universal import train_universal

FEW, MANY = 12, 19  # both hold the same looks at what is done, the last after the tenth step
STEPS = {
    "bim": lambda m, x, y, n: bim(m, x, y, eps=0.01, steps=n),
    "pgd": lambda m, x, y, n: pgd(m, x, y, eps=0.01, steps=n),
    "pgd l1": lambda m, x, y, n: pgd(m, x, y, eps=0.5, norm="l1", steps=n),
    "momentum": lambda m, x, y, n: momentum(m, x, y, eps=0.01, steps=n, diversity=0.5),
    "apgd": lambda m, x, y, n: apgd(m, x, y, eps=0.01, norm="l2", steps=n),
    "ddn": lambda m, x, y, n: ddn(m, x, y, steps=n),
    "carlini-wagner": lambda m, x, y, n: carlini_wagner(m, x, y, rounds=2, steps=n),
    "carlini-wagner-linf": lambda m, x, y, n: carlini_wagner_linf(m, x, y, rounds=2, steps=n),
    "carlini-wagner-l0": lambda m, x, y, n: carlini_wagner_l0(m, x, y, rounds=2, steps=n),
    "deepfool": lambda m, x, y, n: deepfool(m, x, y, steps=n, overshoot=0),
    "square": lambda m, x, y, n: square(m, x, y, eps=0.01, queries=n),
    "universal": lambda m, x, y, n: train_universal(m, x, y, eps=0.01, epochs=n),
}


@pytest.mark.parametrize("name", STEPS)
def test_more_steps_read_no_more(known, monkeypatch, name):
    for module in ("passes", "problem"):
        monkeypatch.setattr(f"physadv.digital.{module}.far", lambda device: True)
    if name == "deepfool":  # else all are done, and it ends, before the looks do
        monkeypatch.setattr("physadv.digital.problem.Problem.due", lambda self, step: False)
    counts = []
    for steps in (FEW, MANY):
        with Reads() as reads:
            STEPS[name](known.model, known.images, known.labels, steps)
        counts.append(reads.found)
    assert counts[0] == counts[1]
    assert counts[0]["_local_scalar_dense"] > 0


@pytest.mark.parametrize("attack", [deepfool, partial(pgd, eps=0.15), partial(apgd, eps=0.15)])
def test_looking_seldom_finds_as_many(known, monkeypatch, attack):
    often = attack(known.model, known.images, known.labels)
    for module in ("passes", "problem"):
        monkeypatch.setattr(f"physadv.digital.{module}.far", lambda device: True)
    seldom = attack(known.model, known.images, known.labels)
    assert torch.equal(often.success, seldom.success)
    assert torch.equal(often.success_8bit, seldom.success_8bit)


def test_autocast_is_told(known):
    with torch.autocast("cpu", torch.bfloat16):
        found = ddn(known.model, known.images, known.labels, steps=3)
    assert any("bfloat16" in note for note in found.notes)
    plain = ddn(known.model, known.images, known.labels, steps=3)
    assert not any("autocast" in note for note in plain.notes)
