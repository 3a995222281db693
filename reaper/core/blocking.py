"""The seam through which files are read while the process works: an owner of threads may bound the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

_T = TypeVar("_T")


class RunBlocking(Protocol):
    """Runs a blocking call and returns its result. Raises what it raises; TimeoutError when it takes too long."""

    def __call__(self, call: Callable[[], _T], /) -> _T: ...


def run_here(call: Callable[[], _T], /) -> _T:
    """Run the call in this thread, however long it takes."""
    return call()
