"""A server that plays bytes: for each request a script, whatever HTTP may say to it."""

from __future__ import annotations

import asyncio
import ssl
import struct
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


@dataclass(frozen=True)
class Wait:
    """Go on after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Drip:
    """Send byte by byte."""

    data: bytes
    every_s: float = 0.0005


Step = bytes | Wait | Drip | End
Script = list[Step]
GONE = b"HTTP/1.1 204 No Content\r\nX-Request-Id: r1\r\n\r\n"


class RawServer:
    """The nth request that arrives, on whatever connection, gets the nth script; the last one is for all that follow.

    `greeting` is played when a connection opens; `later`, if given, for every request on a connection but its first.
    `requests` holds the heads in the order of their arrival.
    """

    def __init__(
        self,
        *scripts: Script,
        greeting: Script | None = None,
        later: Script | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.scripts = list(scripts) or [[GONE]]
        self.greeting = greeting or []
        self.later = later
        self.requests: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self._tls = tls
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> RawServer:
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
        self.most_open = max(self.most_open, self.open)
        writer.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        try:
            goes_on, first = await self._play(self.greeting, writer), True
            while goes_on:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                script = self.scripts[min(len(self.requests), len(self.scripts)) - 1]
                goes_on = await self._play(script if first or self.later is None else self.later, writer)
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

    async def _play(self, script: Script, writer: asyncio.StreamWriter) -> bool:
        """Return whether the connection goes on."""
        for step in script:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Drip):
                for at in range(len(step.data)):
                    writer.write(step.data[at : at + 1])
                    await asyncio.sleep(step.every_s)
            elif step is End.SILENCE:
                await asyncio.sleep(3600)
            else:
                if step is End.RESET:
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
                    writer.transport.abort()
                return False
        return True
