"""A run's manifest and scene as rows of words, for the report's tables."""

from collections.abc import Mapping
from typing import Any

from physadv.report import text
from physadv.types import NOTHING

Row = tuple[str, str]

_LABELS = {
    "distance_m": "distance, m",
    "yaw_deg": "yaw, degrees",
    "pitch_deg": "pitch, degrees",
    "roll_deg": "roll, degrees",
    "crop_jitter": "crop error, share of the box",
    "exact_crop_share": "share of exact crops",
    "exposure_ev": "exposure, EV",
    "cast": "colour cast, sd of log gain per channel",
    "contrast": "contrast, factor",
    "offset": "brightness offset",
    "saturation": "saturation, factor",
    "shadow_share": "share of views with a shadow",
    "shadow_strength": "light left in the shadow",
    "gradient_share": "share of views with a light gradient",
    "gradient": "largest change of light across the view",
    "defocus_px": "defocus, sigma in sensor px",
    "motion_share": "share of views with motion blur",
    "motion_px": "motion blur, sensor px",
    "noise_sd": "sensor noise, sd",
    "jpeg_share": "share of views saved as JPEG",
    "jpeg_quality": "JPEG quality",
    "printer_sd": "printer error, sd of gain and offset",
}


def spread_text(value: Any) -> str:
    """A number, or a distribution of the scene file, in words."""
    if not isinstance(value, Mapping) or "kind" not in value:
        return value_text(value)
    low, high = _figure(value.get("low")), _figure(value.get("high"))
    if value["kind"] == "normal":
        mean, sd = _figure(value.get("mean", 0)), _figure(value.get("sd", 1))
        words = f"normal, mean {mean}, sd {sd}, cut at {low} and {high}"
    else:
        words = f"{str(value['kind']).replace('_', '-')}, {low} to {high}"
    if value.get("wide_share"):
        wide = f"{_figure(value.get('wide_low'))} to {_figure(value.get('wide_high'))}"
        words += f"; {value['wide_share']:.0%} of views uniform, {wide}".replace(
            "%", f"{text.NBSP}%"
        )
    return words


def value_text(value: Any) -> str:
    """Any JSON value as one readable line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {value_text(item)}" for key, item in value.items()) or text.NONE
    if isinstance(value, list | tuple):
        return ", ".join(value_text(item) for item in value) or text.NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _figure(value)
    return text.NONE if value in (None, "") else str(value)


def attacked_rows(manifest: Mapping[str, Any]) -> list[Row]:
    """Scene, carrier and camera."""
    scene = manifest.get("scene") or {}
    carrier, camera = scene.get("carrier") or {}, scene.get("camera") or {}
    rows = [("Scene", _joined(scene.get("name"), scene.get("description")))]
    if carrier:
        width = value_text(carrier.get("width_mm"))
        face = f"{value_text(carrier.get('face'))}, {width} mm across"
        rows.append(("Carrier", _joined(face, carrier.get("source"))))
    if camera:
        rows.append(
            (
                "Camera",
                f"pinhole, focal length {value_text(camera.get('focal_px'))} px, "
                f"{value_text(camera.get('width_px'))} × {value_text(camera.get('height_px'))} px",
            )
        )
    return [(name, words) for name, words in rows if words]


def view_rows(manifest: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(factor, optimiser's distribution, judge's) for every factor of view and imaging.

    The judge's poses come from its grid, not from the scene, and are left empty.
    """
    scene = manifest.get("scene") or {}
    rows = [
        (_LABELS.get(key, key), spread_text(value), "")
        for key, value in (scene.get("views") or {}).items()
    ]
    imaging, judge = scene.get("imaging") or {}, scene.get("judge") or {}
    for key in dict.fromkeys((*imaging, *judge)):
        own, theirs = spread_text(imaging.get(key)), spread_text(judge.get(key))
        rows.append((_LABELS.get(key, key), own, "the same" if own == theirs else theirs))
    return rows


def manifest_rows(manifest: Mapping[str, Any]) -> list[Row]:
    """What is needed to repeat the run, apart from the command."""
    rows = [
        ("Started", value_text(manifest.get("started"))),
        ("Seed", value_text(manifest.get("seed"))),
        ("Versions", value_text(manifest.get("versions"))),
        ("Time, s", value_text(manifest.get("timings_s"))),
        ("Options", value_text(_without_weights(manifest.get("options")))),
        ("Results of the optimiser", value_text(manifest.get("results"))),
        ("Judged", value_text(manifest.get("evaluations"))),
        ("Skipped", value_text(manifest.get("skipped"))),
    ]
    return [(name, words) for name, words in rows if words != text.NONE]


def _without_weights(options: Any) -> Any:
    """Options, of a printer only which model it is and how well that foretells colours."""
    printer = options.get("printer") if isinstance(options, Mapping) else None
    if not isinstance(printer, Mapping):
        return options
    told = {key: printer[key] for key in ("kind", "delta_e", "residual_sd") if key in printer}
    return {**options, "printer": told}


def unprinted_words(manifest: Mapping[str, Any]) -> str:
    """What simulated figures do not show of an artwork made for a printer; empty of others."""
    if not (manifest.get("options") or {}).get("printer"):
        return ""
    return (
        "The artwork was made for a measured printer. Simulations and composites show the colours "
        "that are sent to it, not those that it gives: their figures are not those of prints, and "
        "may be far worse or better. Print it and use `physadv evaluate captures`."
    )


def _figure(value: Any) -> str:
    if not isinstance(value, int | float):
        return value_text(value)
    return f"{value:.6g}".replace("-", text.MINUS)


def _joined(*parts: Any) -> str:
    return "; ".join(str(part) for part in parts if part)


def success_words(target: str, true_class: str) -> str:
    """What the attacker's success is called in a table: of a target, of hiding, of appearing."""
    if target == NOTHING:
        return "not found"
    return "target seen" if true_class == NOTHING else "read as target"


def headline_words(target: str, true_class: str) -> str:
    """What the page is about."""
    if target == NOTHING:
        return f"{true_class} hidden"
    if true_class == NOTHING:
        return f"{target} made to appear"
    return f"{true_class} read as {target}"


def success_sentence(target: str, true_class: str) -> str:
    """What a fooled victim does, as a predicate."""
    if target == NOTHING:
        return f"does not find {true_class}"
    if true_class == NOTHING:
        return f"sees {target} where there is none"
    return f"reads {true_class} as {target}"


SHOWN = {
    "exact": "exact crop",
    "jittered": "jittered crop",
    "whole": "whole frame",
    "detector": "detector's box",
}
"""What a victim is shown, by crop rule."""
