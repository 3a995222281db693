"""The memory allocator of this process, where that is glibc's: what it gives back to the kernel."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

M_MMAP_THRESHOLD: Final = -3
"""Its number in mallopt(3)."""
BLOCK_BYTES: Final = 128 * 1024
"""glibc's own threshold, as long as no larger block was freed."""
CHOSEN = ("MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
"""Variables by which a person chooses."""


def give_back_blocks() -> None:
    """Have each block of 128 KiB or more given back to the kernel when it is freed (glibc; elsewhere nothing happens).

    uvloop takes a block of 256 KiB for each TLS connection and uses some pages of it. By default the first such block
    that is freed raises the threshold, and from then on they are cut from the heap, out of pages that others
    used before: at 1000 connections 5 to 10 MiB more (`bench.peers`).
    """
    if any(name in os.environ for name in CHOSEN):
        return
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, BLOCK_BYTES)
