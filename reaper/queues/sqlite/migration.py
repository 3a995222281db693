"""Ledgers of an older schema: migrated by the first that writes, read as they are by those that only read."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

_INDEXED = re.compile(r" (INDEXED BY \w+|NOT INDEXED)")


def migrate(connection: sqlite3.Connection, statements: str, schema: int) -> None:
    """Run the statements of a migration and set its version, within the caller's transaction."""
    for statement in statements.split(";\n"):
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {schema}")


class ReadingConnection(sqlite3.Connection):
    """A connection that only reads. A ledger of schema 1 appears to it as one of schema 2, through temporary views."""

    _views: tuple[str, ...] = ()

    def read_as(self, views: str) -> None:
        """Create the views. They have no indexes: from now on statements name none."""
        for view in views.split(";\n"):
            super().execute(view)
        self._views = tuple(re.findall(r"CREATE TEMP VIEW (\w+)", views))

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if not self._views:
            return super().execute(sql, parameters)
        try:
            return super().execute(_INDEXED.sub("", sql), parameters)
        except sqlite3.OperationalError:
            if super().execute("PRAGMA user_version").fetchone() == (1,):
                raise
        # Migrated meanwhile: the views are over.
        views, self._views = self._views, ()
        for view in views:
            super().execute(f"DROP VIEW temp.{view}")
        return super().execute(sql, parameters)
