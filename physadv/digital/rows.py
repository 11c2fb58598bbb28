"""Samples picked out of a batch; on a CPU several times faster than by indexing with a tensor."""

from torch import Tensor


def picked(values: Tensor, rows: Tensor) -> Tensor:
    """The samples ``rows`` [n] of ``values`` [B,...]: [n,...], a copy."""
    return values.index_select(0, rows)


def only(keep: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Of each of ``values`` [B,...] the samples where ``keep`` [B] is True, copies."""
    rows = keep.nonzero().flatten()
    return tuple(picked(one, rows) for one in values)
