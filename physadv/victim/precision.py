"""In which precision a network is computed while artwork is optimised against it."""

from contextlib import AbstractContextManager, nullcontext

import torch


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether ``device`` has instructions that multiply bfloat16.

    Processors without them emulate it, at twenty times the cost of float32 and more.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def in_bfloat16(device: torch.device) -> AbstractContextManager[object]:
    """Has networks on ``device`` computed in bfloat16 where it can, else as they are."""
    if computes_in_bfloat16(device):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
