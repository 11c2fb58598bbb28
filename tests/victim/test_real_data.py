"""The victims on the photographs that they are meant for."""

from functools import cache

import numpy as np
import pytest
import torch

from physadv.data.files import find_external
from physadv.data.gtsrb import crop_box, read_gtsrb
from physadv.victim.catalog import load_victim

pytestmark = pytest.mark.realdata


@cache
def _test_tracks() -> tuple[torch.Tensor, torch.Tensor]:
    data = read_gtsrb(find_external("data/gtsrb")).part("test_tracks")
    crops = np.stack([crop_box(data.image(r), r.roi_xyxy, 64) for r in data.records])
    return torch.from_numpy(crops), torch.tensor([r.class_id for r in data.records])


@torch.no_grad()
@pytest.mark.parametrize(("name", "least"), [("gtsrb-cnn", 0.98), ("gtsrb-resnet", 0.99)])
def test_top1_on_signs_never_seen(name, least):
    crops, truth = _test_tracks()
    assert len(truth) > 2000
    victim = load_victim(name)
    hits = sum(
        int((victim.logits(part.permute(0, 3, 1, 2) / 255).argmax(1) == wanted).sum())
        for part, wanted in zip(crops.split(256), truth.split(256), strict=True)
    )
    assert hits / len(truth) >= least
    stops = crops[truth == victim.class_index("Stop")].permute(0, 3, 1, 2) / 255
    assert (victim.logits(stops).argmax(1) == victim.class_index("stop")).float().mean() > 0.98


@torch.no_grad()
def test_lisa_cnn_repeats_the_published_attack():
    victim = load_victim("lisa-cnn")
    stop, target = victim.class_index("stop"), victim.class_index("speedLimit45")
    assert (stop, target) == (14, 12)
    with np.load(find_external("weights/rp2_lisa_attack.npz")) as published:
        files = {key: torch.from_numpy(published[key]) for key in published.files}

    def images(key: str, scale: float = 1.0) -> torch.Tensor:
        return torch.movedim(files[key].float(), -1, -3) / scale

    signs = images("victims", 255)
    assert (victim.logits(signs).argmax(1) == stop).sum() == 40
    for kind, fooled in (("stickers", 36), ("poster", 40)):
        change = images(f"mask_{kind}", 255) * images(f"noise_{kind}")
        attacked = victim.logits((signs + change).clamp(0, 1)).argmax(1)
        assert (attacked == target).sum() == fooled
