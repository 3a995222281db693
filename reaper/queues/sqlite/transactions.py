"""Begins transactions. One that writes waits for its turn by itself.

SQLite's own wait sleeps for up to 100 ms between two tries, in which another process takes every turn: of two reapers
on one ledger one may do nine tenths of the work (`bench.two`). Asked again each half millisecond, both get a fair part.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from reaper.queues.sqlite.errors import code_of
from reaper.queues.sqlite.schema import BUSY_S

Begin = Callable[[sqlite3.Connection], object]

SOON_S, OFTEN_S, SELDOM_S = 0.0005, 0.05, 0.005
"""A transaction that has to wait asks again every `SOON_S` in its first `OFTEN_S`, then every `SELDOM_S`."""
_BUSY_MS = int(BUSY_S * 1000)


def begin_read(connection: sqlite3.Connection) -> None:
    """Begin a transaction that only reads; in a ledger with a log it waits for nobody."""
    connection.execute("BEGIN")


def begin_write(connection: sqlite3.Connection) -> None:
    """Begin a transaction that writes, within `BUSY_S`. Raises sqlite3.OperationalError, SQLITE_BUSY after that."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        begun = time.monotonic()
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                waited_s = time.monotonic() - begun
                if code_of(error) != sqlite3.SQLITE_BUSY or waited_s > BUSY_S:
                    raise
                time.sleep(SOON_S if waited_s < OFTEN_S else SELDOM_S)
            else:
                return
    finally:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
