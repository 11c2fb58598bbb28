"""What the markers of a sheet say: corner, treatment and the sheet's code, with a check.

Every marker is an AprilTag 36h10 whose id is ``16 * digit + 4 * treatment + corner``. The four
digits are a [4, 2, 3] maximum distance separable code over the integers modulo 139: any two give
the sheet's code, and a third or fourth that does not agree shows an error.
"""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.types import TREATMENTS, Treatment

Bits = npt.NDArray[np.bool_]

DICTIONARY = cv2.aruco.DICT_APRILTAG_36h10
CELLS = 8  # along a marker: six of code and one of black border on each side
CORNERS = ("top left", "top right", "bottom right", "bottom left")
MODULUS = 139  # the largest prime with 16 * prime ids among the 2320 of the family
CODES = MODULUS**2

_PER_DIGIT = len(TREATMENTS) * len(CORNERS)
# digit = a * first + b * second, for the corners in their order
_ROWS = ((1, 0), (0, 1), (1, 1), (1, 2))


@dataclass(frozen=True)
class MarkerMeaning:
    """What one marker says: its ``corner`` (index into ``CORNERS``), treatment and digit."""

    corner: int
    treatment: Treatment
    digit: int


def sheet_code(artwork_sha256: str, geometry: str) -> int:
    """The code of an artwork printed at one size, in [0, ``CODES``)."""
    digest = hashlib.sha256(f"{artwork_sha256} {geometry}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % CODES


def marker_id(code: int, treatment: Treatment, corner: int) -> int:
    """Id of the marker at ``corner`` of the sheet with that code and treatment."""
    first, second = divmod(code, MODULUS)
    a, b = _ROWS[corner]
    digit = (a * first + b * second) % MODULUS
    return digit * _PER_DIGIT + TREATMENTS.index(treatment) * len(CORNERS) + corner


def read_marker(identifier: int) -> MarkerMeaning | None:
    """What an id says; None if no sheet has a marker with that id."""
    digit, rest = divmod(identifier, _PER_DIGIT)
    if not 0 <= digit < MODULUS:
        return None
    treatment, corner = divmod(rest, len(CORNERS))
    return MarkerMeaning(corner, TREATMENTS[treatment], digit)


def code_of(digits: Mapping[int, int]) -> int | None:
    """The code on which all digits agree; ``digits`` maps corners to digits.

    Returns:
        None if there are fewer than two, or if they contradict each other.
    """
    found = set()
    for one, other in itertools.combinations(sorted(digits), 2):
        (a, b), (c, d) = _ROWS[one], _ROWS[other]
        inverse = pow((a * d - b * c) % MODULUS, -1, MODULUS)
        first = (d * digits[one] - b * digits[other]) * inverse % MODULUS
        second = (a * digits[other] - c * digits[one]) * inverse % MODULUS
        found.add(first * MODULUS + second)
    return found.pop() if len(found) == 1 else None


@cache
def marker_bits(identifier: int) -> Bits:
    """[8,8] True where the marker is white."""
    dictionary = cv2.aruco.getPredefinedDictionary(DICTIONARY)
    return np.asarray(cv2.aruco.generateImageMarker(dictionary, identifier, CELLS) > 127)


def label_bits(text: str) -> Bits:
    """[N,N] True where the QR code of ``text`` is white, without its quiet zone.

    Raises:
        UserError: If the text does not fit a QR code.
    """
    parameters = cv2.QRCodeEncoder_Params()  # type: ignore[attr-defined]
    parameters.correction_level = cv2.QRCODE_ENCODER_CORRECT_LEVEL_M
    try:
        picture = cv2.QRCodeEncoder.create(parameters).encode(text)
    except cv2.error as error:
        raise UserError(
            "write a QR code", f"{len(text)} characters do not fit", "Give the run a shorter name."
        ) from error
    dark = np.argwhere(picture < 128)
    (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0) + 1
    return np.asarray(picture[top:bottom, left:right] > 127)
