"""Small texts by name, in the table of settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reaper.queues.postgres.database import Database
from reaper.queues.postgres.rows import clean
from reaper.queues.postgres.statements import load

_SQL = load("shared_values.sql")


@dataclass(slots=True, eq=False)
class PostgresValues:
    """The port of stored values of one open queue."""

    database: Database
    now: Callable[[], float]

    async def read_value(self, name: str) -> str | None:
        rows = await self.database.fetch_quick(_SQL["read"], name=f"note.{name}")
        return rows[0][0] if rows else None

    async def compare_and_set(self, name: str, text: str | None, *, was: str | None) -> bool:
        self.database.refuse_read_only()
        if was is None and text is None:
            return await self.read_value(name) is None
        statement = "insert" if was is None else "delete" if text is None else "update"
        texts = {key: None if value is None else clean(value) for key, value in (("text", text), ("was", was))}
        return bool(await self.database.change(_SQL[statement], name=f"note.{name}", **texts) == 1)
