"""`health` and `sandbox` as processes."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.processes.command import Command, kill


@contextmanager
def answering(line: bytes | None) -> Iterator[int]:
    """A server that answers every connection with one status line; None: never."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                held.append(link)
                if line is not None:
                    link.recv(4096)
                    link.sendall(line + b"\r\n\r\n")

        held: list[socket.socket] = []
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for link in held:
                link.close()


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (b"HTTP/1.1 200 OK", 0, ""),
        (b"HTTP/1.1 503 Service Unavailable", 1, "answered 503"),
        (b"SSH-2.0-x", 1, "is not reaper"),
        (None, 1, "within 2 s"),
    ],
)
def test_health(command: Command, line: bytes | None, code: int, words: str) -> None:
    with answering(line) as port:
        command.env["REAPER_TELEMETRY__LISTEN"] = f"127.0.0.1:{port}"
        done = command.run("health", timeout_s=10)
    assert done.returncode == code
    assert words in done.stderr


def test_health_without_a_daemon(command: Command) -> None:
    command.env["REAPER_TELEMETRY__LISTEN"] = "127.0.0.1:1"
    done = command.run("health")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_sandbox_tells_where_it_is_and_ends_on_a_signal(command: Command) -> None:
    process = command.start("sandbox", "--json", "--token", "hush-hush", "--sessions", "3")
    assert process.stdout is not None
    printed = json.loads(process.stdout.readline())
    assert printed["sessions"] == 3
    assert printed["url"].startswith("http://127.0.0.1:")
    kill(process, signal.SIGTERM)
    assert process.returncode == 0
