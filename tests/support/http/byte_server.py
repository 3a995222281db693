"""A server that plays bytes: for each request a script, whatever HTTP may say to it."""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from socket import IPPROTO_TCP, SO_LINGER, SOL_SOCKET, TCP_NODELAY
from types import TracebackType


class End(Enum):
    CLOSE = auto()
    """Close in good order."""
    RESET = auto()
    """Close with a reset."""
    SILENCE = auto()
    """Say nothing more and read nothing more."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Drip:
    """Send byte by byte."""

    data: bytes
    every_s: float = 0.0005


@dataclass(frozen=True, slots=True)
class Flood:
    """The same bytes again and again, as fast as the client reads, for at most so many seconds."""

    data: bytes
    max_s: float = 30.0


Step = bytes | Wait | Drip | Flood | End
Script = Sequence[Step]
GONE = b"HTTP/1.1 204 No Content\r\nX-Request-Id: r1\r\n\r\n"


class ByteServer:
    """The nth request that arrives, on whatever connection, gets the nth script; the last one is for all that follow.

    `greeting` is played when a connection opens; `later`, if given, for every request on a connection but its first.
    `script_of`, if given, chooses by the request's head instead. `requests` holds the heads in the order of their
    arrival. A script that waits ends when the client has gone.
    """

    def __init__(
        self,
        *scripts: Script,
        greeting: Script | None = None,
        later: Script | None = None,
        tls: ssl.SSLContext | None = None,
        script_of: Callable[[bytes], Script] | None = None,
    ) -> None:
        self.scripts = list(scripts) or [[GONE]]
        self.greeting = greeting or []
        self.later = later
        self.script_of = script_of
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.max_open = 0
        self.in_flight = 0
        self.max_in_flight = 0
        """DELETEs that were being answered at once."""
        self.flooded_bytes = 0
        self._tls = tls
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ByteServer:
        self._server = await asyncio.start_server(
            self._connected, "127.0.0.1", 0, ssl=self._tls, backlog=1024, limit=1 << 20
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.ensure_future(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.max_open = max(self.max_open, self.open)
        writer.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        try:
            goes_on, first = await self._play(self.greeting, reader, writer), True
            while goes_on:
                self.requests.append(head := await reader.readuntil(b"\r\n\r\n"))
                goes_on = await self._answer(head, first, reader, writer)
                first = False
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if self._tls:
                writer.transport.abort()
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                pass
            finally:
                self.open -= 1

    async def _answer(
        self, head: bytes, first: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        script = self.scripts[min(len(self.requests), len(self.scripts)) - 1] if first or not self.later else self.later
        if self.script_of is not None:
            script = self.script_of(head)
        is_delete = head.startswith(b"DELETE ")
        self.in_flight += is_delete
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            return await self._play(script, reader, writer)
        finally:
            self.in_flight -= is_delete

    async def _play(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Return whether the connection goes on."""
        for step in script:
            match step:
                case bytes():
                    writer.write(step)
                    await writer.drain()
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case Drip(data, every_s):
                    for at in range(len(data)):
                        if _has_gone(reader):
                            return False
                        writer.write(data[at : at + 1])
                        await asyncio.sleep(every_s)
                case Flood(data, max_s):
                    until = time.monotonic() + max_s
                    while time.monotonic() < until and not _has_gone(reader):
                        writer.write(data)
                        await writer.drain()
                        self.flooded_bytes += len(data)
                case End.SILENCE:
                    while not _has_gone(reader):  # noqa: ASYNC110  # reading would take the next request
                        await asyncio.sleep(0.002)
                    return False
                case End.RESET:
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                    return False
                case End.CLOSE:
                    return False
        return True


def _has_gone(reader: asyncio.StreamReader) -> bool:
    return reader.at_eof() or reader.exception() is not None


@contextmanager
def running(server: ByteServer) -> Iterator[ByteServer]:
    """Run a server in a thread of its own, for tests that block theirs."""
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def main() -> None:
        over = asyncio.Event()
        async with server:
            ready.set_result((asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="byte server", daemon=True)
    thread.start()
    loop, over = ready.result(timeout=10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
