"""Importing checkpoints: only network layers, and the weights unchanged."""

import pickle

import numpy as np
import pytest
import torch

from physadv.checks import UserError
from physadv.data.files import find_external, sha256_of
from physadv.victim.detectors import load_detector
from physadv.victim.importing import import_yolo
from physadv.victim.yolo import prepare_ultralytics


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match=r"builtins\.print, which is no network layer"):
        import_yolo(tmp_path / "evil.pt", tmp_path / "weights")
    assert "code ran" not in capsys.readouterr().out
    assert not (tmp_path / "weights").exists()


def test_what_is_no_detector_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        import_yolo(tmp_path / "none.pt", tmp_path)
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(UserError, match="not a torch checkpoint"):
        import_yolo(tmp_path / "text.pt", tmp_path)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"model": 3}))
    with pytest.raises(UserError):
        import_yolo(tmp_path / "plain.pt", tmp_path)
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "linear.pt")
    with pytest.raises(UserError, match="no ultralytics detector"):
        import_yolo(tmp_path / "linear.pt", tmp_path)


def test_an_untrained_network_survives_the_way(tmp_path, monkeypatch):
    prepare_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network = DetectionModel("yolo11n.yaml", nc=3, verbose=False).eval()
    network.names = {0: "a", 1: "b", 2: "c"}
    torch.save({"model": network, "ema": None}, tmp_path / "mine.pt")
    import_yolo(tmp_path / "mine.pt", tmp_path / "physadv" / "weights")
    victim = load_detector("mine")
    assert victim.class_names == ("a", "b", "c")
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(image)[1]["scores"].transpose(1, 2)
        seen = victim.candidates(image)[0].class_logits
    assert torch.allclose(seen, expected, atol=1e-3)


@pytest.mark.realdata
def test_the_official_file_gives_the_known_network(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    official = find_external("weights/yolov8n.pt")
    path = import_yolo(official, tmp_path / "physadv" / "weights", "official")
    from safetensors import safe_open

    with safe_open(path, "pt") as stream:
        assert stream.metadata()["source_sha256"] == sha256_of(official)
    picture = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    ours, known = (load_detector(n).detect([picture], 0.001)[0] for n in ("official", "yolov8n"))
    assert np.array_equal(ours.boxes, known.boxes)
    assert np.array_equal(ours.scores, known.scores)
