"""From `queue.url` to an open queue. Back-ends are imported only when they are asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from reaper.errors import ConfigError
from reaper.queues.base import Queue


@dataclass(frozen=True, slots=True)
class Opened:
    """An open queue; `created_path` names the ledger's file when it was created just now, to be told once."""

    queue: Queue
    created_path: str | None = None


async def open_queue(
    url: str, *, create: bool, read_only: bool, worker: bool, clock: Callable[[], float] = time.time
) -> Opened:
    """Open the queue at `url`.

    `create` allows a ledger to be made; `read_only` opens it for reading beside a running daemon; a `worker` claims.
    `clock` gives Unix seconds where the engine has no server. Raises ConfigError for a URL that no back-end of this
    version knows (the message holds no part of it that may be secret), QueueError when the queue cannot be used.
    """
    path = ledger_path(url)

    from reaper.queues.sqlite import open_ledger

    queue, created = await open_ledger(path, create=create, read_only=read_only, worker=worker, clock=clock)
    return Opened(queue, path if created else None)


def ledger_path(url: str) -> str:
    """Return the file that a `sqlite:///path` names. Raises ConfigError for any other URL."""
    scheme, found, _ = url.partition(":")
    if not found:
        raise ConfigError("queue.url must be a URL such as sqlite:///var/lib/reaper/ledger.db")
    if scheme in ("postgres", "postgresql", "redis", "rediss", "valkey", "valkeys"):
        raise ConfigError(f"queue.url: this version of reaper has no {scheme} back-end: use sqlite:///PATH")
    if scheme != "sqlite":
        raise ConfigError("queue.url: the scheme is not known to this version of reaper: use sqlite:///PATH")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError("queue.url cannot be read: use sqlite:///PATH") from None
    path = unquote(parts.path)
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise ConfigError("queue.url: a ledger is named by its absolute path alone, as in sqlite:///PATH")
    return "/" + path.lstrip("/")
