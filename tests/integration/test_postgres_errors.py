"""Errors name the fault and no secret; a fault that may pass by itself raises QueueUnavailableError."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path

import pytest
import trustme

from reaper.core.errors import ConfigError, QueueError, QueueUnavailableError
from reaper.queues.base import Queue
from reaper.queues.open import refuse_unwritable
from tests.support.queues.harness import LEASE_S, ids
from tests.support.queues.postgres_roles import opened
from tests.support.queues.postgres_server import (
    PASSWORD,
    URL_PASSWORD,
    PostgresServer,
    free_port,
    unprivileged,
)

pytestmark = pytest.mark.anyio


async def error_of(url: str) -> QueueError:
    """Open and fail; no secret is in the error, nor in what a traceback would print."""
    began = time.monotonic()
    with pytest.raises(QueueError) as raised:
        async with opened(url):
            pass
    assert time.monotonic() - began < 7
    shown = str(raised.value) + "".join(traceback.format_exception(raised.value))
    for secret in (PASSWORD, URL_PASSWORD, "wr0ng"):
        assert secret not in shown
    return raised.value


async def test_a_wrong_password_may_be_a_rotation(server: PostgresServer, database: str) -> None:
    error = await error_of(server.url(database, password="wr0ng"))
    assert isinstance(error, QueueUnavailableError)
    assert "refuses the user or the password" in str(error)
    assert "127.0.0.1" in str(error)


async def test_an_unknown_user_is_refused_likewise(server: PostgresServer, database: str) -> None:
    error = await error_of(server.url(database, user="nobody_here"))
    assert isinstance(error, QueueUnavailableError)
    assert "refuses the user" in str(error)


async def test_nobody_listens_there() -> None:
    port = free_port()
    error = await error_of(f"postgresql://u:{URL_PASSWORD}@127.0.0.1:{port}/d")
    assert isinstance(error, QueueUnavailableError)
    assert str(port) in str(error)
    assert "refused" in str(error)


async def test_the_host_is_not_known() -> None:
    error = await error_of(f"postgresql://u:{URL_PASSWORD}@nosuch.invalid/d")
    assert isinstance(error, QueueUnavailableError)
    assert "nosuch.invalid" in str(error)


async def test_there_is_no_such_database(server: PostgresServer) -> None:
    error = await error_of(server.url("nosuch"))
    assert not isinstance(error, QueueUnavailableError)
    assert "database nosuch is not there" in str(error)


async def test_the_role_has_too_few_rights(server: PostgresServer, database: str) -> None:
    server.sql("CREATE ROLE poor LOGIN PASSWORD 'wr0ng'")
    try:
        error = await error_of(server.url(database, user="poor", password="wr0ng"))
        assert not isinstance(error, QueueUnavailableError)
        assert "too few rights" in str(error)
        async with opened(server.url(database)):
            pass
        error = await error_of(server.url(database, user="poor", password="wr0ng"))
        assert not isinstance(error, QueueUnavailableError)
        assert "reaper_setting" in str(error)
    finally:
        server.sql("DROP ROLE poor")


async def test_no_connection_to_spare_and_a_database_that_is_closed(server: PostgresServer, database: str) -> None:
    server.sql("CREATE ROLE many LOGIN PASSWORD 'wr0ng' CONNECTION LIMIT 0")
    try:
        error = await error_of(server.url(database, user="many", password="wr0ng"))
        assert isinstance(error, QueueUnavailableError)
        assert "no connection to spare" in str(error)
    finally:
        server.sql("DROP ROLE many")


async def test_a_standby_is_read_and_is_written_as_soon_as_it_is_none() -> None:
    server = PostgresServer(durable=False)
    try:
        server.start()
        url = server.url(server.create_database())
        async with opened(url) as queue:
            await queue.add(ids("a"))
        server.stop()
        (Path(server.data) / "standby.signal").touch()
        server.start()
        with pytest.raises(QueueUnavailableError, match="standby, or set to read only"):
            async with opened(url):
                pass
        with pytest.raises(QueueUnavailableError, match="standby, or set to read only"):
            await refuse_unwritable(url)  # as `queue init` does
        async with opened(url, read_only=True, worker=False) as reading, opened(url, worker=False) as queue:
            assert (await reading.stats()).accepted == 1, "reading goes on"
            with pytest.raises(QueueUnavailableError, match="standby, or set to read only"):
                await queue.add(ids("b"))
            server.sql("SELECT pg_promote()")
            assert (await queue.add(ids("b"))).accepted == 1
    finally:
        server.close()


async def test_tables_taken_away_are_missed(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)) as queue:
        server.sql("DROP TABLE reaper_session CASCADE", database=database)
        with pytest.raises(QueueError, match="holds no queue") as raised:
            await queue.claim(1, lease_s=LEASE_S)
        assert not isinstance(raised.value, QueueUnavailableError)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:wr0ng@h/d",
        "postgresql:u:wr0ng",
        "postgresql://u:wr0ng/@h/d",
        "postgresql://u:wr@0ng@h/d",
        "postgresql://u:wr0ng@h:port/d",
        "postgresql://u:wr0ng@h/d?nosuch=1",
        "host=h password=wr0ng",
    ],
)
async def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match=r"queue\.url cannot be read as postgresql://") as raised:
        async with opened(url):
            pass
    shown = "".join(traceback.format_exception(raised.value))
    assert "wr0ng" not in shown
    assert "0ng" not in shown


async def test_the_password_may_be_in_a_file(server: PostgresServer, database: str, tmp_path: Path) -> None:
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:{server.port}:*:postgres:{PASSWORD}\n")
    passfile.chmod(0o600)
    async with opened(f"postgresql://postgres@127.0.0.1:{server.port}/{database}?passfile={passfile}") as queue:
        assert await use(queue)


async def test_tls_that_the_server_has_not_is_named(server: PostgresServer, database: str) -> None:
    error = await error_of(server.url(database) + "?sslmode=require")
    assert isinstance(error, QueueUnavailableError)
    assert "SSL" in str(error)


async def test_tls_is_verified_when_asked_for(server: PostgresServer, database: str, tmp_path: Path) -> None:
    ours, foreign = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ours.pem")
    foreign.cert_pem.write_to_path(tmp_path / "foreign.pem")
    issued = ours.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(server.directory / "data" / "server.crt")
    key = server.directory / "data" / "server.key"
    issued.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    if (user := unprivileged()) is not None:
        os.chown(key, user, -1)
    server.sql("ALTER SYSTEM SET ssl = on")
    try:
        server.reload(lambda: server.sql("SHOW ssl") == [("on",)])
        good = f"{server.url(database)}?sslmode=verify-full&sslrootcert={tmp_path / 'ours.pem'}"
        async with opened(good) as queue:
            assert await use(queue)
        error = await error_of(good.replace("ours.pem", "foreign.pem"))
        assert "certificate verify failed" in str(error)
        error = await error_of(good.replace("127.0.0.1", "localhost"))
        assert 'does not match host name "localhost"' in str(error)
    finally:
        server.sql("ALTER SYSTEM RESET ssl")
        server.reload(lambda: server.sql("SHOW ssl") == [("off",)])


async def use(queue: Queue) -> bool:
    return (await queue.add(ids("a"))).accepted == 1 and len(await queue.claim(1, lease_s=LEASE_S)) == 1
