"""Average precision by hand, by COCO's own evaluation, and by torchmetrics."""

import itertools

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from hypothesis import given, settings
from hypothesis import strategies as st

from physadv.report.precision import coco_precision
from physadv.stats.precision import (
    NEITHER,
    RECALLS,
    RIGHT,
    WRONG,
    Scored,
    average_precision,
    best_confidence,
    match,
    match_all,
    precision_interval,
)

NOWHERE = np.zeros((0, 4))
BOX, AWAY, FAR = [10.0, 10, 30, 50], [60.0, 10, 80, 50], [110.0, 10, 130, 50]


def boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 4)


def scored(rows: list[tuple[list[float], float]], objects=(), ignored=()) -> Scored:
    return Scored(
        boxes(*(row for row, _ in rows)),
        np.array([score for _, score in rows], np.float64),
        boxes(*objects),
        boxes(*ignored),
    )


def test_precision_and_recall_by_hand():
    """Four objects; by score right, wrong, right, wrong, right: precisions 1, 2/3 and 3/5."""
    first = scored([(BOX, 0.9), (FAR, 0.8), (AWAY, 0.7)], [BOX, AWAY])
    second = scored([(FAR, 0.6), (BOX, 0.5)], [BOX, AWAY])
    matches = match_all([first, second])
    assert matches.right[np.argsort(-matches.scores)].tolist() == [True, False, True, False, True]
    # Recalls 0 to 0.25 are reached at precision 1, to 0.50 at 2/3, to 0.75 at 3/5, beyond never.
    by_hand = (26 * 1 + 25 * 2 / 3 + 25 * 3 / 5) / 101
    assert average_precision(matches) == pytest.approx(by_hand, abs=1e-12)
    # F1 at 0.9, 0.7 and 0.5: 2/5, 4/7 and 6/9.
    assert best_confidence(matches) == 0.5


def test_an_object_is_found_once_and_ignored_regions_count_for_nothing():
    low = [12.0, 12, 31, 50]
    assert match(scored([(low, 0.8), (BOX, 0.9)], [BOX])).tolist() == [WRONG, RIGHT]
    inside = [62.0, 12, 66, 20]  # a small part of a crowd: all of it lies there
    image = scored([(AWAY, 0.9), (inside, 0.8), (FAR, 0.7), (BOX, 0.6)], [BOX], [AWAY])
    assert match(image).tolist() == [NEITHER, NEITHER, WRONG, RIGHT]
    assert average_precision(match_all([image])) == pytest.approx(0.5)
    # What is ignored changes nothing.
    without = scored([(FAR, 0.7), (BOX, 0.6)], [BOX])
    assert average_precision(match_all([image])) == average_precision(match_all([without]))


def test_an_image_twice_is_an_image_of_weight_two():
    image = scored([(BOX, 0.9), (FAR, 0.8)], [BOX, AWAY])
    other = scored([(AWAY, 0.7), (FAR, 0.95)], [AWAY])
    twice = average_precision(match_all([image, image, other]))
    assert average_precision(match_all([image, other]), np.array([2.0, 1.0])) == twice


def test_nothing_to_find_and_nothing_found():
    assert np.isnan(average_precision(match_all([scored([(BOX, 0.9)])])))
    silent = match_all([scored([], [BOX])])
    assert average_precision(silent) == 0
    assert np.isnan(best_confidence(silent))
    assert np.isnan(average_precision(match_all([])))


def test_a_confidence_admits_all_that_have_it():
    """0.6 admits one more right one and three wrong ones: F1 4/7 against 2/3 from 0.9 on."""
    wrong = [FAR, [200.0, 0, 220, 40], [300.0, 0, 320, 40]]
    rows = [(BOX, 0.9), (AWAY, 0.6), *((box, 0.6) for box in wrong)]
    assert best_confidence(match_all([scored(rows, [BOX, AWAY])])) == 0.9
    tied = match_all([scored(rows[:2], [BOX, AWAY])])
    assert best_confidence(tied) == 0.6


def random_images(seed: int, count: int = 12) -> list[Scored]:
    """Objects, ignored regions, detections near both and elsewhere, some scores tied."""
    generator = np.random.default_rng(seed)

    def draw(number: int, low: float = 8.0) -> np.ndarray:
        corner = generator.uniform(0, 90, (number, 2))
        return np.hstack([corner, corner + generator.uniform(low, 50, (number, 2))])

    found = []
    for _ in range(count):
        objects, ignored = draw(generator.integers(0, 5)), draw(generator.integers(0, 3), 25)
        near = [
            rows + generator.normal(0, spread, rows.shape)
            for rows, spread in ((objects, 2.0), (objects, 6.0), (ignored, 4.0))
        ]
        seen = np.vstack([*near, draw(generator.integers(0, 6))])
        seen[:, 2:] = np.maximum(seen[:, 2:], seen[:, :2] + 1)
        # No ties: COCO leaves their order to the sort.
        scores = generator.permutation(10_000)[: len(seen)] / 10_000
        found.append(Scored(seen, scores, objects, ignored))
    return found


def by_faster_coco_eval(images: list[Scored]) -> float:
    """The same figure from COCO json and the evaluation code alone."""
    ids = itertools.count(1)

    def entry(image: int, box: np.ndarray, **more: float) -> dict[str, object]:
        x1, y1, x2, y2 = box.tolist()
        place = [x1, y1, x2 - x1, y2 - y1]
        area = place[2] * place[3]
        return {
            "id": next(ids), "image_id": image, "category_id": 1, "bbox": place, "area": area,
            **more,
        }  # fmt: skip

    truth, seen = [], []
    for number, image in enumerate(images, start=1):
        truth += [entry(number, box, iscrowd=0) for box in image.objects]
        truth += [entry(number, box, iscrowd=1) for box in image.ignored]
        pairs = zip(image.boxes, image.scores, strict=True)
        seen += [entry(number, box, score=float(score)) for box, score in pairs]
    there = COCO(
        {
            "images": [{"id": n + 1, "width": 200, "height": 200} for n in range(len(images))],
            "annotations": truth,
            "categories": [{"id": 1, "name": "person"}],
        }
    )
    evaluation = COCOeval_faster(there, there.loadRes(seen), "bbox")
    evaluation.params.iouThrs = np.array([0.5])
    evaluation.evaluate()
    evaluation.accumulate()
    return float(evaluation.eval["precision"][0, :, 0, 0, -1].mean())


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_coco_and_torchmetrics(seed):
    images = random_images(seed)
    own = average_precision(match_all(images))
    assert 0.1 < own < 0.9
    assert own == pytest.approx(by_faster_coco_eval(images), abs=1e-9)
    assert own == pytest.approx(coco_precision(images), abs=1e-6)


def test_only_the_hundred_strongest_count():
    many = [(FAR, 0.9 - 0.001 * n) for n in range(120)]
    image = scored([*many, (BOX, 0.1)], [BOX, FAR])
    assert match(image)[-1] == NEITHER
    assert average_precision(match_all([image])) == pytest.approx(coco_precision([image]), abs=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_best_confidence_is_the_best_of_all(seed):
    images = random_images(seed, 4)
    matches = match_all(images)
    if not matches.right.any():
        return

    def f1(least: float) -> float:
        counted = matches.scores >= least
        right = (matches.right & counted).sum()
        return 2 * right / (counted.sum() + matches.objects.sum())

    best = best_confidence(matches)
    assert f1(best) == pytest.approx(max(f1(score) for score in matches.scores))


def test_interval_covers_the_spread_of_new_photographs():
    """Over 40 samples of one population; a percentile bootstrap held its figure in 29."""
    population = random_images(1, 400)
    truth = average_precision(match_all(population))
    generator = np.random.default_rng(0)
    held = 0
    for sample in range(40):
        drawn = [population[n] for n in generator.choice(400, 30)]
        names = [str(n) for n in range(30)]
        interval = precision_interval(match_all(drawn), names, draws=200, seed=sample)
        held += truth in interval
    assert held >= 34  # 37 or 38 expected


def test_intervals_hold_their_figure_and_are_open_at_the_rim():
    right, wrong = scored([(BOX, 0.9)], [BOX]), scored([(FAR, 0.95), (BOX, 0.9)], [BOX])
    names = [str(n) for n in range(400)]
    nearly = match_all([right] * 399 + [scored([(FAR, 0.5), (BOX, 0.4)], [BOX])])
    assert 0.995 < average_precision(nearly) < 1
    assert precision_interval(nearly, names).high == 1
    assert precision_interval(nearly, names).low < average_precision(nearly)
    middling = match_all([right, wrong] * 10)
    interval = precision_interval(middling, names[:20])
    assert 0 < interval.low < average_precision(middling) < interval.high < 1


def test_no_interval_that_claims_certainty():
    whole = match_all([scored([(BOX, 0.9)], [BOX])] * 10)
    assert precision_interval(whole, [str(n) for n in range(10)]) is None
    few = match_all(random_images(2, 12))
    assert precision_interval(few, ["a", "b", "c"] * 4) is None
    assert RECALLS[0] == 0
    assert len(RECALLS) == 101
