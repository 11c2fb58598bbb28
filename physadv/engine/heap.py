"""Memory that was freed, kept for the next array of its size."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt's names for them, in glibc's malloc.h
_MOST = 2**31 - 1
_LARGEST = 32 * 2**20  # bytes: glibc takes no more


def keep_freed_memory() -> None:
    """Have this process keep what it frees, where the C library is glibc; elsewhere do nothing.

    By default glibc gives large arrays back to the system as soon as they are freed, which then
    has to hand out, and clear, every page again for the next array of that size. Arrays of more
    than 32 MiB are given back as before: glibc allows no other.

    References:
        mallopt(3), M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM_THRESHOLD, _MOST)
        mallopt(_MMAP_THRESHOLD, _LARGEST)
