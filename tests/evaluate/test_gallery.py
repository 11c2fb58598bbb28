"""The gallery: a fair sample of what became of photographs, and pictures that show it."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from physadv.data.coco import AnnotatedPhoto
from physadv.evaluate.gallery import KINDS, Look, choose, write_gallery
from physadv.types import TREATMENTS, Detections, Trial

NAMES = ("person", "dog")


def look(number: int, clean: str, patched: str, size: tuple[int, int] = (900, 600)) -> Look:
    """A photograph of as many people as letters: h found, m missed."""
    width, height = size
    boxes = np.array([[100.0 + 200 * n, 100, 200 + 200 * n, 500] for n in range(len(clean))])
    photo = AnnotatedPhoto(
        Path(f"{number}.png"), f"{number}.png", f"{number:064d}", width, height, boxes, ()
    )
    trials, found = [], {}
    for treatment in TREATMENTS:
        verdicts = patched if treatment == "adversarial" else clean
        hit = np.array([letter == "h" for letter in verdicts])
        scores = np.full(int(hit.sum()), 0.8)
        found[treatment] = Detections(boxes[hit], scores, np.zeros(len(scores), np.int64))
        trials += [
            Trial(
                run="r",
                artwork="a",
                victim="v",
                source="objects",
                treatment=treatment,
                verdict="hit" if letter == "h" else "missed",
                predicted_class="person" if letter == "h" else "nothing",
                true_class="person",
                target_class="nothing",
                score=0.8 if letter == "h" else 0.1,
                group="set",
                frame=n,
            )
            for n, letter in enumerate(verdicts)
        ]
    return Look(photo, 0, found, trials)


CASES = (("hh", "mm"), ("hh", "hm"), ("hh", "hh"), ("mh", "mm"))


def test_kinds():
    assert tuple(look(0, *case).kind for case in CASES) == KINDS


def test_every_kind_is_shown_and_the_draw_is_not_the_order():
    looks = [look(n, *CASES[0 if n < 40 else n % 4]) for n in range(48)]
    chosen = choose(looks, seed=0)
    # 12 of the last 8 and first 40: 3 hidden, and the only 2 of every other kind.
    assert sorted(found.kind for found in chosen) == sorted(
        [KINDS[0]] * 3 + [KINDS[1]] * 2 + [KINDS[2]] * 2 + [KINDS[3]] * 2
    )
    assert [found.kind for found in chosen[:4]] == list(KINDS)
    assert choose(looks, seed=0) == chosen
    hidden = [found.photo.name for found in chosen if found.kind == KINDS[0]]
    assert hidden != ["0.png", "1.png", "2.png"]
    drawn = {
        found.photo.name
        for seed in range(60)
        for found in choose(looks, seed)
        if found.kind == KINDS[0]
    }
    assert len(drawn) > 30


def white(found: Look) -> dict[str, np.ndarray]:
    picture = np.full((found.photo.height, found.photo.width, 3), 255, np.uint8)
    return dict.fromkeys(TREATMENTS, picture)


def test_pictures_are_small_and_show_who_is_found(tmp_path):
    looks = [look(n, *case) for n, case in enumerate(CASES)]
    write_gallery(tmp_path, looks, white, NAMES, seed=0)
    listing = json.loads((tmp_path / "gallery.json").read_text())
    assert listing["photographs"] == dict.fromkeys(KINDS, 1)
    assert (listing["victim"], listing["group"], listing["confidence"]) == ("v", "set", 0.25)
    assert len(listing["shown"]) == 4
    partly = next(entry for entry in listing["shown"] if entry["kind"] == KINDS[1])
    assert partly["objects"]["adversarial"] == [
        {"verdict": "hit", "read": "person", "score": 0.8},
        {"verdict": "missed", "read": "nothing", "score": 0.1},
    ]
    with Image.open(tmp_path / partly["pictures"]["adversarial"]) as image:
        assert (image.format, image.size) == ("JPEG", (480, 320))
        pixels = np.asarray(image).astype(int)
    # Left edges of both boxes at half height: the first is found (green), the second lost (red).
    scale, y = 480 / 900, int(300 * 480 / 900)
    first, second = (
        pixels[y - 5 : y + 5, int(x * scale) - 2 : int(x * scale) + 4].min(axis=(0, 1))
        for x in (100, 300)
    )
    assert first[0] < 60 < 120 < first[1]
    assert second[1] < 100 < 160 < second[0]


def test_pictures_of_an_earlier_gallery_go(tmp_path):
    write_gallery(tmp_path, [look(1, "h", "m")], white, NAMES, seed=0)
    (tmp_path / "mine.jpg").write_bytes(b"kept")
    write_gallery(tmp_path, [look(2, "h", "m")], white, NAMES, seed=0)
    names = {path.name for path in tmp_path.iterdir()}
    assert len(names) == 4 + 2
    assert not any(name.startswith("1_") for name in names)
    (tmp_path / "gallery.json").write_text('{"shown": [{"pictures": ["../x"]}]}')
    write_gallery(tmp_path, [look(3, "h", "h")], white, NAMES, seed=0)
    assert "mine.jpg" in {path.name for path in tmp_path.iterdir()}
