"""Call what a worker calls, on a key that is gone afterwards: for `reaper check`."""

from __future__ import annotations

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.schema import SCHEMA
from reaper.queues.redis.scripts import load
from reaper.queues.redis.url import parse_url

_PROBE = load("probe")


async def probe_redis(url: str) -> tuple[list[str], str | None]:
    """Return what is worth a warning, and why the server takes no writes now, as sentences.

    A worker opens a queue without a write, and waits until one succeeds; to create the queue it has to write. Raises
    QueueError as it would.
    """
    connection = RedisConnection(parse_url(url), clock=None)
    try:
        version, *refused = await connection.run(_PROBE)
    except QueueUnavailableError as error:
        if await connection.execute("HGET", connection.key("meta"), "schema") is None:
            raise
        return [], str(error)
    finally:
        await connection.close()
    if refused:
        raise QueueError(
            f"{connection.name} forbids what the queue needs: give its user the rights that the documentation names "
            f"({' '.join(f'+{name}' for name in refused)})"
        )
    if version and int(version) < SCHEMA:
        return [f"it has schema {version}: the first verb that writes, as run does, brings it to {SCHEMA}"], None
    return [], None
