"""The connections to the server: they run scripts and commands, and turn the library's errors into ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, NoScriptError, RedisError, ResponseError

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.queues.redis.errors import translated
from reaper.queues.redis.scripts import Script
from reaper.queues.redis.url import Target

T = TypeVar("T")
Value = str | int | float

CONNECT_S = 5.0
ANSWER_S = 15.0
"""How long one script may take before its answer counts as lost."""
CLOSE_S = 3.0
"""How long the end waits for the server: with all else that a reaper does then, less than its supervisor waits."""
END_S = 1.0
"""How long what is given up may take to end."""
CONNECTIONS = 8


class RedisConnection:
    """The connections of one open queue, for one asyncio loop. `clock` replaces the server's time in tests."""

    def __init__(self, target: Target, clock: Callable[[], float] | None, *, read_only: bool = False) -> None:
        self.name = target.shown
        self.clock = clock
        self.read_only = read_only
        self._tag = target.tag
        self._identity = ""
        self._tasks: set[asyncio.Task[Any]] = set()
        self.closed = False
        tls: dict[str, Any] = {}
        if target.tls:
            tls = {"connection_class": SSLConnection, "ssl_ca_certs": target.ca_file}
        # No retries below us: a script whose answer was lost may have run, and only its caller knows what that means.
        self._client = Redis(
            connection_pool=BlockingConnectionPool(
                host=target.host,
                port=target.port,
                db=target.db,
                username=target.username,
                password=target.password,
                max_connections=CONNECTIONS,
                timeout=ANSWER_S,
                socket_timeout=ANSWER_S,
                socket_connect_timeout=CONNECT_S,
                retry=Retry(NoBackoff(), 0),
                encoding_errors="surrogateescape",
                decode_responses=True,
                protocol=2,
                **tls,
            )
        )
        self._execute: Callable[..., Awaitable[Any]] = self._client.execute_command

    def key(self, name: str) -> str:
        """Return the whole name of one of the queue's keys."""
        return f"{self._tag}:{name}"

    def pin_identity(self, identity: str) -> None:
        """Refuse every queue but the one of this identity from now on: it may be emptied or replaced meanwhile."""
        self._identity = identity

    async def run(self, script: Script, *values: Value) -> Any:
        """Run a script and return its answer. Raises QueueError; then it has run wholly or not at all."""
        now = f"{self._identity} " if self.clock is None else f"{self._identity} {self.clock()!r}"
        with _Translated(self.name):
            try:
                return await self._execute("EVALSHA", script.sha, 1, self._tag, now, *values)
            except NoScriptError:  # a restarted server forgot it; it has not run
                return await self._execute("EVAL", script.text, 1, self._tag, now, *values)

    async def run_in_portions(self, script: Script, values: Sequence[Value], names: Sequence[str], size: int) -> int:
        """Run a script for `size` of the names at a time; return the sum of its answers."""
        done = 0
        for start in range(0, len(names), size):
            done += int(await self.run(script, *values, *names[start : start + size]))
        return done

    async def execute(self, *command: Value) -> Any:
        """Run one command. Raises QueueError."""
        with _Translated(self.name):
            return await self._execute(*command)

    async def execute_if_allowed(self, *command: Value) -> Any:
        """Run one command; return None when the server refuses it. Raises QueueError when it cannot be asked."""
        with _Translated(self.name):
            try:
                return await self._execute(*command)
            except (NoPermissionError, ResponseError):
                return None

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run work in a task of its own, which `close` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_mark_retrieved)
        return task

    async def run_shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work that goes on when the caller is cancelled. Raises its errors, QueueError when closed."""
        if self.closed:
            work.close()
        self.refuse_closed()
        return await asyncio.shield(self.spawn(work))

    def refuse_closed(self) -> None:
        """Raise QueueError if the queue was closed."""
        if self.closed:
            raise QueueError("the queue was closed")

    def refuse_read_only(self) -> None:
        """Raise QueueError if the queue is open for reading only."""
        if self.read_only:
            raise QueueError(f"the queue at {self.name} is open for reading only")

    async def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Wait for the work under way, do `last`, disconnect; after `CLOSE_S` give up what is left.

        That may have happened or not; leases that nobody released expire.
        """
        self.closed = True
        try:
            async with asyncio.timeout(CLOSE_S):
                while self._tasks:
                    await asyncio.wait(list(self._tasks))
                if last is not None:
                    with suppress(QueueError):
                        await last()
        except TimeoutError:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(list(self._tasks), timeout=END_S)
        finally:
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(END_S):
                    await self._client.connection_pool.disconnect()


def _mark_retrieved(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception of a task whose caller may be gone: asyncio would log it, with a traceback."""
    if not task.cancelled():
        task.exception()


class _Translated:
    """Turns the library's errors into ours. A class, not a generator: one is made for each call."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisError | OSError):
            raise translated(error, self._name) from error
        if isinstance(error, Exception):
            # Bytes that are no answer, or out of turn: the library lost its place, and whether a script ran is unknown.
            kind = type(error).__name__
            raise QueueUnavailableError(f"{self._name} answered what the driver does not expect ({kind})") from error
