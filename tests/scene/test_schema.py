"""Scene and grid files: the bundled ones load, every fault is named by file and key path."""

import numpy as np
import pytest
import yaml

from physadv.checks import UsageError, UserError
from physadv.scene.catalog import (
    list_grids,
    list_scenes,
    load_grid,
    load_object_scene,
    load_scene,
    scenes_folder,
)
from physadv.scene.schema import Spread


def test_every_bundled_scene_and_grid_loads():
    assert "stop_sign" in list_scenes()
    assert {"rp2_lab", "dense"} <= set(list_grids())
    for name in list_scenes():
        load_scene(name)
    for name in list_grids():
        load_grid(name)


def test_rp2_lab_is_the_papers_table():
    cells = [(round(c.distance_m / 0.3048), c.yaw_deg) for c in load_grid("rp2_lab").cells]
    expected = [(5, a) for a in (0, 15, 30, 45, 60)] + [(10, a) for a in (0, 15, 30)]
    expected += [(15, 0), (15, 15), (20, 0), (20, 15), (25, 0), (30, 0), (40, 0)]
    assert cells == expected


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("colour",), 3, "colour: no such key (allowed here: name, description, carrier"),
        (("views", "distance_m", "low"), -2.0, "views.distance_m"),
        (("camera", "focal_px"), 0, "camera.focal_px: must be greater than 0"),
        (("carrier", "width_mm"), -762, "carrier.width_mm"),
        (("imaging", "jpeg_share"), 1.5, "imaging.jpeg_share"),
        (("camera", "focal_mm"), 50, "no such key (allowed here: focal_px, width_px, height_px)"),
        (("judge", "jpeg_quality", "high"), 950, "jpeg_quality: must stay within 1 to 100"),
        (("views", "distance_m", "high"), float("inf"), "views.distance_m.high"),
        (("views", "distance_m", "low"), 0.2, "at least the carrier's width"),
        (("views", "yaw_deg", "wide_high"), 90, "yaw_deg: must stay within"),
        (("colour_texels",), 100, "multiple of colour_texels"),
    ],
)
def test_bad_keys_are_named(tmp_path, path, value, message):
    content = yaml.safe_load((scenes_folder() / "stop_sign.yaml").read_text())
    part = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError) as caught:
        load_scene(file)
    assert str(file) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("place", "message"),
    [(("views", "distance_m"), "distance_m"), (("judge", "noise_sd"), "noise_sd")],
)
def test_wide_tails_are_bounded_too(tmp_path, place, message):
    content = yaml.safe_load((scenes_folder() / "stop_sign.yaml").read_text())
    content[place[0]] = dict(content[place[0]])
    wide = {"wide_share": 0.1, "wide_low": -5, "wide_high": -1}
    content[place[0]][place[1]] = {**content[place[0]][place[1]], **wide}
    file = tmp_path / "bad.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=message):
        load_scene(file)


def test_cell_behind_the_camera(tmp_path):
    content = yaml.safe_load((scenes_folder() / "grids" / "rp2_lab.yaml").read_text())
    content["cells"][3]["yaw_deg"] = 120
    content["cells"][4]["distance_m"] = -1
    file = tmp_path / "grid.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"cells\.3\.yaw_deg: .*less than 85.*cells\.4\.distance_m"):
        load_grid(file)


def test_unknown_names_list_the_known():
    with pytest.raises(UsageError, match=r"Known: .*stop_sign.*Did you mean 'stop_sign'"):
        load_scene("stop_sing")
    with pytest.raises(UserError, match="No such file"):
        load_scene("nowhere/scene.yaml")


def test_spread_moments():
    generator = np.random.default_rng(0)
    log = Spread(kind="log_uniform", low=1.5, high=12.0).sample(generator, 20000)
    assert np.log(log).mean() == pytest.approx(np.log(1.5 * 12) / 2, abs=0.02)
    assert log.min() >= 1.5
    assert log.max() <= 12
    mixed = Spread(
        kind="normal", low=-1, high=1, sd=0.1, wide_share=0.25, wide_low=10, wide_high=20
    ).sample(generator, 20000)
    assert (mixed >= 10).mean() == pytest.approx(0.25, abs=0.02)


def test_scenes_of_objects_say_what_does_not_fit(tmp_path):
    content = yaml.safe_load((scenes_folder() / "person_torso.yaml").read_text())
    loaded = load_object_scene("person_torso")
    assert loaded.patch.share * loaded.object_height_m * 1000 == pytest.approx(400, rel=0.01)
    assert loaded.resized(0.1).patch.width_mm == pytest.approx(170, rel=0.01)
    for change, message in (
        ({"patch": {**content["patch"], "width_mm": 300}}, "is 0.176, not 0.2353"),
        ({"placement": {**content["placement"], "size": {"low": 0, "high": 1}}}, "size"),
        ({"true_class": []}, "true_class"),
        ({"shape": "round"}, "shape"),
    ):
        file = tmp_path / "bad.yaml"
        file.write_text(yaml.safe_dump({**content, **change}))
        with pytest.raises(UserError, match=message):
            load_object_scene(file)
    with pytest.raises(UserError, match="physadv patch"):
        load_scene(scenes_folder() / "person_torso.yaml")
    with pytest.raises(UsageError, match="person_thys, person_torso"):
        load_object_scene("stop_sign")
