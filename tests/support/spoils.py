"""A world in which `run` works, and how each thing in it is spoiled; `breakages.py` has the table.

A little over 300 lines, because each row of the table has its function here.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from reaper.core.model import Pause, PauseReason, SessionId
from reaper.queues.base import Queue
from reaper.queues.open import open_queue
from reaper.queues.values import Batch, NewItem
from reaper.sandbox.server import Sandbox
from tests.support.queues.postgres_server import session_server
from tests.support.queues.redis_server import RedisServer, shared_server

TOKEN = "archal_ws_sandbox"
ADMIN_TOKEN = "0123456789abcdef"
ALIVE = "ses-alive"
SCHEMA_1 = Path(__file__).parent / "queues" / "schema_1.sql"


@dataclass(slots=True)
class World:
    """An API with one live session, and a ledger in which its ID waits. Rows change it before `check` and `run`."""

    home: Path
    sandbox: Sandbox
    environ: pytest.MonkeyPatch
    ends: ExitStack
    """What holds until the row is over."""

    @property
    def ledger(self) -> Path:
        return self.home / "state" / "reaper" / "reaper.db"

    def set(self, **settings: object) -> None:
        """Set `api__timeout_s=1` and so on in the environment."""
        for name, value in settings.items():
            self.environ.setenv(f"REAPER_{name.upper()}", str(value))

    async def add(self, url: str = "") -> None:
        """Make the queue, with the session's ID in it."""
        async with self.opened(url) as queue:
            await queue.add(Batch("test", [NewItem(SessionId(ALIVE))]))

    @contextmanager
    def ledger_open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.ledger, isolation_level=None)) as connection:
            yield connection

    @asynccontextmanager
    async def opened(self, url: str = "") -> AsyncIterator[Queue]:
        """Open the queue, by default the ledger, to write."""
        where = url or f"sqlite:///{self.ledger}"
        queue = (await open_queue(where, create=True, read_only=False, worker=False)).queue
        try:
            yield queue
        finally:
            await queue.close()


Spoil = Callable[[World], Awaitable[None] | None]


def file(world: World, name: str, text: str = "", mode: int = 0o600) -> Path:
    path = world.home / name
    path.write_text(text)
    path.chmod(mode)
    return path


def write_ledger(*statements: str) -> Spoil:
    def spoil(world: World) -> None:
        with world.ledger_open() as ledger:
            for statement in statements:
                ledger.execute(statement)

    return spoil


def foreign_ledger(world: World) -> None:
    world.ledger.unlink()
    write_ledger("CREATE TABLE theirs (x)")(world)


def old_ledger(world: World) -> None:
    world.ledger.unlink()
    with world.ledger_open() as ledger:
        ledger.executescript(SCHEMA_1.read_text())
        ledger.execute("PRAGMA journal_mode = WAL")


def damaged_ledger(world: World) -> None:
    world.ledger.write_bytes(b"no ledger" * 999)


def open_ledger(world: World) -> None:
    world.ledger.chmod(0o644)
    world.ledger.parent.chmod(0o755)


def busy_ledger(world: World) -> None:
    for module in ("schema", "transactions", "probe"):
        world.environ.setattr(f"reaper.queues.sqlite.{module}.BUSY_S", 0.2)
    connection = world.ends.enter_context(world.ledger_open())
    connection.execute("BEGIN IMMEDIATE")


def not_ours(world: World) -> None:
    os.chown(world.ledger, 0, 0)


def no_right_to_make_files(world: World) -> None:
    world.ledger.parent.chmod(0o500)


def missing_ledger_in_a_closed_directory(world: World) -> None:
    for path in world.ledger.parent.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    world.ledger.parent.chmod(0o500)


def pause(world: World) -> Awaitable[None]:
    async def pause() -> None:
        async with world.opened() as queue:
            await queue.pause(Pause(PauseReason.OPERATOR, queue.now(), "maintenance"))

    return pause()


def pin(key: str, value: str) -> Spoil:
    async def spoil(world: World) -> None:
        async with world.opened() as queue:
            assert await queue.compare_and_set(key, value, was=None)

    return spoil


def no_token(world: World) -> None:
    world.environ.delenv("ARCHAL_TOKEN")


def token_file(text: str | None, mode: int = 0o600) -> Spoil:
    def spoil(world: World) -> None:
        path = world.home / "token"
        if text is not None:
            file(world, "token", text, mode)
        world.set(api__token_file=path)

    return spoil


def in_sandbox(act: Callable[[Sandbox], object]) -> Spoil:
    def spoil(world: World) -> None:
        act(world.sandbox)

    return spoil


def no_ca_file(world: World) -> None:
    world.set(api__base_url="https://127.0.0.1:1", api__ca_file=world.home / "none")


def spool(spoil: Callable[[Path], object]) -> Spoil:
    def prepare(world: World) -> None:
        spool = world.home / "spool"
        world.set(intake__spool_dir=spool)
        spoil(spool)

    return prepare


def linked_room(spool: Path) -> None:
    spool.mkdir()
    (spool / "elsewhere").mkdir()
    (spool / "new").symlink_to("elsewhere")


def room_of(uid: int) -> Callable[[Path], object]:
    def spoil(spool: Path) -> None:
        (spool / "new").mkdir(parents=True)
        os.chown(spool / "new", uid, -1)

    return spoil


def refused_file(spool: Path) -> None:
    for name in ("tmp", "new", "done", "bad"):
        (spool / name).mkdir(parents=True)
    (spool / "bad" / "ids.json").write_text('{"sessions": [')


def closed_spool(spool: Path) -> None:
    spool.mkdir()
    spool.chmod(0o500)


def files(entry: str, make: Callable[[Path], object] = lambda path: None) -> Spoil:
    def spoil(world: World) -> None:
        path = world.home / entry
        make(path)
        world.set(intake__files=f'["{path}"]')

    return spoil


def protect(text: str | None) -> Spoil:
    def spoil(world: World) -> None:
        if text is not None:
            file(world, "spared", text)
        world.set(protect__file=world.home / "spared")

    return spoil


def admin_file(text: str | None, mode: int = 0o600) -> Spoil:
    def spoil(world: World) -> None:
        if text is not None:
            file(world, "admins", text, mode)
        world.set(telemetry__admin_token_file=world.home / "admins", telemetry__listen="127.0.0.1:0")

    return spoil


def open_to_all(world: World) -> None:
    admin_file(f"ann {ADMIN_TOKEN}\n")(world)
    world.set(telemetry__listen="0.0.0.0:0")


def busy_address(world: World) -> str:
    port = world.ends.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
    return f"127.0.0.1:{port}"


def listen_busy(world: World) -> None:
    world.set(telemetry__listen=busy_address(world))


def default_busy(world: World) -> None:
    world.environ.delenv("REAPER_TELEMETRY__LISTEN")
    world.environ.setattr("reaper.settings.load.Settings", with_default_listen(busy_address(world)))


def with_default_listen(address: str) -> type:
    from reaper.settings.schema import Settings

    class Elsewhere(Settings):
        """Settings whose default address is another, so that the tests of one machine do not meet there."""

        @classmethod
        def model_validate(cls, obj: object, **options: object) -> Settings:  # type: ignore[override]
            assert isinstance(obj, dict)
            obj.setdefault("telemetry", {}).setdefault("listen", address)
            return Settings.model_validate(obj)

    return Elsewhere


async def postgres(world: World, *statements: str, role: str = "") -> None:
    """Use a database of its own, as a role whose password is `change-me`, else as the one that owns it."""
    server = session_server()
    name = server.create_database()
    world.ends.callback(server.empty_database, name)
    await world.add(server.url(name))
    for statement in statements:
        server.sql(statement, database=name)
    world.set(queue__url=server.url(name, role, "change-me") if role else server.url(name))


def postgres_without(right: str, table: str) -> Spoil:
    async def spoil(world: World) -> None:
        role = f"reaper_{secrets.token_hex(4)}"
        server = session_server()
        server.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'change-me'")
        world.ends.callback(server.sql, f"DROP ROLE {role}")
        await postgres(
            world,
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
            f"REVOKE {right} ON {table} FROM {role}",
            role=role,
        )

    return spoil


def postgres_newer(world: World) -> Awaitable[None]:
    return postgres(world, "UPDATE reaper_setting SET value = '99' WHERE name = 'schema'")


def redis(*rules: str) -> Spoil:
    async def spoil(world: World) -> None:
        server, prefix = shared_server(), f"t{secrets.token_hex(6)}"
        await world.add(server.url(prefix))
        if not rules:
            world.set(queue__url=server.url(prefix))
            return
        assert server.ask("ACL", "SETUSER", prefix, "on", ">change-me", "~*", "+@all", *rules) == "+OK\r\n"
        world.ends.callback(server.ask, "ACL", "DELUSER", prefix)
        world.set(queue__url=server.url(prefix, auth=f"{prefix}:change-me@"))

    return spoil


async def redis_full(world: World) -> None:
    server = RedisServer(Path(world.ends.enter_context(tempfile.TemporaryDirectory())))
    world.ends.callback(server.kill)
    server.start()
    await world.add(server.url())
    assert server.ask("CONFIG", "SET", "maxmemory", "1") == "+OK\r\n"
    world.set(queue__url=server.url())


def redis_gone(world: World) -> None:
    world.set(queue__url="redis://127.0.0.1:1/0")


def no_apprise(world: World) -> None:
    world.set(notify__urls="json://127.0.0.1:9/a")
    world.environ.setitem(sys.modules, "apprise", None)  # then it cannot be imported
