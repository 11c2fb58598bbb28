"""Detectors: letterboxing, suppression, gradients, and agreement with ultralytics' own predict."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from physadv.checks import UsageError, UserError
from physadv.data.files import find_external
from physadv.victim.detector import DetectorVictim
from physadv.victim.detectors import load_detector
from physadv.victim.fitting import Letterbox
from physadv.victim.suppression import strongest, suppress
from physadv.victim.weights import module_sha256
from physadv.victim.yolo import load_yolo, prepare_ultralytics, yolo_from_yaml

FAMILIES = ["yolov5n", "yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n"]


def test_ultralytics_leaves_the_process_as_it_was():
    """Its import replaces Image.open by one that fails on broken files, and stops cv2's threads."""
    program = """
import cv2, torch
from PIL import Image
before = Image.open, cv2.imread, cv2.imwrite, torch.save, cv2.getNumThreads()
from physadv.victim.yolo import prepare_ultralytics
prepare_ultralytics()
from ultralytics import YOLO
assert before == (Image.open, cv2.imread, cv2.imwrite, torch.save, cv2.getNumThreads())
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("height", "width"),
    [(480, 640), (640, 480), (536, 559), (1000, 333), (17, 900), (1, 1), (641, 640), (720, 1280)],
)
def test_letterbox_is_that_of_ultralytics(height, width):
    prepare_ultralytics()
    from ultralytics.data.augment import LetterBox

    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    theirs = LetterBox(640, auto=True, stride=32)(image=picture)
    box = Letterbox.of(height, width, 640, 32)
    assert np.array_equal(box.fit_picture(picture), theirs)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    ours = box.fit(tensor)[0].permute(1, 2, 0).numpy() * 255
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1.0  # cv2 rounds to 8 bits on the way


def test_boxes_come_back_to_the_picture():
    box = Letterbox.of(300, 500, 640, 32)
    corners = torch.tensor([[0.0, 0, 500, 300], [10, 20, 30, 40]])
    scale = torch.tensor([box.scale_x, box.scale_y] * 2)
    shifted = corners * scale + torch.tensor([box.left, box.top] * 2)
    assert torch.allclose(box.back(shifted), corners, atol=1e-4)


def test_suppression_is_torchvisions_class_by_class():
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(400, 2, generator=generator) * 200
    boxes = torch.cat([corner, corner + 20 + 60 * torch.rand(400, 2, generator=generator)], 1)
    scores = torch.rand(400, 5, generator=generator)
    kept = suppress(boxes, scores, 0.3, 0.5)
    best, classes = scores.max(1)
    wanted = torchvision.ops.batched_nms(boxes, best, classes, 0.5)
    wanted = wanted[best[wanted] > 0.3][:300]
    assert torch.equal(kept.boxes, boxes[wanted])
    assert torch.equal(kept.classes, classes[wanted])
    assert (kept.scores.diff() <= 0).all()


def test_strongest_pairs_of_candidate_and_class():
    scores = torch.tensor([[0.9, 0.8], [0.1, 0.7], [0.05, 0.2]])
    boxes = torch.arange(12.0).reshape(3, 4)
    kept = strongest(boxes, scores, 0.15)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert kept.classes.tolist() == [0, 1, 1]
    assert torch.equal(kept.boxes, boxes[[0, 0, 1]])


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_the_pixels_through_every_head(family):
    victim = yolo_from_yaml(f"{family}.yaml")
    image = torch.rand(1, 3, 64, 96).requires_grad_(True)
    heads = victim.candidates(image)
    assert len(heads) == (2 if family in ("yolov10n", "yolo26n") else 1)
    for head in heads:
        assert head.boxes.shape == (1, 126, 4)
        assert head.class_logits.shape == (1, 126, 80)
        for output in (head.class_logits, head.boxes):
            gradient = torch.autograd.grad(output.sum(), image, retain_graph=True)[0]
            assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("architecture", "per_cell"),
    [
        ("yolov5n-p6", 85),
        ("yolov6n", 84),
        ("yolov8n-p2", 340),
        ("yolov8n-ghost-p6", 85),
        ("yolo26n-p2", 340),
        ("yolo26n-p6", 85),
    ],
)
def test_heads_with_other_strides(architecture, per_cell):
    """Two to four maps, down to a stride of 64."""
    victim = yolo_from_yaml(f"{architecture}.yaml")
    image = torch.rand(1, 3, 64, 64).requires_grad_(True)
    for head in victim.candidates(image):
        assert head.boxes.shape == (1, per_cell, 4)
        gradient = torch.autograd.grad(head.class_logits.sum(), image, retain_graph=True)[0]
        assert gradient.abs().sum() > 0
    with pytest.raises(UserError, match="multiples of"):
        victim.candidates(torch.rand(1, 3, 64, 48))


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("yolov8n-cls", "Classify"),
        ("yolov8n-rtdetr", "RTDETRDecoder"),
        ("rtdetr-l", "RTDETRDecoder"),
        ("yolov8n-obb", "OBB"),
        ("yolo11n-seg", "Segment"),
        ("yolo26n-pose", "Pose26"),
        ("yolov8n-worldv2", "WorldDetect"),
        ("yoloe-11n", "YOLOEDetect"),
    ],
)
def test_other_heads_are_refused(architecture, head):
    with pytest.raises(UserError, match=f"{architecture}.*its head is {head}"):
        yolo_from_yaml(f"{architecture}.yaml")


def test_candidates_do_not_depend_on_what_was_asked_before():
    victim = yolo_from_yaml("yolov8n.yaml")
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        victim.candidates(image)
    first = victim.candidates(image.clone().requires_grad_())[0]
    first.boxes.sum().backward()  # what was made in inference mode cannot be recorded
    victim.candidates(torch.rand(1, 3, 96, 64))
    for width in range(1, 70):
        victim.candidates(torch.rand(1, 3, 32, 32 * width))  # more than are kept
    with torch.no_grad():
        again = victim.candidates(image)[0]
    assert torch.equal(first.boxes, again.boxes)
    assert torch.equal(first.class_logits, again.class_logits)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["yolov8n", "yolov8s"])
def test_detections_equal_ultralytics_predict(name, tmp_path):
    """The same network, through predict's own letterbox, decoding and suppression."""
    prepare_ultralytics()
    from ultralytics import YOLO

    victim = load_detector(name)
    theirs = YOLO(f"{name}.yaml", verbose=False)
    load = load_yolo(name, find_external(f"weights/{name}_coco.fp16.safetensors"))
    assert load.weights_sha256 == victim.weights_sha256
    from safetensors.torch import load_file

    weights = load_file(find_external(f"weights/{name}_coco.fp16.safetensors"))
    theirs.model.load_state_dict({key: value.float() for key, value in weights.items()})
    folder = find_external("data/coco_subset/images")
    compared = 0
    for path in sorted(folder.iterdir())[:12]:
        picture = np.asarray(Image.open(path).convert("RGB"))
        ours = victim.detect([picture])[0]
        found = theirs.predict(Image.fromarray(picture), verbose=False, device="cpu")[0].boxes
        assert ours.classes.tolist() == found.cls.int().tolist()
        np.testing.assert_allclose(ours.boxes, found.xyxy.numpy(), atol=1e-3 * max(picture.shape))
        np.testing.assert_allclose(ours.scores, found.conf.numpy(), atol=1e-3)
        compared += len(ours.scores)
    assert compared > 30


def test_pictures_of_several_sizes_keep_their_order(red_detector):
    dark = np.zeros((320, 224, 3), np.uint8)
    bright = dark.copy()
    bright[60:252, 64:160] = (255, 0, 0)
    wide = np.zeros((100, 320, 3), np.uint8)
    found = red_detector.detect([dark, bright, wide, bright], 0.6)
    assert [len(one.scores) > 0 for one in found] == [False, True, False, True]
    for first, second in itertools.pairwise([found[1], found[3]]):
        assert np.array_equal(first.boxes, second.boxes)


def test_a_victim_is_left_as_it_was(red_people, tmp_path):
    """Bit for bit, after gradients, detection and half precision."""
    victim = yolo_from_yaml("yolov8n.yaml")
    before = module_sha256(victim.module)
    image = torch.rand(2, 3, 64, 64, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        victim.candidates(image)[0].class_logits.sum().backward()
    victim.detect([np.zeros((40, 60, 3), np.uint8)], 0.9)
    assert module_sha256(victim.module) == before
    assert not victim.module.training


def test_wrong_input(red_detector: DetectorVictim, tmp_path):
    with pytest.raises(UserError, match="multiples of 32"):
        red_detector.candidates(torch.rand(1, 3, 33, 64))
    with pytest.raises(UserError, match="confidence"):
        red_detector.detect([np.zeros((32, 32, 3), np.uint8)], 1.5)
    with pytest.raises(UsageError, match="Known: person, dog"):
        red_detector.first_known(["zebra"])
    with pytest.raises(UsageError, match="physadv import"):
        load_detector("yolov99")
    with pytest.raises(UserError, match="cannot build"):
        yolo_from_yaml("yolov99n.yaml")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="describes itself"):
        load_yolo("bad", tmp_path / "bad.safetensors")
