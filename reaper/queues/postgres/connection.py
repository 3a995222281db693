"""Connections, and the one task on each that talks: callers post what they ask for and wait.

psycopg closes a connection whose query is cancelled, so no caller's cancellation may reach one: what was begun is
carried out. What is asked while the task is busy is carried out together, in one transaction and one round trip.
A lane opens its connection when it is first needed and a new one when that is lost; between failed attempts it waits
a second at most: whoever asks again at once does not turn in a busy loop, and still hears soon that it fails.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from reaper.core.backoff import backoff_s
from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.queues.postgres.errors import connect_s, is_rolled_back, may_pass, place, translated

BACKOFF_S, MAX_BACKOFF_S = 0.1, 1.0
CANCEL_S = 5.0
"""How long the server may take to end a call that took too long; then the connection is cut."""
TRIES = 4
"""Of a statement that the engine undid in favour of another."""

Connection = AsyncConnection[TupleRow]
A = TypeVar("A")
CarryOut = Callable[[Connection, Sequence[A]], Awaitable[Sequence[object]]]
"""Carries out all that is asked in one transaction; a result for each."""
Work = Callable[[Connection], Awaitable[object]]


async def run_each(connection: Connection, works: Sequence[Work]) -> Sequence[object]:
    """Carry out plain work, for lanes that do one at a time."""
    return [await work(connection) for work in works]


class Connector:
    """The way to the server, shared by the lanes: where it is, and since when it is closed."""

    def __init__(self, params: dict[str, str]) -> None:
        self._params = params
        self._failures = 0
        self._not_before = 0.0
        self.where = place(params)

    @property
    def blocked(self) -> bool:
        """Whether the last attempt to connect failed."""
        return self._failures > 0

    async def connect(self) -> Connection:
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
        return connection

    def translated(self, error: psycopg.Error | OSError) -> QueueError:
        """Return the QueueError for what psycopg raised."""
        return translated(error, self.where, self._params.get("password"))

    def _failed(self, now: float) -> None:
        wait_s = backoff_s(self._failures, BACKOFF_S, MAX_BACKOFF_S)
        self._failures += 1
        self._not_before = now + wait_s * (0.5 + random.random() / 2)


@dataclass(slots=True, eq=False)
class _Call(Generic[A]):
    ask: A
    future: asyncio.Future[Any]
    undo: Callable[[Any], Awaitable[object]] | None


@dataclass(slots=True, eq=False)
class BatchedConnection(Generic[A]):
    """One connection. `call_s` bounds what is carried out together, at most `most` at a time.

    `rereads` says that to carry out twice does no harm; `in_doubt` is told of what may or may not have happened.
    """

    road: Connector
    carry_out: CarryOut[A]
    call_s: float
    most: int = 1
    rereads: bool = False
    in_doubt: Callable[[Sequence[A]], None] = lambda asks: None
    _calls: deque[_Call[A]] = field(default_factory=deque)
    _connection: Connection | None = None
    _talk: asyncio.Task[None] | None = None
    _undoing: set[asyncio.Future[object]] = field(default_factory=set)
    _closed: bool = False

    async def ask(self, ask: A, undo: Callable[[Any], Awaitable[object]] | None = None) -> Any:
        """Post what is asked and wait for its result.

        Cancelled, it has happened wholly or not at all; if it has and nobody got the result, `undo(result)` is run.
        """
        if self._closed:
            raise QueueError(f"the queue in {self.road.where} was closed")
        return await self._post(ask, undo)

    async def _post(self, ask: A, undo: Callable[[Any], Awaitable[object]] | None) -> Any:
        future = asyncio.get_running_loop().create_future()
        call = _Call(ask, future, undo)
        self._calls.append(call)
        if self._talk is None:
            # It begins in the next turn of the loop: what else is asked in this one goes along.
            self._talk = asyncio.create_task(self._work(), name="reaper-postgres")
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._take_back(call, future.result())
            raise

    async def repeat(self, ask: A) -> Any:
        """Like `ask`, also while the queue is being closed: for what is taken back."""
        return await self._post(ask, None)

    async def close(self) -> None:
        """Finish what was asked, then close the connection. Idempotent."""
        self._closed = True
        while self._talk is not None or self._undoing:
            await asyncio.wait([task for task in (self._talk, *self._undoing) if task is not None])
        await self._drop()

    async def abandon(self) -> None:
        """Drop all without a word, as the death of the process would."""
        self._closed = True
        if self._talk is not None:
            self._talk.cancel()
            await asyncio.wait([self._talk])
        await self._drop()

    def _take_back(self, call: _Call[A], result: object) -> None:
        if call.undo is not None:
            undoing = asyncio.ensure_future(call.undo(result))
            self._undoing.add(undoing)
            undoing.add_done_callback(self._undone)

    def _undone(self, undoing: asyncio.Future[object]) -> None:
        self._undoing.discard(undoing)
        if not undoing.cancelled():
            undoing.exception()  # what could not be handed back comes back when its lease is over

    async def _work(self) -> None:
        calls: list[_Call[A]] = []
        try:
            while self._calls:
                calls = [self._calls.popleft() for _ in range(min(self.most, len(self._calls)))]
                # Cancelled before it began: then it has not happened at all.
                calls = [call for call in calls if not call.future.cancelled()]
                if calls:
                    await self._serve(calls)
        finally:
            self._talk = None
            for call in (*calls, *self._calls):
                call.future.cancel()

    async def _serve(self, calls: Sequence[_Call[A]]) -> None:
        results: Sequence[object]
        try:
            results = await self._together([call.ask for call in calls])
        except Exception as error:  # noqa: BLE001 - the top of a task: each caller gets it
            results = [error] * len(calls)
        for call, result in zip(calls, results, strict=True):
            if call.future.cancelled():
                if not isinstance(result, Exception):
                    self._take_back(call, result)
            elif isinstance(result, Exception):
                call.future.set_exception(result)
            else:
                call.future.set_result(result)

    async def _together(self, asks: Sequence[A]) -> Sequence[object]:
        """Return a result or an error for each."""
        tried = 0
        while True:
            tried += 1
            connection = await self._ready()
            # A call that takes too long is cancelled on the server, for which psycopg waits twice 5 s: not that long.
            hang_up = asyncio.get_running_loop().call_later(self.call_s + CANCEL_S, _hang_up, connection)
            try:
                async with asyncio.timeout(self.call_s):
                    return await self.carry_out(connection, asks)
            except TimeoutError as error:
                await self._lose(asks)
                raise QueueUnavailableError(f"{self.road.where} did not answer within {self.call_s:g} s") from error
            except psycopg.Error as error:
                if is_rolled_back(error) and tried < TRIES:
                    continue
                if connection.closed or may_pass(error):
                    # Of a server that became a standby too: the next connection may find the one that took over.
                    await self._lose(asks)
                    if self.rereads and tried == 1:
                        continue
                elif len(asks) > 1:
                    return [await self._alone(ask) for ask in asks]  # one of them is at fault, and nothing happened
                raise self.road.translated(error) from error
            except BaseException:
                await self._lose(asks)
                raise
            finally:
                hang_up.cancel()

    async def _alone(self, ask: A) -> object:
        try:
            (result,) = await self._together([ask])
        except QueueError as error:
            return error
        return result

    async def _ready(self) -> Connection:
        if self._connection is not None and _is_stale(self._connection):
            await self._drop()
        if self._connection is None:
            self._connection = await self.road.connect()
        return self._connection

    async def _lose(self, asks: Sequence[A]) -> None:
        self.in_doubt(asks)
        await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


def _hang_up(connection: Connection) -> None:
    """End a connection under whoever waits for its answer."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def _is_stale(connection: Connection) -> bool:
    """Tell whether an idle connection was ended by the other side: found out now, nothing is in doubt.

    Nobody speaks on an idle connection but to end it, or to tell of a new setting; a fresh one is right for both.
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
