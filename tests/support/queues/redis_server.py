"""A real server for tests: on a free port, in a directory of its own, killed and started again at will."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from reaper.core.model import SessionId
from reaper.queues.base import Queue
from reaper.queues.redis.connection import RedisConnection
from reaper.queues.redis.open import open_redis
from reaper.queues.redis.url import parse_url
from reaper.queues.values import Batch, NewItem, Position

STARTS_WITHIN_S = 20.0


def program() -> str:
    """Return the server's program: what TEST_REDIS_SERVER names, else Redis, else Valkey.

    Without any the test is skipped, or fails where TEST_REQUIRE_BACKENDS names `redis`.
    """
    for name in (os.environ.get("TEST_REDIS_SERVER", ""), "redis-server", "valkey-server"):
        if name and (found := shutil.which(name)):
            return found
    if "redis" in os.environ.get("TEST_REQUIRE_BACKENDS", "").split(","):
        pytest.fail("neither redis-server nor valkey-server is installed, and TEST_REQUIRE_BACKENDS names redis")
    pytest.skip("neither redis-server nor valkey-server is installed")


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """One server; `settings` are words of its configuration."""

    def __init__(self, directory: Path, *settings: str, appendfsync: str = "everysec", appendonly: str = "yes") -> None:
        self.directory = directory
        self.port = free_port()
        self._command = [
            *(program(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory)),
            *("--appendonly", appendonly, "--appendfsync", appendfsync, "--save", "", "--daemonize", "no"),
            *settings,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, prefix: str = "reaper", auth: str = "") -> str:
        """Return the queue's URL."""
        return f"redis://{auth}127.0.0.1:{self.port}/0?prefix={prefix}"

    def start(self) -> None:
        """Start it, or start it again on the same data; return when it answers."""
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-NOPERM")):
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the server did not start: {(self.directory / 'server.log').read_text()[-2000:]}")

    def start_or_skip(self, sign: str, why: str) -> None:
        """Start it, or skip the test when it ends at once and its log holds `sign` in its last lines."""
        try:
            self.start()
        except AssertionError as error:
            if sign not in str(error).lower():
                raise
            pytest.skip(why)

    def ask(self, *words: str) -> str:
        """Send one command from outside, as another program would; return the raw answer."""
        request = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request.encode())
            return connection.recv(65536).decode()

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP makes it hang, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it with SIGKILL and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@cache
def shared_server() -> RedisServer:
    """Return the server that the contract's tests share, each with a prefix of its own; it ends with the tests."""
    program()  # where there is none, no directory is left behind
    directory = Path(tempfile.mkdtemp(prefix="redis-"))
    server = RedisServer(directory)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.kill)
    server.start()
    return server


def ids(*names: str) -> Batch:
    """Make a batch of IDs that are due now."""
    return Batch("test", [NewItem(SessionId(name)) for name in names])


@dataclass(slots=True, eq=False)
class KeptPositions:
    """Positions in memory: this machine's file of them, for one queue."""

    kept: dict[str, Position] = field(default_factory=dict)
    closed: int = 0

    async def save(self, position: Position) -> None:
        self.kept[position.path] = position

    async def positions(self) -> list[Position]:
        return [self.kept[path] for path in sorted(self.kept)]

    async def close(self) -> None:
        self.closed += 1


def connected(url: str) -> RedisConnection:
    """Return connections to a queue's server that no queue owns."""
    return RedisConnection(parse_url(url), None)


async def opened(url: str) -> Queue:
    """Open the queue as one more worker, on a machine of its own."""
    queue, _, _ = await open_redis(
        url, create=True, read_only=False, worker=True, positions=lambda identity: KeptPositions()
    )
    return queue
