"""What tells one network from another."""

import inspect
from hashlib import sha256

from physadv.victim.detector import DetectorVictim
from physadv.victim.protocol import ClassifierVictim


def identity(victim: ClassifierVictim | DetectorVictim) -> str:
    """Name, weights, and a checksum of the source of its code, which decides as much."""
    try:
        code = sha256(inspect.getsource(type(victim.module)).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        code = ""
    return f"{victim.name} {victim.weights_sha256} {code}"
