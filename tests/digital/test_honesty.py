"""What attacks say about models that defeat them, and about samples that they did not attack."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from physadv.checks import UserError
from physadv.digital.catalog import ATTACKS, SMALLEST, WITH_BUDGET
from physadv.digital.pgd import pgd
from physadv.digital.universal import train_universal, universal
from physadv.victim.protocol import ClassifierVictim

BUDGET = 0.15
GRADIENT_FREE = {"noise", "semantic", "square", "hop-skip-jump"}
FAST = {
    "carlini-wagner": {"rounds": 2, "steps": 20},
    "carlini-wagner-linf": {"rounds": 2, "steps": 20},
    "carlini-wagner-l0": {"rounds": 4, "steps": 20},
    "ddn": {"steps": 20},
    "hop-skip-jump": {"iterations": 2, "probes": 16},
    "square": {"queries": 40},
}


def run(name: str, model, images: Tensor, labels: Tensor, **more):
    options = {"eps": BUDGET} if name in WITH_BUDGET else {}
    return ATTACKS[name](model, images, labels, **{**options, **FAST.get(name, {}), **more})


class Wrapped(nn.Module):
    """A model with something done to its answer."""

    def __init__(self, inner: nn.Module, change) -> None:
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, images: Tensor) -> Tensor:
        return self.change(self.inner(images))


class Constant(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([0.5, 0.2, -0.1]).expand(len(images), -1)


class Flat(nn.Module):
    """Differentiable, but with a gradient of exactly zero."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([2.0, 1, 0]) + 0 * images.flatten(1).sum(dim=1, keepdim=True)


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("model", [Constant(), Flat()])
def test_constant_model_is_not_attacked_and_images_stay(name, model):
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = run(name, model, images, torch.zeros(5, dtype=torch.int64))
    assert not found.success.any()
    assert not found.success_8bit.any()
    if name in GRADIENT_FREE:
        assert set(found.status) == {"failed"}
    else:
        assert set(found.status) == {"no gradient"}
        assert torch.equal(found.images, images)
    assert found.images.isfinite().all()
    assert found.rate()[:2] == (0, 5)


@pytest.mark.parametrize("name", [n for n in ATTACKS if n not in GRADIENT_FREE])
@pytest.mark.parametrize("factor", [1000.0, 1e-4])
def test_scaled_logits_give_the_same_success_and_a_note(known, name, factor):
    plain = run(name, known.model, known.images, known.labels)
    scaled = Wrapped(known.model, lambda logits: logits * factor).eval()
    found = run(name, scaled, known.images, known.labels)
    assert torch.equal(found.success, plain.success)
    word = "saturated" if factor > 1 else "vanishing"
    assert any(word in note for note in found.notes)
    assert not plain.notes


@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd", "deepfool", "carlini-wagner", "ddn"])
def test_softmax_at_the_end_is_found_and_undone(known, name):
    plain = run(name, known.model, known.images, known.labels)
    found = run(
        name, Wrapped(known.model, lambda z: z.softmax(dim=1)).eval(), known.images, known.labels
    )
    assert any("softmax" in note for note in found.notes)
    assert (found.success == plain.success).float().mean() > 0.95


@pytest.mark.parametrize("name", ATTACKS)
def test_success_is_what_an_independent_look_says(known, name):
    found = run(name, known.model, known.images, known.labels)
    with torch.no_grad():
        after = known.model(found.images).argmax(dim=1)
    assert torch.equal(found.success, after != known.labels)
    assert torch.equal(found.predictions, after)
    assert found.images.min() >= 0
    assert found.images.max() <= 1
    for n in found.success.nonzero().flatten().tolist():
        pixels = (found.images[n].permute(1, 2, 0) * 255).round().byte().numpy()
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        read = torch.from_numpy(np.asarray(Image.open(stream)).copy()).permute(2, 0, 1) / 255
        wrong = int(known.model(read[None]).argmax()) != int(known.labels[n])
        assert wrong == bool(found.success_8bit[n])
    delta = (found.images - known.images).flatten(1).double().numpy()
    for norm, order in (("l1", 1), ("l2", 2), ("linf", np.inf)):
        expected = np.linalg.norm(delta, order, axis=1)
        assert getattr(found, norm).numpy() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    changed = (found.images != known.images).any(dim=1).flatten(1).sum(dim=1)
    assert torch.equal(found.l0.long(), changed)


@pytest.mark.parametrize("value", [torch.nan, torch.inf], ids=str)
@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_no_number_fails_alone(known, name, value):
    plain = run(name, known.model, known.images, known.labels)
    images = known.images.clone()
    images[3, 0, 2, 2] = value
    found = run(name, known.model, images, known.labels)
    others = [n for n in range(len(images)) if n != 3]
    assert found.status[3] == "not a number"
    assert not found.success[3]
    assert not found.images[3].isfinite().all()
    assert torch.equal(found.success[others], plain.success[others])
    assert found.images[others].isfinite().all()
    assert float(found.l2[3]) == 0


@pytest.mark.parametrize("name", ATTACKS)
def test_order_of_the_batch_changes_nothing(known, name):
    order = torch.randperm(len(known.images), generator=torch.Generator().manual_seed(1))
    plain = run(name, known.model, known.images, known.labels)
    mixed = run(name, known.model, known.images[order], known.labels[order])
    assert torch.equal(mixed.success, plain.success[order])
    assert torch.equal(mixed.success_8bit, plain.success_8bit[order])
    assert mixed.status == tuple(plain.status[n] for n in order.tolist())
    assert torch.allclose(mixed.l2, plain.l2[order], rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("name", ["noise", "pgd", "apgd", "square", "hop-skip-jump"])
def test_a_sample_alone_is_attacked_as_in_a_batch(known, name):
    batch = run(name, known.model, known.images, known.labels)
    for n in (0, 7):
        one = run(name, known.model, known.images[n : n + 1], known.labels[n : n + 1])
        assert bool(one.success[0]) == bool(batch.success[n])
        assert float(one.l2[0]) == pytest.approx(float(batch.l2[n]), rel=0.02, abs=1e-3)


def test_what_is_wrong_already_is_left_alone_and_counted_apart(known):
    labels = known.labels.clone()
    labels[:5] = (labels[:5] + 1) % 3
    found = run("pgd", known.model, known.images, labels)
    assert found.status[:5] == ("already wrong",) * 5
    assert torch.equal(found.images[:5], known.images[:5])
    assert found.rate()[1] == len(labels) - 5
    assert not found.success[:5].any()
    assert found.counts()["already wrong"] == 5


@pytest.mark.parametrize("name", WITH_BUDGET)
def test_zero_budget_changes_nothing(known, name):
    images = known.images + 0.001 * torch.rand(known.images.shape)  # off the 8-bit grid
    found = run(name, known.model, images, known.labels, eps=0.0)
    assert torch.equal(found.images, images)
    assert not found.success.any()
    assert not found.success_8bit.any()
    assert torch.equal(found.predictions, found.clean_predictions)


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd", "apgd", "momentum", "square", "noise"])
def test_budget_is_kept(known, name):
    found = run(name, known.model, known.images, known.labels, eps=0.05)
    assert found.linf.max() <= 0.05 + 1e-6


@pytest.mark.parametrize("name", ["fgsm", "bim", "pgd", "apgd"])
@pytest.mark.parametrize(("norm", "eps"), [("l2", 0.4), ("l1", 2.0)])
def test_other_budgets_are_kept(known, name, norm, eps):
    found = run(name, known.model, known.images, known.labels, eps=eps, norm=norm)
    assert getattr(found, norm).max() <= eps * 1.0001


TARGETED = sorted(set(ATTACKS) - {"deepfool", "semantic", "noise", "hop-skip-jump", "square"})


@pytest.mark.parametrize("name", TARGETED)
def test_targets_are_reached(known, name):
    targets = (known.labels + 1) % 3
    more = {"eps": 0.25} if name in WITH_BUDGET else {"steps": 50}
    found = run(name, known.model, known.images, known.labels, targets=targets, **more)
    assert found.success.float().mean() > 0.9
    assert torch.equal(found.predictions[found.success], targets[found.success])


def test_hop_skip_jump_reaches_targets_from_given_starts(known):
    targets = (known.labels + 1) % 3
    starts = torch.stack([known.images[int((known.labels == t).nonzero()[0])] for t in targets])
    found = ATTACKS["hop-skip-jump"](
        known.model, known.images, known.labels, targets=targets, starts=starts, iterations=3
    )
    assert found.success.all()
    assert torch.equal(found.predictions, targets)


class Odd(nn.Module):
    """Convolution, batch norm and dropout: behaves differently in train mode."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(288, 3),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


def test_train_mode_is_cured_and_put_back():
    model = Odd().train()
    model.layers[1].eval()
    model.layers[5].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.rand(6, 3, 8, 8)
    labels = model.eval()(images).argmax(dim=1)
    model.train()
    model.layers[1].eval()
    found = run("pgd", model, images, labels)
    assert any("train mode" in note for note in found.notes)
    assert found.counts().get("already wrong", 0) == 0
    modes = [module.training for module in model.layers]
    assert modes == [True, False, True, True, True, True]
    assert not model.layers[5].weight.requires_grad
    assert model.layers[0].weight.requires_grad
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_random_model_is_named_and_judged_by_majority(known):
    torch.manual_seed(0)
    noisy = Wrapped(known.model, lambda z: z + 3 * torch.randn_like(z)).eval()
    with torch.no_grad():
        margins = known.model(known.images).topk(2, dim=1).values
    sure = (margins[:, 0] - margins[:, 1]) > 8
    found = run("pgd", noisy, known.images[sure], known.labels[sure], eps=0.001)
    assert any("random" in note for note in found.notes)
    # A budget this small does nothing: a lucky look must not count.
    assert found.success.float().mean() < 0.2


def test_model_that_couples_its_batch_is_named(known):
    coupled = Wrapped(known.model, lambda z: z - z.mean(dim=0)).eval()
    found = run("fgsm", coupled, known.images, known.labels)
    assert any("depends on the batch" in note for note in found.notes)


def test_forced_small_steps_do_not_converge(known):
    found = ATTACKS["carlini-wagner"](
        known.model, known.images, known.labels, step_size=0.001, steps=30
    )
    assert found.counts().get("not converged", 0) == len(known.images)
    assert not found.success.any()


def test_passes_are_counted_per_sample(known):
    calls = []
    counted = Wrapped(known.model, lambda z: calls.append(len(z)) or z).eval()
    found = run("pgd", counted, known.images, known.labels)
    assert sum(calls) == int(found.forwards.sum())
    assert int(found.backwards.max()) <= 40
    early = found.backwards[found.success].float().mean()
    assert early < 40  # what is done is not computed any more


WRITERS = {
    "in place": lambda shown: shown.sub_(0.01),
    "data": lambda shown: shown.data.clamp_(0.4, 0.6),
    "numpy": lambda shown: np.maximum(shown.detach().numpy(), 0.7, out=shown.detach().numpy()),
}


@pytest.mark.parametrize("how", WRITERS)
@pytest.mark.parametrize("name", ATTACKS)
def test_a_model_that_writes_into_its_images_is_named(known, name, how):
    def writes(shown):
        WRITERS[how](shown)
        return known.model(shown)

    before = known.images.clone()
    with pytest.raises(UserError, match="writes into the images"):
        run(name, writes, known.images, known.labels)
    assert torch.equal(known.images, before)


def test_other_errors_of_a_model_are_its_own(known):
    weight = nn.Parameter(torch.ones(1))

    def broken(shown):
        weight.add_(1)
        return known.model(shown) * weight

    with pytest.raises(RuntimeError, match="leaf Variable"):
        run("fgsm", broken, known.images, known.labels)


def test_a_victim_is_a_model(known):
    victim = ClassifierVictim("linear", ("a", "b", "c"), "", 8, known.model)
    named = run("fgsm", victim, known.images, known.labels)
    plain = run("fgsm", known.model, known.images, known.labels)
    assert torch.equal(named.images, plain.images)


def test_restarts_work_on_survivors_only(known):
    once = pgd(known.model, known.images, known.labels, eps=0.055, steps=4)
    more = pgd(known.model, known.images, known.labels, eps=0.055, steps=4, restarts=3)
    assert (more.success >= once.success).all()
    assert torch.equal(more.backwards[once.success_8bit], once.backwards[once.success_8bit])


def test_universal_perturbation_carries_over(known):
    same = known.labels == known.labels[0]
    perturbation = train_universal(
        known.model, known.images[same][:4], known.labels[same][:4], eps=0.15
    )
    assert perturbation.abs().max() <= 0.15 + 1e-6
    found = universal(
        known.model, known.images[same][4:], known.labels[same][4:], perturbation=perturbation
    )
    assert found.success.all()
    shared = found.images - known.images[same][4:]
    assert torch.allclose(shared, perturbation.expand_as(shared), atol=1e-5)


def test_outcome_says_what_happened(known):
    text = str(run("pgd", known.model, known.images, known.labels))
    assert "24 succeeded" in text
    assert "24/24 = 100.0% (95 % 86.2% to 100.0%)" in text


def test_every_attack_is_in_one_family():
    assert set(ATTACKS) == set(WITH_BUDGET) | set(SMALLEST) | {"semantic"}


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_change_below_half_a_grey_level_is_brought_to_what_a_file_keeps(known_two, norm):
    """The image lies 1/1000 of its distance from the border, which rounding takes back."""
    model, image, label = known_two.model, known_two.images[:1], known_two.labels[:1]
    with torch.no_grad():
        logits = model(image)[0]
        gap = float(logits[label[0]] - logits[1 - label[0]])
    nearer = torch.zeros(2)
    nearer[1 - label[0]] = 0.999 * gap
    moved = Wrapped(model, lambda z: z + nearer).eval()
    found = ATTACKS["deepfool"](moved, image, label, norm=norm)
    assert found.success.all()
    assert found.success_8bit.all()
    assert 0.5 / 255 <= float(found.linf[0]) <= 3.001 / 255


class _Handed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, images: Tensor, weights: Tensor, store: Tensor) -> Tensor:
        ctx.store = store
        return images.flatten(1) @ weights

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return ctx.store[: len(gradient)], None, None


@pytest.mark.parametrize("name", ATTACKS)
def test_a_gradient_that_is_the_models_own_is_not_written_into(name):
    class Surrogate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            draws = torch.Generator().manual_seed(0)
            self.weights = torch.randn(64, 4, generator=draws)
            self.store = torch.randn(6, 1, 8, 8, generator=draws)

        def forward(self, images: Tensor) -> Tensor:
            return _Handed.apply(images, self.weights, self.store)

    model = Surrogate()
    before = model.store.clone()
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    run(name, model, images, model(images).argmax(dim=1))
    assert torch.equal(model.store, before)
