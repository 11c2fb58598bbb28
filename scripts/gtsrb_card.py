"""Measure a GTSRB classifier on test tracks and write its model card."""

import numpy as np
import torch
from torch import Tensor, nn

from physadv.data.gtsrb import GTSRB_CLASSES, GtsrbSet, crop_box
from physadv.seeding import generator_for
from physadv.stats.intervals import wilson

TEST_PX = 64  # GTSRB boxes are about this size or smaller, so nothing is lost before the network


def crops(data: GtsrbSet, size_px: int, scale: float = 1.0, jitter: float = 0.0) -> Tensor:
    """[N,3,size_px,size_px] uint8: the sign's box grown by ``scale``, or moved and scaled by up to
    ``jitter`` of its size."""
    generator = generator_for(0, "jitter")
    pictures = []
    for record in data.records:
        box = np.array(record.roi_xyxy)
        size = np.tile(box[2:] - box[:2], 2)
        shift = np.tile(generator.uniform(-jitter, jitter, 2), 2)
        grow = generator.uniform(-jitter, jitter) / 2 * np.array([-1, -1, 1, 1])
        x1, y1, x2, y2 = (box + (shift + grow) * size).tolist()
        pictures.append(crop_box(data.image(record), (x1, y1, x2, y2), size_px, scale))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def classes_of(data: GtsrbSet) -> Tensor:
    """[N] int64."""
    return torch.tensor([record.class_id for record in data.records])


@torch.no_grad()
def predict(network: nn.Module, images: Tensor) -> Tensor:
    """[N,K] probabilities for uint8 crops."""
    return torch.cat([network(part.float() / 255).softmax(dim=1) for part in images.split(256)])


def calibration_error(probabilities: Tensor, classes: Tensor, bins: int = 15) -> float:
    """Expected calibration error over equal bins of confidence (Guo et al. 2017, eq. 3)."""
    confidence, predicted = probabilities.max(dim=1)
    correct = (predicted == classes).float()
    index = (confidence * bins).long().clamp(max=bins - 1)
    return sum(
        float((correct[index == b].mean() - confidence[index == b].mean()).abs())
        * float((index == b).float().mean())
        for b in range(bins)
        if (index == b).any()
    )


def share(k: int, n: int) -> str:
    """A proportion with its interval, in per cent."""
    interval = wilson(k, n)
    return f"{k}/{n} = {k / n:.2%} | {interval.low:.2%} to {interval.high:.2%}"


def card(
    name: str,
    network: nn.Module,
    test: GtsrbSet,
    *,
    trained_by: str,
    mild_share: float,
    label_smoothing: float,
) -> str:
    """The model card, every figure measured on photographs of test tracks."""
    classes = classes_of(test)
    rules = {
        "the sign's exact box": crops(test, TEST_PX),
        "that box moved and scaled by up to 10 %": crops(test, TEST_PX, jitter=0.1),
        "that box with 10 % around it on every side": crops(test, TEST_PX, scale=1.2),
    }
    answers = {rule: predict(network, images) for rule, images in rules.items()}
    accuracy = "\n".join(
        f"| {rule} | {share(int((p.argmax(dim=1) == classes).sum()), len(classes))} |"
        for rule, p in answers.items()
    )
    exact = answers["the sign's exact box"]
    predicted = exact.argmax(dim=1)
    rows = []
    for index, label in enumerate(GTSRB_CLASSES):
        of_class, said = classes == index, predicted == index
        right, count, named = int((of_class & said).sum()), int(of_class.sum()), int(said.sum())
        recall = f"{right / count:.1%}" if count else "-"
        precision = f"{right / named:.1%}" if named else "-"
        rows.append(f"| {index} | {label} | {count} | {recall} | {precision} |")
    return CARD.format(
        name=name,
        network=" ".join((type(network).__doc__ or "").split("References:")[0].split()),
        parameters=sum(p.numel() for p in network.parameters()),
        photographs=len(classes),
        tracks=len({record.track for record in test.records}),
        command=trained_by,
        mild=mild_share,
        smoothing=label_smoothing,
        accuracy=accuracy,
        ece=calibration_error(exact, classes),
        confidence=float(exact.max(dim=1).values.mean()),
        rows="\n".join(rows),
    )


CARD = """# {name}

{network}

{parameters:,} parameters. Input: RGB in [0, 1], any size; resize (bilinear, anti-aliased, aspect
not kept) and normalisation are part of the network. Output: logits over GTSRB's 43 classes. Give
it the sign's bounding box, or that box moved and scaled by up to 10 %.

## Use and limits
A victim for measuring attacks and defences, in research and on systems you own. Not for driving.
It knows 43 German signs, mostly in daylight of 2010, and answers with one of them whatever it is
shown. It was not trained against adversarial examples.

## Data
German Traffic Sign Recognition Benchmark (Stallkamp et al., Man vs. computer, Neural Networks
2012; Institut für Neuroinformatik, Ruhr-Universität Bochum; free use for research),
`Final_Training` photographs, at most 280 a class to train on, long side at most 64 px. Split by
track, that is by physical sign: no sign is in both parts. Tested on {photographs:,} photographs
of {tracks} other tracks (`test_tracks`). The weights are those after
a fixed number of epochs: nothing was selected on these photographs. This is not GTSRB's official
test set.

## Top-1 on `test_tracks`
| crop | right | Wilson 95 % |
|---|---|---|
{accuracy}

The interval counts photographs as independent. Frames of one track are alike, so the true
uncertainty is larger.

Expected calibration error (15 bins, exact box): {ece:.3f}; mean confidence {confidence:.3f}.
Smoothed labels and hard augmentation make the network under-confident.

## Per class, exact box
| id | class | photographs | recall | precision |
|---:|---|---:|---:|---:|
{rows}

## Training
`{command}`

AdamW with a one-cycle rate, label smoothing {smoothing}, moving average of the weights. Every
picture is drawn afresh: random perspective (yaw to 68 degrees, pitch to 25, roll to 15) with the
crop box following the turned sign, boxes off by up to 15 %, drawn surroundings outside the
photograph, and printer response, light, shadow, colour, blur, noise and JPEG in the ranges of
`scenes/stop_sign.yaml`; {mild:.0%} of the pictures get milder light and noise. No flips, no
drawn or rendered signs.
"""
