"""What connections read through the buffer that they share."""

from __future__ import annotations

import asyncio.sslproto
import weakref

import pytest

from reaper.api.http.http11 import H1Connection
from reaper.api.http.receiver import BUFFER_BYTES, RECORD_BYTES, Receiver, new_buffer
from tests.support.http.h1 import Watcher, Wire, exchange
from tests.support.http.h2 import Stage
from tests.support.http.transports import no_collector  # noqa: F401  # a fixture

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


def test_the_buffer_holds_more_than_one_read_of_tls_brings() -> None:
    read_bytes = asyncio.sslproto.SSLProtocol.max_size  # type: ignore[attr-defined,unused-ignore]
    assert read_bytes + RECORD_BYTES < BUFFER_BYTES


def test_more_than_the_buffer_gets_a_buffer_of_its_own() -> None:
    """What did not fit would wait for a turn that may never come."""
    buffer = new_buffer()
    connection, other = (H1Connection(Watcher(), buffer) for _ in range(2))
    assert len(connection.get_buffer(10 * BUFFER_BYTES)) > 10 * BUFFER_BYTES
    assert other.get_buffer(-1) is buffer


@pytest.mark.usefixtures("no_collector")
def test_a_lost_connection_over_http2_lets_its_transport_go() -> None:
    """It is in a cycle of its own, which must not keep TLS and its buffers until a collection."""
    stage = Stage()
    transport = weakref.ref(stage.wire)
    stage.lose()
    del stage.wire
    assert transport() is None
