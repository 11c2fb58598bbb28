"""A camera's colours from its photograph of a 24-patch chart that was made to be measured."""

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from physadv.artwork.colour import encoded_srgb
from physadv.checks import UserError

Array = npt.NDArray[np.float64]
Correction = Callable[[Array], Array]

_GAMMA = 2.2
_MOST_LOSS = 8.0  # mean CIEDE2000 of the chart's own patches


def colour_correction(picture: npt.NDArray[np.uint8]) -> tuple[Correction, float]:
    """What turns colours of this camera in this light into sRGB, by a Macbeth ColorChecker.

    Args:
        picture: [H,W,3] uint8 RGB that shows the whole chart.

    Returns:
        A function of [...,3] colours in [0,1], which keeps their shape, and the mean CIEDE2000
        that it leaves on the chart itself.

    Raises:
        UserError: If no chart is found, or what is found does not fit one.

    References:
        OpenCV's ``mcc`` and ``ccm`` modules: a 3x3 matrix in linear light, fitted in CIEDE2000.
    """
    asked, do = "correct colours by a ColorChecker", "Photograph all of its 24 patches, in focus."
    detector = cv2.mcc.CCheckerDetector.create()
    detector.setColorChartType(cv2.mcc.MCC24)
    detector.setUseDnnModel(False)  # which would need a network that is not at hand
    if not detector.process(np.ascontiguousarray(picture[..., ::-1]), 1):
        raise UserError(asked, "none found in the picture", do)
    patches = detector.getBestColorChecker().getChartsRGB(False).reshape(24, 1, 3) / 255.0
    model = cv2.ccm.ColorCorrectionModel(patches, cv2.ccm.COLORCHECKER_MACBETH)
    model.setColorSpace(cv2.ccm.COLOR_SPACE_SRGB)
    model.setCcmType(cv2.ccm.CCM_LINEAR)
    model.setLinearization(cv2.ccm.LINEARIZATION_GAMMA)
    model.setLinearizationGamma(_GAMMA)
    model.setDistance(cv2.ccm.DISTANCE_CIE2000)
    matrix = np.asarray(model.compute(), dtype=np.float64)
    loss = float(model.getLoss())
    if not np.isfinite(matrix).all() or loss > _MOST_LOSS:
        raise UserError(asked, f"its patches do not fit one (CIEDE2000 {loss:.1f})", do)

    def correct(colours: Array) -> Array:
        light = np.asarray(colours, dtype=np.float64) ** _GAMMA
        return encoded_srgb(light @ matrix)

    return correct, loss
