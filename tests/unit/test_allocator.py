"""What a process of ours gives back to the kernel: asked of glibc itself, in a process of its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

BLOCKS = """
import ctypes, sys
from reaper.app.allocator import give_back_blocks
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

class Figures(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd more less up down keep".split()]

libc.mallinfo2.restype = Figures
if sys.argv[1] == "ours":
    give_back_blocks()
libc.free(libc.malloc(256 * 1024))
before = libc.mallinfo2().hblks
kept = libc.malloc(200 * 1024)
print(libc.mallinfo2().hblks - before)
"""
"""Prints how many blocks of its own the kernel gave for the second allocation."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33")
@pytest.mark.parametrize(("whose", "blocks"), [("glibc's", 0), ("ours", 1)])
def test_a_large_block_is_one_of_its_own_also_after_another_was_freed(whose: str, blocks: int) -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKS, whose], capture_output=True, text=True, check=True)
    assert int(done.stdout) == blocks
