"""What every victim promises: gradients, unchanged weights, resize inside, class names."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from physadv.checks import UsageError, UserError
from physadv.victim.gtsrb import GtsrbCnn, GtsrbResnet
from physadv.victim.lisa import LisaCnn
from physadv.victim.protocol import ClassifierVictim
from physadv.victim.resize import fit_input
from physadv.victim.weights import module_sha256

NETWORKS = [GtsrbCnn, GtsrbResnet, LisaCnn]


def victim_of(network: type[nn.Module]) -> ClassifierVictim:
    torch.manual_seed(0)
    module = network()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    names = tuple(f"Class {i}" for i in range(module(torch.rand(2, 3, 32, 32)).shape[1]))
    return ClassifierVictim("test", names, "", module.input_px, module)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size_px", [32, 57])
def test_input_gradient_matches_finite_differences(network, size_px):
    victim = victim_of(network)
    victim.module.double()
    images = torch.rand(2, 3, size_px, size_px, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, len(victim.class_names), dtype=torch.float64)

    def score(x: torch.Tensor) -> torch.Tensor:
        return (victim.logits(x) * weights).sum()

    (gradient,) = torch.autograd.grad(score(images), images)
    assert (gradient != 0).double().mean() > 0.9  # every pixel is looked at
    for _ in range(4):
        step = torch.randn_like(images) * 1e-7
        with torch.no_grad():
            change = (score(images + step) - score(images - step)) / 2
        assert change.item() == pytest.approx((gradient * step).sum().item(), rel=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_looking_changes_no_weight(network):
    victim = victim_of(network)
    before = module_sha256(victim.module)
    images = torch.rand(3, 3, 40, 50, requires_grad=True)
    victim.logits(images).logsumexp(1).sum().backward()
    assert module_sha256(victim.module) == before
    assert not victim.module.training
    assert all(p.grad is None and not p.requires_grad for p in victim.module.parameters())
    assert torch.equal(victim.logits(images), victim.logits(images))  # no dropout left on


@pytest.mark.parametrize("network", NETWORKS)
def test_answers_are_logits_and_do_not_depend_on_the_batch(network):
    victim = victim_of(network)
    images = torch.rand(5, 3, 48, 48)
    logits = victim.logits(images)
    assert (logits.sum(dim=1) - 1).abs().min() > 1e-3  # a softmax would hide gradients
    torch.testing.assert_close(victim.logits(images[2:3]), logits[2:3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (47, 90), (20, 33)])
def test_resize_is_antialiased_like_pillow(height, width):
    image = np.random.default_rng(0).random((height, width)).astype(np.float32)
    expected = Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR)
    found = fit_input(torch.from_numpy(image).expand(1, 3, -1, -1), 32)
    np.testing.assert_allclose(found[0, 1].numpy(), np.asarray(expected), atol=2e-6)


def test_resize_is_inside_and_skipped_where_it_fits():
    victim = victim_of(GtsrbResnet)
    images = torch.rand(2, 3, 75, 64)
    same = torch.rand(1, 3, 48, 48)
    assert fit_input(same, 48) is same
    assert torch.equal(victim.logits(images), victim.logits(fit_input(images, 48)))


def test_classes_are_found_by_name_or_index():
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    victim = ClassifierVictim("v", ("Stop", "Speed limit (80km/h)", "7"), "", 0, module)
    assert victim.class_index("speed limit (80KM/H)") == 1
    assert victim.class_index(" stop ") == 0
    assert victim.class_index("1") == victim.class_index(1) == 1
    assert victim.class_index("7") == 2  # a name wins over an index
    assert victim.first_known(["stop sign", "STOP"]) == 0
    for wrong in ("Sotp", "3", "-1", "²"):
        with pytest.raises(UsageError, match=r"Known: Stop, Speed limit \(80km/h\), 7"):
            victim.class_index(wrong)
    with pytest.raises(UserError, match="true_class"):
        victim.first_known(["person"])


def test_wrong_shapes_are_named():
    victim = victim_of(LisaCnn)
    with pytest.raises(UserError, match=r"images of shape \[3, 32, 32\]"):
        victim.logits(torch.rand(3, 32, 32))
    lacking = ClassifierVictim("few", ("a", "b"), "", 32, victim.module)
    with pytest.raises(UserError, match=r"\[B,2\], one column per class"):
        lacking.logits(torch.rand(1, 3, 32, 32))


def test_another_device_gets_a_copy():
    victim = victim_of(LisaCnn)
    assert victim.to("cpu") is victim
    elsewhere = victim.to("meta")
    assert elsewhere.device.type == "meta"
    assert victim.device.type == "cpu"
    assert elsewhere.class_names == victim.class_names


@pytest.mark.parametrize(
    ("network", "most_parameters", "most_multiplications"),
    [(GtsrbCnn, 600_000, 42e6), (GtsrbResnet, 1_200_000, 60e6)],
)
def test_networks_stay_small(network, most_parameters, most_multiplications):
    module = network().eval()
    counts = []

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        each = layer.weight[0].numel()
        counts.append(each * output.numel())

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    module(torch.rand(1, 3, network.input_px, network.input_px))
    assert sum(p.numel() for p in module.parameters()) < most_parameters
    assert 20e6 < sum(counts) < most_multiplications
