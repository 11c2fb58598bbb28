"""How well do the printer models fit real prints? Digital designs beside photographs of them.

    python scripts/measure_print_pairs.py DATA [--pictures FOLDER]

``DATA`` holds ``printed_sticker_captures`` (designs of 50 x 50 texels, printed 6 inches wide, a
phone's photographs) and ``print_capture_pair`` (a picture and the photograph of its print). Each
photograph is brought onto its design by SIFT matches and a homography, refined by OpenCV's ECC; the
middle of each texel is read. There is no white to measure the light by, and no second photograph
from the same place, so this is what a model leaves with light and registration in it.

Told: mean CIEDE2000 of every model on texels that were held out (five parts at random), and on a
whole design that was held out, fitted to the others.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from physadv.artwork.colour import delta_e_2000, srgb_to_lab
from physadv.artwork.printer import KINDS, respond
from physadv.calibrate.printer import fit_model, fit_models

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]

STICKERS = {
    "basketball1": "basketball1_basketball1.png",
    "basketball2": "basketball2_basketball2.png",
    "bear1": "bear1_bear1.png",
    "bear2": "bear2_sticker.png",
}
_TEXEL_PX = 12
_PAIR_BLOCKS = 32
_MIN_MATCHES = 15


def registered(design: Picture, photo: Picture, model: str) -> tuple[Picture, float]:
    """[H,W,3] the photograph as the design lies, and the correlation of the two in grey."""
    sift = cv2.SIFT_create(contrastThreshold=0.02)
    grey, seen = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (design, photo))
    places, found = sift.detectAndCompute(cv2.GaussianBlur(grey, (0, 0), 3), None)
    other, theirs = sift.detectAndCompute(seen, None)
    matches = cv2.BFMatcher().knnMatch(found, theirs, k=2)
    good = [pair[0] for pair in matches if pair[0].distance < 0.8 * pair[1].distance]
    if len(good) < _MIN_MATCHES:
        raise SystemExit(f"{model}: only {len(good)} matches between design and photograph")
    source = np.array([places[m.queryIdx].pt for m in good], np.float32)
    target = np.array([other[m.trainIdx].pt for m in good], np.float32)
    matrix, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 4.0)
    if matrix is None or int(inliers.sum()) < _MIN_MATCHES:
        raise SystemExit(f"{model}: the matches do not fit a plane")
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-7)
    correlation, matrix = cv2.findTransformECC(
        grey, seen, matrix.astype(np.float32), cv2.MOTION_HOMOGRAPHY, criteria, None, 5
    )
    flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(photo, matrix, grey.shape[::-1], flags=flags), float(correlation)


def texels(picture: Picture, side: int) -> Array:
    """[N,3] sRGB in [0,1]: medians of the middle halves of squares of ``side`` px."""
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    cut = picture[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    inner = cut.transpose(0, 2, 1, 3, 4)[:, :, side // 4 : -side // 4, side // 4 : -side // 4]
    return np.median(inner.reshape(rows * columns, -1, 3), axis=1) / 255


def sticker_pair(data: Path, name: str, pictures: Path | None) -> tuple[Array, Array]:
    """[2500,3] colours as sent and as photographed."""
    folder = data / "printed_sticker_captures"
    sent = np.asarray(Image.open(folder / "digital_designs" / STICKERS[name]).convert("RGB"))
    photo = np.asarray(Image.open(folder / "images" / f"keyboard_{name}_6in_over.jpg"))
    design = sent.repeat(_TEXEL_PX, axis=0).repeat(_TEXEL_PX, axis=1)
    seen, correlation = registered(design, photo, name)
    keep(pictures, name, design, seen)
    print(f"{name}: correlation {correlation:.3f}")
    return sent.reshape(-1, 3) / 255, texels(seen, _TEXEL_PX)


def picture_pair(data: Path, pictures: Path | None) -> tuple[Array, Array]:
    """Colours of 8 x 8 px squares of the photograph and of the picture that was printed."""
    one, two = (
        np.asarray(Image.open(data / "print_capture_pair" / f"215_{side}.png").convert("RGB"))
        for side in "AB"
    )
    seen, correlation = registered(one, two, "215")
    keep(pictures, "215", one, seen)
    print(f"215: correlation {correlation:.3f}")
    side = one.shape[0] // _PAIR_BLOCKS
    inside = texels(seen, side).min(axis=1) > 0
    return texels(one, side)[inside], texels(seen, side)[inside]


def keep(folder: Path | None, name: str, design: Picture, seen: Picture) -> None:
    """Store both side by side, to be looked at."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.hstack([design, seen])).save(folder / f"{name}.png")


def left(kind: str, weights: list[torch.Tensor], sent: Array, seen: Array) -> float:
    """Mean CIEDE2000 that a fitted model leaves."""
    told = respond(kind, weights, torch.from_numpy(sent)).numpy()  # type: ignore[arg-type]
    return float(delta_e_2000(srgb_to_lab(told), srgb_to_lab(seen)).mean())


def main() -> None:
    """Register, fit, hold out, tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pictures", type=Path, help="folder for the registered pairs")
    given = parser.parse_args()
    pairs = {name: sticker_pair(given.data, name, given.pictures) for name in STICKERS}
    pairs["215"] = picture_pair(given.data, given.pictures)
    print(f"{'held-out texels':24}{'as sent':>9}", *(f"{kind:>20}" for kind in KINDS))
    for name, (sent, seen) in pairs.items():
        plain = float(delta_e_2000(srgb_to_lab(sent), srgb_to_lab(seen)).mean())
        _, errors = fit_models(sent, seen)
        print(f"{name:24}{plain:9.2f}", *(f"{errors[kind].mean():20.2f}" for kind in KINDS))
    print("fitted to the other designs")
    for name in STICKERS:
        others = [pairs[other] for other in STICKERS if other != name]
        sent, seen = (np.concatenate(part) for part in zip(*others, strict=True))
        found = [left(kind, fit_model(kind, sent, seen), *pairs[name]) for kind in KINDS]
        print(f"{name:33}", *(f"{value:20.2f}" for value in found))


if __name__ == "__main__":
    main()
