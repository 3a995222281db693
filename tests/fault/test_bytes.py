"""A server that answers with any bytes, or none: memory and time stay bounded, and the token goes nowhere else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.fault.byte_api import ByteApi
from tests.support.fault.checker import Bounds
from tests.support.fault.evidence import gauge, settle_up
from tests.support.fault.warm import Warm
from tests.support.http.byte_server import GONE, ByteServer, Drip, End, Flood, Script, Wait, running
from tests.support.processes.command import Command
from tests.support.processes.daemon import daemon, free_port

OK = b"HTTP/1.1 200 OK\r\n"
HUGE = OK + b"Content-Type: application/json\r\nContent-Length: 2147483648\r\n\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
JSON_404 = b'HTTP/1.1 404 Not Found\r\nContent-Length: 17\r\n\r\n{"error": "none"}'
TIMEOUT_S = 3
FAULTS: dict[str, Script] = {
    "closed-before-the-answer": [End.CLOSE],
    "reset-before-the-answer": [End.RESET],
    "reset-in-the-head": [GONE[:20], End.RESET],
    "reset-in-the-body": [HELLO[:-2], Wait(0.05), End.RESET],
    "closed-in-the-body": [HELLO[:-2], End.CLOSE],
    "reset-after-the-answer": [GONE, End.RESET],
    "silence": [End.SILENCE],
    "silence-in-the-head": [GONE[:30], End.SILENCE],
    "dripping-for-ever": [Drip(OK + b"X: " + b"x" * 10_000, 0.05)],
    "dripping-in-time": [Drip(GONE, 0.005)],
    "garbage": [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50, End.CLOSE],
    "another-protocol": [b"SSH-2.0-OpenSSH_9.2\r\n", End.SILENCE],
    "two-gigabytes": [HUGE, Flood(b'{"x":' + b" " * (1 << 20))],
    "two-gigabytes-of-chunks": [
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        Flood(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"),
    ],
    "endless-headers": [OK, Flood(b"X-Header: " + b"y" * 1000 + b"\r\n")],
    "one-endless-header": [OK + b"X-Header: ", Flood(b"y" * 65_536)],
    "endless-interim-answers": [Flood(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 100)],
    "chunks-of-one-byte": [OK + b"Transfer-Encoding: chunked\r\n\r\n", Flood(b"1\r\nx\r\n" * 1000)],
}


def test_any_bytes(command: Command, warm: Warm) -> None:
    """Each fault once, among sound answers; then again, after the daemon's size was taken."""
    ids = [f"{name}.{turn}" for turn in range(4) for name in FAULTS]
    good = [f"good.{number}" for number in range(len(ids))]
    scripts = {f"{name}.{turn}": [script] for name, script in FAULTS.items() for turn in range(4)}
    scripts["dripping-in-time.0"] = [[GONE]]
    api = ByteApi(scripts)
    with running(ByteServer(script_of=api.script_of)) as server:
        command.env |= {
            "REAPER_API__BASE_URL": server.url,
            "REAPER_API__TIMEOUT_S": str(TIMEOUT_S),
            "REAPER_API__CONNECT_TIMEOUT_S": "2",
            "REAPER_RETRY__BASE_S": "0.2",
            "REAPER_WORKER__CONCURRENCY": "16",
            "REAPER_WORKER__ADAPTIVE": "false",
            "REAPER_TELEMETRY__LISTEN": f"127.0.0.1:{free_port()}",
        }
        with daemon(command) as process:
            half = len(FAULTS) * 2
            some = [one for pair in zip(ids, good, strict=True) for one in pair]
            assert warm.run(command, "add", *some[:half]).returncode == 0
            eventually(lambda: answered(command) >= half, 60)
            before = gauge(process.pid)
            assert warm.run(command, "add", *some[half:]).returncode == 0
            eventually(lambda: answered(command) >= len(some), 60)
            eventually(lambda: gauge(process.pid).fds <= before.fds + 4)
            after, most = gauge(process.pid), peak_bytes(process.pid)
        assert server.flooded_bytes > 1 << 20
        assert most < before.rss_bytes + (32 << 20), "a body is read into memory"
        found = settle_up(
            command,
            api.deletes,
            some,
            Bounds(in_flight=16 + 4, repeats=12, sends_per_id=2.5),  # the server notices the end of a send late
            run=partial(warm.run, command),
            logs=[command.home / "daemon.log"],
            peak_in_flight=server.max_in_flight,
            gauges=(before, after),
        )
    assert {row["outcome"] for row in found.rows} == {"stopped"}


def answered(command: Command) -> int:
    log = (command.home / "daemon.log").read_text()
    return log.count('"event": "session.settled"')


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.fixture
def other() -> Iterator[tuple[int, list[bytes]]]:
    """Another port that listens: where it is, and what came in, a byte string for each connection."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(0.5)
                    heard.append(connection.recv(65_536))

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], heard
        over.set()
        thread.join()


@pytest.mark.parametrize("where", ["http://127.0.0.1:{}/api/sessions/x", "//127.0.0.1:{}/"])
def test_a_redirect_is_followed_nowhere(
    command: Command, warm: Warm, other: tuple[int, list[bytes]], where: str
) -> None:
    """The token stays here: no connection, no byte. Five such answers are a wrong target."""
    port, heard = other
    location = where.format(port).encode()
    redirects: list[Script] = [
        [b"HTTP/1.1 %d Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, location)]
        for status in (300, 301, 302, 303, 307, 308)
    ]
    ids = [f"ses-{number}" for number in range(len(redirects))]
    api = ByteApi({one: [script] * 100 for one, script in zip(ids, redirects, strict=True)})
    with running(ByteServer(script_of=api.script_of)) as server:
        command.env |= {
            "REAPER_API__BASE_URL": server.url,
            "REAPER_API__UNAVAILABLE_WAIT_S": "1",
            "REAPER_RETRY__BASE_S": "0.1",
        }
        done = command.run("once", "-v", "-", stdin="\n".join(ids))
        assert done.returncode == 69, done.stderr
        assert {delete.session_id for delete in api.deletes} >= set(ids[:5])
        settle_up(
            command,
            api.deletes,
            ids,
            Bounds(in_flight=32),
            run=partial(warm.run, command),
            settled=False,
            texts={"stdout": done.stdout, "stderr": done.stderr},
        )
    assert heard == []
