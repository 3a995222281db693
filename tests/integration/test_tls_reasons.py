"""A failure of TLS says why: the certificate, the trust, the version, or no TLS at all; keys are written nowhere."""

from __future__ import annotations

import asyncio
import datetime
import os
import ssl
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from reaper.api.client import Client, Target
from reaper.api.credentials import Credentials
from reaper.api.faults import failure_of
from reaper.api.http.exchange import Exchange
from reaper.api.http.resolver import Address, resolve
from reaper.core.classify import Unsent, classify
from reaper.core.errors import ConfigError
from reaper.core.model import Answered, Failed, Fault, SessionId
from tests.support.http.byte_server import GONE, ByteServer, End
from tests.support.http.talker import ASK, Talker
from tests.support.http.transports import anyio_backend  # noqa: F401  # a fixture
from tests.support.left_behind import threads

pytestmark = pytest.mark.anyio

ONE = SessionId("env_1")
DAY = datetime.timedelta(days=1)
CA = trustme.CA()


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def issued(*names: str, **validity: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(*(names or ("127.0.0.1",)), **validity).configure_cert(context)
    return context


def old_version() -> ssl.SSLContext:
    context = issued()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def wants_certificate(version: ssl.TLSVersion) -> ssl.SSLContext:
    """With TLS 1.3 the refusal comes when the request is already written."""
    context = issued()
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(CA.cert_pem.bytes())
    return path


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def ask(url: str, ca_file: Path | None, report: Callable[[str], None] = print, **more: Any) -> Failed | Answered:
    target = Target(url, 3.0, 2.0, ca_file=None if ca_file is None else str(ca_file), **more)
    client = Client(target, Credentials(None, "secret"), report)
    try:
        return await client.stop(ONE)
    finally:
        await client.aclose()


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (lambda: issued(not_before=now() - 9 * DAY, not_after=now() - DAY), "its certificate has expired"),
        (lambda: issued(not_before=now() + DAY, not_after=now() + 9 * DAY), "its certificate is not yet valid"),
        (lambda: issued("other.example"), "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        (old_version, "it speaks no version of TLS that is allowed here (1.2 or 1.3)"),
        (lambda: wants_certificate(ssl.TLSVersion.TLSv1_2), "or it wants a certificate of the client"),
        (
            lambda: wants_certificate(ssl.TLSVersion.TLSv1_3),
            "it wants a certificate of the client, and reaper has none",
        ),
    ],
)
async def test_a_certificate_or_a_version_that_will_not_do(
    context: Callable[[], ssl.SSLContext], words: str, ca_file: Path
) -> None:
    with Talker([[ASK, GONE]], context()).running() as api:
        reply = await ask(api.url, ca_file)
        assert api.heads == []
    assert isinstance(reply, Failed)
    assert (reply.fault, reply.written) == (Fault.TLS, False)
    assert words in reply.error
    verdict = classify(reply)
    assert isinstance(verdict, Unsent)
    assert words in verdict.error


@pytest.mark.parametrize(("again", "written"), [(0, False), (1, True)])
async def test_a_refusal_behind_the_handshake_means_that_the_request_was_not_read(again: int, written: bool) -> None:
    """An earlier connection may have carried it, if it went stale."""
    alert, error = ssl.SSLError(1, "alert"), httpx.ReadError("reset")
    alert.reason = "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    error.__cause__ = alert
    exchange = Exchange(b"DELETE", b"/x", (), max_body_bytes=0, timeout_s=0.0)
    exchange.written, exchange.again = True, again
    assert failure_of(error, exchange, 1.0, 0.0).written is written


async def test_a_name_that_is_not_the_certificates(ca_file: Path) -> None:
    with Talker([[ASK, GONE]], issued("other.example")).running() as api:
        reply = await ask(api.url.replace("127.0.0.1", "localhost"), ca_file)
    assert isinstance(reply, Failed)
    assert "certificate is not valid for 'localhost'" in reply.error


async def test_a_host_with_a_dot_at_its_end_is_the_certificates(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Talker([[ASK, GONE]], issued("api.test")).running() as api:

        async def resolved(host: str, port: int) -> list[Address]:
            return await resolve("127.0.0.1", port)

        monkeypatch.setattr("reaper.api.http.connect.resolve", resolved)
        assert isinstance(await ask(f"https://api.test.:{api.port}", ca_file), Answered)


async def test_an_authority_that_is_unknown(tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    with Talker([[ASK, GONE]], issued()).running() as api:
        for ca_file in (other, None):
            reply = await ask(api.url, ca_file)
            assert isinstance(reply, Failed)
            assert "signed by an authority that is not trusted here" in reply.error
            assert "api.ca_file" in reply.error


@pytest.mark.parametrize(
    ("greeting", "script", "words"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], [], "that port does not speak TLS"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n"], [], "that port does not speak TLS"),
        ([End.CLOSE], [], "the connection was closed during the handshake"),
        ([End.RESET], [], "the connection was closed during the handshake"),
    ],
)
async def test_a_port_that_does_not_speak_tls(
    greeting: list[Any], script: list[Any], words: str, ca_file: Path
) -> None:
    async with ByteServer(script, greeting=greeting) as api:
        reply = await ask(f"https://127.0.0.1:{api.port}", ca_file)
    assert isinstance(reply, Failed)
    assert (reply.fault, reply.written) == (Fault.TLS, False)
    assert reply.error.startswith(f"TLS with the API's host failed: {words}")


async def test_a_bundle_that_changes_is_taken_up_and_a_broken_one_is_not(tmp_path: Path, ca_file: Path) -> None:
    """Each send opens a connection: the server closes it after its answer."""
    reports: list[str] = []
    answer = GONE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with Talker([[ASK, answer]], issued()).running() as api:
        client = Client(Target(api.url, 3.0, 2.0, ca_file=str(ca_file)), Credentials(None, "x"), reports.append)

        async def works() -> bool:
            return isinstance(await client.stop(ONE), Answered)

        good, other = CA.cert_pem.bytes(), trustme.CA().cert_pem.bytes()
        assert await works()
        write(ca_file, other)
        assert not await works()
        for again in (good + other, other + good):
            write(tmp_path / "new", again)
            os.rename(tmp_path / "new", ca_file)
            assert await works()
        assert reports == []
        for broken in (b"", b"junk", good[: len(good) // 2]):
            write(ca_file, broken)
            assert await works(), "the last good one stays in force"
            assert await works()
        os.unlink(ca_file)
        assert await works()
        assert len(reports) == 4, "each once"
        assert all("api.ca_file" in one and "stay in force" in one for one in reports)
        os.symlink(tmp_path / "linked", ca_file)  # as Kubernetes mounts a secret
        write(tmp_path / "linked", other)
        assert not await works()
        write(tmp_path / "linked", good)
        assert await works()
        assert len(reports) == 4
        await client.aclose()


async def test_a_bundle_on_a_mount_that_stalls_holds_nothing_up(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports: list[str] = []
    answer = GONE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    goes_on, before = threading.Event(), threads("api.ca_file")
    with Talker([[ASK, answer]], issued()).running() as api:
        client = Client(Target(api.url, 3.0, 2.0, ca_file=str(ca_file)), Credentials(None, "x"), reports.append)
        found = os.stat

        def stalled(path: Any, *args: Any, **more: Any) -> os.stat_result:
            if str(path) == str(ca_file):
                goes_on.wait(20)
            return found(path, *args, **more)

        monkeypatch.setattr(os, "stat", stalled)
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.ensure_future(tick())
        for _ in range(2):
            begun = time.monotonic()
            assert isinstance(await client.stop(ONE), Answered)
            assert time.monotonic() - begun < 1.5
        ticking.cancel()
        assert ticks > 20, "the event loop went on"
        assert len(threads("api.ca_file") - before) == 1
        goes_on.set()
        assert isinstance(await client.stop(ONE), Answered)
        assert reports == []
        await client.aclose()


async def test_no_thread_for_a_look_at_the_bundle_ends_nothing(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "api.ca_file":
            raise RuntimeError("can't start new thread")
        started(thread)

    with Talker([[ASK, GONE]], issued()).running() as api:
        monkeypatch.setattr(threading.Thread, "start", start)
        assert isinstance(await ask(api.url, ca_file), Answered)


@pytest.mark.parametrize("content", [None, b"", b"junk", "folder", "fifo"])
def test_a_bundle_that_cannot_be_used_at_the_start(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "ca.pem"
    if content == "folder":
        path.mkdir()
    elif content == "fifo":
        os.mkfifo(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"^api\.ca_file: .*ca\.pem cannot be used: "):
        Client(Target("https://h", 1.0, 1.0, ca_file=str(path)), Credentials(None, "x"))


async def test_keys_are_not_written(tmp_path: Path, ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = tmp_path / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    with Talker([[ASK, GONE]], issued()).running() as api:
        assert isinstance(await ask(api.url, ca_file), Answered)
        assert isinstance(await ask(api.url, None), Failed)
    assert not keys.exists()
