"""The session IDs that an order will change: written down before any of them is, each once, in bounded memory.

So the number that a person is asked about is the number that is changed, and a change of a due time does not bring a
row up again while the rows are read in that order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from reaper.core.errors import ReaperError
from reaper.core.model import SessionId
from reaper.queues.statements import load_statements

MEMORY_KIB = 4 * 1024
"""What is beyond goes to a temporary file of SQLite: private, and gone with the process however it ends."""
SQL = load_statements(__package__, "chosen_ids.sql")


class ChosenIds:
    """A set of session IDs that keeps their order. `len` is how many they are."""

    def __init__(self) -> None:
        with _translated():
            self._connection = sqlite3.connect("", isolation_level=None)
            self._connection.execute(f"PRAGMA cache_size = -{MEMORY_KIB}")
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute(SQL["table"])
            self._connection.execute("BEGIN")
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, session_ids: Iterable[SessionId]) -> int:
        """Add IDs that are not there yet; return how many. Raises ReaperError when the disk has no room."""
        with _translated():
            added = self._connection.executemany(SQL["add"], ((each,) for each in session_ids)).rowcount
        self._count += max(0, added)
        return max(0, added)

    def batches(self, size: int) -> Iterator[list[SessionId]]:
        """Yield all IDs in the order they were added, `size` at a time."""
        place = 0
        while True:
            with _translated():
                page = self._connection.execute(SQL["page"], (place, size)).fetchall()
            if not page:
                return
            place = page[-1][0]
            yield [SessionId(session_id) for _, session_id in page]

    def close(self) -> None:
        """Forget them."""
        self._connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise ReaperError(
            f"no room for a temporary file with the chosen IDs ({error}): set TMPDIR to a directory with room"
        ) from error
