"""A server that plays HTTP/2 frames, good or bad: for each connection a script; it keeps what the client wrote."""

from __future__ import annotations

import asyncio
import ssl
import struct
from dataclasses import dataclass
from enum import Enum, auto
from socket import SO_LINGER, SOL_SOCKET

from tests.support.http.h2 import HEADERS, PREFACE, Frame, frames


class End(Enum):
    CLOSE = auto()
    """Close in good order."""
    RESET = auto()
    """Close with a reset."""
    HALF = auto()
    """Say that nothing more will be said, and read on."""
    DEAF = auto()
    """Stop reading."""


@dataclass(frozen=True)
class Asked:
    """Go on when so many requests have come on this connection."""

    count: int


@dataclass(frozen=True)
class Drip:
    """Send byte by byte."""

    data: bytes


Step = bytes | Asked | Drip | End
Script = list[Step]


class RawH2Server:
    """The nth connection is played the nth script; the last one is for all that follow. Then it only reads."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.scripts = list(scripts)
        self.connections = 0
        self.heard: list[Frame] = []
        """Frames of all connections, in the order of their arrival."""
        self._tls = tls
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> RawH2Server:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        talk = _Talk(self, reader, writer)
        reading = asyncio.ensure_future(talk.read())
        self._talks.add(reading)
        try:
            for step in script:
                await talk.play(step, reading)
            await reading
        except (ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            reading.cancel()
            self._talks -= {task, reading}
            writer.close()


class _Talk:
    def __init__(self, server: RawH2Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.asked = 0
        self.more = asyncio.Event()

    async def read(self) -> None:
        try:
            assert await self.reader.readexactly(len(PREFACE)) == PREFACE
            while True:
                begin = await self.reader.readexactly(9)
                (one,) = frames(begin + await self.reader.readexactly(int.from_bytes(begin[:3], "big")))
                self.server.heard.append(one)
                self.asked += one.kind == HEADERS
                self.more.set()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass

    async def play(self, step: Step, reading: asyncio.Future[None]) -> None:
        match step:
            case bytes():
                self.writer.write(step)
                await self.writer.drain()
            case Drip(data):
                for at in range(len(data)):
                    self.writer.write(data[at : at + 1])
                    await self.writer.drain()
                    await asyncio.sleep(0)
            case Asked(count):
                while self.asked < count:
                    self.more.clear()
                    await self.more.wait()
            case End.CLOSE:
                self.writer.close()
                await self.writer.wait_closed()
            case End.RESET:
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                self.writer.transport.abort()
            case End.HALF:
                self.writer.write_eof()
            case End.DEAF:
                reading.cancel()
                self.writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.Event().wait()
