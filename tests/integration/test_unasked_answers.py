"""An answer that nobody asked for, in an HTTP/1.1 connection, is never taken for the answer to the next request."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from reaper.api.http.exchange import Connection, Exchange
from reaper.api.http.pool import Pool
from reaper.api.http.transport import Transport
from tests.support.http.byte_server import GONE
from tests.support.http.talker import ASK, Talker
from tests.support.http.transports import (
    Certified,
    anyio_backend,  # noqa: F401  # a fixture
    certified,
)

pytestmark = pytest.mark.anyio

HEADERS = ((b"host", b"api.test"),)
REFUSED = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
UNASKED = {
    "a whole answer": b"HTTP/1.1 204 Nobody asked\r\n\r\n",
    "half an answer": b"HTTP/1.1 204 No Con",
    "one byte": b"H",
    "an empty line": b"\r\n",
    "an interim answer": b"HTTP/1.1 100 Continue\r\n\r\n",
    "an answer to the end": b"HTTP/1.1 200 OK\r\n\r\n{}",
}
CERTIFIED = certified("127.0.0.1")
PLAIN_AND_TLS = pytest.mark.parametrize("tls", [None, CERTIFIED], ids=["plain", "tls"])


def transport_to(talker: Talker, stale_after_s: float = 0.0) -> Transport:
    tls = CERTIFIED.client if talker.tls else None
    return Transport(talker.url, tls=tls, http="1.1", max_connections=1, stale_after_s=stale_after_s)


def exchange(target: bytes = b"/x") -> Exchange:
    return Exchange(b"DELETE", target, HEADERS, max_body_bytes=100, timeout_s=5)


def arrived(talker: Talker, text: bytes) -> None:
    """Hold the loop until the server has sent the text and the kernel has it."""
    while talker.said.get(timeout=5) != text:
        pass
    time.sleep(0.05)


@contextmanager
def between_opening_and_request(wait: Callable[[int], None]) -> Iterator[None]:
    """Hold the loop each time that the pool is about to write the first request on a new connection.

    `wait` gets the number of the connection. The pool hears of it late, so that uvloop has ended its handshake.
    """
    seen: list[Connection] = []
    available = Pool.on_available

    def late(self: Pool, connection: Connection) -> None:
        if connection in seen:
            available(self, connection)
        else:
            seen.append(connection)
            asyncio.get_running_loop().call_later(0.1, held, self, connection, len(seen))

    def held(pool: Pool, connection: Connection, number: int) -> None:
        wait(number)
        available(pool, connection)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pool, "on_available", late)
        yield


@pytest.mark.parametrize("name", UNASKED)
@PLAIN_AND_TLS
@pytest.mark.parametrize("read_first", [False, True], ids=["in the kernel", "read by the loop"])
async def test_it_ends_a_connection_that_was_used(name: str, tls: Certified | None, read_first: bool) -> None:
    go, text = threading.Event(), UNASKED[name]
    talker = Talker([[ASK, GONE, lambda: go.wait(5), text], [ASK, REFUSED]], tls and tls.server)
    with talker.running():
        transport = transport_to(talker)
        await transport.send(exchange())
        go.set()
        arrived(talker, text)
        if read_first:
            await asyncio.sleep(0.05)
        second = exchange(b"/second")
        await transport.send(second)
        assert (second.status, talker.connections) == (410, 2)
        assert [head.split()[1] for head in talker.heads] == [b"/x", b"/second"]
        await transport.aclose()


TIMED_OUT = b"HTTP/1.1 408 Request Time-out\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@PLAIN_AND_TLS
@pytest.mark.parametrize(("idle_s", "status"), [(0.2, 204), (0.0, 408)])
async def test_the_408_of_a_server_that_gave_up_an_idle_connection_crosses_a_request(
    tls: Certified | None, idle_s: float, status: int
) -> None:
    """HAProxy and some load balancers send one before they close. Nobody has seen that request: it is sent again."""
    talker = Talker([[ASK, REFUSED, ASK, TIMED_OUT], [ASK, GONE]], tls and tls.server)
    with talker.running():
        transport = transport_to(talker, stale_after_s=0.1)
        await transport.send(exchange())
        await asyncio.sleep(idle_s)
        second = exchange(b"/second")
        await transport.send(second)
        assert (second.status, second.again) == (status, int(status == 204))
        await transport.aclose()


@PLAIN_AND_TLS
async def test_what_follows_an_answer_ends_its_connection(tls: Certified | None) -> None:
    both = GONE + UNASKED["a whole answer"]
    talker = Talker([[ASK, both], [ASK, REFUSED]], tls and tls.server)
    with talker.running():
        transport = transport_to(talker)
        first, second = exchange(), exchange(b"/second")
        sent = [asyncio.ensure_future(transport.send(one)) for one in (first, second)]  # one place: the second waits
        await asyncio.gather(*sent)
        assert (first.status, second.status) == (204, 410)
        await transport.aclose()


@pytest.mark.parametrize("name", UNASKED)
@PLAIN_AND_TLS
async def test_it_ends_a_new_connection(name: str, tls: Certified | None) -> None:
    """It arrives between the opening of the connection and the request, which the pool writes at once."""
    go, text = threading.Semaphore(0), UNASKED[name]
    talker = Talker([[lambda: go.acquire(timeout=5), text], [ASK, REFUSED]], tls and tls.server)

    def wait(number: int) -> None:
        if number == 1:
            go.release()
            arrived(talker, text)

    with talker.running(), between_opening_and_request(wait):
        transport = transport_to(talker)
        asked = exchange()
        await transport.send(asked)
        assert (asked.status, talker.connections, len(talker.heads)) == (410, 2, 1)
        await transport.aclose()


@PLAIN_AND_TLS
async def test_a_server_that_always_speaks_first_gets_no_request(tls: Certified | None) -> None:
    go, text = threading.Semaphore(0), UNASKED["a whole answer"]
    talker = Talker([[lambda: go.acquire(timeout=5), text, ASK, REFUSED]], tls and tls.server)

    def wait(number: int) -> None:
        go.release()
        arrived(talker, text)

    with talker.running(), between_opening_and_request(wait):
        transport = transport_to(talker)
        asked = exchange()
        with pytest.raises(httpx.TransportError):
            await transport.send(asked)
        assert not asked.written
        assert not talker.heads
        assert talker.connections <= 5
        await transport.aclose()


async def test_session_tickets_are_no_answer() -> None:
    """They lie in a new connection just as an answer would, and cost neither the connection nor the request."""
    talker = Talker([[ASK, GONE, ASK, REFUSED]], CERTIFIED.server)
    # The server sends them when it has read the end of the handshake.
    with talker.running(), between_opening_and_request(lambda number: time.sleep(0.1)):
        transport = transport_to(talker)
        for status in (204, 410):
            asked = exchange()
            await transport.send(asked)
            assert asked.status == status
        assert talker.connections == 1
        await transport.aclose()


def speak_with_the_handshake(listening: socket.socket, tls: ssl.SSLContext, text: bytes, heads: list[bytes]) -> None:
    """Serve until the socket is closed: the text leaves in one write with the end of each handshake (TLS 1.2)."""
    while True:
        try:
            sock, _ = listening.accept()
        except OSError:
            return
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = tls.wrap_bio(incoming, outgoing, server_side=True)
        with sock, suppress(OSError):
            for do in (session.do_handshake, lambda: session.write(text), lambda: heads.append(session.read())):  # noqa: B023
                while True:
                    try:
                        do()
                    except ssl.SSLWantReadError:
                        sock.sendall(outgoing.read())
                        part = sock.recv(65536)
                        if not part:
                            raise ConnectionError from None
                        incoming.write(part)
                    else:
                        break


async def test_an_answer_that_comes_with_the_end_of_the_handshake_is_none() -> None:
    """uvloop has read it then, so that no poll of the socket shows it, and hands it over in a later turn."""
    made, heads = certified("127.0.0.1"), list[bytes]()
    made.server.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(
            target=speak_with_the_handshake, args=(listening, made.server, GONE, heads), daemon=True
        ).start()
        transport = Transport(f"https://127.0.0.1:{listening.getsockname()[1]}", tls=made.client, http="1.1")
        asked = exchange()
        with pytest.raises(httpx.TransportError):
            await transport.send(asked)
        await transport.aclose()
        listening.shutdown(socket.SHUT_RDWR)
    assert (asked.status, asked.written, [*filter(None, heads)]) == (0, False, [])
