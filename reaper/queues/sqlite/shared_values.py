"""Small texts by name that the processes of a ledger share, and the operator's pause beside them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from reaper.queues.sqlite.schema import statements
from reaper.queues.sqlite.thread import LedgerThread

PAUSE = "pause"
"""The name of the setting that holds the operator's pause."""
STEADY = "steady"
"""The name of the setting that holds the distance between the clocks of this boot."""
RETENTION = "retention"
"""The name of the setting that holds the last time that pruning believed."""
SQL = statements("shared_values.sql")


def read_setting(connection: sqlite3.Connection, name: str) -> str | None:
    """Return a setting's text, None when there is none."""
    row = connection.execute(SQL["read_setting"], (name,)).fetchone()
    return None if row is None else str(row[0])


def write_setting(connection: sqlite3.Connection, name: str, text: str | None) -> None:
    """Write a setting's text, or delete the setting (None)."""
    if text is None:
        connection.execute(SQL["delete_setting"], (name,))
    else:
        connection.execute(SQL["set_setting"], (name, text))


class SqliteValues:
    """The value port of an open ledger."""

    def __init__(self, thread: LedgerThread, now: Callable[[], float]) -> None:
        self.thread = thread
        self.now = now

    async def read_value(self, name: str) -> str | None:
        return await self.thread.read(lambda connection: read_setting(connection, f"note.{name}"))

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        def compare_and_set(connection: sqlite3.Connection) -> bool:
            if read_setting(connection, f"note.{name}") != was:
                return False
            write_setting(connection, f"note.{name}", text)
            return True

        return await self.thread.write(compare_and_set)
