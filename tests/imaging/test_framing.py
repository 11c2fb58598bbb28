"""Framing: where the carrier lies in a view must be where its pixels are."""

import numpy as np
import pytest
import torch

from physadv.imaging.framing import as_crops, as_windows, carrier_box
from physadv.imaging.render import warp_texture
from physadv.imaging.views import sample_views
from physadv.scene.catalog import load_scene
from physadv.scene.pose import Pose

SCALE = 0.5


@pytest.mark.parametrize("framing", [as_crops, as_windows(SCALE)])
def test_boxes_are_where_the_pixels_are(framing):
    scene = load_scene("road_board")  # its outline is the whole texture
    views = sample_views(scene, 12, 224, seed=5, keys=("boxes",), pool=1, framing=framing)
    alpha = warp_texture(torch.ones(1, 4, 256, 256), views)[:, 3].numpy()
    for shown, box in zip(alpha, views.boxes, strict=True):
        rows, columns = np.nonzero(shown > 0.5)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        # An acute corner that the pixel grid cuts off may be missing.
        assert np.abs(np.array(seen) - box.clip(0, 224)).max() < 2.5


def test_windows_have_the_detectors_scale_and_hold_the_carrier(scene):
    poses = [Pose(d, 20, 3, 2) for d in (1.6, 3.0, 12.0)]
    frames = as_windows(SCALE)(scene, poses, 320, np.random.default_rng(0))
    for pose, frame in zip(poses, frames, strict=True):
        box = carrier_box(scene, pose)
        assert np.allclose(frame.zoom, SCALE)
        assert np.allclose(frame.box[2:] - frame.box[:2], SCALE * (box[2:] - box[:2]))
        assert frame.box.min() >= -1e-6
        assert frame.box.max() <= 320 + 1e-6


def test_a_carrier_larger_than_the_window_is_centred(scene):
    frame = as_windows(1.0)(scene, [Pose(1.6)], 128, np.random.default_rng(0))[0]
    assert np.allclose((frame.box[:2] + frame.box[2:]) / 2, 64)


def test_small_carriers_are_filtered_not_aliased(still_scene):
    """A checkerboard of single texels must come out as even grey where it is much smaller."""
    far = still_scene.model_copy(
        update={
            "views": still_scene.views.model_copy(
                update={
                    "distance_m": still_scene.views.distance_m.model_copy(
                        update={"low": 12.0, "high": 12.0}
                    )
                }
            )
        }
    )
    views = sample_views(far, 4, 96, seed=0, keys=("mip",), pool=1, framing=as_windows(SCALE))
    board = (torch.arange(256)[:, None] + torch.arange(256)) % 2
    texture = torch.cat([board.expand(3, -1, -1), torch.ones(1, 256, 256)]).float()[None]
    shown = warp_texture(texture, views)
    inside = shown[:, 3] > 0.999
    assert inside.sum() > 1000
    assert (shown[:, 0][inside] - 0.5).abs().max() < 0.02
