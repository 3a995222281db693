"""Engines of shared queues that can be killed, started again and held still."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from tests.support.queues.postgres_server import PostgresServer
from tests.support.queues.redis_server import RedisServer


class Engine(Protocol):
    """One server with an empty queue's place in it."""

    url: str

    def kill(self) -> None:
        """End it as the loss of its machine would, its disk aside."""

    def start(self) -> None:
        """Start it again on the same data; return when it answers."""

    def frozen(self) -> AbstractContextManager[None]:
        """Hold it still for the time of a block: its connections stay open and nothing answers."""

    def close(self) -> None:
        """End it for good."""


class Postgres:
    """PostgreSQL with the durability that it has by default."""

    def __init__(self) -> None:
        self._server = PostgresServer(durable=True)
        self._server.start()
        self.url = self._server.url(self._server.create_database())

    def kill(self) -> None:
        self._server.kill()

    def start(self) -> None:
        self._server.start()

    def frozen(self) -> AbstractContextManager[None]:
        return self._server.frozen()

    def close(self) -> None:
        self._server.close()


class Redis:
    """Redis with an append-only file that loses nothing, however slow the disk."""

    def __init__(self, directory: Path) -> None:
        self._server = RedisServer(directory, appendfsync="always")
        self._server.start()
        self.url = self._server.url()

    def kill(self) -> None:
        self._server.kill()

    def start(self) -> None:
        self._server.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self._server.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.signal(signal.SIGCONT)

    def close(self) -> None:
        self._server.kill()
