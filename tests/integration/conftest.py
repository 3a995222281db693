import io
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.desk import Desk
from tests.support.queues.postgres_server import PostgresServer, session_server
from tests.support.queues.redis_server import RedisServer


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and threads are tested on the loop that the product runs on."""
    return "asyncio"


@pytest.fixture
def prefix() -> str:
    """A queue of the test's own on the Redis server that the tests share."""
    return f"t{secrets.token_hex(6)}"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server of the test's own, which loses nothing when it is killed, however slow the disk."""
    server = RedisServer(tmp_path, appendfsync="always")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server() -> PostgresServer:
    """The PostgreSQL server that the tests share."""
    return session_server()


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    """A database of the test's own on that server."""
    name = server.create_database()
    yield name
    server.empty_database(name)


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user's home and token: the commands of the test run in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("ARCHAL_TOKEN", "token")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return tmp_path


@pytest.fixture
def desk(environ: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    """An operator before a ledger of the test's own."""
    return Desk(f"sqlite://{environ}/ledger.db", capsys)
