"""A list of 32 MiB, read by a daemon that sweeps: its memory, and how long its event loop stands still."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.eventually import eventually
from tests.support.processes.command import Command
from tests.support.processes.daemon import daemon, events, free_port
from tests.support.processes.memory import memory_mib

MIB = 1024 * 1024


def session(number: int) -> dict[str, object]:
    return {
        "sessionId": f"env_{number:08d}", "status": "running", "alive": True, "batchId": f"batch-{number % 97}",
        "createdAt": "2026-01-01T00:00:00Z", "expiresAt": "2099-01-01T00:00:00Z", "scenarioId": "checkout",
        "cloneIds": ["github", "slack"], "urls": {"github": f"https://{number}.example.test/" + "x" * 150},
    }  # fmt: skip


@pytest.fixture(scope="module")
def body() -> bytes:
    one = len(json.dumps(session(99_999))) + 2
    return json.dumps({"sessions": [session(number) for number in range((32 * MIB - 1000) // one)]}).encode()


@pytest.fixture
def command_with_list(command: Command, body: bytes) -> Iterator[Command]:
    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = body if self.path == "/api/sessions" else b'{"userId":"u"}'
            self.send_response_only(200)
            self.send_header("Date", formatdate(usegmt=True))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command.env |= {
        "REAPER_API__BASE_URL": f"http://127.0.0.1:{server.server_port}",
        "REAPER_TELEMETRY__LISTEN": f"127.0.0.1:{free_port()}",
    }
    yield command
    server.shutdown()
    server.server_close()


def ask(host: str, port: int) -> float:
    """Return how long /livez took, seconds."""
    began = time.monotonic()
    with socket.create_connection((host, port), timeout=20) as link:
        link.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b" 200 " in link.recv(4096)
    return time.monotonic() - began


@pytest.mark.untraced  # it measures the memory, and how long the event loop stands still
def test_a_list_of_32_mib_fits_the_pods_memory_and_leaves_the_loop_alive(command_with_list: Command) -> None:
    command = command_with_list
    with daemon(command) as small:
        eventually(lambda: events(command, "reaper.ready") != [], 20)
        eventually(lambda: events(command, "account.pinned") != [], 60)
        small.send_signal(signal.SIGTERM)
        small.wait(30)
    command.env |= {"REAPER_DISCOVERY__ENABLED": "true", "REAPER_DISCOVERY__INTERVAL_S": "3600"}
    (command.home / "daemon.log").unlink()
    host, port = command.env["REAPER_TELEMETRY__LISTEN"].split(":")
    with daemon(command) as process:
        eventually(lambda: events(command, "reaper.ready") != [], 20)
        took: list[float] = []
        while not events(command, "sweep.judged"):
            took.append(ask(host, int(port)))
            time.sleep(0.005)
            assert process.poll() is None
            assert not events(command, "sweep.stopped"), events(command, "sweep.stopped")
        most_mib = memory_mib(process.pid, "VmHWM")
        print(f"\nmost memory {most_mib:.0f} MiB; {len(took)} probes, the slowest {max(took) * 1000:.0f} ms")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    assert most_mib < 60 + 150  # 60: a daemon at rest
    assert max(took) < 0.5, "the event loop stood still"
