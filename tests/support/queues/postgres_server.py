"""A real PostgreSQL on a free port with its data in a temporary directory; it can be killed and started again."""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest

from tests.support.eventually import eventually

PASSWORD = "s3cret/@word"
"""Of the superuser; with characters that a URL must escape."""
URL_PASSWORD = "s3cret%2F%40word"
READY_S = 60.0


def missing(why: str) -> NoReturn:
    """Skip the test for want of a server, or fail it where TEST_REQUIRE_BACKENDS names `postgres`."""
    if "postgres" in os.environ.get("TEST_REQUIRE_BACKENDS", "").split(","):
        pytest.fail(f"postgres {why}, and TEST_REQUIRE_BACKENDS names it")
    pytest.skip(f"postgres {why}")


def binaries() -> Path:
    """Return the directory of the server's programs, the newest there is."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda found: float(found.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    if found is None:
        missing("is not installed")
    return Path(found).resolve().parent


@functools.cache
def session_server() -> PostgresServer:
    """Return the one server of the test session; it is stopped when Python ends."""
    server = PostgresServer(durable=False)
    atexit.register(server.close)
    server.start()
    return server


class PostgresServer:
    """One server. `durable` writes to the disk as in production; without, it is quicker and survives no power loss."""

    def __init__(self, *, durable: bool) -> None:
        self._bin = binaries()
        self._user = unprivileged()
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self._spare: list[str] = []
        self.directory = Path(tempfile.mkdtemp(prefix="reaper-pg-"))
        self.port = free_port()
        if self._user is not None:
            os.chown(self.directory, self._user, -1)
        password = self.directory / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(password))
        password.unlink()

    @property
    def data(self) -> str:
        return str(self.directory / "data")

    def url(self, database: str, user: str = "postgres", password: str = URL_PASSWORD) -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, again after `kill`, and wait until it answers."""
        deadline = time.monotonic() + READY_S
        while True:
            self._process = self._spawn()
            if self._answers(deadline):
                return
            # What was killed may still hold the shared memory for a moment; then the server ends at once.
            assert time.monotonic() < deadline, (self.directory / "log").read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """End all of the server's processes, as loss of the machine would, its disk aside."""
        assert self._process is not None
        children = self._children()
        self._process.kill()
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all of the server's processes where they are; connections stay open and nothing answers."""
        assert self._process is not None
        pids = [*self._children(), self._process.pid]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def frozen_connections(self, database: str) -> Iterator[None]:
        """Stop what serves the connections to a database, as a network does that forgot them; new ones are served."""
        query = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
        pids = [pid for (pid,) in self.sql(query, (database,))]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _children(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> None:
        """Stop the server at once, in order."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(READY_S)

    def close(self) -> None:
        """Stop the server and remove its data."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def sql(self, statement: str, params: tuple[Any, ...] = (), *, database: str = "postgres") -> list[Any]:
        """Run one statement as the superuser; return its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement, params or None)
            return cursor.fetchall() if cursor.description else []

    def reload(self, done: Callable[[], bool]) -> None:
        """Let the server read its settings again, and wait until that is `done`."""
        self.sql("SELECT pg_reload_conf()")
        eventually(done, READY_S)

    def terminate(self, database: str) -> None:
        """Cut every connection to a database from the server's side, and wait until they are gone."""
        query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        self.sql(query, (database,))

    def create_database(self) -> str:
        """Make a new empty database, or take one that was given back empty; return its name."""
        if self._spare:
            return self._spare.pop()
        self._databases += 1
        name = f"reaper_{self._databases}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def apart(self, number: int) -> None:
        """Make databases of one's own from here on: for a process that was forked, the `number`th."""
        self._databases, self._spare = number * 1_000, []

    def empty_database(self, name: str) -> None:
        """Drop all that is in a database and keep it for the next test: a new one costs a third of a second."""
        self.terminate(name)
        self.sql(
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;"
            " GRANT USAGE ON SCHEMA public TO PUBLIC",
            database=name,
        )
        self._spare.append(name)

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.directory,
            "max_connections": 200,
            **({} if self._durable else {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}),
        }
        asked = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, *asked],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self.directory,
                start_new_session=True,
            )

    def _answers(self, deadline: float) -> bool:
        assert self._process is not None
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return True
        return False

    def _run(self, program: str, *args: str) -> None:
        asked: list[str | Path] = [self._bin / program, *args, "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(asked, user=self._user, cwd=self.directory, check=True, capture_output=True)


def unprivileged() -> int | None:
    """Return whom the server is to run as, where the tests run as root: it refuses that. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    missing("does not run as root, and there is no other user")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
