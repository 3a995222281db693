"""The connection to the engine: scripts, what they answer, what goes wrong, what its settings put at risk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, NoScriptError, RedisError, ResponseError

from reaper.core.errors import QueueError
from reaper.queues.redis.errors import translated
from reaper.queues.redis.scripts import Script
from reaper.queues.redis.url import Target

T = TypeVar("T")
Value = str | int | float

CONNECT_S = 5.0
ANSWER_S = 15.0
"""How long one script may take before its answer counts as lost."""
CONNECTIONS = 8
OLDEST = (6, 2)

_AT_RISK = {
    "everysec": "appendfsync is everysec: up to two seconds of what was accepted or settled are lost when the machine "
    "loses power, or the server's process dies while its disk is slow; appendfsync always loses nothing",
    "no": "appendfsync is no: what the kernel had not written yet, often 30 seconds, is lost when the machine loses "
    "power; set it to always or everysec",
}


class RedisConnection:
    """One process's connections. Made for one asyncio loop at a time; `clock` replaces the server's time in tests."""

    def __init__(self, target: Target, clock: Callable[[], float] | None) -> None:
        self._name = target.shown
        self._tag = target.tag
        self.clock = clock
        self._identity = ""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        tls: dict[str, Any] = {}
        if target.tls:
            tls = {"connection_class": SSLConnection, "ssl_ca_certs": target.ca_file}
        # No retries below us: a script whose answer was lost may have run, and only its caller knows what that means.
        client = Redis(
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
        self._client = client
        self._execute: Callable[..., Awaitable[Any]] = client.execute_command

    @property
    def name(self) -> str:
        """The server's URL without what is secret in it."""
        return self._name

    def key(self, name: str) -> str:
        """Return the whole name of one of our keys."""
        return f"{self._tag}:{name}"

    def bind(self, identity: str) -> None:
        """From now on refuse every queue but the one of this identity: it may be emptied or replaced under us."""
        self._identity = identity

    async def run(self, script: Script, *values: Value) -> Any:
        """Run a script and return its answer. Raises QueueError; then it has run wholly or not at all."""
        now = f"{self._identity} " if self.clock is None else f"{self._identity} {self.clock()!r}"
        with _Translated(self._name):
            try:
                return await self._execute("EVALSHA", script.sha, 1, self._tag, now, *values)
            except NoScriptError:  # a restarted server forgot it; it has not run
                return await self._execute("EVAL", script.text, 1, self._tag, now, *values)

    async def ask(self, *command: Value) -> Any:
        """Run one command. Raises QueueError."""
        with _Translated(self._name):
            return await self._execute(*command)

    async def portions(self, script: Script, values: Sequence[Value], names: Sequence[str], most: int) -> int:
        """Run a script for `most` of the names at a time; return the sum of what it answers."""
        done = 0
        for start in range(0, len(names), most):
            done += int(await self.run(script, *values, *names[start : start + most]))
        return done

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run work in a task of its own, which `close` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work so that a cancelled caller doesn't cancel it. Raises what it does, QueueError when closed."""
        if self._closed:
            work.close()
        self.refuse_closed()
        return await asyncio.shield(self.spawn(work))

    def refuse_closed(self) -> None:
        """Raise QueueError if the queue was closed."""
        if self._closed:
            raise QueueError("the queue was closed")

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def close(self, last: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        """Let what was begun end, do `last`, disconnect."""
        self._closed = True
        try:
            while self._tasks:
                await asyncio.wait(list(self._tasks))
            if last is not None:
                with suppress(QueueError):
                    await last()
        finally:
            with suppress(RedisError, OSError):
                await self._client.connection_pool.disconnect()

    # --- at the start -----------------------------------------------------------------------------------------------

    async def check(self) -> list[str]:
        """Return what the server's settings put at risk, a sentence each. Raises QueueError for one too old."""
        info = await self._tell(self._client.info, "server")
        if info is not None and too_old(version := str(info.get("redis_version", ""))):
            raise QueueError(f"{self._name} is Redis {version}: the queue needs 6.2 or newer, or Valkey")
        settings: dict[str, str] = {}
        for name in ("appendonly", "appendfsync", "maxmemory-policy"):
            found = await self._tell(self._client.config_get, name)
            if found is None:
                return [
                    f"the settings of {self._name} cannot be checked (it refuses CONFIG GET): make sure that it keeps "
                    "an append-only file (or its service's equal) and that maxmemory-policy is noeviction"
                ]
            settings.update(found)
        return warnings_of(settings)

    async def _tell(self, ask: Callable[[str], Any], what: str) -> dict[str, Any] | None:
        with _Translated(self._name):
            try:
                return dict(await ask(what))
            except (NoPermissionError, ResponseError):
                return None


def too_old(version: str) -> bool:
    """Judge a server's version; Valkey tells the Redis it is compatible with. One that cannot be read is let pass."""
    found = version.split(".")[:2]
    return all(part.isdigit() for part in found) and tuple(map(int, found)) < OLDEST


def warnings_of(settings: dict[str, str]) -> list[str]:
    """Judge a server's settings."""
    warnings = []
    if settings.get("appendonly") != "yes":
        warnings.append(
            "appendonly is not yes: a crash or restart of the server can lose every ID since its last snapshot; "
            "set appendonly yes"
        )
    elif sentence := _AT_RISK.get(settings.get("appendfsync", "")):
        warnings.append(sentence)
    policy = settings.get("maxmemory-policy", "")
    if policy.startswith("allkeys"):
        warnings.append(
            f"maxmemory-policy is {policy}: a full server drops session IDs in silence; set it to noeviction"
        )
    elif policy != "noeviction":
        warnings.append(
            f"maxmemory-policy is {policy}: a full server may drop the set of a running `once`; set it to noeviction"
        )
    return warnings


class _Translated:
    """Turns the library's errors into ours at the edge."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RedisError | OSError):
            raise translated(error, self._name) from error
