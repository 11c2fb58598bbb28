"""The only conversion factors in the project: lengths, speeds, print resolution, angles."""

import math

MM_PER_INCH = 25.4
M_PER_FOOT = 0.3048
M_PER_MILE = 5280 * M_PER_FOOT
KMH_PER_MPS = 3.6
MM_PER_POINT = MM_PER_INCH / 72.0
MM_PER_M = 1000.0


def mm_to_px(length_mm: float, dpi: float) -> float:
    """Length in pixels of ``length_mm`` printed or scanned at ``dpi`` dots per inch."""
    return length_mm * dpi / MM_PER_INCH


def px_to_mm(length_px: float, dpi: float) -> float:
    """Length in millimetres of ``length_px`` pixels at ``dpi`` dots per inch."""
    return length_px * MM_PER_INCH / dpi


def feet_to_m(length_ft: float) -> float:
    """Length in metres of ``length_ft`` international feet."""
    return length_ft * M_PER_FOOT


def deg_to_rad(angle_deg: float) -> float:
    """Angle in radians."""
    return math.radians(angle_deg)


def rad_to_deg(angle_rad: float) -> float:
    """Angle in degrees."""
    return math.degrees(angle_rad)
