"""The queue in Redis 6.2 or newer, or Valkey: many reapers on many machines, one backlog.

Its promises are those of `reaper.queues.base`, but for three: how durable an answer is depends on the server's
`appendfsync` (`open_redis` warns), the death of another process is not seen (its leases run out), and there is no
backup to a file (the server's own snapshots are that).
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable

from reaper.core.errors import ConfigError, QueueError
from reaper.queues.base import PositionStore
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.inbox import Inbox
from reaper.queues.redis.queue import RedisQueue
from reaper.queues.redis.scripts import load
from reaper.queues.redis.url import parse_url

SCHEMA = 1
_BEGIN = load("begin")


async def open_redis(
    url: str,
    *,
    create: bool,
    read_only: bool,
    worker: bool,
    positions: Callable[[str], PositionStore],
    inbox_after_s: float = 0.0,
    clock: Callable[[], float] | None = None,
) -> tuple[RedisQueue, bool, tuple[str, ...]]:
    """Open the queue at `url`; return it, whether it was begun now, and what the server's settings put at risk.

    `create` allows a queue to be begun, unless `read_only`. `worker` is for the other back-ends: here a claim says
    enough. `positions` gets the queue's identity, a name that no other queue has, and returns the store of this
    machine's positions in it. `inbox_after_s` is the time to live of inbox entries without a due time. `clock`
    replaces the server's time, for tests.
    Raises ConfigError for a URL that cannot be used, QueueUnavailableError while the server is away, another QueueError
    when there is no queue, the server is too old, the queue too new, or a right is missing.
    """
    target = parse_url(url)
    if target.ca_file is not None:
        try:
            ssl.create_default_context(cafile=target.ca_file)
        except (OSError, ssl.SSLError):
            raise ConfigError("queue.url: what ca_file names cannot be read, or holds no certificate") from None
    engine = RedisConnection(target, clock)
    try:
        warnings = await engine.check()
        schema = SCHEMA if create and not read_only else ""
        found, identity, begun, now = await engine.run(_BEGIN, schema, secrets.token_hex(8))
        if found is None:
            raise QueueError(
                f"there is no queue at {target.shown} yet: `reaper queue init`, `add`, `once` and `run` create it"
            )
        if int(found) > SCHEMA:
            raise QueueError(f"the queue at {target.shown} was written by a newer reaper: use that version")
        engine.bind(identity)
        queue = RedisQueue(engine, None if read_only else Inbox(engine, inbox_after_s), positions(identity), float(now))
    except BaseException:
        await engine.close()
        raise
    return queue, bool(begun), tuple(warnings)
