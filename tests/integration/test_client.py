"""The API edge against a real local server: what each kind of trouble is called, and what never happens."""

from __future__ import annotations

import asyncio
import gzip
import os
import ssl
import subprocess
import zlib
from pathlib import Path

import anyio
import pytest

from reaper.api.client import STOP_BODY_BYTES, Client, Target
from reaper.api.credentials import Credentials
from reaper.core.classify import LIST_BODY_BYTES, Final, Foreign, Proven, classify, classify_read
from reaper.core.discovery.server_clock import ClockReading, read_date
from reaper.core.errors import ConfigError
from reaper.core.model import Answered, Failed, Fault, Outcome, SessionId
from reaper.core.times import http_date
from reaper.sandbox.faults import Mode
from reaper.sandbox.server import Sandbox
from tests.support.http.real_client import client, server

pytestmark = pytest.mark.anyio

ONE = SessionId("env_1")
FIRST_DATE = "Tue, 01 Jan 2030 00:00:00 GMT"


async def test_stops_and_reuses_its_connection() -> None:
    async with Sandbox(3) as sandbox, client(sandbox.url) as api:
        for one in sandbox.sessions.active:
            reply = await api.stop(SessionId(one))
            assert isinstance(reply, Answered)
            assert reply.status == 204
            assert reply.request_id is not None
        assert sandbox.counters.connections == 1


@pytest.mark.parametrize("odd", ["a/b?c#d", "../x", "ä ö", "%2e%2e", "a:b", "x" * 128, "a\r\nX: y", ";,/?:@&=+$"])
async def test_an_id_is_one_encoded_segment(odd: str) -> None:
    async with Sandbox(0) as sandbox, client(sandbox.url) as api:
        await api.stop(SessionId(odd))
        (delete,) = sandbox.deletes
        assert delete.session_id == odd
        assert sandbox.counters.unclean == 0


@pytest.mark.parametrize(
    ("behaviour", "fault", "written"),
    [
        ("reset", Fault.RESET, True),
        ("lost", Fault.RESET, True),
        ("hang", Fault.TIMEOUT, True),
        ("drip:0.5", Fault.TIMEOUT, True),
        ("garbage", Fault.MALFORMED, True),
    ],
)
async def test_faults_after_the_request_was_written(behaviour: str, fault: Fault, written: bool) -> None:
    async with Sandbox(1) as sandbox, client(sandbox.url) as api:
        (one,) = sandbox.sessions.active
        sandbox.script(one, behaviour)
        begun = anyio.current_time()
        reply = await api.stop(SessionId(one))
        assert isinstance(reply, Failed), reply
        assert (reply.fault, reply.written) == (fault, written)
        assert anyio.current_time() - begun < 2.5
        again = await api.stop(SessionId(one))
        assert isinstance(again, Answered), "a line that failed was used again"


@pytest.mark.parametrize(("idle_s", "sent"), [(0.0, 2), (1.2, 3)])
async def test_only_a_connection_that_had_time_to_go_stale_is_replaced_silently(idle_s: float, sent: int) -> None:
    """A reset in the midst of the work is a send that failed: it has to be seen, recorded and charged."""
    heads = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heads
        while True:
            await reader.readuntil(b"\r\n\r\n")
            heads += 1
            if heads == 2:
                return
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with server(talk) as url, client(url) as api:
        assert isinstance(await api.stop(ONE), Answered)
        await anyio.sleep(idle_s)
        reply = await api.stop(ONE)
    assert heads == sent
    assert isinstance(reply, Answered) if idle_s else (isinstance(reply, Failed) and reply.fault is Fault.RESET)


async def test_nobody_listens() -> None:
    async with client("http://127.0.0.1:1") as api:
        reply = await api.stop(ONE)
    assert isinstance(reply, Failed)
    assert (reply.fault, reply.written) == (Fault.CONNECT, False)


async def test_a_name_that_does_not_resolve() -> None:
    async with client("http://nothing.invalid") as api:
        reply = await api.stop(ONE)
    assert isinstance(reply, Failed)
    assert reply.written is False
    assert reply.fault in (Fault.DNS, Fault.CONNECT)


async def test_redirects_are_not_followed() -> None:
    async with Sandbox(1) as elsewhere, Sandbox(1) as sandbox, client(sandbox.url) as api:
        sandbox.set_mode(Mode.REDIRECT)
        reply = await api.stop(ONE)
        assert isinstance(reply, Answered)
        assert reply.status == 302
        assert elsewhere.counters.connections == sandbox.counters.others == 0


async def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with Sandbox(1) as sandbox, client(sandbox.url) as api:
        assert isinstance(classify_read(await api.list_sessions()), Proven)


async def test_no_more_of_a_body_is_read_than_is_looked_at() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad\r\nContent-Length: 2000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    async with server(endless) as url, client(url) as api:
        reply = await api.stop(ONE)
        assert isinstance(reply, Answered)
        assert len(reply.body) == STOP_BODY_BYTES < LIST_BODY_BYTES
    assert sent < 32 * 1024 * 1024


@pytest.mark.parametrize(
    ("second", "date"), [(FIRST_DATE, FIRST_DATE), ("Tue, 02 Jan 2030 00:00:00 GMT", None)], ids=["the same", "another"]
)
async def test_of_two_different_dates_none_is_the_servers(second: str, date: str | None) -> None:
    """A proxy that adds its own, a day ahead, made sessions expire that run for an hour more."""

    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nDate: {FIRST_DATE}\r\nDate: {second}\r\nContent-Length: 2\r\n\r\n{{}}"
        writer.write(head.encode())
        await writer.drain()

    async with server(twice) as url, client(url) as api:
        reply = await api.list_sessions()
    assert isinstance(reply, Answered)
    reading = read_date(reply.date, local_at=0.0, monotonic_at=0.0, round_trip_s=0.0)
    expected = None if date is None else http_date(date)
    assert (reading.server_at if isinstance(reading, ClockReading) else None) == expected


async def test_no_token_means_nothing_is_sent() -> None:
    async with Sandbox(1) as sandbox, client(sandbox.url, token=None) as api:
        reply = await api.stop(ONE)
        assert isinstance(reply, Failed)
        assert reply.fault is Fault.NO_TOKEN
        assert sandbox.counters.connections == 0


async def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(  # noqa: ASYNC221  # once, in a test
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
        f" -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with Sandbox(1, ssl_context=context) as sandbox:
        async with client(sandbox.url) as api:
            reply = await api.stop(ONE)
        assert isinstance(reply, Failed)
        assert (reply.fault, reply.written) == (Fault.TLS, False)
        assert sandbox.counters.deletes == 0
        async with client(sandbox.url, ca_file=str(certificate)) as api:
            assert isinstance(classify_read(await api.list_sessions()), Proven)


async def test_a_ca_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"api\.ca_file"):
        Client(Target("https://127.0.0.1:1", 2, 1, ca_file=str(tmp_path / "none")), Credentials(None, "x"))
    (tmp_path / "junk").write_text("junk")
    with pytest.raises(ConfigError, match=r"api\.ca_file"):
        Client(Target("https://127.0.0.1:1", 2, 1, ca_file=str(tmp_path / "junk")), Credentials(None, "x"))


async def test_a_cancelled_send_leaves_no_line_behind() -> None:
    async with Sandbox(1) as sandbox, client(sandbox.url) as api:
        sandbox.set_mode(Mode.HANG, deletes_only=True)
        for _ in range(5):
            with anyio.move_on_after(0.05):
                await api.stop(ONE)
        sandbox.set_mode(Mode.OK)
        assert classify(await api.stop(ONE)) is not None
        await sandbox.until(lambda s: s.open_connections <= 1)


def test_credentials_follow_their_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    held = Credentials(file, None)
    assert held.current.value is None
    assert str(file) in (held.current.missing_reason or "")
    for n, (content, value) in enumerate([("one\n", "one"), ("", None), ("a b\n", None), ("\ufefftwo\r\n", "two")]):
        file.write_text(content)
        held.refresh()
        assert held.current.value == value, n
    assert held.secrets() == ("one", "two")
    assert held.refresh() is False
    file.write_text("two\n")
    assert held.refresh() is False, "the same token in a new file is no new token"
    assert "two" not in repr(held.current)


def test_a_token_file_whose_rights_are_mended_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    opened = os.open

    def refuse(path: str, flags: int, **more: int) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    held = Credentials(file, None)
    assert "Permission denied" in (held.current.missing_reason or "")
    monkeypatch.setattr(os, "open", opened)
    assert held.refresh() is True
    assert held.current.value == "one"


async def test_a_proxy_that_wants_credentials_was_sent_no_byte_of_ours() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with server(refuse) as proxy, client("https://api.invalid", proxy=proxy) as api:
        reply = await api.stop(ONE)
    assert isinstance(reply, Failed)
    assert reply.written is False


@pytest.mark.parametrize(
    ("coding", "data", "status"),
    [
        ("gzip", gzip.compress(b'{"error": "gone"}', mtime=0), 404),
        ("deflate", zlib.compress(b'{"error": "gone"}'), 404),
        ("gzip", gzip.compress(b"", mtime=0), 200),
    ],
)
async def test_an_answer_that_a_gateway_compresses_is_read(coding: str, data: bytes, status: int) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} X\r\nContent-Encoding: {coding}\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)

    async with server(talk) as url, client(url) as api:
        reply = await api.stop(ONE)
    assert classify(reply) == Final(Outcome.ALREADY_GONE if status == 404 else Outcome.STOPPED)


@pytest.mark.parametrize(("coding", "data"), [("br", b"{}"), ("gzip", b'{"error": "gone"}'), ("zstd", b"")])
@pytest.mark.parametrize("status", [200, 404])
async def test_an_answer_that_cannot_be_decoded_settles_nothing(coding: str, data: bytes, status: int) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = data or b"\x28"
        head = f"HTTP/1.1 {status} X\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)

    async with server(talk) as url, client(url) as api:
        verdict = classify(await api.stop(ONE))
    assert isinstance(verdict, Foreign)
    assert coding in verdict.shown
