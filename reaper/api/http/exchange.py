"""The values and Protocols shared by the parts of the transport: Exchange, WireFault, Connection, Owner.

The client makes exchanges, the pool owns connections, and a connection (`http11.py`, `h2/connection.py`) carries them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

MAX_HEAD_BYTES = 64 * 1024
"""Bytes of a response's head, with those of interim responses before it. More is malformed."""

MAX_HEADERS = 256
"""Header lines of one response, with those of interim responses and trailers. More is malformed."""

MAX_INTERIM = 16
"""Interim (1xx) responses before the final one. More is malformed."""

FaultKind = Literal["reset", "malformed", "timeout", "refused"]
Headers = Sequence[tuple[bytes, bytes]]


class WireFault(Exception):
    """The reason why an exchange has no response. The text never holds a header of the request.

    `refused` means that the peer certainly did not process the request: it may be sent again.
    """

    def __init__(self, kind: FaultKind, text: str) -> None:
        super().__init__(text)
        self.kind: FaultKind = kind
        self.text = text


class Exchange:
    """One request without a body, and its response. It ends once: by `done` or by `fail`, whichever is first."""

    __slots__ = (
        "again",
        "body",
        "completion",
        "deadline",
        "error",
        "finished",
        "headers",
        "max_body_bytes",
        "may_start",
        "method",
        "response_headers",
        "response_started",
        "status",
        "target",
        "timeout_s",
        "version",
        "whole",
        "written",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: Headers,
        *,
        max_body_bytes: int,
        timeout_s: float,
        may_start: Callable[[], bool] | None = None,
    ) -> None:
        """Describe a request.

        `headers`: lower-case names, `host` first. Pass the same tuple for every request if possible: its encoding is
        kept as long as it is the same object. `max_body_bytes`: bytes of the body to keep, at least 0; a longer one is
        cut. `timeout_s`: for the whole exchange, with the wait for a connection. `may_start` is asked when there is a
        connection for the request: if it returns False, the request is not sent.
        """
        self.method = method
        self.target = target
        self.headers = headers
        self.max_body_bytes = max_body_bytes
        self.timeout_s = timeout_s
        self.may_start = may_start
        self.deadline = math.inf
        """When it times out, on the loop's clock; the pool sets it."""
        self.again = 0
        """Times it was sent again because its connection had gone stale."""
        self.written = False
        """A byte of the request may have left. Stays true when the exchange is sent again."""
        self.version = b""
        """The protocol of the connection that carried it; the transport sets it with the answer."""
        self.begin(None)

    def begin(self, completion: asyncio.Future[None] | None) -> None:
        """Reset the response before a send; `completion` is resolved when the exchange ends."""
        self.completion: asyncio.Future[None] | None = completion
        self.finished = False
        self.error: Exception | None = None
        self.status = 0
        self.response_headers: list[tuple[bytes, bytes]] = []
        """Names in lower case, values without surrounding blanks; no trailers."""
        self.body = bytearray()
        self.whole = False
        """The body is not cut."""
        self.response_started = False
        """A byte of the response was received."""

    def done(self) -> None:
        """End it with the response that it holds now."""
        if not self.finished:
            self.finished = True
            completion = self.completion
            if completion is not None and not completion.done():
                completion.set_result(None)

    def fail(self, error: Exception) -> None:
        """End it without a response. Connections pass a WireFault, the pool also an httpx.TransportError."""
        if not self.finished:
            self.error = error
            self.done()

    def __repr__(self) -> str:
        """Return a text without headers: they hold the token."""
        return f"Exchange({self.method!r}, {self.target!r}, status={self.status}, written={self.written})"


class Connection(Protocol):
    """An asyncio protocol that carries exchanges, one or many at a time."""

    room: int
    """Exchanges that it can take now; 0 when it is full, closed or draining."""

    def start(self, exchange: Exchange) -> None:
        """Send the request. Call only while there is room. May fail the exchange at once, as `refused`."""

    def abandon(self, exchange: Exchange) -> None:
        """Cancel an exchange; do nothing if it is not in flight here."""

    def drain(self) -> None:
        """Take no more exchanges; close when none is in flight."""

    def close(self) -> None:
        """Close; exchanges in flight fail."""


class Owner(Protocol):
    """The pool as its connections see it."""

    def on_available(self, connection: Connection) -> None:
        """Handle that room grew from 0, or that the connection takes no more exchanges."""

    def on_closed(self, connection: Connection) -> None:
        """Handle that the connection is closed."""
