"""Transactions that inherit nothing: each sets what its statements depend on.

A database, a role, a pooler's other clients or `options` in a URL may set anything: serializable or read-only
transactions, a statement timeout of a second, a search path without the queue, text forms that change what a query
returns. Settings of a session would not last behind a pooler in transaction mode, and would stay for its next client.
So each transaction begins with them, in the same round trip as its statements, and ends with a COMMIT of its own: an
error at a COMMIT that psycopg did not ask for breaks its pipeline.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from reaper.queues.postgres.statements import load

STATEMENT_S = 125.0
"""After so long the server ends a statement, also where its client is gone: longer than any call waits for one."""
IDLE_S = 60.0
"""After so long the server ends a transaction whose client, frozen perhaps, sends nothing more."""
_SQL = load("session.sql")
_DEFAULT_PATH = '"$user", public'
_NEWEST = 170_000
"""From this version on the server knows `transaction_timeout`."""


@dataclass(slots=True)
class SearchPath:
    """Where the tables are. `is_in_url`: the URL names it. `text` is None until the first connection has found it."""

    is_in_url: bool
    text: str | None = None


class Session:
    """One connection to the server. A statement outside of `pipeline` and `transaction` is a transaction of its own."""

    def __init__(self, raw: AsyncConnection[TupleRow], path: SearchPath) -> None:
        self._raw = raw
        self._path = path
        self._inside = False
        # A standby begins no transaction that may write; what writes there fails at its own statement.
        mode = "" if raw.info.parameter_status("in_hot_standby") == "on" else " READ WRITE"
        self._begin = f"BEGIN ISOLATION LEVEL READ COMMITTED{mode} NOT DEFERRABLE"
        self._set = _SQL["set_newest" if raw.info.server_version >= _NEWEST else "set"]

    async def find_tables(self) -> None:
        """Pin the search path: that of the URL, else the schema where an inherited one finds the queue, else public."""
        if self._path.text is None:
            cursor = await self.execute(_SQL["find_tables"])
            ((inherited, found),) = await cursor.fetchall()
            self._path.text = inherited if self._path.is_in_url else found or _DEFAULT_PATH

    async def execute(
        self, query: str, params: Mapping[str, Any] | tuple[Any, ...] | None = None
    ) -> AsyncCursor[TupleRow]:
        """Execute a statement and return its cursor."""
        if self._inside:
            return await self._raw.execute(query, params)
        async with self.pipeline():
            return await self._raw.execute(query, params)

    @asynccontextmanager
    async def pipeline(self) -> AsyncIterator[None]:
        """Send the statements of the block, one transaction, in one round trip; their rows are there afterwards."""
        is_whole = False
        async with self._rolled_back_on_error():
            try:
                async with self._raw.pipeline():
                    await self._open()
                    yield
                    await self._raw.execute("COMMIT")
                    is_whole = True
            except psycopg.Error:
                raise
            except Exception as error:
                if not is_whole:
                    raise
                # psycopg lost its place in the conversation; whether the transaction took effect is not known.
                raise psycopg.InterfaceError(f"an answer out of turn ({type(error).__name__})") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Execute the statements of the block in one transaction, one after the other."""
        async with self._rolled_back_on_error():
            async with self._raw.pipeline():
                await self._open()
            yield
            await self._raw.execute("COMMIT")

    @property
    def closed(self) -> bool:
        """Whether the connection is closed."""
        return self._raw.closed

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._raw.fileno()

    async def close(self) -> None:
        """Close the connection."""
        await self._raw.close()

    async def _open(self) -> None:
        self._inside = True
        await self._raw.execute(self._begin)
        path = self._path.text
        values = {"statement": f"{STATEMENT_S * 1000:.0f}", "idle": f"{IDLE_S * 1000:.0f}", "path": path}
        await self._raw.execute(self._set, values)

    @asynccontextmanager
    async def _rolled_back_on_error(self) -> AsyncIterator[None]:
        try:
            yield
        except Exception:
            with suppress(psycopg.Error):
                if not self._raw.closed and self._raw.info.transaction_status is not TransactionStatus.IDLE:
                    await self._raw.rollback()
            raise
        finally:
            self._inside = False
