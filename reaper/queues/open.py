"""Opening of the queue that `queue.url` names. An engine is imported only when it is used."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio.to_thread

from reaper.core.errors import ConfigError, QueueError, QueueUnavailableError, UsageError
from reaper.core.urls import queue_url, sqlite_path
from reaper.queues.base import PositionStore, Queue
from reaper.queues.local_positions import LocalPositions

EXTRAS = {"postgresql": "postgres", "redis": "redis", "rediss": "redis"}
"""The schemes of shared queues, and the extra that brings what each needs."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An open queue. `created_path` names the ledger's file when this call created it.

    `warnings` are sentences on what the engine's settings put at risk.
    """

    queue: Queue
    created_path: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probed:
    """What a worker would find in a queue that it could open: an `outage` for which it waits, and warnings."""

    warnings: tuple[str, ...]
    outage: str | None = None


class _OpenShared(Protocol):
    async def __call__(
        self,
        url: str,
        *,
        create: bool,
        read_only: bool,
        worker: bool,
        positions: Callable[[str], PositionStore],
    ) -> tuple[Queue, bool, tuple[str, ...]]: ...


async def open_queue(
    url: str,
    *,
    create: bool,
    read_only: bool,
    worker: bool,
    clock: Callable[[], float] = time.time,
    state_dir: Callable[[], Path] | None = None,
    inbox_after_s: float = 0.0,
) -> Opened:
    """Open the queue at `url`.

    `create` allows a ledger to be made; `read_only` opens it for reading beside a running daemon; a `worker` claims.
    `clock` gives Unix seconds where the engine has no server. Beside a queue on other machines, positions of followed
    files are kept in `state_dir` (called when there is one to keep). `inbox_after_s` is the time to live of what
    producers put into the queue without a time.
    Raises ConfigError for a URL that no engine of this version knows (the message has no part of it that may be
    secret), QueueError when the queue cannot be used.
    """
    url = _readable(url)
    scheme = url.partition(":")[0]
    if scheme in EXTRAS:
        open_shared, positions = _shared(scheme, inbox_after_s), partial(local_positions, state_dir)
        queue, _, warnings = await open_shared(
            url, create=create, read_only=read_only, worker=worker, positions=positions
        )
        return Opened(queue, warnings=warnings)
    path = str(sqlite_path(url))

    from reaper.queues.sqlite.open import open_ledger

    ledger, created = await open_ledger(path, create=create, read_only=read_only, worker=worker, clock=clock)
    return Opened(ledger, path if created else None)


async def probe_queue(url: str, *, positions: Path | None = None) -> Probed:
    """Do what a worker does when it opens a queue, and leave nothing behind.

    `positions`: the directory in which a worker beside a queue on a server keeps the positions of files, if it follows
    any. A ledger that is there should be open for reading meanwhile. Raises what the opening by a worker would raise:
    ConfigError, QueueError, and QueueUnavailableError for an outage.
    """
    from reaper.queues.sqlite.probe import probe

    url = _readable(url)
    outage = None
    match EXTRAS.get(url.partition(":")[0]):
        case "postgres":
            from reaper.queues.postgres.probe import probe_postgres

            warnings = await probe_postgres(url)
        case "redis":
            from reaper.queues.redis.probe import probe_redis

            warnings, outage = await probe_redis(url)
        case _:
            return Probed(tuple(await anyio.to_thread.run_sync(probe, str(sqlite_path(url)))))
    if positions is not None:
        warnings += await anyio.to_thread.run_sync(probe, str(positions / "positions.db"))
    return Probed(tuple(warnings), outage)


async def refuse_unwritable(url: str) -> None:
    """Raise QueueError, as a worker would, when a queue on a server can be opened but not written now."""
    if (outage := (await probe_queue(url)).outage) is not None:
        raise QueueUnavailableError(outage)


async def restore_ledger(url: str, copy: str) -> tuple[str, str | None]:
    """Put a checked copy in the place of the ledger at `url`; return its path and where the former one is now.

    Raises UsageError for a copy that cannot be used or a queue on a server, QueueError while a process has it open.
    """
    if is_shared(url):
        raise UsageError("a queue on a server is restored with the engine's own tools: see docs/queues.md")

    from reaper.queues.sqlite.restore import restore

    path = str(sqlite_path(url))
    return path, await anyio.to_thread.run_sync(restore, path, copy)


def disk_fault(url: str) -> str | None:
    """Return why the disk of a ledger takes no writes; None where nothing is found, and for a queue on a server."""
    if is_shared(url):
        return None
    from reaper.queues.sqlite import outage

    return outage.disk_fault(str(sqlite_path(url)))


async def open_empty_queue() -> Queue:
    """Open an empty queue in memory, for commands that only read, where no ledger exists yet."""
    from reaper.queues.sqlite.open import open_empty

    return await open_empty()


def is_shared(url: str) -> bool:
    """Return whether a queue, by the URL in the settings, is on an engine that other machines use too."""
    return url.partition(":")[0] in EXTRAS


def _readable(url: str) -> str:
    """Return the URL that an engine reads. Raises ConfigError."""
    try:
        return queue_url(url)
    except ValueError as error:
        raise ConfigError(f"queue.url {error}") from None


def _shared(scheme: str, inbox_after_s: float) -> _OpenShared:
    try:
        match EXTRAS[scheme]:
            case "postgres":
                from reaper.queues.postgres.open import open_postgres

                return open_postgres
            case _:
                from reaper.queues.redis.open import open_redis

                return partial(open_redis, inbox_after_s=inbox_after_s)
    except ImportError as error:
        extra = EXTRAS[scheme]
        raise ConfigError(
            f"queue.url: {scheme} needs what is not installed ({error.name}): pip install 'archal-reaper[{extra}]'"
        ) from error


def local_positions(state_dir: Callable[[], Path] | None, identity: str) -> PositionStore:
    """Return the store of positions for one queue, by its identity: another queue gets all lines from the beginning."""

    async def open_store() -> Queue:
        if state_dir is None:
            raise QueueError("no directory is known for the positions of followed files: set STATE_DIRECTORY")
        from reaper.queues.sqlite.open import open_ledger

        path = str(state_dir() / f"positions-{identity}.db")
        return (await open_ledger(path, create=True, read_only=False, worker=False))[0]

    return LocalPositions(open_store)
