"""A stand-in that plays any bytes: the nth DELETE of an ID gets the nth of its scripts, then 204. Runs in a thread."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from reaper.sandbox.recorder import Delete, fingerprint
from tests.support.http.raw_server import GONE, Drip, End, Wait

LIST = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"sessions":[]}'
NO_ROUTE = b'HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n{"error": "none"}'
REQUEST = re.compile(rb"(\w+) (\S+) HTTP/1.1\r\n")
BEARER = re.compile(rb"(?i)\r\nauthorization: bearer (\S+)")


@dataclass(frozen=True, slots=True)
class Flood:
    """The same bytes again and again, as fast as the client reads, at most so many seconds."""

    data: bytes
    most_s: float = 30.0


Script = Sequence[bytes | Wait | Drip | End | Flood]


@dataclass(slots=True)
class ByteServer:
    """The script that it plays, and the requests that it saw."""

    scripts: Mapping[str, Sequence[Script]]
    deletes: list[Delete] = field(default_factory=list)
    in_flight: int = 0
    peak: int = 0
    poured: int = 0
    """Bytes of floods that left."""
    connections: int = 0
    url: str = ""

    async def serve(self, ready: Future[asyncio.Event]) -> None:
        over = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set_result(over)
        await over.wait()
        server.close()
        talks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            goes_on = True
            while goes_on:
                head = await reader.readuntil(b"\r\n\r\n")
                found = REQUEST.match(head)
                assert found is not None, head
                if found[1] != b"DELETE":
                    writer.write(LIST if found[2] == b"/api/sessions" else NO_ROUTE)
                    continue
                self.in_flight += 1
                self.peak = max(self.peak, self.in_flight)
                try:
                    goes_on = await self._delete(found[2].decode(), head, reader, writer)
                finally:
                    self.in_flight -= 1
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _delete(self, path: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        at, one = time.time(), path.rpartition("/")[2]
        scripts, before = self.scripts.get(one, ()), sum(delete.session_id == one for delete in self.deletes)
        script: Script = scripts[before] if before < len(scripts) else [GONE]
        first = script[0].data if isinstance(script[0], Drip) else script[0]
        sound = first == GONE
        token = BEARER.search(head)
        self.deletes.append(
            Delete(
                at=at,
                session_id=one,
                path=path,
                status=204 if sound else None,
                fault=None if sound else "bytes",
                executed=sound,
                token=fingerprint(token[1].decode()) if token else None,
                delivered=True,
            )
        )
        play = asyncio.ensure_future(self._play(script, writer))
        gone = asyncio.ensure_future(self._left(reader))
        await asyncio.wait((play, gone), return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        return not play.cancel() and play.result()

    async def _left(self, reader: asyncio.StreamReader) -> None:
        """Wait until the client has gone away: it is not in flight then, whatever is left to play."""
        while not reader.at_eof() and reader.exception() is None:  # noqa: ASYNC110  # reading would take the next request
            await asyncio.sleep(0.002)

    async def _play(self, script: Script, writer: asyncio.StreamWriter) -> bool:
        for step in script:
            match step:
                case bytes():
                    writer.write(step)
                    await writer.drain()
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case Drip(data, every_s):
                    for byte in data:
                        writer.write(bytes([byte]))
                        await asyncio.sleep(every_s)
                case Flood(data, most_s):
                    until = time.monotonic() + most_s
                    while time.monotonic() < until:
                        writer.write(data)
                        await writer.drain()
                        self.poured += len(data)
                case End.SILENCE:
                    await asyncio.sleep(3600)
                case End.RESET:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    writer.transport.abort()
                    return False
                case _:
                    return False
        return True


@contextmanager
def byte_server(scripts: Mapping[str, Sequence[Script]]) -> Iterator[ByteServer]:
    server = ByteServer(scripts)
    ready: Future[asyncio.Event] = Future()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(ready)

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="byte server", daemon=True)
    thread.start()
    over = ready.result(timeout=10)
    try:
        yield server
    finally:
        loops[0].call_soon_threadsafe(over.set)
        thread.join()
