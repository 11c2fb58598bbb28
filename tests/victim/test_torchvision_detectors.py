"""Torchvision's detectors: the detections of their own forward, and gradients to the pixels."""

import hashlib
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import get_model, get_model_weights

from physadv.checks import UserError
from physadv.data.coco import read_coco
from physadv.data.files import find_external
from physadv.objective.detection import box_iou, hide
from physadv.optimize.objects import HideSettings
from physadv.optimize.patches import PatchRecipe, make_patch
from physadv.scene.catalog import load_object_scene
from physadv.victim.detectors import list_detectors, load_detector
from physadv.victim.torchvision_detectors import (
    checkpoint_path,
    torchvision_victim,
    untrained_torchvision,
)
from physadv.victim.torchvision_heads import foreground_log_odds, geometric_mean_log_odds
from physadv.victim.weights import module_sha256

SMALL = {"min_size": 100, "max_size": 150}
FEW = {"rpn_post_nms_top_n_test": 60}
FAMILIES = {
    "fasterrcnn_resnet50_fpn": SMALL | FEW,
    "fasterrcnn_resnet50_fpn_v2": SMALL | FEW,
    "fasterrcnn_mobilenet_v3_large_fpn": SMALL | FEW,
    "fasterrcnn_mobilenet_v3_large_320_fpn": {},
    "retinanet_resnet50_fpn": SMALL | {"topk_candidates": 60},
    "retinanet_resnet50_fpn_v2": SMALL,
    "fcos_resnet50_fpn": SMALL,
    "ssd300_vgg16": {},
    "ssdlite320_mobilenet_v3_large": {},
}
FIXED = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}
CATEGORIES = get_model_weights("ssd300_vgg16").DEFAULT.meta["categories"]


def pictures(*sizes):
    """Smooth random pictures of (height, width) px."""
    generator = np.random.default_rng(5)
    coarse = [generator.integers(0, 256, (9, 12, 3), dtype=np.uint8) for _ in sizes]
    return [
        cv2.resize(one, size[::-1], interpolation=cv2.INTER_CUBIC)
        for one, size in zip(coarse, sizes, strict=True)
    ]


def last_layers(network):
    """Layers that end a head, and the spread that their outputs shall have."""
    rpn = getattr(network, "rpn", None)
    if rpn is not None:
        predictor = network.roi_heads.box_predictor
        yield from [(rpn.head.cls_logits, 2.0), (rpn.head.bbox_pred, 0.3)]
        yield from [(predictor.cls_score, 2.5), (predictor.bbox_pred, 1.0)]
        return
    scorer, regressor = network.head.classification_head, network.head.regression_head
    if hasattr(scorer, "module_list"):
        for one, spread in ((scorer, 2.5), (regressor, 1.0)):
            for layer in one.module_list:
                yield (layer[-1] if isinstance(layer, nn.Sequential) else layer), spread
        return
    yield from [(scorer.cls_logits, 2.0), (regressor.bbox_reg, 0.5)]
    if hasattr(regressor, "bbox_ctrness"):
        yield regressor.bbox_ctrness, 2.0


@cache
def lively(name):
    """A random network whose scores differ by more than rounding, and the victim it makes.

    Batch statistics take the place of the trained ones, and the last layers are scaled.
    """
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = get_model(name, weights=None, weights_backbone=None, **FAMILIES[name]).eval()
        batch = torch.rand(2, 3, 6, 8).repeat_interleave(40, 2).repeat_interleave(40, 3)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.train().momentum = 1.0
    victim = torchvision_victim(name, network, CATEGORIES)
    network.apply(lambda m: m.train() if isinstance(m, nn.BatchNorm2d) else m)
    spreads = dict(last_layers(network))
    hooks = [layer.register_forward_hook(_scale(spreads[layer])) for layer in spreads]
    with torch.no_grad():
        victim.outputs(batch)
    for hook in hooks:
        hook.remove()
    return network.eval(), victim


def _scale(spread):
    done = set()

    def hook(layer, _arguments, output):
        if layer in done:
            return None
        done.add(layer)
        factor = spread / (output - layer.bias.view(-1, *[1] * (output.ndim - 2))).std()
        layer.weight.data *= factor
        return output

    return hook


def theirs_and_ours(network, victim, picture):
    """Torchvision's own output and the victim's, as (names, boxes, scores)."""
    with torch.no_grad():
        found = network([torch.tensor(picture).permute(2, 0, 1) / 255])[0]
    names = [f"unused {n}" if CATEGORIES[n] == "N/A" else CATEGORIES[n] for n in found["labels"]]
    ours = victim.detect([picture], threshold(network))[0]
    own_names = [victim.class_names[n] for n in ours.classes]
    theirs = names, found["boxes"].double().numpy(), found["scores"].double().numpy()
    return theirs, (own_names, ours.boxes, ours.scores)


def share_found(wanted, among):
    """Share of detections that have one of the same name, place and score among others."""
    found = 0
    for name, box, score in zip(*wanted, strict=True):
        found += any(
            name == other and np.abs(box - place).max() < 0.1 and abs(score - value) < 5e-3
            for other, place, value in zip(*among, strict=True)
        )
    return found / len(wanted[0])


def threshold(network):
    return getattr(network, "score_thresh", None) or network.roi_heads.score_thresh


@pytest.mark.parametrize("name", FAMILIES)
def test_detections_are_torchvisions_own(name):
    """Pictures at the network's own scale give it the same input, bit for bit."""
    network, victim = lively(name)
    sizes = [(100, 140), (150, 100)]
    if name in FIXED:
        sizes = [(FIXED[name], FIXED[name])]
    elif "320" in name:
        sizes = [(320, 330)]
    for picture in pictures(*sizes):
        assert victim.scale(*picture.shape[:2]) == 1
        (names, boxes, scores), ours = theirs_and_ours(network, victim, picture)
        assert len(names) > 40
        assert ours[0] == names
        np.testing.assert_allclose(ours[1], boxes, atol=1e-3)
        np.testing.assert_allclose(ours[2], scores, atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_detections_on_pictures_of_any_size(name):
    """Torchvision normalises before it resizes; random networks make much of that rounding."""
    network, victim = lively(name)
    theirs, ours = theirs_and_ours(network, victim, pictures((123, 171))[0])
    assert len(theirs[0]) > 40
    assert share_found(theirs, ours) > 0.95
    assert share_found(ours, theirs) > 0.95


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "ssd300_vgg16"])
@pytest.mark.parametrize(
    "size", [(480, 640), (427, 640), (333, 1000), (17, 900), (900, 17), (1, 1), (100, 100)]
)
def test_the_input_is_torchvisions(name, size):
    network, victim = lively(name)
    picture = pictures(size)[0]
    theirs, _ = network.transform([torch.from_numpy(picture).permute(2, 0, 1) / 255])
    batch = victim.fitting.of(*size).batch([picture], torch.device("cpu"))
    height, width = theirs.image_sizes[0]
    assert batch.shape == (1, 3, height, width)
    normal = network.transform.normalize(batch)
    torch.testing.assert_close(normal, theirs.tensors[..., :height, :width], atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_reach_the_pixels(name):
    _, victim = lively(name)
    before = module_sha256(victim.module)
    size = (FIXED[name], FIXED[name]) if name in FIXED else (96, 70)
    image = torch.from_numpy(pictures(size)[0]).permute(2, 0, 1)[None] / 255
    image = image.contiguous().requires_grad_(True)
    heads = victim.candidates(image)
    assert len(heads) == (2 if name.startswith("faster") else 1)
    classes = len(victim.class_names)
    for head in heads:
        assert head.class_logits.shape == (1, head.boxes.shape[1], classes)
        assert head.boxes_of(3).shape == (1, head.boxes.shape[1], 4)
        for output in (head.class_logits[..., 1], head.boxes_of(1)):
            gradient = torch.autograd.grad(output.sum(), image, retain_graph=True)[0]
            assert gradient.isfinite().all()
            assert gradient.abs().sum() > 0
    sum(head.class_logits.sum() for head in heads).backward()
    assert module_sha256(victim.module) == before
    assert not any(layer.training for layer in victim.module.modules())


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", ["fasterrcnn_mobilenet_v3_large_320_fpn", "ssdlite320_mobilenet_v3_large"]
)
def test_detections_on_photographs(name):
    network, victim = lively(name)
    for path in sorted(find_external("data/coco_subset/images").iterdir())[:4]:
        theirs, ours = theirs_and_ours(network, victim, np.asarray(Image.open(path).convert("RGB")))
        assert len(theirs[0]) > 40
        assert share_found(theirs, ours) > 0.95
        assert share_found(ours, theirs) > 0.95


def test_boxes_follow_the_photograph():
    """``outputs`` gives the same candidates as the network's input, in the picture's pixels."""
    _, victim = lively("retinanet_resnet50_fpn")
    image = torch.rand(1, 3, 50, 75)
    with torch.no_grad():
        own = victim.outputs(image)[0]
        seen = victim.candidates(victim.fitting.of(50, 75).fit(image))[0]
    assert victim.scale(50, 75) == 2
    assert torch.allclose(own.boxes * 2, seen.boxes, atol=1e-3)


def test_log_odds_do_not_saturate():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(50, 6, generator=generator, dtype=torch.float64)
    p = logits.softmax(-1)[:, 1:]
    torch.testing.assert_close(foreground_log_odds(logits), p.logit())
    sure = torch.tensor([[0.0, 90.0, 3.0], [80.0, 0.0, -40.0]], requires_grad=True)
    odds = foreground_log_odds(sure)
    rest = np.log1p(np.exp(3.0))
    assert odds.tolist() == [
        pytest.approx([90 - rest, 3 - 90.0], rel=1e-5),
        pytest.approx([-80.0, -120.0], rel=1e-5),
    ]
    gradient = torch.autograd.grad(odds.sum(), sure)[0]
    assert gradient.isfinite().all()
    assert gradient[0, 1] == 0  # +1 for its own odds, -1 for the other's


def test_geometric_mean_log_odds_do_not_saturate():
    first, second = torch.meshgrid(
        *[torch.linspace(-9, 9, 19, dtype=torch.float64)] * 2, indexing="ij"
    )
    wanted = (first.sigmoid() * second.sigmoid()).sqrt().logit()
    torch.testing.assert_close(geometric_mean_log_odds(first, second), wanted)
    sure = torch.tensor([60.0, 120.0, -90.0], requires_grad=True)
    odds = geometric_mean_log_odds(sure, sure)
    assert odds.tolist() == pytest.approx([60, 120, -90], abs=0.01)  # sqrt(a a) = a
    assert torch.autograd.grad(odds.sum(), sure)[0].tolist() == pytest.approx([1] * 3, abs=1e-3)


def test_half_precision_does_not_round_the_anchors():
    """Under autocast the maps are bfloat16, whose step at 500 is 2; without offsets, the boxes are
    the anchors, on whole pixels."""
    retina = untrained_torchvision("retinanet_resnet50_fpn", **SMALL)
    nn.init.zeros_(retina.module.network.head.regression_head.bbox_reg.weight)
    faster = untrained_torchvision("fasterrcnn_mobilenet_v3_large_fpn", **SMALL)
    nn.init.zeros_(faster.module.network.rpn.head.bbox_pred.weight)
    for victim in (retina, faster):
        image = torch.rand(1, 3, 64, 608).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            exact = victim.candidates(image)[-1].boxes
            with torch.autocast("cpu", torch.bfloat16):
                half = victim.candidates(image)[-1].boxes
        assert torch.equal(half, exact)
        assert (exact % 2 == 1).any()


def test_candidates_do_not_depend_on_what_was_asked_before():
    """Torchvision's pooler keeps the scales of the first image that it sees."""
    _, victim = lively("fasterrcnn_mobilenet_v3_large_fpn")
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first = victim.candidates(image)[0]
        victim.candidates(torch.rand(1, 3, 9, 17))
        again = victim.candidates(image)[0]
    assert torch.equal(first.class_logits, again.class_logits)
    assert torch.equal(first.boxes, again.boxes)


def test_images_of_one_batch_do_not_touch_each_other():
    """They have different numbers of proposals; the shorter list is filled up with nothing."""
    _, victim = lively("fasterrcnn_mobilenet_v3_large_fpn")
    shown = pictures((100, 150), (100, 150))
    together = victim.detect(shown, 0.05)
    for picture, found in zip(shown, together, strict=True):
        alone = victim.detect([picture], 0.05)[0]
        assert found.classes.tolist() == alone.classes.tolist()
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-3)


def test_no_proposal_at_all():
    victim = untrained_torchvision(
        "fasterrcnn_mobilenet_v3_large_fpn", **SMALL, rpn_score_thresh=1.1
    )
    head, proposals = victim.candidates(torch.rand(2, 3, 64, 64))
    assert head.boxes.shape == (2, 1, 90, 4)
    assert (head.class_logits < -50).all()
    assert proposals.class_agnostic
    assert victim.detect([np.zeros((40, 50, 3), np.uint8)], 0.01)[0].scores.size == 0
    box = torch.tensor([[0.0, 0, 64, 64]])
    loss, _ = hide(head, torch.tensor([0]), box, 0)
    assert loss.isfinite().all()


def test_each_class_of_faster_rcnn_has_its_own_box():
    _, victim = lively("fasterrcnn_mobilenet_v3_large_fpn")
    image = torch.from_numpy(pictures((96, 128))[0]).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        head = victim.candidates(image)[0]
    for index in (0, 12):
        target = head.boxes_of(index)[0, :1]
        overlap = box_iou(target, head.boxes[0, :, index])[0]
        wanted = head.class_logits[0, overlap >= 0.3, index].max()
        _, strongest = hide(head, torch.tensor([0]), target, index)
        assert strongest.item() == wanted


def test_names_of_classes():
    softmax = untrained_torchvision("ssdlite320_mobilenet_v3_large")
    sigmoid = untrained_torchvision("fcos_resnet50_fpn")
    for victim in (softmax, sigmoid):
        assert len(set(victim.class_names)) == len(victim.class_names)
        for name in ("person", "stop sign", "toothbrush"):
            index = victim.first_known([name])
            assert victim.class_names[index] == name
    assert (softmax.first_known(["person"]), sigmoid.first_known(["person"])) == (0, 1)
    assert "unused 12" in softmax.class_names


def test_a_patch_can_be_optimised(red_people, tmp_path):
    """Two detectors at one scale, in half precision; one that squashes pictures is refused."""
    scene = load_object_scene("person_thys").resized(0.4)
    people = read_coco(red_people, ["person"])
    recipe = PatchRecipe(share=0.5, settings=HideSettings(steps=1, crops=1, held_out_every=1))
    name = "fasterrcnn_mobilenet_v3_large_320_fpn"
    victim = untrained_torchvision(name)
    other = replace(victim, name="other")
    assert victim.window_scale(320, 224) == 320 / 224
    artwork = make_patch(scene, [victim, other], [people], recipe, tmp_path / "run")
    assert artwork.victims == (name, "other")
    squashing = untrained_torchvision("ssdlite320_mobilenet_v3_large")
    with pytest.raises(UserError, match=r"squashes.*h = 320 and w = 320.*keeps proportions"):
        make_patch(scene, [squashing], [people], recipe, tmp_path / "no")
    with pytest.raises(UserError, match=r"\[B,3,h,w\] with h = 320 and w = 320"):
        squashing.candidates(torch.rand(1, 3, 320, 224))
    assert squashing.scale(640, 100) == 0.5


def _publish(monkeypatch, tmp_path, content, *, cached):
    """Make ``content`` the official checkpoint, in the cache or to be downloaded."""
    name = "ssdlite320_mobilenet_v3_large"
    weights = get_model_weights(name).DEFAULT
    digest = hashlib.sha256(content).hexdigest()[:8]
    source = tmp_path / "web" / f"model-{digest}.pth"
    source.parent.mkdir()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(weights.value, "url", source.as_uri())
    target = checkpoint_path(name) if cached else source
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return name, target


def test_official_weights_are_downloaded_once_and_used(tmp_path, monkeypatch, capfd):
    state = get_model(
        "ssdlite320_mobilenet_v3_large", weights=None, weights_backbone=None
    ).state_dict()
    torch.save(state, tmp_path / "state.pth")
    content = (tmp_path / "state.pth").read_bytes()
    name, source = _publish(monkeypatch, tmp_path, content, cached=False)
    [info] = [entry for entry in list_detectors() if entry.name == name]
    assert "first use" in info.weights
    assert not (tmp_path / "home").exists()
    victim = load_detector(name)
    source.unlink()
    again = load_detector(name)
    assert victim.weights_sha256 == again.weights_sha256
    loaded = victim.module.network.state_dict()
    assert all(torch.equal(loaded[key], state[key]) for key in state)
    [info] = [entry for entry in list_detectors() if entry.name == name]
    assert info.weights == f"found: {checkpoint_path(name)}"


def test_without_a_network_one_clear_error(tmp_path, monkeypatch):
    name, source = _publish(monkeypatch, tmp_path, b"weights", cached=False)
    source.unlink()
    with pytest.raises(UserError, match=r"cannot be downloaded.*Connect to a network once"):
        load_detector(name)
    assert not list((tmp_path / "home").rglob("*.pth*"))


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_checkpoint_with_code_or_damage_is_refused(tmp_path, monkeypatch, capsys):
    torch.save({"model": Evil()}, tmp_path / "evil.pth")
    content = (tmp_path / "evil.pth").read_bytes()
    name, path = _publish(monkeypatch, tmp_path, content, cached=True)
    with pytest.raises(UserError, match="not its official checkpoint"):
        load_detector(name)
    assert "code ran" not in capsys.readouterr().out
    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match="checksum is not the one in its name"):
        load_detector(name)


def test_every_name_is_listed_and_known_to_torchvision():
    listed = [info.name for info in list_detectors()]
    for name in FAMILIES:
        assert name in listed
        assert get_model_weights(name).DEFAULT.meta["categories"] == CATEGORIES
