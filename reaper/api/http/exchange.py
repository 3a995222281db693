"""What the parts of our transport say to each other: one exchange, what went wrong with it, and what a connection is.

The transport (`transport.py`) makes exchanges and owns connections; a connection (`h1.py`, `h2.py`) carries them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, Protocol

MAX_HEAD_BYTES = 64 * 1024
"""Of an answer's head, the interim answers before it included. More is malformed."""

MAX_HEADERS = 256
"""Header lines of one answer, those of interim answers and trailers included. More is malformed."""

MAX_INTERIM = 16
"""Interim (1xx) answers before the final one. More is malformed."""

FaultKind = Literal["reset", "malformed", "timeout", "refused"]
Headers = Sequence[tuple[bytes, bytes]]


class WireFault(Exception):
    """Why an exchange has no answer. The text never holds a header of the request.

    `refused` means that the peer said, or that we know, that it did not look at the request: it may be sent again.
    """

    def __init__(self, kind: FaultKind, text: str) -> None:
        super().__init__(text)
        self.kind: FaultKind = kind
        self.text = text


class Exchange:
    """One request without a body, and what came back. It ends once: by `done` or by `fail`, whichever is first."""

    __slots__ = (
        "again",
        "answer_headers",
        "body",
        "deadline",
        "error",
        "finished",
        "headers",
        "method",
        "most_body",
        "over",
        "progressed",
        "status",
        "target",
        "version",
        "whole",
        "written",
    )

    def __init__(self, method: bytes, target: bytes, headers: Headers, *, most_body: int, deadline: float) -> None:
        """Describe a request.

        `headers`: lower-case names, `host` first. Pass the same tuple for every request where you can: what is
        made of it is kept as long as it is the same object. `most_body`: bytes of the body to keep, at least 0; a
        longer one is cut. `deadline`: on the loop's clock, for the whole of it, waiting for a connection included.
        """
        self.method = method
        self.target = target
        self.headers = headers
        self.most_body = most_body
        self.deadline = deadline
        self.again = 0
        """How often it was sent again because its connection had gone stale."""
        self.written = False
        """A byte of the request may have left. Stays true when the exchange is sent again."""
        self.version = b""
        """The protocol of the connection that carried it; the transport sets it with the answer."""
        self.begin(None)

    def begin(self, over: asyncio.Future[None] | None) -> None:
        """Forget what came back, and resolve `over` when it ends: before the first send, and before another one."""
        self.over: asyncio.Future[None] | None = over
        self.finished = False
        self.error: Exception | None = None
        self.status = 0
        self.answer_headers: list[tuple[bytes, bytes]] = []
        """Names in lower case, values without surrounding blanks, trailers not included."""
        self.body = bytearray()
        self.whole = False
        """The body is not cut."""
        self.progressed = False
        """A byte of an answer came."""

    def done(self) -> None:
        """End it with the answer that it holds now."""
        if not self.finished:
            self.finished = True
            over = self.over
            if over is not None and not over.done():
                over.set_result(None)

    def fail(self, error: Exception) -> None:
        """End it without an answer. Connections give a WireFault; the transport also what it raises to its caller."""
        if not self.finished:
            self.error = error
            self.done()

    def __repr__(self) -> str:
        """Without headers: they hold the token."""
        return f"Exchange({self.method!r}, {self.target!r}, status={self.status}, written={self.written})"


class Connection(Protocol):
    """One connection: an asyncio protocol that carries exchanges, one or many at a time."""

    room: int
    """Exchanges that it can take right now; 0 when it is full, closed or going away."""

    def start(self, exchange: Exchange) -> None:
        """Send the request. Only while there is room. May fail the exchange at once, as `refused`."""

    def abandon(self, exchange: Exchange) -> None:
        """Stop caring for an exchange; nothing happens when it is not, or no longer, under way here."""

    def close(self) -> None:
        """Take no more and end what is idle. What is under way fails."""


class Owner(Protocol):
    """What a connection tells whoever opened it."""

    def freed(self, connection: Connection) -> None:
        """Room grew from 0, or the connection takes no more."""

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""
