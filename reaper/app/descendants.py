"""The descendants of this process: on Linux all of them, whatever group or session they moved to."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
"""The numbers of prctl(2) on Linux."""

_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (Linux; elsewhere nothing happens)."""
    if _prctl is not None:
        _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent(parent: int) -> None:
    """Have the kernel send SIGTERM to this process when `parent` dies, at once if it is dead (Linux)."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)


def children() -> set[int] | None:
    """Return the children of this process, also ended ones that nobody waited for; None where nothing lists them."""
    if not os.path.exists(f"/proc/self/task/{os.getpid()}/children"):
        return None
    found: set[int] = set()
    for thread in os.listdir("/proc/self/task"):
        with suppress(OSError), open(f"/proc/self/task/{thread}/children") as listed:  # a thread may have ended
            found.update(map(int, listed.read().split()))
    return found
