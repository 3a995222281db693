"""Connections to the server. Each has one task that uses it; callers post operations to the task and wait.

psycopg closes a connection whose query is cancelled, so the cancellation of a caller never reaches one: what has begun
is carried out. Operations posted while the task is busy run together, in one transaction and one round trip. A
connection is opened when it is first needed, and again after a loss; failed attempts are at most 1 s apart: a caller
that repeats at once does not spin, and learns of the failure soon.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import select
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import AsyncConnection

from reaper.core.backoff import backoff_s
from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.queues.batching import Batcher
from reaper.queues.postgres.errors import connect_s, is_rolled_back, may_pass, place, translated
from reaper.queues.postgres.session import SearchPath, Session

BACKOFF_S, MAX_BACKOFF_S = 0.1, 1.0
CANCEL_S = 5.0
"""How long the server may take to end a call that took too long; then the connection is cut."""
END_S = 0.5
"""How long a connection that is hung up, and then its task, may take to end."""
TRIES = 4
"""Of a statement that the server rolled back in favour of another."""

_LIBRARY_LOG = logging.getLogger("psycopg")
"""Its warnings repeat what is raised and reported anyway, as 'query cancellation failed'."""

A = TypeVar("A")


class Connector:
    """Opens connections to one server, and spaces out the attempts while it is unavailable."""

    def __init__(self, params: dict[str, str]) -> None:
        self._params = params
        self._failures = 0
        self._not_before = 0.0
        self._path = SearchPath(is_in_url="search_path" in params.get("options", ""))
        self.where = place(params)
        if _LIBRARY_LOG.level == logging.WARNING:  # psycopg's own; the program that reaper is part of may set another
            _LIBRARY_LOG.setLevel(logging.ERROR)

    @property
    def blocked(self) -> bool:
        """Whether the last attempt to connect failed."""
        return self._failures > 0

    async def connect(self) -> Session:
        """Return a new connection, not before its time. Raises QueueError."""
        loop = asyncio.get_running_loop()
        within_s = connect_s(self._params)
        deadline = loop.time() + within_s
        await asyncio.sleep(max(0.0, self._not_before - loop.time()))
        try:
            async with asyncio.timeout_at(deadline):
                connection = await AsyncConnection.connect("", **self._params, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]  # libpq takes all of them as text
        except TimeoutError as error:
            self._failed(loop.time())
            raise QueueUnavailableError(f"{self.where} did not answer within {within_s:g} s") from error
        except (psycopg.Error, OSError) as error:
            self._failed(loop.time())
            raise self.translated(error) from error
        self._failures, self._not_before = 0, 0.0
        return Session(connection, self._path)

    def translated(self, error: psycopg.Error | OSError) -> QueueError:
        """Return the QueueError for what psycopg raised."""
        return translated(error, self.where, self._params.get("password"))

    def _failed(self, now: float) -> None:
        wait_s = backoff_s(self._failures, BACKOFF_S, MAX_BACKOFF_S)
        self._failures += 1
        self._not_before = now + wait_s * (0.5 + random.random() / 2)


@dataclass(slots=True, eq=False)
class BatchedConnection(Generic[A]):
    """One connection and its task.

    `execute` runs a batch of at most `limit` operations in one transaction and returns a result for each; a batch may
    take `call_s`. An `idempotent` batch is repeated once after a lost connection. `on_unknown_outcome` gets the
    operations of a batch that may or may not have happened.
    """

    connector: Connector
    execute: Callable[[Session, Sequence[A]], Awaitable[Sequence[object]]]
    call_s: float
    limit: int = 1
    idempotent: bool = False
    on_unknown_outcome: Callable[[Sequence[A]], None] = lambda operations: None
    _batcher: Batcher[A] = field(init=False)
    _connection: Session | None = None
    _closed: bool = False
    _is_abandoned: bool = False

    def __post_init__(self) -> None:
        self._batcher = Batcher(self._execute, self.limit)

    async def run(self, operation: A, undo: Callable[[Any], A] | None = None) -> Any:
        """Post an operation and wait for its result. Raises QueueError.

        Cancelled, it has happened wholly or not at all. If it has and nobody got the result, the operation
        `undo(result)` is posted, also while the queue is being closed.
        """
        if self._closed:
            raise QueueError(f"the queue in {self.connector.where} was closed")
        if undo is None:
            return await self._batcher.post(operation).wait()
        return await self._batcher.post(operation, lambda result: self._post_unawaited(undo(result))).wait()

    def _post_unawaited(self, operation: A) -> None:
        self._batcher.post(operation).future.add_done_callback(_mark_retrieved)

    async def close(self) -> None:
        """Finish the operations that were posted, then close the connection. Idempotent."""
        self._closed = True
        while self._batcher.task is not None:
            await asyncio.wait([self._batcher.task])
        await self._drop()

    async def abandon(self) -> None:
        """Drop the connection and all operations, as the death of the process would; a hung server delays it by 1 s.

        The socket is shut first: a cancellation would be for psycopg to cancel the query on the server, twice 5 s.
        """
        self._closed = self._is_abandoned = True
        if (task := self._batcher.task) is not None:
            if self._connection is not None:
                _hang_up(self._connection)
                await asyncio.wait([task], timeout=END_S)
            task.cancel()
            await asyncio.wait([task], timeout=END_S)
        await self._drop()

    async def _execute(self, operations: Sequence[A]) -> Sequence[object]:
        """Return a result or an error for each operation."""
        tried = 0
        while True:
            tried += 1
            if self._is_abandoned:
                raise QueueUnavailableError(f"{self.connector.where} did not answer before the queue was closed")
            connection = await self._ready()
            # A call that takes too long is cancelled on the server, for which psycopg waits twice 5 s: not that long.
            hang_up = asyncio.get_running_loop().call_later(self.call_s + CANCEL_S, _hang_up, connection)
            try:
                async with asyncio.timeout(self.call_s):
                    return await self.execute(connection, operations)
            except TimeoutError as error:
                await self._lose(operations)
                where = self.connector.where
                raise QueueUnavailableError(f"{where} did not answer within {self.call_s:g} s") from error
            except psycopg.Error as error:
                if is_rolled_back(error) and tried < TRIES:
                    continue
                if connection.closed or may_pass(error):
                    # Of a server that became a standby too: the next connection may find the one that took over.
                    await self._lose(operations)
                    if self.idempotent and tried == 1:
                        continue
                elif len(operations) > 1:
                    return [await self._execute_alone(one) for one in operations]  # nothing happened; find the culprit
                raise self.connector.translated(error) from error
            except BaseException:
                await self._lose(operations)
                raise
            finally:
                hang_up.cancel()

    async def _execute_alone(self, operation: A) -> object:
        try:
            (result,) = await self._execute([operation])
        except QueueError as error:
            return error
        return result

    async def _ready(self) -> Session:
        if self._connection is not None and _is_stale(self._connection):
            await self._drop()
        if self._connection is None:
            self._connection = await self.connector.connect()
        return self._connection

    async def _lose(self, operations: Sequence[A]) -> None:
        self.on_unknown_outcome(operations)
        await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


def _mark_retrieved(future: asyncio.Future[Any]) -> None:
    """Retrieve the exception of a future nobody awaits. Leases that could not be released expire."""
    with suppress(asyncio.CancelledError):
        future.exception()


def _hang_up(connection: Session) -> None:
    """End a connection under the query that waits on it."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def _is_stale(connection: Session) -> bool:
    """Return whether the server ended an idle connection: found out before use, no outcome is unknown.

    A server speaks on an idle connection only to end it or to report a new setting; a fresh one is right for both.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
