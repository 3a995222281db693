"""The two clocks of a ledger: the wall clock for due times, and a steady one for leases.

The wall clock can be wrong, and is set right while IDs wait. So a lease ends by a clock that nobody sets: the monotonic
clock of this machine, which all processes share. It is kept near the wall clock of its boot by a distance that the
first writer after a boot stores in the ledger. A lease of an earlier boot has no living holder.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from reaper.queues.sqlite.shared_values import RETENTION, STEADY, read_setting, write_setting

SET_BACK_S = 1.0
"""A wall clock that falls behind the steady one by more was set back; an ordinary correction slews."""
CHECK_EVERY_S = 600.0
"""So often the waits are checked in any case: a process with a clock of its own may write some. A million waits take
0.2 s."""
MAX_LEAP_S = 86_400.0
"""A leap of the wall clock by more is not believed by what deletes, until it has lasted as long."""
STORED_EVERY_S = 3_600.0
SHIFTED_S = 5.0
"""More than a thread needs from its start to its first statement on a busy machine."""


class LedgerClock:
    """The clocks of one open ledger. A `wall` clock given in tests stands for both unless they give a `monotonic`."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] | None = None) -> None:
        self.now = wall
        self._monotonic = monotonic or (time.monotonic if wall is time.time else wall)
        self._ahead_s = self.now() - self._monotonic()
        self._checked_at = float("-inf")
        self._behind_s = 0.0
        self._retention: tuple[float, float] | None = None

    def steady(self) -> float:
        """Return the steady time in seconds, near to the Unix time at which this boot first used the ledger."""
        return self._monotonic() + self._ahead_s

    def instants(self) -> dict[str, float]:
        """Return both times, as the statements name them."""
        return {"now": self.now(), "steady": self.steady()}

    def calibrate(self) -> None:
        """Measure how far the clocks that this process is shown are from the kernel's. Called first in a new thread."""
        if self._monotonic is time.monotonic:
            self._monotonic = _kernel_clock()
            self._ahead_s = self.now() - self._monotonic()

    def agree(self, connection: sqlite3.Connection, *, writes: bool) -> None:
        """Take the distance between the clocks that this boot stored; store it first if `writes` and there is none."""
        if self._take(connection) or not writes:
            return
        connection.execute("BEGIN IMMEDIATE")
        if not self._take(connection):
            write_setting(connection, STEADY, json.dumps({"boot": _boot(), "ahead_s": self._ahead_s}))
        connection.execute("COMMIT")

    def must_check_waits(self) -> bool:
        """Return whether the wall clock was set back since the last call, or that call was long ago."""
        monotonic = self._monotonic()
        behind_s = monotonic - self.now()
        was_set_back = behind_s > self._behind_s + SET_BACK_S
        if was_set_back or monotonic - self._checked_at >= CHECK_EVERY_S:
            self._checked_at, self._behind_s = monotonic, behind_s
            return True
        self._behind_s = min(self._behind_s, behind_s)
        return False

    def believed(self, connection: sqlite3.Connection) -> float:
        """Return the time that pruning may go by: what is deleted by a wrong clock does not come back.

        It is the wall clock's, but a leap by more than a day, as a wrong clock makes or a machine that was off, is
        believed only when the wall clock has been beyond it for a day: by the steady clock, as it may leap once more.
        Of a doubt that began before this boot the wall clock alone can tell.
        """
        now, monotonic, steady = self.now(), self._monotonic(), self.steady()
        stored = _fields(read_setting(connection, RETENTION))
        at, doubted_at = _number(stored, "at"), _number(stored, "doubted_at")
        expected = now if at is None else at
        if self._retention is not None:
            expected = max(expected, self._retention[0] + monotonic - self._retention[1])
        passed_s = 0.0 if doubted_at is None else now - doubted_at
        steady_at = _number(stored, "steady_at") if stored.get("boot") == (_boot() or None) else None
        if doubted_at is not None and steady_at is not None and steady >= steady_at:
            if passed_s > steady - steady_at + MAX_LEAP_S:
                doubted_at = None  # it leapt once more
            passed_s = steady - steady_at if doubted_at is not None else 0.0
        if at is None or now <= expected + MAX_LEAP_S or passed_s >= MAX_LEAP_S:
            self._retention = (now, monotonic)
            if at is None or doubted_at is not None or abs(now - at) >= STORED_EVERY_S:
                write_setting(connection, RETENTION, json.dumps({"at": now}))
            return now
        if doubted_at is None:
            doubt = {"at": at, "doubted_at": now, "steady_at": steady, "boot": _boot()}
        else:
            doubt = {**stored, "doubted_at": min(doubted_at, now)}
        if doubt != stored:
            write_setting(connection, RETENTION, json.dumps(doubt))
        return at

    def _take(self, connection: sqlite3.Connection) -> bool:
        fields = _fields(read_setting(connection, STEADY))
        ahead_s = _number(fields, "ahead_s")
        if fields.get("boot") != _boot() or ahead_s is None:
            return False
        self._ahead_s = ahead_s
        return True


def _fields(text: str | None) -> dict[str, Any]:
    with suppress(ValueError):
        fields = json.loads(text or "null")
        if isinstance(fields, dict):
            return fields
    return {}


def _number(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    with suppress(OverflowError):
        if isinstance(value, float | int) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    return None


def _kernel_clock() -> Callable[[], float]:
    """Return the monotonic clock as the kernel has it, in a thread that was just started.

    A library can show one process another time than the rest, as faketime does, and with it another monotonic clock.
    The kernel's own note of the thread's start is beyond its reach.
    """
    with suppress(OSError, ValueError, IndexError, AttributeError):
        with open("/proc/thread-self/stat", encoding="utf-8", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
        shifted_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        if ticks and abs(shifted_s) > SHIFTED_S:
            return lambda: time.monotonic() - shifted_s
    return time.monotonic


def _boot() -> str:
    """Return the ID of the machine's boot, "" where there is none: the lock files still tell which holders live."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
    return ""
