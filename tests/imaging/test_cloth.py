"""Cloth: our spline against scipy's, and bent patches in both renderers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.interpolate import RBFInterpolator

from physadv.data.coco import read_coco
from physadv.data.instances import read_instances
from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.patching import Place, stick_patch
from physadv.imaging.cloth import CONTROL, displacement
from physadv.imaging.crops import SHAPES, cut_crops, targets_of, visible
from physadv.imaging.tiles import Tiles, paste_tiles, render_tiles
from physadv.victim.fitting import Letterboxed


def tiles_of(side, cloth=None, centre=(50.0, 60.0), roll=0.2):
    eye, zero = torch.eye(3)[None], torch.zeros(1, 3)
    return Tiles(
        torch.zeros(1, dtype=torch.long),
        torch.tensor([centre], dtype=torch.float32),
        torch.tensor([side]),
        torch.tensor([roll]),
        eye,
        zero,
        torch.ones(1, 1, 10, 10),
        torch.zeros(1),
        0,
        cloth,
    )


def test_the_spline_is_scipys():
    generator = np.random.default_rng(0)
    cloth = generator.uniform(-0.1, 0.1, (CONTROL**2, 2))
    line = np.linspace(-0.5, 0.5, CONTROL)
    controls = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    points = generator.uniform(-0.7, 0.7, (1, 9, 11, 2))
    theirs = RBFInterpolator(controls, cloth, kernel="thin_plate_spline", degree=1)
    ours = displacement(torch.from_numpy(points), torch.from_numpy(cloth)[None])
    assert np.allclose(ours[0].numpy(), theirs(points.reshape(-1, 2)).reshape(9, 11, 2), atol=1e-8)


def test_an_affine_cloth_is_a_shift_in_both_renderers():
    """Control points that all move alike shift the print, which both renderers must agree on."""
    generator = np.random.default_rng(1)
    colours = generator.integers(40, 216, (8, 8, 3), np.uint8)
    shift = np.array([0.08, -0.05])
    frames = torch.full((1, 3, 120, 110), 0.5)
    bent = tiles_of(48.0, torch.from_numpy(np.tile(shift, (CONTROL**2, 1)))[None].float())
    texture = torch.from_numpy(colours).permute(2, 0, 1).float() / 255
    seen = paste_tiles(frames, *render_tiles(texture, bent), bent)
    photo = np.full((120, 110, 3), 128, np.uint8)
    place = Place(np.array([50.0, 60.0]), 48.0, 0.2, np.tile(shift, (25, 1)))
    judged = stick_patch(photo, colours, place, NEUTRAL, np.random.default_rng(0)) / 255
    cos, sin = np.cos(0.2), np.sin(0.2)
    moved = np.array([50.0, 60.0]) - 48 * np.array(
        [cos * shift[0] - sin * shift[1], sin * shift[0] + cos * shift[1]]
    )
    flat = Place(moved, 48.0, 0.2)
    expected = stick_patch(photo, colours, flat, NEUTRAL, np.random.default_rng(0)) / 255
    assert np.abs(judged - expected).mean() < 0.004
    shifted = tiles_of(48.0, centre=tuple(moved))
    flatly = paste_tiles(frames, *render_tiles(texture, shifted), shifted)
    assert (seen - flatly).abs().max() < 1e-4


def test_a_bent_patch_stays_inside_its_tile():
    cloth = torch.from_numpy(np.random.default_rng(2).uniform(-0.1, 0.1, (1, CONTROL**2, 2)))
    _, coverage = render_tiles(torch.ones(3, 8, 8), tiles_of(60.0, cloth.float()))
    rim = torch.cat(
        [coverage[..., 0], coverage[..., -1], coverage[..., 0, :], coverage[..., -1, :]]
    )
    assert rim.max() == 0
    assert coverage.sum() > 0.7 * 60**2


@pytest.fixture
def masked(red_people):
    """The first photograph, whose person is half behind another one."""
    photo = read_coco(red_people, ["person"]).photos[0]
    mask = np.zeros((photo.height, photo.width), np.uint8)
    x1, y1, x2, y2 = photo.boxes[0].astype(int)
    mask[y1:y2, x1:x2] = 3
    mask[y1:y2, (x1 + x2) // 2 : x2] = 7
    path = red_people.parent / "mask.png"
    Image.fromarray(mask).save(path)
    return replace(photo, mask=path, mask_values=(3,))


def test_what_is_in_front_hides_the_patch_in_both_renderers(masked):
    middle = masked.boxes[0].reshape(2, 2).mean(axis=0)
    instances = read_instances(masked)
    hidden = (instances != 0) & (instances != 3)
    photo = np.zeros((masked.height, masked.width, 3), np.uint8)
    white = np.full((8, 8, 3), 255, np.uint8)
    place = Place(middle, 40.0, 0.0)
    stuck = stick_patch(photo, white, place, NEUTRAL, np.random.default_rng(0), hidden)
    columns = np.nonzero(stuck[int(middle[1]), :, 0] > 127)[0]
    assert abs(columns.min() - (middle[0] - 20)) <= 1
    assert abs(columns.max() - middle[0]) <= 1

    targets = targets_of([masked], Letterboxed(320).scale, 0.25)[0]
    for seed in range(6):  # mirrored and not
        generator = np.random.default_rng(seed)
        crops = cut_crops(
            targets, SHAPES[0], 0.25, generator, torch.device("cpu"), with_instances=True
        )
        box = crops.boxes[0]
        centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        tiles = tiles_of(40.0, centre=centre, roll=0.0)
        shown = visible(crops, tiles)[0, 0].numpy()
        share = shown[shown.shape[0] // 2].mean()
        assert 0.4 < share < 0.6
        red = crops.images[0, 0, int(centre[1])].numpy() > 0.6
        assert red[int(centre[0])]


def test_photographs_without_a_mask_hide_nothing(red_people):
    photo = read_coco(red_people, ["person"]).photos[0]
    assert read_instances(photo) is None
    targets = targets_of([photo], Letterboxed(320).scale, 0.25)[0]
    crops = cut_crops(
        targets, SHAPES[0], 0.25, np.random.default_rng(0), torch.device("cpu"), with_instances=True
    )
    assert visible(crops, tiles_of(40.0)).min() == 1
