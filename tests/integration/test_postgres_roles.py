"""The SQL of docs/queues-postgres.md, run as it stands there: least privilege, other programs, backup."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from reaper.core.errors import QueueError, QueueUnavailableError
from reaper.core.model import Outcome, Pause, PauseReason, Retry, SessionId, Settle
from reaper.queues.values import CancelResult
from tests.support.docs.blocks import block
from tests.support.queues.harness import (
    LEASE_S,
    STOPPED,
    cancel_one,
    claim_one,
    end_one,
    ended,
    ids,
    names,
    sent,
    stop_one,
)
from tests.support.queues.postgres_roles import Positions, opened
from tests.support.queues.postgres_server import PostgresServer, binaries, free_port

pytestmark = pytest.mark.anyio

ROLES = {
    "reaper_owner": "change-me-1",
    "reaper": "change-me-2",
    "reaper_producer": "change-me-3",
    "reaper_reader": "change-me-4",
}


def of_guide(name: str) -> list[str]:
    """Return the statements of one block of the guide."""
    return [text for text in block("docs/queues-postgres.md", name=name).split(";\n") if text.strip()]


@pytest.fixture
async def guided(server: PostgresServer) -> AsyncIterator[PostgresServer]:
    for statement in of_guide("roles"):
        server.sql(statement)
    try:
        async with opened(url(server, "reaper_owner"), worker=False):
            pass
        for statement in of_guide("grants"):
            as_role(server, "reaper_owner", statement)
        yield server
    finally:
        server.terminate("reaper")
        server.sql("DROP DATABASE reaper")
        for role in ROLES:
            server.sql(f"DROP ROLE {role}")


def url(server: PostgresServer, role: str) -> str:
    return server.url("reaper", role, ROLES[role])


def as_role(server: PostgresServer, role: str, statement: str) -> int:
    with psycopg.connect(url(server, role), autocommit=True) as connection:
        return connection.execute(statement).rowcount


async def test_the_working_role_can_do_all_that_a_reaper_does(guided: PostgresServer) -> None:
    positions = Positions()
    async with opened(url(guided, "reaper"), create=False, positions=positions) as queue:
        chosen = queue.new_set()
        await queue.add(ids("a", "b", "c", "d", "e"), into=chosen, default_after_s=0.0)
        await chosen.include_due()
        await stop_one(queue)
        assert await ended(queue, await claim_one(queue), Retry(60.0), sent(502))
        await end_one(queue, Outcome.FORBIDDEN, 403)
        await end_one(queue, Outcome.REJECTED, 400)
        assert await cancel_one(queue, SessionId("e"), reason="why", by="who") is CancelResult.DONE
        assert await queue.reopen([SessionId("c")], reason="why", by="who") == 1
        assert await queue.purge([SessionId("d")]) == 1
        assert (await queue.add(ids("a"), again=True)).accepted == 1
        assert len(await queue.claim(5, lease_s=LEASE_S, within=chosen)) == 2
        await queue.heartbeat(1, [])
        assert len(await queue.live_workers()) == 1
        await queue.pause(Pause(PauseReason.OPERATOR, 1.0, "why"))
        await queue.pause(None)
        assert await queue.compare_and_set("n", "1", was=None)
        assert await queue.compare_and_set("n", None, was="1")
        await queue.maintain(0.0)
        assert (await queue.audit()).balanced
    assert positions.identity


async def test_the_working_role_makes_no_tables(guided: PostgresServer) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(guided, "reaper", "CREATE TABLE mine (x int)")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(guided, "reaper", "DROP TABLE reaper_session")


async def test_the_working_role_is_told_who_migrates_and_works_on_afterwards(guided: PostgresServer) -> None:
    async with opened(url(guided, "reaper")) as queue:
        await queue.add(ids("a"))
    newer = "newer_reaper_migrated_this_queue_to_schema_2_use_that_version"
    for statement in (
        f"ALTER TABLE reaper_session DROP CONSTRAINT reaper_session_id_names_a_session,"
        f" DROP CONSTRAINT {newer}, DROP COLUMN first_due_at",
        f"ALTER TABLE reaper_owner DROP CONSTRAINT {newer}",
        "UPDATE reaper_setting SET value = '1' WHERE name = 'schema'",
    ):
        as_role(guided, "reaper_owner", statement)
    async with opened(url(guided, "reaper_reader"), create=False, read_only=True, worker=False) as reading:
        assert (await reading.stats()).ready == 1
    with pytest.raises(QueueError, match="run `reaper queue init` as the role that owns them") as raised:
        async with opened(url(guided, "reaper")):
            pass
    assert not isinstance(raised.value, QueueUnavailableError)
    async with opened(url(guided, "reaper_owner"), worker=False):
        pass
    async with opened(url(guided, "reaper"), create=False) as queue:
        assert names(await queue.claim(1, lease_s=LEASE_S)) == ["a"]


async def test_what_a_producer_inserts_is_counted_claimed_and_balanced(guided: PostgresServer) -> None:
    counts = [as_role(guided, "reaper_producer", statement) for statement in of_guide("insert")]
    assert counts == [2, 1]
    counts = [as_role(guided, "reaper_producer", statement) for statement in of_guide("insert")]
    assert counts == [0, 0]
    async with opened(url(guided, "reaper"), create=False) as queue:
        stats = await queue.stats()
        assert (stats.accepted, stats.ready, stats.delayed) == (3, 2, 1)
        lease, _ = leases = await queue.claim(5, lease_s=LEASE_S)
        assert (names(leases), lease.source) == (["ses_1", "ses_2"], "sql")
        assert await ended(queue, lease, STOPPED, sent())
        item = await queue.show(SessionId("ses_3"))
        assert item is not None
        assert item.source == "checkout"
        assert 1700 < item.due_at - item.added_at <= 1800
        assert (await queue.audit()).balanced


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM reaper_session",
        "UPDATE reaper_session SET outcome = 'stopped'",
        "DELETE FROM reaper_session",
        "INSERT INTO reaper_session (session_id, outcome) VALUES ('x', 'stopped')",
        "UPDATE reaper_counter SET value = 0",
        "SELECT * FROM reaper_setting",
        "INSERT INTO reaper_session (session_id) VALUES ('../x')",
        "INSERT INTO reaper_session (session_id, due_at) VALUES ('x', 'infinity')",
    ],
)
async def test_a_producer_can_do_nothing_else(guided: PostgresServer, statement: str) -> None:
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.CheckViolation)):
        as_role(guided, "reaper_producer", statement)
    async with opened(url(guided, "reaper_reader"), create=False, read_only=True) as queue:
        audit = await queue.audit()
        assert audit.balanced
        assert audit.stats.accepted == 0


async def test_an_insert_that_is_rolled_back_was_never_accepted(guided: PostgresServer) -> None:
    with psycopg.connect(url(guided, "reaper_producer")) as connection:
        connection.execute("INSERT INTO reaper_session (session_id) VALUES ('a')")
        async with opened(url(guided, "reaper"), create=False) as queue:
            # Nor does a transaction left open keep anybody from work, the counters' rows included.
            await queue.add(ids("b"))
            await stop_one(queue)
            connection.rollback()
            audit = await queue.audit()
            assert audit.balanced
            assert audit.stats.accepted == 1


async def test_a_reader_reads_all_and_writes_nothing(guided: PostgresServer) -> None:
    async with opened(url(guided, "reaper"), create=False) as queue:
        await queue.add(ids("a", "b"))
        await stop_one(queue)
    async with opened(url(guided, "reaper_reader"), create=False, read_only=True) as reading:
        assert (await reading.audit()).balanced
        assert [item.session_id async for item in reading.outcomes()] == ["a"]
        assert await reading.show(SessionId("b")) is not None
        assert await reading.paused() is None
        assert await reading.read_value("n") is None
        chosen = reading.new_set()
        assert await chosen.include_due() == 1
    with pytest.raises(QueueError, match="too few rights") as raised:
        async with opened(url(guided, "reaper_reader"), create=False):
            pass
    assert not isinstance(raised.value, QueueUnavailableError)


async def test_a_dump_is_a_backup_and_a_restored_queue_gets_a_new_identity(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    before, after, renewed = Positions(), Positions(), Positions()
    async with opened(server.url(database), positions=before) as queue:
        await queue.add(ids("a", "b", "c"))
        await stop_one(queue)
        await end_one(queue, Outcome.FORBIDDEN, 403)
        dump = tmp_path / "reaper.dump"
        programs = binaries()
        run(programs / "pg_dump", "--format=custom", f"--file={dump}", server.url(database))
    target = server.create_database()
    run(programs / "pg_restore", "--no-owner", f"--dbname={server.url(target)}", str(dump))
    async with opened(server.url(target), positions=after) as queue:
        assert after.identity == before.identity
        assert (await queue.audit()).balanced
        assert (await queue.add(ids("a", "d"))).accepted == 1
        assert names(await queue.claim(5, lease_s=LEASE_S)) == ["c", "d"]
        assert (await queue.audit()).balanced
    for statement in of_guide("restored"):
        server.sql(statement, database=target)
    async with opened(server.url(target), positions=renewed):
        assert renewed.identity != before.identity
        assert len(renewed.identity) == len(before.identity)
    server.empty_database(target)


def run(*asked: str | Path) -> None:
    subprocess.run(asked, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"}, timeout=60)


async def test_another_schema_and_another_host_of_the_url(server: PostgresServer, database: str) -> None:
    server.sql("CREATE SCHEMA apart", database=database)
    one = server.url(database)
    many = one.replace("@127.0.0.1:", f"@127.0.0.1:{free_port()},127.0.0.1:") + "?target_session_attrs=read-write"
    async with opened(one + "?options=-csearch_path%3Dapart") as apart, opened(many) as plain:
        await apart.add(ids("a"))
        server.sql("INSERT INTO apart.reaper_session (session_id) VALUES ('b')", database=database)
        assert (await apart.audit()).stats.accepted == 2
        assert (await plain.stats()).accepted == 0
        assert await ended(apart, await claim_one(apart), Settle(Outcome.STOPPED), sent())
        assert (await apart.audit()).balanced
    server.sql("DROP SCHEMA apart CASCADE", database=database)
