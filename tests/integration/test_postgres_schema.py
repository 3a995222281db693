"""How the tables are created, the identity of a queue, and the warnings about the server's settings."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.ids import NO_VALUES
from reaper.core.model import SessionId
from reaper.queues.postgres import schema
from reaper.queues.postgres.open import open_postgres
from reaper.queues.values import Batch, NewItem, Position
from tests.support.queues.harness import ids
from tests.support.queues.postgres_roles import Positions, opened
from tests.support.queues.postgres_server import PostgresServer

pytestmark = pytest.mark.anyio


async def test_five_may_start_at_once_and_one_makes_the_tables(server: PostgresServer, database: str) -> None:
    stores = [Positions() for _ in range(5)]
    starts = [
        open_postgres(server.url(database), create=True, read_only=False, worker=True, positions=store.of)
        for store in stores
    ]
    queues = await asyncio.gather(*starts)
    assert sorted(made for _, made, _ in queues) == [False] * 4 + [True]
    assert len({store.identity for store in stores}) == 1
    assert len(stores[0].identity) == 32
    int(stores[0].identity, 16)
    for number, (queue, _, _) in enumerate(queues):
        assert (await queue.add(ids("same", f"s{number}"))).accepted == (2 if number == 0 else 1)
    assert (await queues[0][0].audit()).balanced
    for queue, _, _ in queues:
        await queue.close()


async def test_a_queue_that_is_there_is_left_as_it_is(server: PostgresServer, database: str) -> None:
    first, again = Positions(), Positions()
    async with opened(server.url(database), positions=first) as queue:
        await queue.add(ids("a"))
    _, made, _ = opened_again = await open_postgres(
        server.url(database), create=True, read_only=False, worker=False, positions=again.of
    )
    assert not made
    assert again.identity == first.identity
    assert (await opened_again[0].stats()).accepted == 1
    await opened_again[0].close()
    assert again.closed


async def test_two_queues_are_known_apart(server: PostgresServer, database: str) -> None:
    other = server.create_database()
    one, two = Positions(), Positions()
    async with opened(server.url(database), positions=one), opened(server.url(other), positions=two):
        assert one.identity != two.identity
    server.empty_database(other)


async def test_the_position_is_kept_after_the_rows(server: PostgresServer, database: str) -> None:
    positions = Positions()
    position = Position("/var/log/ids", 1, 2, 3, "hash", 4, 5)
    async with opened(server.url(database), positions=positions) as queue:
        server.sql("ALTER TABLE reaper_session ADD CONSTRAINT none CHECK (session_id <> 'a')", database=database)
        with pytest.raises(QueueError):
            await queue.add(Batch("file", [NewItem(SessionId("a"))], position=position))
        assert not positions.seen
        server.sql("ALTER TABLE reaper_session DROP CONSTRAINT none", database=database)
        await queue.add(Batch("file", [NewItem(SessionId("a"))], position=position))
        assert await queue.positions() == [position]


@pytest.mark.parametrize("read_only", [True, False])
async def test_without_tables_it_says_what_makes_them(server: PostgresServer, database: str, read_only: bool) -> None:
    with pytest.raises(QueueError, match="reaper queue init") as raised:
        async with opened(server.url(database), create=False, read_only=read_only):
            pass
    assert not isinstance(raised.value, QueueUnavailableError)


async def test_a_newer_schema_is_refused(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)):
        pass
    server.sql("UPDATE reaper_setting SET value = '99' WHERE name = 'schema'", database=database)
    with pytest.raises(QueueError, match="newer reaper") as raised:
        async with opened(server.url(database)):
            pass
    assert not isinstance(raised.value, QueueUnavailableError)


async def test_a_newer_reaper_that_migrates_a_queue_in_use_ends_its_user(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)) as queue:
        await queue.maintain(1e9)
        server.sql("UPDATE reaper_setting SET value = '99' WHERE name = 'schema'", database=database)
        with pytest.raises(QueueError, match=r"newer reaper \(schema 99") as raised:
            await queue.maintain(1e9)
        assert not isinstance(raised.value, QueueUnavailableError)


async def test_a_claim_of_the_old_schema_is_refused_and_says_why(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)) as queue:
        await queue.add(ids("a"))
        claim = (
            "UPDATE reaper_session SET sends = 1, owner = 'ab12', receipt = 'ab12.1.1',"
            " lease_until = now() + interval '1 minute'"
        )
        beat = "INSERT INTO reaper_owner (owner, pid, started_at, seen_at) VALUES ('ab12', 1, now(), now())"
        for statement in (claim, beat):
            with pytest.raises(psycopg.errors.CheckViolation, match="newer_reaper_migrated_this_queue_to_schema_2"):
                server.sql(statement, database=database)


@pytest.mark.parametrize("text", [*NO_VALUES, "NULL", "None", "archal_ws_abc"])
async def test_the_table_refuses_what_is_no_id(server: PostgresServer, database: str, text: str) -> None:
    async with opened(server.url(database)):
        pass
    with pytest.raises(psycopg.errors.CheckViolation, match="reaper_session_id_names_a_session"):
        server.sql(f"INSERT INTO reaper_session (session_id) VALUES ('{text}')", database=database)


async def test_a_read_only_use_changes_nothing(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)) as queue:
        await queue.add(ids("a"))
    async with opened(server.url(database), read_only=True) as reading:
        assert (await reading.stats()).ready == 1
        with pytest.raises(QueueError, match="reading only"):
            await reading.add(ids("b"))
        with pytest.raises(QueueError, match="reading only"):
            await reading.claim(1, lease_s=1)
    assert server.sql("SELECT count(*) FROM reaper_owner", database=database) == [(0,)]


async def test_a_server_that_may_lose_rows_is_warned_of(server: PostgresServer, database: str) -> None:
    queue, _, warnings = await open_postgres(
        server.url(database), create=True, read_only=False, worker=False, positions=Positions().of
    )
    await queue.close()
    (fsync,) = warnings
    assert "fsync" in fsync


async def test_an_older_schema_is_brought_up_by_whoever_may(
    server: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(server.url(database)) as queue:
        await queue.add(ids("a"))
    monkeypatch.setattr(schema, "SCHEMA", schema.SCHEMA + 1)
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, "CREATE TABLE reaper_next (x integer)"))
    version = "SELECT value FROM reaper_setting WHERE name = 'schema'"
    async with opened(server.url(database), create=False, read_only=True) as reading:
        assert (await reading.stats()).accepted == 1
    assert server.sql(version, database=database) == [(3,)]
    async with opened(server.url(database), create=False) as queue:
        assert (await queue.stats()).accepted == 1
    assert server.sql("SELECT count(*) FROM reaper_next", database=database) == [(0,)]
    assert server.sql(version, database=database) == [(4,)]


async def test_a_queue_without_its_identity_is_refused(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)):
        pass
    server.sql("DELETE FROM reaper_setting WHERE name = 'identity'", database=database)
    with pytest.raises(QueueError, match="has lost its identity") as raised:
        async with opened(server.url(database)):
            pass
    assert not isinstance(raised.value, QueueUnavailableError)


async def test_without_a_schema_to_use_rights_are_missing(server: PostgresServer, database: str) -> None:
    with pytest.raises(QueueError, match="too few rights") as raised:
        async with opened(server.url(database) + "?options=-csearch_path%3Dnosuch"):
            pass
    assert not isinstance(raised.value, QueueUnavailableError)
