"""What the tests of the PostgreSQL back-end share: queues that close themselves, a proxy that can cut, a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from reaper.queues.base import Queue
from reaper.queues.postgres.open import open_postgres
from reaper.queues.values import Position


@dataclass(slots=True)
class Positions:
    """A store of this machine, in memory; `seen` are those it was given to keep."""

    identity: str = ""
    seen: dict[str, Position] = field(default_factory=dict)
    closed: bool = False

    def of(self, identity: str) -> Positions:
        self.identity = identity
        return self

    async def save(self, position: Position) -> None:
        self.seen[position.path] = position

    async def positions(self) -> list[Position]:
        return [self.seen[path] for path in sorted(self.seen)]

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def opened(
    url: str, *, create: bool = True, read_only: bool = False, worker: bool = True, positions: Positions | None = None
) -> AsyncIterator[Queue]:
    """Open a queue for the time of a block."""
    queue, _, _ = await open_postgres(
        url, create=create, read_only=read_only, worker=worker, positions=(positions or Positions()).of
    )
    try:
        yield queue
    finally:
        await queue.close()


class CuttingProxy:
    """Stands between the queue and its server. `lose_answer`: the next answer is received here and goes no further."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._lose_answer = False
        self._lose_question = False
        self.lost = asyncio.Event()
        self.port = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[CuttingProxy]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await server.wait_closed()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def lose_answer(self) -> None:
        self._lose_answer = True

    def lose_question(self) -> None:
        self._lose_question = True

    def cut(self) -> None:
        """End every connection, both ways, at once."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers += [writer, up_writer]
        for source, sink, answers in ((reader, up_writer, False), (up_reader, writer, True)):
            task = asyncio.create_task(self._pump(source, sink, answers=answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if self._lose_answer if answers else self._lose_question:
                    self._lose_answer = self._lose_question = False
                    self.lost.set()
                    self.cut()
                    return
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
