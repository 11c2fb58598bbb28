"""CIELAB and the CIEDE2000 colour difference."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# IEC 61966-2-1, D65.
_SRGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def encoded_srgb(light: npt.ArrayLike) -> Array:
    """Linear light to sRGB, both in [0,1]; what lies outside is clipped."""
    inside = np.clip(np.asarray(light, dtype=np.float64), 0, 1)
    return np.where(inside <= 0.0031308, 12.92 * inside, 1.055 * inside ** (1 / 2.4) - 0.055)


def srgb_to_lab(rgb: npt.ArrayLike) -> Array:
    """[..., 3] sRGB, uint8 or floats in [0,1], to CIELAB under D65."""
    values = np.asarray(rgb)
    scaled = values / 255.0 if values.dtype == np.uint8 else values.astype(np.float64)
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _SRGB_TO_XYZ.T / _SRGB_TO_XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def delta_e_2000(one: npt.ArrayLike, other: npt.ArrayLike) -> Array:
    """[...] CIEDE2000 differences of [..., 3] CIELAB colours.

    References:
        Sharma, Wu & Dalal, The CIEDE2000 Color-Difference Formula, CR&A 2005, eq. 2-22.
    """
    l1, a1, b1 = np.moveaxis(np.asarray(one, dtype=np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(np.asarray(other, dtype=np.float64), -1, 0)
    chroma = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(chroma / (chroma + 25.0**7))
    c1, c2 = np.hypot(a1 * stretch, b1), np.hypot(a2 * stretch, b2)
    h1 = np.degrees(np.arctan2(b1, a1 * stretch)) % 360
    h2 = np.degrees(np.arctan2(b2, a2 * stretch)) % 360
    grey = c1 * c2 == 0
    turn = np.where(grey, 0.0, (h2 - h1 + 180) % 360 - 180)
    # Opposite hues differ by +180, not by -180 (eq. 10).
    turn = np.where((turn == -180) & (h2 > h1), 180.0, turn)
    d_l, d_c = l2 - l1, c2 - c1
    d_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    far = np.abs(h1 - h2) > 180
    mean_h = np.where(grey, h1 + h2, (h1 + h2) / 2 + np.where(far, 180.0, 0.0)) % 360
    t = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    away = (mean_l - 50) ** 2
    s_l = 1 + 0.015 * away / np.sqrt(20 + away)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    bend = np.sin(np.radians(60 * np.exp(-(((mean_h - 275) / 25) ** 2))))
    r_t = -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)) * bend
    light, colour, hue = d_l / s_l, d_c / s_c, d_h / s_h
    return np.asarray(np.sqrt(light**2 + colour**2 + hue**2 + r_t * colour * hue))
