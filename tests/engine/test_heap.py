"""Whether freed memory is used again: pages that the system has to hand out are counted."""

import platform
import subprocess
import sys

import pytest

PAGES = """
import resource
import numpy as np
from physadv.engine.heap import keep_freed_memory

if {keep}:
    keep_freed_memory()
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        several = [np.ones(1_000_000) for _ in range(8)]
        del several
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(keep: bool) -> int:
    code = PAGES.format(keep=keep)
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_freed_memory_is_used_again():
    assert pages(keep=True) < 0.05 * pages(keep=False)
