"""Instance masks beside photographs: which pixels belong to which object."""

import numpy as np
import numpy.typing as npt

from physadv.checks import UserError
from physadv.data.coco import AnnotatedPhoto
from physadv.data.files import NOT_AN_IMAGE, open_image

Instances = npt.NDArray[np.int32]


def read_instances(photo: AnnotatedPhoto) -> Instances | None:
    """[height,width] values of the objects that pixels belong to, 0 for none; None without a mask.

    Raises:
        UserError: If the mask is no image of one channel, or of another size than the photograph.
    """
    if photo.mask is None:
        return None
    asked = f"instance mask {photo.mask}"
    try:
        with open_image(photo.mask) as image:
            values = np.asarray(image)
    except NOT_AN_IMAGE as error:
        raise UserError(asked, f"not a readable image ({error})", "Give a PNG.") from error
    if values.shape != (photo.height, photo.width):
        raise UserError(
            asked,
            f"its shape is {list(values.shape)}",
            f"Give one channel of {photo.width} x {photo.height} px, as the photograph.",
        )
    return values.astype(np.int32)


def hidden_by_others(instances: Instances, value: int) -> npt.NDArray[np.bool_]:
    """Where another object than that of ``value`` is in front of whatever ``value`` carries."""
    hidden: npt.NDArray[np.bool_] = (instances != 0) & (instances != value)
    return hidden
