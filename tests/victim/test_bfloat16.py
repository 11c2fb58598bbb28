"""bfloat16 where a processor has it, as the kernel tells."""

import platform
from pathlib import Path

import pytest
import torch

from physadv.victim.precision import computes_in_bfloat16

_CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not _CPUINFO.exists(), reason="reads Linux' /proc/cpuinfo"
)
def test_bfloat16_is_used_where_the_processor_has_instructions_for_it():
    flags = {
        flag
        for line in _CPUINFO.read_text().splitlines()
        if line.startswith("flags")
        for flag in line.split()
    }
    native = bool(flags & {"avx512_bf16", "amx_bf16"})
    assert computes_in_bfloat16(torch.device("cpu")) == native
