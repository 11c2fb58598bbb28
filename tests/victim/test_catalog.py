"""Victims by name, their weight files, and users' own modules."""

import pickle
import sys

import pytest
import torch
from safetensors.torch import save_file

from physadv.checks import UsageError, UserError
from physadv.data.gtsrb import GTSRB_CLASSES
from physadv.victim.catalog import VICTIMS, list_victims, load_victim
from physadv.victim.gtsrb import GtsrbCnn, GtsrbResnet
from physadv.victim.weights import FOLDER, expected_sha256, load_weights, module_sha256

BUNDLED = ["gtsrb-cnn", "gtsrb-resnet"]


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_victims_load_anywhere(name, monkeypatch):
    monkeypatch.delenv("PHYSADV_DATA", raising=False)
    victim = load_victim(name)
    assert victim.name == name
    assert victim.class_names == GTSRB_CLASSES
    assert victim.weights_sha256 == expected_sha256(f"{name}.safetensors")
    assert victim.logits(torch.rand(2, 3, 64, 64)).shape == (2, 43)
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 5_000_000
    card = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert "Top-1 on `test_tracks`" in card
    assert all(f"| {label} |" in card for label in GTSRB_CLASSES)


def test_list_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("PHYSADV_DATA", raising=False)
    found = {info.name: info.weights for info in list_victims()}
    assert list(found) == list(VICTIMS)
    assert [found[name] for name in BUNDLED] == ["bundled", "bundled"]
    assert found["lisa-cnn"].startswith("missing: set PHYSADV_DATA")
    with pytest.raises(UserError, match="PHYSADV_DATA is not set"):
        load_victim("lisa-cnn")
    monkeypatch.setenv("PHYSADV_DATA", str(tmp_path))
    assert {info.name: info.weights for info in list_victims()}["lisa-cnn"].endswith(
        str(tmp_path / "weights" / "lisa_cnn_rp2.safetensors")
    )


def test_unknown_victim_lists_the_known():
    with pytest.raises(UsageError, match=r"gtsrb-cnn, gtsrb-resnet, lisa-cnn.*'gtsrb-cnn'\?"):
        load_victim("gtsrb_cnn")


def test_wrong_checksum_is_refused(tmp_path):
    damaged = bytearray((FOLDER / "gtsrb-cnn.safetensors").read_bytes())
    damaged[-1] ^= 1
    path = tmp_path / "gtsrb-cnn.safetensors"
    path.write_bytes(damaged)
    module = GtsrbCnn()
    before = module_sha256(module)
    with pytest.raises(UserError, match=r"SHA-256 .* expected"):
        load_weights(module, path, expected_sha256(path.name))
    assert module_sha256(module) == before
    load_weights(module, path)  # the tensors themselves are readable
    assert module_sha256(module) != before


def test_weights_that_do_not_fit_are_refused(tmp_path):
    module = GtsrbCnn()
    before = module_sha256(module)
    with pytest.raises(UserError, match=r"for GtsrbCnn: .* tensors do not fit"):
        load_weights(module, FOLDER / "gtsrb-resnet.safetensors")
    wrong = {**module.state_dict(), "output.weight": torch.zeros(10, 192)}
    save_file(wrong, tmp_path / "ten.safetensors")
    with pytest.raises(UserError, match=r"output.weight is \[10, 192\], not \[43, 192\]"):
        load_weights(module, tmp_path / "ten.safetensors")
    assert module_sha256(module) == before


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".bin", ".PT"])
def test_pickles_are_refused_unread(tmp_path, suffix):
    class Bomb:
        def __reduce__(self):
            return (sys.exit, ("the pickle ran",))

    path = tmp_path / f"weights{suffix}"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match=r"can run any code.*\.safetensors"):
        load_weights(GtsrbCnn(), path)


def test_damaged_and_missing_files_are_named(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(UserError, match="no such file"):
        load_weights(GtsrbCnn(), path)
    path.write_bytes((FOLDER / "gtsrb-cnn.safetensors").read_bytes()[:1000])
    with pytest.raises(UserError, match="not a safetensors file"):
        load_weights(GtsrbCnn(), path)


def test_round_trip_gives_the_same_network(tmp_path):
    torch.manual_seed(1)
    first, second = GtsrbResnet(), GtsrbResnet()
    save_file(first.state_dict(), tmp_path / "w.safetensors")
    load_weights(second, tmp_path / "w.safetensors")
    assert module_sha256(first) == module_sha256(second)


PLUG_IN = """
import torch
from torch import nn

class Mean(nn.Module):
    def __init__(self, names=None):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        if names:
            self.class_names = names
    def forward(self, images):
        return self.fc(images.mean(dim=(2, 3)))

class Wants32(Mean):
    def forward(self, images):
        return self.fc(images.view(-1, 3, 1024).mean(2))

def make(): return Mean()
def named(): return Mean(["stop", "go"])
def misnamed(): return Mean(["stop", "go", "yield"])
def fussy(): return Wants32()
def nothing(): return 3
def broken(): raise RuntimeError("no weights here")
number = 5
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_victims_for_test.py").write_text(PLUG_IN)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    yield "own_victims_for_test"
    sys.modules.pop("own_victims_for_test", None)


def test_own_module_becomes_a_victim(own_module):
    victim = load_victim(f"{own_module}:make")
    assert victim.name == f"{own_module}:make"
    assert victim.class_names == ("0", "1")
    assert victim.class_index("1") == 1
    assert victim.weights_sha256 == module_sha256(victim.module)
    images = torch.rand(2, 3, 20, 20, requires_grad=True)
    victim.logits(images).sum().backward()
    assert images.grad is not None
    assert load_victim(f"{own_module}:named").class_names == ("stop", "go")


@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        ("nothing", UserError, "returned a int"),
        ("broken", UserError, "no weights here"),
        ("fussy", UserError, "resize inside it"),
        ("misnamed", UserError, "3 class_names for 2 outputs"),
        ("number", UsageError, "cannot be called"),
        ("absent", UsageError, "no such attribute"),
    ],
)
def test_own_module_errors_are_clear(own_module, factory, error, message):
    with pytest.raises(error, match=message):
        load_victim(f"{own_module}:{factory}")


def test_own_module_that_cannot_be_imported(own_module):
    with pytest.raises(UsageError, match="importing 'no_such_package_xyz' failed"):
        load_victim("no_such_package_xyz:make")
    with pytest.raises(UsageError, match="importing"):
        load_victim(":make")
