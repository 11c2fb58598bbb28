"""Windows around objects: boxes must follow the pixels, mirrored or not."""

from dataclasses import replace

import numpy as np
import torch

from physadv.data.coco import read_coco
from physadv.imaging.crops import SHAPES, cut_crops, targets_of
from physadv.victim.fitting import Letterboxed


def test_boxes_follow_the_pixels(red_people):
    photos = read_coco(red_people, ["person"]).photos
    groups = targets_of(photos, Letterboxed(320).scale, 0.25)
    assert [len(group) for group in groups] == [12, 0, 0]
    crops = cut_crops(groups[0], SHAPES[0], 0.25, np.random.default_rng(3), torch.device("cpu"))
    assert crops.images.shape == (12, 3, *SHAPES[0])
    assert crops.frame.tolist() == list(range(12))
    for image, box in zip(crops.images, crops.boxes, strict=True):
        rows, columns = np.nonzero((image[0] > 0.6).numpy() & (image[1] < 0.3).numpy())
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.array(seen) - box).max() < 1.6


def test_objects_go_to_the_least_window_that_holds_them(red_people):
    photos = read_coco(red_people, ["person"]).photos
    assert [len(group) for group in targets_of(photos, Letterboxed(640).scale, 0.25)] == [0, 12, 0]
    assert [len(group) for group in targets_of(photos, Letterboxed(320).scale, 0.7)] == [0, 0, 0]


def test_an_object_larger_than_every_window_keeps_its_own_box(red_people):
    photo = read_coco(red_people, ["person"]).photos[0]
    wide = replace(photo, boxes=np.array([[0.0, 0.0, 224.0, 320.0]]))
    groups = targets_of([wide], Letterboxed(1920).scale, 0.25)
    assert [len(group) for group in groups] == [0, 0, 1]
    crops = cut_crops(groups[2], SHAPES[2], 0.25, np.random.default_rng(0), torch.device("cpu"))
    height, width = SHAPES[2]
    assert crops.boxes.tolist() == [[0, 0, width, height]]
