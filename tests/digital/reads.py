"""Counts what a host would have to wait for on a GPU; no GPU is needed."""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

READING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero"}


class Reads(TorchDispatchMode):
    """Counts operations whose result the host needs before it goes on."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = args[1] if name in ("index", "index_put", "index_put_") else ()
        if name in READING or any(mask is not None and mask.dtype is torch.bool for mask in masks):
            self.found[name] += 1
        return func(*args, **(kwargs or {}))
