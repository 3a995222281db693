"""A clock of its own for a command's processes (libfaketime)."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes.command import Command
from tests.support.programs import missing


def wrong_clock(command: Command, *, monotonic: bool = False) -> Path:
    """Give the command's processes a wall clock of their own; return the file that sets it, as `+1h`.

    With `monotonic` they are shown another monotonic clock, too, as `faketime` does when nothing is set.
    """
    found = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if found is None:
        missing("faketime", "is not installed")
    clock = command.home / "clock"
    clock.write_text("+0")
    command.env |= {
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": str(int(not monotonic)),
    }
    return clock
