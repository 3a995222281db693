"""What connections read through the buffer that they share."""

from __future__ import annotations

from reaper.api.http.http11 import H1Connection
from reaper.api.http.receiver import BUFFER_BYTES, Receiver, new_buffer
from tests.support.http.h1 import Watcher, Wire, exchange

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


def come(connection: Receiver, data: bytes) -> None:
    """Do as an event loop does: write into the buffer, then say how much."""
    connection.get_buffer(-1)[: len(data)] = data
    connection.buffer_updated(len(data))


def test_half_an_answer_stays_when_another_connection_reads() -> None:
    buffer = new_buffer()
    first, second = H1Connection(Watcher(), buffer), H1Connection(Watcher(), buffer)
    asked = [exchange(), exchange()]
    for connection, one in zip((first, second), asked, strict=True):
        connection.connection_made(Wire())
        connection.start(one)
    come(first, ANSWER + b"on")
    come(second, ANSWER + b"two!")
    come(first, b"e.")
    assert [bytes(one.body) for one in asked] == [b"one.", b"two!"]


def test_a_part_of_the_buffer_leads_to_the_buffer() -> None:
    """asyncio reads into a slice of it when TLS has decrypted more than one record."""
    buffer = new_buffer()
    buffer[10:][:3] = b"abc"
    assert len(buffer) == BUFFER_BYTES
    assert buffer.tobytes()[10:13] == b"abc"
