"""A digital evaluation that is interrupted goes on; what is learnt from is not attacked."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from physadv.checks import UsageError, UserError
from physadv.data.labelled import read_labelled
from physadv.data.labelledset import LabelledImages
from physadv.evaluate.digital import evaluate_digital
from physadv.evaluate.digital_lessons import set_apart
from physadv.evaluate.digital_parts import Parts
from physadv.evaluate.digital_plan import plan_attacks
from physadv.victim.protocol import ClassifierVictim

SIDE = 10


class Counting(nn.Module):
    """Dark or bright; counts the images that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = 0
        self.weight = nn.Parameter(torch.tensor(10.0))

    def forward(self, images):
        self.shown += len(images)
        bright = self.weight * (images.mean(dim=(1, 2, 3)) - 0.5)
        return torch.stack([-bright, bright], dim=1)


def counted(name="counting"):
    return ClassifierVictim(name, ("dark", "bright"), "sha", SIDE, Counting())


def greys(count=600):
    levels = np.random.default_rng(0).integers(60, 196, count).astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (count, 1, SIDE, SIDE)).copy()
    labels = (levels > 127).astype(np.int64)
    return LabelledImages("greys", images, labels, ("dark", "bright"), ("",) * count)


TASKS = plan_attacks(["pgd", "noise"], [0.1, 0.2], "linf", {"steps": 3})


def test_an_interrupted_evaluation_goes_on_and_finds_the_same(tmp_path):
    other, victim = counted("other"), counted()
    whole = evaluate_digital(victim, greys(), TASKS, others=[other])
    cost, victim.module.shown = victim.module.shown, 0
    seen = []

    def stop(title, done, total):
        seen.append((title, done))
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_digital(
            victim, greys(), TASKS, others=[other], parts=Parts(tmp_path, "a"), progress=stop
        )
    assert 0 < victim.module.shown < cost
    result = evaluate_digital(victim, greys(), TASKS, others=[other], parts=Parts(tmp_path, "a"))
    assert victim.module.shown == cost
    assert result.samples.equals(whole.samples)
    assert result.transfers.equals(whole.transfers)
    assert result.example_rows == whole.example_rows
    assert result.notes == whole.notes
    for title, pictures in whole.examples.items():
        assert np.array_equal(result.examples[title], pictures)
    victim.module.shown = 0
    parts = Parts(tmp_path, "a")
    again = evaluate_digital(victim, greys(), TASKS, others=[other], parts=parts)
    assert victim.module.shown == 0
    assert again.samples.equals(whole.samples)
    with pytest.raises(UserError, match="another evaluation was interrupted there"):
        Parts(tmp_path, "b")
    parts.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["substitute", "universal"])
def test_what_was_learnt_is_not_learnt_again(tmp_path, name):
    attacked, lesson = set_apart(greys(), 20)
    tasks = plan_attacks([name], [0.1], "linf")
    victim = counted()
    whole = evaluate_digital(victim, attacked, tasks, lesson=lesson)
    cost, victim.module.shown = victim.module.shown, 0

    def stop(title, done, total):
        if title == tasks[0].title:
            raise KeyboardInterrupt

    parts = Parts(tmp_path, "a")
    with pytest.raises(KeyboardInterrupt):
        evaluate_digital(victim, attacked, tasks, lesson=lesson, parts=parts, progress=stop)
    result = evaluate_digital(victim, attacked, tasks, lesson=lesson, parts=parts)
    assert victim.module.shown == cost
    assert result.samples.equals(whole.samples)
    assert result.notes == whole.notes


def test_rows_of_a_part_are_those_of_its_images():
    samples = evaluate_digital(counted(), greys(), TASKS).samples
    data = greys()
    for (_, _), rows in samples.group_by("attack", "eps"):
        assert rows["image"].to_list() == list(range(600))
        assert rows["label"].to_list() == data.labels.tolist()
    far = samples.filter((pl.col("attack") == "pgd") & (pl.col("eps") == 0.2))
    distance = np.abs(data.images[:, 0, 0, 0] / 255 - 0.5)
    assert far["success"].to_list() == (distance < 0.2).tolist()


@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.integers(1, 30), st.integers(0, 5))
def test_images_of_one_track_stay_together(tracks, count, seed):
    number = len(tracks)
    data = LabelledImages(
        "signs",
        np.arange(number, dtype=np.uint8)[:, None, None, None],
        np.arange(number),
        tuple(map(str, range(number))),
        tuple(map(str, range(number))),
        tuple(map(str, tracks)),
        tuple(n % 2 == 0 for n in range(number)),
    )
    try:
        attacked, lesson = set_apart(data, count, seed)
    except UserError:
        assert count > number - max(tracks.count(track) for track in tracks)
        return
    assert not set(attacked.tracks) & set(lesson.tracks)
    assert len(lesson.images) >= count
    assert sorted([*attacked.files, *lesson.files], key=int) == [str(n) for n in range(number)]
    for part in (attacked, lesson):
        assert part.images[:, 0, 0, 0].tolist() == part.labels.tolist()
        assert [tracks[int(name)] for name in part.files] == [int(one) for one in part.tracks]


@pytest.mark.parametrize("target", [None, 0], ids=["any", "dark"])
def test_a_poor_substitute_does_not_leave_images_as_they_are(target):
    """The substitute of a few images is wrong about many; all that the victim reads are moved."""
    data = greys(300)
    attacked, lesson = set_apart(data, 12)
    tasks = plan_attacks(["substitute"], [0.1], "linf", {"steps": 2})
    result = evaluate_digital(counted(), attacked, tasks, lesson=lesson, target_index=target)
    tried = result.samples.filter(pl.col("status") != "already wrong")
    assert (tried["linf"] > 0.05).mean() > 0.9


def test_what_was_learnt_in_one_norm_is_not_used_in_another():
    attacked, lesson = set_apart(greys(300), 100)
    tasks = [
        *plan_attacks(["universal"], [0.3], "linf"),
        *plan_attacks(["universal"], [0.2], "l2"),
    ]
    other = counted("other")
    result = evaluate_digital(counted(), attacked, tasks, lesson=lesson, others=[other])
    lengths = result.samples.filter((pl.col("eps") == 0.2) & (pl.col("status") != "already wrong"))
    assert lengths["l2"].max() <= 0.2 + 1e-6
    assert set(result.transfers["made_on"]) == {"counting", "other"}
    with pytest.raises(UsageError, match="called alike"):
        evaluate_digital(counted(), attacked, [tasks[0], tasks[0]], lesson=lesson)


def test_what_is_attacked_is_the_same_with_and_without_learning(tmp_path):
    for name, shade in (("dark", 20), ("light", 220)):
        (tmp_path / name).mkdir()
        for n in range(12):
            Image.fromarray(np.full((8, 8, 3), shade + n, np.uint8)).save(
                tmp_path / name / f"{n}.png"
            )
    alone = read_labelled(tmp_path, count=10, size_px=8)
    attacked, lesson = set_apart(read_labelled(tmp_path, count=10, more=6, size_px=8), 6)
    assert attacked.files == alone.files
    assert np.array_equal(attacked.images, alone.images)
    assert len(lesson.files) == 6
    scarce, rest = set_apart(read_labelled(tmp_path, count=22, more=6, size_px=8), 6)
    assert len(scarce.files) == 18
    assert set(scarce.files).isdisjoint(rest.files)
