"""The schema of ``scenes/*.yaml`` and ``scenes/grids/*.yaml``; bad keys are reported by path."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from physadv.checks import UserError
from physadv.units import MM_PER_M

Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Spread(_Strict):
    """A scalar distribution, optionally mixed with a wide uniform tail.

    ``uniform`` and ``log_uniform`` use ``low`` and ``high``; ``normal`` uses ``mean`` and ``sd``
    and is clipped to [low, high]. With probability ``wide_share`` the value is drawn uniformly
    from [wide_low, wide_high] instead.
    """

    kind: Literal["uniform", "log_uniform", "normal"] = "uniform"
    low: float
    high: float
    mean: float = 0.0
    sd: float = Field(default=1.0, ge=0)
    wide_share: float = Field(default=0.0, ge=0, le=1)
    wide_low: float = 0.0
    wide_high: float = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> "Spread":
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        if self.wide_low > self.wide_high:
            raise ValueError("wide_low must not exceed wide_high")
        if self.kind == "log_uniform" and self.low <= 0:
            raise ValueError("log_uniform needs low > 0")
        return self

    @property
    def extent(self) -> tuple[float, float]:
        """Least and largest value that can be drawn."""
        if self.wide_share == 0:
            return self.low, self.high
        return min(self.low, self.wide_low), max(self.high, self.wide_high)

    def sample(self, generator: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
        """Draw [size] values."""
        if self.kind == "uniform":
            values = generator.uniform(self.low, self.high, size)
        elif self.kind == "log_uniform":
            values = np.exp(generator.uniform(np.log(self.low), np.log(self.high), size))
        else:
            values = np.clip(generator.normal(self.mean, self.sd, size), self.low, self.high)
        wide = generator.random(size) < self.wide_share
        return np.where(wide, generator.uniform(self.wide_low, self.wide_high, size), values)


Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class CameraModel(_Strict):
    """Pinhole intrinsics in pixels."""

    focal_px: Positive
    width_px: Annotated[int, Field(gt=0)]
    height_px: Annotated[int, Field(gt=0)]


class Carrier(_Strict):
    """What the artwork is stuck to.

    ``face`` names a drawn face (``us_r1_1``, ``vienna_b2a``) or an image file, relative to the
    scene file, whose alpha (or whole square) is the face. ``true_class`` lists accepted class
    names; the first that a victim knows, ignoring case, is its true class. ``width_mm`` is the
    width of the square that bounds the face.
    """

    face: str
    width_mm: Annotated[float, Field(gt=0, le=20000)]
    true_class: tuple[str, ...] = Field(min_length=1)
    source: str = ""


class Views(_Strict):
    """Where the optimiser's cameras stand, and how far the crop misses the object's box."""

    distance_m: Spread
    yaw_deg: Spread
    pitch_deg: Spread
    roll_deg: Spread
    crop_jitter: Share = 0.10
    exact_crop_share: Share = 0.3

    @model_validator(mode="after")
    def _in_front(self) -> "Views":
        if self.distance_m.extent[0] <= 0:
            raise ValueError("distance_m: low must be above 0")
        for name in ("yaw_deg", "pitch_deg"):
            low, high = getattr(self, name).extent
            if low <= -85 or high >= 85:
                raise ValueError(f"{name}: must stay within (-85, 85) degrees")
        return self


class Imaging(_Strict):
    """How a view is seen: light, optics, sensor, file. Lengths are in sensor pixels.

    ``exposure_ev`` is a gain of the light of 2**ev; ``cast`` the sd of the log gain of each
    channel; ``contrast`` a factor about mid-grey; ``offset`` is added to all channels;
    ``shadow_strength`` is the light that is left in a shadow; ``gradient`` the largest change of
    light across the view; ``printer_sd`` the spread of the printer's gain and offset per channel.
    """

    exposure_ev: Spread
    cast: float = Field(ge=0, le=1)
    contrast: Spread
    offset: Spread
    saturation: Spread
    shadow_share: Share
    shadow_strength: Spread
    gradient_share: Share
    gradient: Annotated[float, Field(ge=0, lt=1)]
    defocus_px: Spread
    motion_share: Share
    motion_px: Spread
    noise_sd: Spread
    jpeg_share: Share
    jpeg_quality: Spread
    printer_sd: Annotated[float, Field(ge=0, le=0.5)]

    @model_validator(mode="after")
    def _bounded(self) -> "Imaging":
        for name, (low, high) in _BOUNDS.items():
            least, largest = getattr(self, name).extent
            if least < low or largest > high:
                raise ValueError(f"{name}: must stay within {low:g} to {high:g}")
        return self


_BOUNDS = {
    "exposure_ev": (-10.0, 10.0),
    "contrast": (0.0, 5.0),
    "offset": (-1.0, 1.0),
    "saturation": (0.0, 5.0),
    "shadow_strength": (0.0, 1.0),
    "defocus_px": (0.0, 50.0),
    "motion_px": (0.0, 200.0),
    "noise_sd": (0.0, 1.0),
    "jpeg_quality": (1.0, 100.0),
}


class Scene(_Strict):
    """A target, a camera, and the distributions of views for optimiser and judge."""

    name: str
    description: str = ""
    carrier: Carrier
    camera: CameraModel
    mask_texels: Annotated[int, Field(ge=16, le=1024)] = 256
    colour_texels: Annotated[int, Field(ge=8, le=1024)] = 64
    views: Views
    imaging: Imaging
    judge: Imaging
    default_target: str = ""
    default_grid: str = "rp2_lab"
    folder: str = ""

    @model_validator(mode="after")
    def _texels(self) -> "Scene":
        if self.mask_texels % self.colour_texels:
            raise ValueError("mask_texels must be a multiple of colour_texels")
        if self.views.distance_m.extent[0] * MM_PER_M < self.carrier.width_mm:
            raise ValueError(
                "views.distance_m: low must be at least the carrier's width, or a turned carrier "
                "would reach behind the camera"
            )
        return self


class Cell(_Strict):
    """One place to look from. ``yaw_deg`` > 0 puts the camera on the target's right."""

    distance_m: Annotated[float, Field(gt=0, le=1000)]
    yaw_deg: Annotated[float, Field(gt=-85, lt=85)] = 0.0

    @property
    def name(self) -> str:
        """Stable key of the cell, e.g. ``1.52 m, 15 deg``."""
        return f"{self.distance_m:g} m, {self.yaw_deg:g} deg"


class Grid(_Strict):
    """Cells to judge, and how far each draw strays from its cell."""

    name: str
    description: str = ""
    source: str = ""
    cells: tuple[Cell, ...] = Field(min_length=1)
    pitch_deg: Spread
    roll_deg: Spread
    yaw_jitter_deg: Annotated[float, Field(ge=0, le=10)] = 0.0
    distance_jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.0

    @model_validator(mode="after")
    def _in_front(self) -> "Grid":
        if any(abs(cell.yaw_deg) + self.yaw_jitter_deg >= 85 for cell in self.cells):
            raise ValueError("yaw_deg plus yaw_jitter_deg must stay within (-85, 85) degrees")
        low, high = self.pitch_deg.extent
        if low <= -85 or high >= 85:
            raise ValueError("pitch_deg: must stay within (-85, 85) degrees")
        return self

    @model_validator(mode="after")
    def _unique(self) -> "Grid":
        names = [cell.name for cell in self.cells]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"cells listed twice: {sorted(twice)}")
        return self


def parse_yaml(path: Path, model: type[Model], **extra: Any) -> Model:
    """Read ``path`` and validate it as ``model``.

    Raises:
        UserError: If the file is missing, not YAML, or does not fit: every fault is listed with
            its key path and what is allowed.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"read {path}", error.strerror or "unreadable", "Check the path."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"read {path}", f"not valid YAML ({error})", "Mend the file.") from error
    if not isinstance(raw, dict):
        raise UserError(f"read {path}", "not a mapping of keys to values", "Mend the file.")
    try:
        return model.model_validate({**raw, **extra})
    except ValidationError as error:
        items = error.errors()
        places = [item["loc"] for item in items]
        # A fault inside a list also makes the list a fault: only the innermost is said.
        inner = [
            item
            for item in items
            if not any(
                len(loc) > len(item["loc"]) and loc[: len(item["loc"])] == item["loc"]
                for loc in places
            )
            or not item["loc"]
        ]
        faults = "; ".join(_fault(item, model) for item in inner)
        raise UserError(f"{path}", faults, "Mend these keys; see the bundled files.") from error


def _fault(item: Any, model: type[BaseModel]) -> str:
    place = ".".join(str(part) for part in item["loc"]) or "file"
    if item["type"] == "extra_forbidden":
        allowed = ", ".join(_keys_at(item["loc"][:-1], model))
        return f"{place}: no such key (allowed here: {allowed})"
    message = item["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    found = "" if isinstance(item["input"], dict | list) else f" (found {item['input']!r})"
    return f"{place}: {message}{found}"


def _keys_at(place: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """Names of the keys of the part of ``model`` at ``place``."""
    for part in place:
        if isinstance(part, int):
            continue
        kind = model.model_fields[part].annotation
        inner = [kind, *get_args(kind)]
        model = next(k for k in inner if isinstance(k, type) and issubclass(k, BaseModel))
    return [name for name in model.model_fields if name != "folder"]
