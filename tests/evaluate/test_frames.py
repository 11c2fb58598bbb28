"""Whole frames: the sign is where it is said to be, and verdicts are what was seen there."""

from dataclasses import replace

import numpy as np
import pytest

from physadv.artwork.files import Artwork
from physadv.checks import UserError
from physadv.evaluate.conditions import NEUTRAL
from physadv.evaluate.frames import evaluate_frames, frame_region, render_frames
from physadv.evaluate.reading import AppearReader, ChainReader, DetectorReader, reader_of
from physadv.evaluate.renderer import SignTexture
from physadv.scene.catalog import load_grid, load_scene
from physadv.scene.pose import Pose
from physadv.types import Detections
from physadv.victim.chain import ChainVictim
from physadv.victim.yolo import yolo_from_yaml

BOX = np.array([100.0, 100, 200, 200])


def board_artwork(target="stop sign", goal="appear"):
    rgba = np.full((256, 256, 4), (0, 255, 0, 255), np.uint8)
    return Artwork(rgba, 400.0, 400.0, "board", target, ("red",), {"goal": goal})


class Scripted:
    """Answers with given detections, whatever it is shown."""

    def __init__(self, name, class_names, *answers):
        self.name, self.class_names = name, class_names
        self.weights_sha256 = ""
        self.answers = list(answers)

    def first_known(self, names):
        return next(self.class_names.index(n) for n in names if n in self.class_names)

    def detect(self, frames, confidence, iou=None):
        kept = []
        for found in self.answers[: len(frames)]:
            rows = [row for row in found if row[1] > confidence]
            boxes = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
            kept.append(
                Detections(
                    boxes,
                    np.array([row[1] for row in rows], np.float64),
                    np.array([row[2] for row in rows], np.int64),
                )
            )
        return kept


@pytest.mark.parametrize("distance_m", [1.6, 5.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_board_is_where_the_box_says(distance_m, seed):
    scene = load_scene("road_board")
    artwork = board_artwork()
    sign = SignTexture(scene, artwork.mask)
    generator = np.random.default_rng(seed)
    black = np.zeros((480, 640, 3), np.uint8)
    frames = render_frames(
        artwork, scene, sign, Pose(distance_m, 20, 3, 4), NEUTRAL, black, ["adversarial"], generator
    )
    shown = frames.pictures["adversarial"]
    assert shown.shape == (960, 1280, 3)
    rows, columns = np.nonzero(shown[..., 1] > 127)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert np.abs(np.array(seen) - frames.box).max() < 1.5


def test_the_frame_moves_but_holds_the_sign(scene):
    boxes = [frame_region(scene, Pose(1.524), np.random.default_rng(n)).box for n in range(30)]
    assert min(box.min() for box in boxes) >= 0
    assert max(box[2] for box in boxes) <= 1280
    assert max(box[3] for box in boxes) <= 960
    assert np.ptp([box[0] for box in boxes]) > 100


def test_a_detector_hits_misreads_or_misses(scene):
    artwork = replace(board_artwork("dog", "misread"), carrier="us_r1_1", width_mm=762.0)
    far = [300.0, 300, 400, 400]
    victim = Scripted(
        "d",
        ("stop sign", "dog", "cat"),
        [(BOX, 0.9, 0), (BOX, 0.95, 1)],
        [(BOX, 0.2, 0), (BOX, 0.6, 1)],
        [(BOX, 0.6, 2)],
        [(far, 0.9, 0)],
    )
    reader = DetectorReader(scene, artwork, victim)
    readings = reader.read([np.zeros((9, 9, 3), np.uint8)] * 4, BOX)
    assert [r.verdict for r in readings] == ["hit", "target", "misclassified", "missed"]
    assert [r.predicted for r in readings] == ["stop sign", "dog", "cat", "nothing"]
    assert [r.score for r in readings] == [0.9, 0.2, 0.0, 0.0]


def test_what_appears_needs_confidence_and_place():
    victim = Scripted(
        "d",
        ("stop sign", "dog"),
        [(BOX, 0.51, 0)],
        [(BOX, 0.49, 0)],
        [([300.0, 300, 400, 400], 0.9, 0)],
        [([160.0, 100, 260, 200], 0.9, 0)],
        [(BOX, 0.9, 1)],
    )
    reader = AppearReader(load_scene("road_board"), board_artwork(), victim)
    readings = reader.read([np.zeros((9, 9, 3), np.uint8)] * 5, BOX)
    assert [r.verdict for r in readings] == ["target", "hit", "hit", "target", "misclassified"]


def test_a_chain_reads_what_the_detector_cuts_out(scene, dominant):
    """A classifier that sees green reads what the box holds, not what the frame holds."""
    artwork = replace(board_artwork("green", "hide"), carrier="us_r1_1", width_mm=762.0)
    frame = np.zeros((300, 300, 3), np.uint8)
    frame[100:200, 100:200] = (0, 255, 0)
    plain = np.zeros((300, 300, 3), np.uint8)
    detector = Scripted("d", ("stop sign",), [(BOX, 0.9, 0)], [(BOX, 0.9, 0)], [(BOX, 0.2, 0)])
    reader = ChainReader(scene, artwork, ChainVictim(detector, dominant))
    readings = reader.read([frame, plain, frame], BOX)
    assert [r.verdict for r in readings] == ["target", "hit", "missed"]
    assert reader.crop == "detector"


def test_trials_do_not_depend_on_the_number_of_workers(red_detector):
    scene, grid = load_scene("road_board"), load_grid("road_board")
    grid = grid.model_copy(update={"cells": grid.cells[:2]})
    artwork = board_artwork("person")
    once = evaluate_frames(artwork, scene, grid, red_detector, draws=2, workers=1)
    again = evaluate_frames(artwork, scene, grid, red_detector, draws=2, workers=3)
    assert once == again
    assert len(once) == 2 * 2 * 4
    assert {t.crop for t in once} == {"whole"}
    assert {t.true_class for t in once} == {"nothing"}


def test_workers_with_a_yolo():
    """Its module keeps things between pictures, so that each thread needs one of its own."""
    scene, grid = load_scene("road_board"), load_grid("road_board")
    grid = grid.model_copy(update={"cells": grid.cells[:2]})
    victim = yolo_from_yaml("yolov8n.yaml")
    several = [
        evaluate_frames(board_artwork("person"), scene, grid, victim, draws=2, workers=n)
        for n in (1, 3)
    ]
    assert several[0] == several[1]


def test_wrong_input(scene, red_detector, dominant):
    with pytest.raises(UserError, match="it was made for board"):
        reader_of(scene, board_artwork(), red_detector)
    hidden = replace(board_artwork("nothing", "hide"), carrier="us_r1_1", width_mm=762.0)
    with pytest.raises(UserError, match="names no class"):
        reader_of(scene, hidden, ChainVictim(red_detector, dominant))
