"""The schema of scenes whose carriers are people or things in photographs with boxes."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from physadv.checks import UserError, check_range
from physadv.scene.schema import Imaging, Positive, Share, Spread, _Strict


class FreePatch(_Strict):
    """A printed square on an object, and where on the object's box it sits.

    Its side is ``share`` times the box's diagonal or height (``share_of``); ``width_mm`` is what
    it is printed at. ``centre`` is the place of its middle, as shares of the box's width and
    height from the top left.
    """

    width_mm: Annotated[float, Field(gt=0, le=5000)]
    texels: Annotated[int, Field(ge=8, le=512)] = 64
    share: Annotated[float, Field(gt=0, le=1)]
    share_of: Literal["diagonal", "height"]
    centre: tuple[Share, Share] = (0.5, 0.5)


class Placement(_Strict):
    """How far a patch strays from its place: factors on its side, shares of the box, degrees.

    ``cloth`` is how far the points of a thin-plate spline that bends it stray, as a share of its
    side.
    """

    size: Spread
    shift: Share
    roll_deg: Spread
    cloth: Annotated[float, Field(ge=0, le=0.15)] = 0.0

    @model_validator(mode="after")
    def _positive(self) -> "Placement":
        if self.size.extent[0] <= 0:
            raise ValueError("size: low must be above 0")
        return self


class ObjectScene(_Strict):
    """A patch on objects in photographs, seen by detectors.

    ``true_class`` lists accepted class names; the first that a victim knows is what must not be
    found. Objects lower than ``least_height`` of the photograph's height are left alone.
    With ``occlusion``, what a photograph's instance mask gives to another object hides the patch.
    ``placement`` and ``imaging`` are the optimiser's, ``judge_placement`` and ``judge`` the
    judge's. The optimiser applies printer, light and noise of its ranges; optics and files are the
    judge's alone.
    """

    kind: Literal["objects"]
    name: str
    description: str = ""
    true_class: tuple[str, ...] = Field(min_length=1)
    patch: FreePatch
    least_height: Share = 0.25
    occlusion: bool = False
    placement: Placement
    judge_placement: Placement
    imaging: Imaging
    judge: Imaging
    object_height_m: Positive | None = None
    folder: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> "ObjectScene":
        if self.object_height_m is not None and self.patch.share_of == "height":
            meant = self.patch.width_mm / 1000 / self.object_height_m
            if abs(meant - self.patch.share) > 0.02 * meant:
                raise ValueError(
                    f"patch.share: {self.patch.width_mm:g} mm on {self.object_height_m:g} m is "
                    f"{meant:.3f}, not {self.patch.share:g}"
                )
        if self.imaging.motion_share > 0 or self.judge.motion_share > 0:
            raise ValueError(
                "imaging.motion_share: must be 0, a patch in a photograph has no motion"
            )
        return self

    def resized(self, share: float) -> "ObjectScene":
        """The same scene with a patch of another ``share``, printed larger or smaller to match.

        Raises:
            UserError: If the share is not above 0 and at most 1, or the print gets too large.
        """
        check_range("patch size", share, 0.0, 1.0, low_open=True)
        width_mm = self.patch.width_mm * share / self.patch.share
        patch = {**self.patch.model_dump(), "share": share, "width_mm": width_mm}
        try:
            return ObjectScene.model_validate({**self.model_dump(), "patch": patch})
        except ValidationError as error:
            raise UserError(
                f"patch size {share:g} in {self.name}",
                f"it would be printed {width_mm:g} mm wide; the most is 5000 mm",
                "Give a smaller size.",
            ) from error


def scene_kind(path: Path) -> str:
    """The ``kind`` line of a scene file: "objects", or "sign" where there is none."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "kind" and not key.startswith(" "):
            return value.split("#")[0].strip()
    return "sign"
