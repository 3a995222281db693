"""A wire between a client and a server that can be cut: just when the server's answer comes, or before it is asked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType


@dataclass(slots=True, eq=False)
class Cutter:
    """Passes bytes on between a free port and the server at `to_port`."""

    to_port: int
    cut_answers: bool = False
    """Let what is asked through, drop the answer and the connection."""
    cut_questions: bool = False
    """Drop what is asked, and the connection."""
    cuts: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Cutter:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    def url(self, prefix: str) -> str:
        """Return the URL of the queue behind the wire."""
        return f"redis://127.0.0.1:{self.port}/0?prefix={prefix}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._open |= {writer, to_server}
        await asyncio.gather(
            self._pass(reader, to_server, answers=False), self._pass(from_server, writer, answers=True)
        )
        for end in (writer, to_server):
            end.transport.abort()
            self._open.discard(end)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        try:
            while data := await reader.read(65536):
                if self.cut_answers if answers else self.cut_questions:
                    self.cuts += 1
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        for end in list(self._open):
            if self.cut_answers or self.cut_questions or end is writer:
                end.transport.abort()
