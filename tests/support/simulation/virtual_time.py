"""Virtual time, virtual chance: replaces the clocks and the sources of randomness of the whole interpreter.

`install` has to run before anything of reaper is imported: functions such as `time.time` are default arguments there.
The interpreter is not usable for anything else afterwards, so a simulation has processes of its own.
"""

from __future__ import annotations

import os
import random
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass

EPOCH = 1_800_000_000.0
"""The wall clock's time when a simulation begins; 2027-01-15."""
BOOTED = 100_000.0
"""The steady clock's time when a simulation begins."""

real_process_time = time.process_time


@dataclass(slots=True, eq=False)
class Host:
    """A machine: its wall clock may be off and may be set; its steady clock is everybody's."""

    name: str
    wall_offset_s: float = 0.0


HOST: ContextVar[Host | None] = ContextVar("HOST", default=None)


class Clock:
    """The one clock of a simulation."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        """Since the beginning."""

    def steady(self) -> float:
        return BOOTED + self.elapsed_s

    def true(self) -> float:
        """Return the time of a wall clock that is right."""
        return EPOCH + self.elapsed_s

    def wall(self) -> float:
        """Return the wall clock's time on the host of the caller."""
        host = HOST.get()
        return self.true() + (host.wall_offset_s if host is not None else 0.0)


CLOCK = Clock()


_BYTES = random.Random()
"""The source of what reaper takes for the system's randomness."""


def install() -> None:
    """Replace the interpreter's clocks and sources of randomness."""
    time.time = CLOCK.wall
    time.monotonic = time.perf_counter = CLOCK.steady
    time.time_ns = lambda: int(CLOCK.wall() * 1e9)
    time.monotonic_ns = time.perf_counter_ns = lambda: int(CLOCK.steady() * 1e9)
    time.clock_gettime = lambda clock: CLOCK.wall() if clock == time.CLOCK_REALTIME else CLOCK.steady()
    os.getpid = lambda: 4242
    os.urandom = _BYTES.randbytes
    secrets.token_hex = lambda nbytes=None: _BYTES.randbytes(nbytes or 16).hex()
    secrets.token_bytes = lambda nbytes=None: _BYTES.randbytes(nbytes or 16)


def seed(number: int) -> None:
    """Begin the randomness anew: the same seed gives the same numbers."""
    random.seed(number)
    _BYTES.seed(f"bytes/{number}")
