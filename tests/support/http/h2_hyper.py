"""A server on the library `h2`, in this process: what its state machine does not like, it says so and closes."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import suppress

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

LARGE = b"0123456789abcdef" * 327680  # 5 MiB
MAX_STREAMS = 8


class HyperServer:
    """Answers by path; keeps what went wrong and how many streams were open at most."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self._talks: set[asyncio.Task[None]] = set()
        self.faults: list[str] = []
        self.max_open = 0
        self.connections = 0
        self.open_connections = 0
        self.resets: list[int] = []
        self.goodbyes: list[int] = []

    async def __aenter__(self) -> HyperServer:
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
        self.connections += 1
        self.open_connections += 1
        try:
            await _Talk(self, reader, writer).run()
        except (ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass
        except h2.exceptions.ProtocolError as error:
            self.faults.append(repr(error))
        finally:
            self._talks.discard(task)
            self.open_connections -= 1
            writer.close()

    def stop_listening(self) -> None:
        """Accept no connection any more; those that are open go on."""
        self._server.close()


class _Talk:
    def __init__(self, server: HyperServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.peer.local_settings = h2.settings.Settings(
            client=False, initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS}
        )
        self.left: dict[int, bytes] = {}
        self.open: set[int] = set()

    async def run(self) -> None:
        self.peer.initiate_connection()
        self.writer.write(self.peer.data_to_send())
        while data := await self.reader.read(65536):
            for event in self.peer.receive_data(data):
                self.heard(event)
            for stream in list(self.left):
                self.send_on(stream)
            self.writer.write(self.peer.data_to_send())
            await self.writer.drain()

    def heard(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            assert event.headers is not None
            self.open.add(event.stream_id)
            self.server.max_open = max(self.server.max_open, len(self.open))
            with suppress(h2.exceptions.StreamClosedError):  # its reset came in the same read
                self.answer(event.stream_id, {str(name): str(value) for name, value in event.headers})
        elif isinstance(event, h2.events.StreamReset):
            self.server.resets.append(int(event.error_code))
            self.left.pop(event.stream_id, None)
            self.open.discard(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.server.goodbyes.append(int(event.error_code or 0))

    def answer(self, stream: int, request: dict[str, str]) -> None:
        path = request[":path"]
        if path == "/silent":
            return
        if path == "/refused":
            self.peer.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        elif path == "/large":
            self.peer.send_headers(stream, [(":status", "200"), ("content-length", str(len(LARGE)))])
            self.left[stream] = LARGE
        elif path == "/echo":
            self.peer.send_headers(stream, [(":status", "103"), ("link", "</x>")])
            self.peer.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
            self.left[stream] = json.dumps(request).encode()
        elif path.endswith("/missing"):
            self.peer.send_headers(stream, [(":status", "404"), ("content-type", "application/json")])
            self.left[stream] = b'{"error":"no such session"}'
        else:
            self.peer.send_headers(stream, [(":status", "204"), ("x-request-id", f"r{stream}")], end_stream=True)
            self.open.discard(stream)

    def send_on(self, stream: int) -> None:
        left = self.left[stream]
        while left and (room := min(self.peer.local_flow_control_window(stream), self.peer.max_outbound_frame_size)):
            self.peer.send_data(
                stream, left[:room], pad_length=None if room < 300 else 9 if room > len(left) + 9 else None
            )
            left = left[room:]
        self.left[stream] = left
        if not left:
            self.peer.end_stream(stream)
            del self.left[stream]
            self.open.discard(stream)
