"""The figures of a deep queue: a kind of rows that is not counted to its end has what the counters leave for it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reaper.core.model import Retry, SessionId
from reaper.queues.base import Queue
from reaper.queues.open import open_queue
from reaper.queues.postgres import audit as postgres_audit
from reaper.queues.sqlite import audit as sqlite_audit
from reaper.queues.values import Batch, NewItem
from tests.support.queues.harness import STOPPED, ended, ids, open_for_work, sent
from tests.support.queues.postgres_server import session_server

pytestmark = pytest.mark.anyio
Change = Callable[[int], Awaitable[None]]


@pytest.fixture(params=["sqlite", "postgres"])
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Queue, Change]]:
    """A queue, and a way to change its counter of accepted IDs by hand."""
    if request.param == "sqlite":
        queue, ledger = await open_for_work(tmp_path / "ledger.db")
        change = "UPDATE counter SET value = ? WHERE name = 'accepted'"

        async def accept(value: int) -> None:
            await ledger.thread.write(lambda connection: connection.execute(change, (value,)))

        yield queue, accept
        await queue.close()
        return
    server = session_server()
    database = server.create_database()
    made = await open_queue(server.url(database), create=True, read_only=False, worker=True)

    async def accept_there(value: int) -> None:
        server.sql("DELETE FROM reaper_counter WHERE name = 'accepted'", database=database)
        add = "INSERT INTO reaper_counter (name, shard, value) VALUES ('accepted', 0, %s)"
        server.sql(add, (value,), database=database)

    yield made.queue, accept_there
    await made.queue.close()
    server.empty_database(database)


async def fill(queue: Queue) -> None:
    """Add rows that are ready, scheduled, retrying, leased and settled: some of each."""
    now = time.time()
    await queue.add(Batch("test", [NewItem(SessionId(f"ready{n}")) for n in range(14)]))
    await queue.add(Batch("test", [NewItem(SessionId(f"since{n}"), due_at=now - n - 9) for n in range(9)]))
    await queue.add(Batch("test", [NewItem(SessionId(f"later{n}"), due_at=now + 1000 + n) for n in range(8)]))
    for number, lease in enumerate(await queue.claim(12, lease_s=60)):
        decision = (STOPPED, Retry(0.0), Retry(500.0 + number), Retry(500.0))[number % 4]
        if number < 10:
            await ended(queue, lease, decision, sent(204 if decision is STOPPED else 502))


async def test_a_kind_that_is_not_counted_to_its_end_has_the_rest(
    opened: tuple[Queue, Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, _ = opened
    await fill(queue)
    counted = replace(await queue.stats(), oldest_due_s=0.0)
    assert (counted.scheduled, counted.in_flight, counted.retrying) == (8, 2, 4)
    assert counted.ready == 14 + 9 - 12 + 3
    for most in range(1, 20):
        for audit in (sqlite_audit, postgres_audit):
            monkeypatch.setattr(audit, "MOST_COUNTED", most)
        assert replace(await queue.stats(), oldest_due_s=0.0) == counted, most


async def test_the_rest_is_counted_where_the_counters_are_wrong(
    opened: tuple[Queue, Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, accept = opened
    for audit in (sqlite_audit, postgres_audit):
        monkeypatch.setattr(audit, "MOST_COUNTED", 3)
    await queue.add(ids(*(f"s{number}" for number in range(9))))
    await accept(1)
    assert (await queue.stats()).ready == 9
    assert not (await queue.audit()).balanced
