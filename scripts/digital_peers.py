"""The same digital attacks by other libraries, each as (images, labels) -> adversarial images.

A library that is not installed, or does not import, is left out and named.
"""

import importlib
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

Attack = Callable[[Tensor, Tensor], Tensor]
Rows = dict[str, dict[str, Attack]]
"""Attack name -> library name -> attack."""


def peers(model: nn.Module, classes: int) -> tuple[Rows, list[str]]:
    """Every attack of every library that imports, and what does not."""
    rows: Rows = {}
    missing = []
    for library, make in (
        ("adv-lib", _adv_lib),
        ("foolbox", _foolbox),
        ("torchattacks", _torchattacks),
        ("cleverhans", _cleverhans),
        ("ART", _art),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for name, attack in make(model, classes).items():
                    rows.setdefault(name, {})[library] = attack
        except Exception as error:
            missing.append(f"{library}: {type(error).__name__}: {error}")
    return rows, missing


def _adv_lib(model: nn.Module, classes: int) -> dict[str, Attack]:
    attacks = importlib.import_module("adv_lib.attacks")
    linf = float("inf")

    def pgd(eps: float) -> Attack:
        return lambda x, y: attacks.pgd_linf(model, x, y, ε=eps, steps=40, absolute_step_size=0.01)

    def cw(rate: float) -> Attack:
        return lambda x, y: attacks.carlini_wagner_l2(
            model,
            x,
            y,
            learning_rate=rate,
            initial_const=1.0,
            binary_search_steps=5,
            max_iterations=100,
        )

    return {
        "PGD-40 eps .3": pgd(0.3),
        "PGD-40 eps .1": pgd(0.1),
        "APGD-40 eps .1": lambda x, y: attacks.apgd(
            model, x, y, eps=0.1, norm=linf, n_iter=40, n_restarts=1, loss_function="ce"
        ),
        "DeepFool l2": lambda x, y: attacks.df(model, x, y, steps=50),
        "DeepFool linf": lambda x, y: attacks.df(model, x, y, steps=50, norm=linf),
        "CW-l2 5x100 lr .01": cw(0.01),
        "CW-l2 5x100": cw(0.1),
        "DDN-100": lambda x, y: attacks.ddn(model, x, y, steps=100),
    }


def _foolbox(model: nn.Module, classes: int) -> dict[str, Attack]:
    foolbox = importlib.import_module("foolbox")
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1))
    attacks = foolbox.attacks

    def run(attack: object, eps: float | None) -> Attack:
        return lambda x, y: attack(wrapped, x, y, epsilons=eps)[1]  # type: ignore[operator]

    def cw(rate: float) -> Attack:
        options = {"binary_search_steps": 5, "steps": 100, "initial_const": 1.0}
        return run(attacks.L2CarliniWagnerAttack(stepsize=rate, **options), None)

    def pgd(start: bool) -> object:
        return attacks.LinfProjectedGradientDescentAttack(
            abs_stepsize=0.01, steps=40, random_start=start
        )

    return {
        "FGSM eps .3": run(attacks.LinfFastGradientAttack(), 0.3),
        "BIM-40 eps .1": run(pgd(False), 0.1),
        "PGD-40 eps .3": run(pgd(True), 0.3),
        "PGD-40 eps .1": run(pgd(True), 0.1),
        "DeepFool l2": run(attacks.L2DeepFoolAttack(steps=50, candidates=10), None),
        "DeepFool linf": run(attacks.LinfDeepFoolAttack(steps=50, candidates=10), None),
        "CW-l2 5x100 lr .01": cw(0.01),
        "CW-l2 5x100": cw(0.1),
        "DDN-100": run(attacks.DDNAttack(steps=100), None),
    }


def _torchattacks(model: nn.Module, classes: int) -> dict[str, Attack]:
    library = importlib.import_module("torchattacks")
    options = {"alpha": 0.01, "steps": 40}
    return {
        "FGSM eps .3": library.FGSM(model, eps=0.3),
        "BIM-40 eps .1": library.BIM(model, eps=0.1, **options),
        "PGD-40 eps .3": library.PGD(model, eps=0.3, **options),
        "PGD-40 eps .1": library.PGD(model, eps=0.1, **options),
        "APGD-40 eps .1": library.APGD(model, eps=0.1, steps=40, n_restarts=1, loss="ce"),
        "DeepFool l2": library.DeepFool(model, steps=50, overshoot=0.02),
        "CW-l2 5x100 lr .01": library.CW(model, c=1, steps=500, lr=0.01),
        "CW-l2 5x100": library.CW(model, c=1, steps=500, lr=0.1),
    }


def _cleverhans(model: nn.Module, classes: int) -> dict[str, Attack]:
    def load(name: str) -> Callable[..., Tensor]:
        return getattr(importlib.import_module(f"cleverhans.torch.attacks.{name}"), name)

    gradient, pgd, cw = (
        load("fast_gradient_method"),
        load("projected_gradient_descent"),
        load("carlini_wagner_l2"),
    )
    linf = float("inf")

    def search(rate: float) -> Attack:
        options = {"initial_const": 1, "binary_search_steps": 5, "max_iterations": 100}
        return lambda x, y: cw(model, x, classes, lr=rate, **options)

    return {
        "FGSM eps .3": lambda x, y: gradient(model, x, 0.3, linf, clip_min=0, clip_max=1, y=y),
        "PGD-40 eps .3": lambda x, y: pgd(
            model, x, 0.3, 0.01, 40, linf, clip_min=0, clip_max=1, y=y, sanity_checks=False
        ),
        "PGD-40 eps .1": lambda x, y: pgd(
            model, x, 0.1, 0.01, 40, linf, clip_min=0, clip_max=1, y=y, sanity_checks=False
        ),
        "CW-l2 5x100 lr .01": search(0.01),
        "CW-l2 5x100": search(0.1),
    }


def _art(model: nn.Module, classes: int) -> dict[str, Attack]:
    evasion = importlib.import_module("art.attacks.evasion")
    classifier = importlib.import_module("art.estimators.classification").PyTorchClassifier
    wrapped = {}

    def classifier_for(x: Tensor) -> object:
        shape = tuple(x.shape[1:])
        if shape not in wrapped:
            wrapped[shape] = classifier(
                model, torch.nn.CrossEntropyLoss(), shape, classes, clip_values=(0.0, 1.0)
            )
        return wrapped[shape]

    def run(name: str, **options: object) -> Attack:
        def attack(x: Tensor, y: Tensor) -> Tensor:
            made = getattr(evasion, name)(classifier_for(x), batch_size=len(x), **options)
            return torch.from_numpy(made.generate(x.numpy(), y=y.numpy()))

        return attack

    pgd = {"eps_step": 0.01, "max_iter": 40, "verbose": False}
    return {
        "FGSM eps .3": run("FastGradientMethod", eps=0.3),
        "BIM-40 eps .1": run("BasicIterativeMethod", eps=0.1, **pgd),
        "PGD-40 eps .3": run("ProjectedGradientDescent", eps=0.3, num_random_init=1, **pgd),
        "PGD-40 eps .1": run("ProjectedGradientDescent", eps=0.1, num_random_init=1, **pgd),
        "DeepFool l2": run("DeepFool", max_iter=50, epsilon=0.02, verbose=False),
    }
