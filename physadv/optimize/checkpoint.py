"""State of an interrupted run: all that the next step depends on, in one safetensors file."""

from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from physadv.checks import UserError
from physadv.data.files import atomic_path

NAME = "checkpoint.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """The optimiser after ``step`` steps of ``stage``.

    ``tensors``: ``raw``, ``best_raw``, ``mask``, ``exp_avg``, ``exp_avg_sq``. ``best_success`` and
    ``best_margin`` describe ``best_raw`` on the held-out views (-1 before the first look).
    """

    stage: str
    step: int
    tensors: dict[str, Tensor]
    best_success: float
    best_margin: float


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the checkpoint atomically: a kill leaves the previous one whole."""
    metadata = {
        "stage": checkpoint.stage,
        "step": str(checkpoint.step),
        "best_success": repr(checkpoint.best_success),
        "best_margin": repr(checkpoint.best_margin),
    }
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()
    }
    content = safetensors.torch.save(tensors, metadata)
    with atomic_path(folder / NAME) as temporary:
        temporary.write_bytes(content)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint in ``folder``, or None if there is none yet.

    Raises:
        UserError: If the file is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as stream:
            metadata = stream.metadata()
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        return Checkpoint(
            metadata["stage"],
            int(metadata["step"]),
            tensors,
            float(metadata["best_success"]),
            float(metadata["best_margin"]),
        )
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"resume from {path}", f"damaged ({error})", "Delete it to start this run again."
        ) from error
