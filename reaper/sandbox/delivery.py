"""Deliver answers: whole, slowly, endlessly or not at all, with the date and the number of each."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import assert_never

from reaper.sandbox.answers import Answer, encode
from reaper.sandbox.faults import Behaviour, Delivery
from reaper.sandbox.http_server import Connection

NOT_HTTP = b"\x16\x03\x01\x02 SSH-2.0-not-http \x00\xff\r\n\r\n"
ENDLESS_CHUNK = b'{"sessionId":"env_endless","status":"running"},' * 1000


class Stamp:
    """The server's clock, `skew_s` ahead of this machine's, and the number of each answer."""

    def __init__(self, skew_s: float) -> None:
        self.skew_s = skew_s
        self.dated = True
        """Whether answers carry a `Date`."""
        self._date, self._answered = (0, ""), 0

    def now(self) -> float:
        """Return the server's time, Unix seconds."""
        return time.time() + self.skew_s

    def encode(self, answer: Answer, *, close: bool, endless: bool = False) -> bytes:
        """Return the bytes of an answer with its date and number."""
        second = int(self.now())
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True))
        self._answered += 1
        date = self._date[1] if self.dated else None
        return encode(answer, date=date, request_id=f"req-{self._answered:08d}", close=close, endless=endless)


def deliver(connection: Connection, behaviour: Behaviour, answer: Answer | None, stamp: Stamp, *, close: bool) -> None:
    """Answer one request as its behaviour says."""
    match behaviour.delivery:
        case Delivery.WHOLE:
            assert answer is not None
            connection.answer(stamp.encode(answer, close=close), close=close)
        case Delivery.DRIP:
            assert answer is not None
            connection.drip(stamp.encode(answer, close=close), behaviour.every_s, close=close)
        case Delivery.ENDLESS:
            assert answer is not None
            connection.endless(stamp.encode(answer, close=True, endless=True), ENDLESS_CHUNK)
        case Delivery.RESET:
            connection.reset()
        case Delivery.HANG:
            pass
        case Delivery.GARBAGE:
            connection.answer(NOT_HTTP, close=True)
        case _:
            assert_never(behaviour.delivery)
