"""Keyed random generators: the same draws on any worker, in any order, on any device."""

import hashlib

import numpy as np


def seed_for(seed: int, *keys: str | int) -> int:
    """A 64-bit seed that depends on ``seed`` and every key, and on nothing else."""
    text = "\x1f".join([str(seed), *(f"{type(key).__name__}:{key}" for key in keys)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def generator_for(seed: int, *keys: str | int) -> np.random.Generator:
    """A NumPy generator for one named use, e.g. ``generator_for(seed, "eot", step)``.

    Generators with different keys are independent streams, so work can be split, resumed or
    reordered without changing a draw.
    """
    return np.random.default_rng(seed_for(seed, *keys))
