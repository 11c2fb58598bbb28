"""A step keeps the device busy: nothing is read back from it, nothing waits for a copy to it.

No GPU is needed: on the device "meta" tensors have shapes and no values, so whatever would ask a
GPU for one fails. Tensors that only say that they are on a GPU show what autocast does there. Not
seen here: whether a driver waits although it was told not to, and lists that become tensors on the
device at once, as in torchvision's normalisation.
"""

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from kornia.enhance import jpeg
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from physadv.artwork.parameterization import parameterization_of
from physadv.data.coco import read_coco
from physadv.imaging.backgrounds import background_pool
from physadv.imaging.crops import targets_of
from physadv.imaging.framing import as_crops, as_windows
from physadv.optimize.eot import ViewsTask
from physadv.optimize.loop import _advance, _restore
from physadv.optimize.objects import HideSettings, HideTask
from physadv.optimize.opponents import opponents_of
from physadv.optimize.problem import Audience, Problem, Settings, Weights
from physadv.optimize.task import Schedule, Task
from physadv.scene.catalog import load_object_scene, load_scene
from physadv.scene.faces import scene_face
from physadv.victim import precision
from physadv.victim.catalog import load_victim
from physadv.victim.detector import DetectorVictim
from physadv.victim.yolo import yolo_from_yaml

META = torch.device("meta")
GPU = torch.device("cuda", 0)


class Watched(TorchDispatchMode):
    """Counts copies between devices that are waited for, and the precision of convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.convolutions: Counter[torch.dtype] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name == "_to_copy":
            target = torch.device(kwargs.get("device") or args[0].device)
            self._note(args[0], target, kwargs.get("non_blocking"))
        if name == "copy_":
            self._note(args[1], args[0].device, kwargs.get("non_blocking") or args[2:] == (True,))
        found = self._run(func, args, kwargs)
        if name == "convolution":
            self.convolutions[found.dtype] += 1
        return found

    def _note(self, what: torch.Tensor, target: torch.device, asynchronous: object) -> None:
        if target.type != what.device.type and not asynchronous:
            self.waits[f"{what.device} to {target}, {tuple(what.shape)}"] += 1

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        return func(*args, **kwargs)


class OnFakeGpu(Watched):
    """What is on the host has values, what is on a GPU has none."""

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        target = torch.device(kwargs.get("device") or "cpu")
        there = any(isinstance(leaf, FakeTensor) for leaf in tree_leaves((args, kwargs)))
        if there or target.type == "cuda":
            return func(*args, **kwargs)
        with unset_fake_temporarily():
            return func(*args, **kwargs)


def moved(victim, device):
    """The victim with tensors of ``device`` that have no values; strides stay with the host."""
    for module in victim.module.modules():
        for kind in (module._parameters, module._buffers):
            for name, value in kind.items():
                if value is not None:
                    like = torch.empty(value.shape, dtype=value.dtype, device=device)
                    is_parameter = isinstance(value, nn.Parameter)
                    kind[name] = nn.Parameter(like, value.requires_grad) if is_parameter else like
    return victim


def yolo() -> DetectorVictim:
    return yolo_from_yaml("yolov8n.yaml")


def people_task(red_people, device, scene="person_thys", **settings) -> HideTask:
    """Patches on people, against two detectors."""
    scene = load_object_scene(scene)
    victims = [replace(moved(yolo(), device), name=name) for name in ("one", "other")]
    photos = read_coco(red_people, ["person"]).photos
    groups = targets_of(photos, lambda height, width: 1.0, scene.least_height)
    parameterization = parameterization_of("rgb", scene.patch.texels)
    settings = HideSettings(crops=2, **settings)
    victims, classes = tuple(victims), (0, 0)
    return HideTask(scene, victims, classes, parameterization, groups, groups, settings, device)


def sign_task(device, palette="rgb") -> ViewsTask:
    """Stickers on a sign, against a classifier and a detector."""
    scene = load_scene("stop_sign")
    settings = Settings(views=16, windows=2, size_px=64, window_px=320)
    victims = [moved(load_victim("gtsrb-cnn"), device), moved(yolo(), device)]
    classifiers, detectors = opponents_of(scene, victims, "Speed limit (80km/h)", "hide")
    crops = background_pool(0, settings.size_px, None).to(device)
    windows = background_pool(0, settings.window_px, None, 4).to(device)
    face = torch.from_numpy(scene_face(scene, scene.mask_texels).copy()).permute(2, 0, 1) / 255
    problem = Problem(
        scene,
        (
            Audience(tuple(classifiers), as_crops, 16, 16, crops),
            Audience(tuple(detectors), as_windows(0.5), 2, 2, windows, ("scale",)),
        ),
        face.to(device),
        face[3:].round().to(device),
        parameterization_of(palette, scene.colour_texels),
        Weights(perceptibility=0.1),
        device,
    )
    return ViewsTask(problem, settings)


def waits_of(task: Task, settings: Schedule, steps: int = 6) -> Counter[str]:
    """What steps wait for, but for the first with each shape of windows."""
    state = _restore(task, settings, "fit", None, None)
    for _ in range(steps):
        _advance(task, settings, "fit", state)
    with Watched() as watched:
        for _ in range(steps):
            _advance(task, settings, "fit", state)
    assert state.step == 2 * steps
    return watched.waits


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ensemble": "max"},
        {"ensemble": "random", "loss": "recall"},
        {"scene": "person_torso"},  # cloth
    ],
)
def test_a_step_on_people_waits_for_nothing(red_people, settings):
    task = people_task(red_people, META, **settings)
    assert not waits_of(task, task.settings)


@pytest.mark.parametrize("palette", ["rgb", "2"])
def test_a_step_on_signs_waits_for_the_codec_alone(palette):
    """kornia's JPEG reads the qualities on the host, and waits for its copy except to a GPU."""
    task = sign_task(META, palette)
    coded = Counter(
        f"cpu to meta, {tuple(views.quality.shape)}"
        for step in range(6, 12)
        for audience in task.problem.audiences
        if len((views := task._views(audience, audience.count, "fit", step)).compressed)
    )
    assert coded
    assert waits_of(task, task.settings) == coded


def test_a_step_on_signs_waits_for_nothing_on_a_gpu(monkeypatch):
    """All of a step but its backward pass, which needs a driver, as does the codec's first call."""
    stream = SimpleNamespace(synchronize=lambda: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    for name, kept in vars(jpeg).copy().items():
        if name.endswith("_CACHE"):
            monkeypatch.setattr(jpeg, name, type(kept)())
    with FakeTensorMode(allow_non_fake_inputs=True), OnFakeGpu() as watched:
        task = sign_task(GPU)
        texels = task.problem.scene.colour_texels
        colours = torch.empty(3, texels, texels, device=GPU).requires_grad_()
        for step in range(6):
            task.estimate(colours, "fit", step)
        watched.waits.clear()
        found = [task.estimate(colours, "fit", step) for step in range(6, 12)]
    assert not watched.waits
    assert found[0].terms.total().device == GPU


def test_a_value_that_is_read_is_noticed():
    """The other tests can fail: a loss that is read, and a copy that is waited for."""
    values = torch.ones(3, device=META)
    with pytest.raises(RuntimeError, match="meta"):
        float(values.sum())
    with Watched() as watched:
        torch.ones(3).to(META)
        torch.ones(3).to(META, non_blocking=True)
    assert watched.waits == {"cpu to meta, (3,)": 1}


@pytest.mark.parametrize("half", [True, False])
def test_detectors_are_computed_in_bfloat16_on_a_gpu_that_can(red_people, monkeypatch, half):
    """All of a step but its backward pass, which needs a driver."""
    monkeypatch.setattr(precision, "computes_in_bfloat16", lambda device: True)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
    with FakeTensorMode(allow_non_fake_inputs=True), OnFakeGpu() as watched:
        task = people_task(red_people, GPU, half=half)
        colours = torch.empty(
            3, task.mask.shape[1], task.mask.shape[1], device=GPU
        ).requires_grad_()
        task.estimate(colours, "fit", 0)
        watched.convolutions.clear()
        watched.waits.clear()
        found = task.estimate(colours, "fit", 0)
    assert not watched.waits
    assert found.terms.total().device == GPU
    assert found.terms.total().dtype == torch.float32
    assert set(watched.convolutions) == {torch.bfloat16 if half else torch.float32}
    assert sum(watched.convolutions.values()) > 100
