"""Opens the queue in Redis 6.2 or newer, or Valkey: many reapers on many machines, one backlog.

It keeps the promises of `reaper.queues.base` with three exceptions: how durable an answer is depends on the server's
`appendfsync` (`open_redis` warns), the death of another process is not seen (its leases expire), and there is no
backup to a file (the server's own snapshots are that).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from reaper.core.errors import ConfigError
from reaper.queues.base import PositionStore
from reaper.queues.composed import ComposedQueue
from reaper.queues.redis.claims import RedisWork
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.intake import RedisIntake
from reaper.queues.redis.operators import RedisOperators
from reaper.queues.redis.reader import RedisReader
from reaper.queues.redis.schema import check, prepare
from reaper.queues.redis.shared_values import RedisValues
from reaper.queues.redis.url import parse_url
from reaper.queues.server_time import ServerTime


async def open_redis(
    url: str,
    *,
    create: bool,
    read_only: bool,
    worker: bool,
    positions: Callable[[str], PositionStore],
    inbox_after_s: float = 0.0,
) -> tuple[ComposedQueue, bool, tuple[str, ...]]:
    """Open the queue at `url`; return it, whether it was created now, and the risks in the server's settings.

    `create` allows a queue to be created, unless `read_only`. `worker` is for the other engines: here the first claim
    makes a process known. `positions` gets the queue's identity, a name that no other queue has, and returns the store
    of this machine's files. `inbox_after_s` is the delay in seconds of inbox entries without a due time.

    Raises ConfigError for a URL that cannot be used, QueueUnavailableError while the server is unavailable, another
    QueueError when there is no queue, the server is too old, the queue too new, or a right is missing.
    """
    target = parse_url(url)
    if target.ca_file is not None:
        try:
            ssl.create_default_context(cafile=target.ca_file)
        except (OSError, ssl.SSLError):
            raise ConfigError("queue.url: what ca_file names cannot be read, or holds no certificate") from None
    connection = RedisConnection(target, clock=None, read_only=read_only)
    try:
        inbox = None if read_only else Inbox(connection, inbox_after_s)
        return await open_over(connection, inbox, positions, create=create and not read_only)
    except BaseException:
        await connection.close()
        raise


async def open_over(
    connection: RedisConnection, inbox: Inbox | None, positions: Callable[[str], PositionStore], *, create: bool
) -> tuple[ComposedQueue, bool, tuple[str, ...]]:
    """Open the queue over a connection, for reading only without an inbox; as `open_redis`."""
    warnings = await check(connection)
    identity, created, now = await prepare(connection, create=create)
    connection.pin_identity(identity)
    store = positions(identity)
    time = ServerTime(connection.clock)
    time.measured(now)
    work = RedisWork(connection, inbox, time)

    async def close() -> None:
        if not connection.closed:
            try:
                await connection.close(work.deregister)
            finally:
                await store.close()

    queue = ComposedQueue(
        intake=RedisIntake(connection, store, time.now),
        work=work,
        operators=RedisOperators(connection, time.now),
        values=RedisValues(connection, time.now),
        ledger=RedisReader(connection, time.now),
        close=close,
    )
    return queue, created, warnings
