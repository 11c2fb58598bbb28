"""Detections against boxes: COCO's matching, average precision, and the best confidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import t as student

from physadv.seeding import generator_for
from physadv.stats.intervals import MIN_CLUSTERS, Interval

Array = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

MATCH_IOU = 0.5
MOST_DETECTIONS = 100
"""Detections of an image that count, the strongest: COCO's limit."""
RECALLS = np.linspace(0.0, 1.0, 101)
"""Recalls at which COCO reads precision."""
BOOTSTRAP_DRAWS = 1000

RIGHT, WRONG, NEITHER = 1, 0, -1
_RIM = 0.005


@dataclass(frozen=True)
class Scored:
    """One image: what a detector reported of one class, and what is there.

    ``boxes`` [D,4] xyxy, ``scores`` [D]; ``objects`` [P,4] are to be found, and a detection in one
    of ``ignored`` [I,4] is neither right nor wrong, however many there are.
    """

    boxes: Array
    scores: Array
    objects: Array
    ignored: Array


@dataclass(frozen=True)
class Matches:
    """The detections of many images that count: ``scores`` [D], whether ``right`` [D], the
    ``image`` [D] of each; and the number of ``objects`` [I] in every image."""

    scores: Array
    right: npt.NDArray[np.bool_]
    image: Whole
    objects: Whole


def match(image: Scored) -> Whole:
    """``RIGHT``, ``WRONG`` or ``NEITHER`` for every detection of an image, [D].

    The strongest detection chooses first, the object that it overlaps most, by an intersection
    over union of at least 0.5; an object is found once. A detection without an object is ignored
    if at least half of its own area lies in a region to ignore, or if it is not among the 100
    strongest.

    References:
        Lin et al., Microsoft COCO: common objects in context, ECCV 2014; ``evaluateImg`` of its
        evaluation code.
    """
    verdicts = np.full(len(image.scores), NEITHER)
    order = np.argsort(-image.scores, kind="stable")[:MOST_DETECTIONS]
    shared, own, others = _areas(image.boxes, image.objects)
    overlap = shared / np.maximum(own[:, None] + others[None] - shared, 1e-9)
    inside = _areas(image.boxes, image.ignored)[0] / np.maximum(own[:, None], 1e-9)
    free = np.ones(len(image.objects), bool)
    for detection in order:
        open_to = np.where(free, overlap[detection], -1.0)
        best = int(open_to.argmax()) if len(open_to) else -1
        if best >= 0 and open_to[best] >= MATCH_IOU:
            free[best] = False
            verdicts[detection] = RIGHT
        elif not (inside[detection] >= MATCH_IOU).any():
            verdicts[detection] = WRONG
    return verdicts


def match_all(images: Sequence[Scored]) -> Matches:
    """The matches of many images together."""
    verdicts = [match(image) for image in images]
    counted = [found != NEITHER for found in verdicts]
    nothing = np.zeros(0)
    scores = [image.scores[c] for image, c in zip(images, counted, strict=True)]
    right = [found[c] == RIGHT for found, c in zip(verdicts, counted, strict=True)]
    return Matches(
        np.concatenate([nothing, *scores]),
        np.concatenate([nothing.astype(bool), *right]),
        np.repeat(np.arange(len(images)), [int(c.sum()) for c in counted]),
        np.array([len(image.objects) for image in images], np.int64),
    )


def average_precision(matches: Matches, weights: Array | None = None) -> float:
    """Area under the precision envelope, read at 101 recalls; NaN without an object.

    Args:
        matches: Detections of all images.
        weights: How often each image counts, [I]; by default once.
    """
    weights = np.ones(len(matches.objects)) if weights is None else weights
    total = float(weights @ matches.objects)
    if total <= 0:
        return float("nan")
    order = np.argsort(-matches.scores, kind="stable")
    weight = weights[matches.image[order]]
    found, reported = np.cumsum(weight * matches.right[order]), np.cumsum(weight)
    precision = found / np.maximum(reported, 1e-9)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(found / total, RECALLS)].mean())


def precision_interval(
    matches: Matches, clusters: Sequence[str], *, draws: int = BOOTSTRAP_DRAWS, seed: int = 0
) -> Interval | None:
    """Approximate 95 % interval of average precision, from clusters of images drawn anew.

    A percentile interval would hold the truth in 73 to 91 % of simulations of 30 to 150 images,
    since few images give too high a figure: the envelope picks the best of the noise. This one, in
    92 to 95 %: Student's on the logit scale, with the bootstrap's standard error, and its lower
    end moved down by twice the bootstrap's bias, of which a bootstrap sees about half.

    Args:
        matches: Detections of all images.
        clusters: The cluster of every image (its photograph), [I].
        draws: Bootstrap samples.
        seed: Same seed, same interval.

    Returns:
        The interval, which holds the figure itself; None below ``MIN_CLUSTERS`` clusters, and
        where every draw gives the same, which would claim certainty.
    """
    names, index = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) < MIN_CLUSTERS:
        return None
    generator = generator_for(seed, "average precision")
    chosen = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    drawn = np.array([average_precision(matches, row[index].astype(np.float64)) for row in chosen])
    drawn = drawn[np.isfinite(drawn)]
    value = average_precision(matches)
    if len(drawn) < 2 or np.ptp(drawn) == 0:
        return None
    middle, spread = _logit(value), _logit(drawn)
    bias, reach = float(spread.mean() - middle), float(spread.std(ddof=1))
    reach *= float(student.ppf(0.975, len(names) - 1))
    low, high = expit(middle - 2 * max(bias, 0.0) - reach), expit(middle + reach)
    # Beyond the rim the logit says nothing, so an interval of such a figure is open to that end.
    return Interval(
        0.0 if value < _RIM else min(float(low), value),
        1.0 if value > 1 - _RIM else max(float(high), value),
    )


def _logit(share: float | Array) -> Array:
    """Logit of shares kept off 0 and 1 by a rim, where it is still finite."""
    kept: Array = logit(np.clip(share, _RIM, 1 - _RIM))
    return kept


def best_confidence(matches: Matches) -> float:
    """The confidence from which on detections give the highest F1; NaN if none is right.

    Of several that do, the highest.
    """
    if not matches.right.any():
        return float("nan")
    order = np.argsort(-matches.scores, kind="stable")
    scores, found = matches.scores[order], np.cumsum(matches.right[order])
    f1 = 2 * found / (np.arange(1, len(scores) + 1) + matches.objects.sum())
    f1[:-1][scores[:-1] == scores[1:]] = -1.0  # a confidence admits all that have it
    return float(scores[f1.argmax()])


def _areas(first: Array, second: Array) -> tuple[Array, Array, Array]:
    """Shared areas [N,M] of boxes [N,4] and [M,4], and their own, [N] and [M]."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared: Array = np.maximum(high - low, 0).prod(axis=2)
    sizes = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1) for boxes in (first, second)]
    return shared, sizes[0], sizes[1]
