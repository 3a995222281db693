"""A queue in PostgreSQL inherits nothing from the database, the role, or a pooler's other clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import Outcome
from reaper.core.owners import random_part
from reaper.queues.base import Queue
from reaper.queues.values import Batch, InvalidLine, NewItem
from tests.support.queues.harness import LEASE_S, STOPPED, ended, ids, sent, stop_one
from tests.support.queues.postgres_roles import opened
from tests.support.queues.postgres_server import PASSWORD, PostgresServer
from tests.support.queues.postgres_settings import HOSTILE, hostile_role

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    name = server.create_database()
    yield name
    server.sql(f"ALTER DATABASE {name} RESET ALL")
    server.empty_database(name)


async def work(queue: Queue) -> None:
    while leases := await queue.claim(7, lease_s=LEASE_S):
        for held in await asyncio.gather(*(ended(queue, lease, STOPPED, sent()) for lease in leases)):
            assert held


@pytest.mark.parametrize("setting", HOSTILE)
async def test_two_reapers_on_a_database_that_sets(server: PostgresServer, database: str, setting: str) -> None:
    server.sql(f"ALTER DATABASE {database} SET {setting} = '{HOSTILE[setting]}'")
    url = server.url(database)
    async with opened(url) as one, opened(url) as two:
        await asyncio.gather(
            *(
                queue.add(ids(*(f"{random_part(queue.owner)}.{n}.{i}" for i in range(20))))
                for queue in (one, two)
                for n in range(10)
            )
        )
        await asyncio.gather(work(one), work(two), one.maintain(1e9), two.maintain(1e9))
        await one.heartbeat(4, [])
        assert len(await two.live_workers()) == 1
        audit = await two.audit()
        assert audit.balanced
        assert audit.stats.settled[Outcome.STOPPED] == 400


async def test_what_the_role_sets_is_against_it_altogether(server: PostgresServer, database: str) -> None:
    with psycopg.connect(hostile_role(server, database), autocommit=True) as plain:
        (isolation,) = plain.execute("SHOW transaction_isolation").fetchone() or ()
        assert isolation == "serializable"
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            plain.execute("CREATE TABLE x (y int)")
    async with opened(hostile_role(server, database)) as queue:
        text = "žluťoučký \\ 'kůň' \u2603"
        await queue.add(
            Batch(text, [NewItem(ids("a").items[0].session_id, 1e9 + 0.123456)], [InvalidLine(1, text, text)])
        )
        item = await queue.show(ids("a").items[0].session_id)
        assert item is not None
        assert (item.source, item.due_at) == (text, 1e9 + 0.123456)


PINNED = {
    "transaction_isolation": "read committed",
    "transaction_deferrable": "off",
    "statement_timeout": "125s",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "1min",
    "synchronous_commit": "local",
    "search_path": '"$user", public',
    "extra_float_digits": "1",
    "TimeZone": "UTC",
}


async def test_each_transaction_has_its_own_settings(server: PostgresServer, database: str) -> None:
    """A trigger sees with which settings the transaction of an `add` runs and commits."""
    async with opened(server.url(database)):
        pass
    pairs = ", ".join(f"'{name}', current_setting('{name}')" for name in PINNED)
    server.sql(
        "CREATE TABLE seen (x jsonb);"
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" INSERT INTO public.seen VALUES (jsonb_build_object({pairs})); RETURN NULL; END $$;"
        "CREATE TRIGGER see AFTER INSERT ON reaper_session EXECUTE FUNCTION see()",
        database=database,
    )
    async with opened(hostile_role(server, database)) as queue:
        await queue.add(ids("a"))
    assert server.sql("SELECT DISTINCT x FROM seen", database=database) == [(PINNED,)]


async def test_a_role_whose_rows_no_trigger_would_count_is_refused(server: PostgresServer, database: str) -> None:
    async with opened(server.url(database)):
        pass
    server.sql(f"CREATE ROLE uncounted LOGIN PASSWORD '{PASSWORD}'")
    try:
        server.sql("ALTER ROLE uncounted SET session_replication_role = replica")
        with pytest.raises(QueueError, match=r"too few rights .*session_replication_role"):
            async with opened(server.url(database, user="uncounted"), create=False):
                pass
    finally:
        server.sql("DROP ROLE uncounted")


async def test_a_search_path_that_changes_loses_no_queue(server: PostgresServer, database: str) -> None:
    """Tables that an inherited path leads to stay where they are; later the path may say anything."""
    server.sql("CREATE SCHEMA apart", database=database)
    server.sql(f"ALTER DATABASE {database} SET search_path = apart")
    async with opened(server.url(database) + "?options=-csearch_path%3Dapart") as queue:
        await queue.add(ids("a"))
    async with opened(server.url(database)) as queue:
        server.sql(f"ALTER DATABASE {database} SET search_path = nowhere")
        server.terminate(database)
        while True:
            try:
                assert (await queue.add(ids("b"))).accepted == 1
                break
            except QueueUnavailableError:
                continue
    assert server.sql("SELECT count(*) FROM apart.reaper_session", database=database) == [(2,)]
    server.sql(f"ALTER DATABASE {database} RESET search_path")
    server.sql("DROP SCHEMA apart CASCADE", database=database)


FAILURES = {
    "a deferred constraint": "RAISE EXCEPTION 'not now' USING ERRCODE = '23514'",
    "a serialization failure": "RAISE EXCEPTION 'again' USING ERRCODE = '40001'",
    "a shutdown": "PERFORM pg_terminate_backend(pg_backend_pid())",
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_an_error_at_the_commit_is_repeated_or_replaces_the_connection(
    server: PostgresServer, database: str, failure: str
) -> None:
    """A trigger that is deferred to the COMMIT fails at its first three runs: claims and applies go on afterwards."""
    async with opened(server.url(database)) as queue:
        await queue.add(ids(*(f"s{number}" for number in range(20))))
        server.sql(
            "CREATE SEQUENCE runs;"
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" IF nextval('public.runs') <= 3 THEN {FAILURES[failure]}; END IF; RETURN NULL; END $$;"
            "CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON reaper_session"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()",
            database=database,
        )
        done, failed = 0, 0
        while done < 20:
            try:
                await stop_one(queue)
                done += 1
            except (QueueError, ValueError):  # the latter: nothing to claim, the lost claim holds it
                failed += 1
                assert failed < 10
                server.sql("UPDATE reaper_session SET lease_until = now() WHERE receipt IS NOT NULL", database=database)
        assert (await queue.audit()).balanced
