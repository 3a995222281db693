"""The inbox of the Redis queue: what producers add with XADD is taken in, once, and nothing is lost unnoticed."""

from __future__ import annotations

import asyncio

import pytest

from reaper.core.errors import QueueUnavailableError
from reaper.core.ids import check_id
from reaper.core.model import SessionId, State
from reaper.core.times import LAST_INSTANT
from reaper.queues.redis import inbox
from reaper.queues.redis.inbox import Inbox, parse_entry
from reaper.queues.redis.open import open_redis
from reaper.queues.redis.scripts import load
from tests.support.queues.redis_server import KeptPositions, connected, ids, opened, shared_server

pytestmark = pytest.mark.anyio


def put(prefix: str, *fields: str) -> str:
    answer = shared_server().ask("XADD", f"{{{prefix}}}:inbox", "*", *fields)
    assert answer.startswith("$"), answer
    return answer.split("\r\n")[1]


async def test_what_producers_added_before_any_reaper_began_is_taken_in(prefix: str) -> None:
    put(prefix, "session_id", "early")
    queue = await opened(shared_server().url(prefix))
    put(prefix, "session_id", "later", "note", "fields of other names are ignored")
    assert [lease.session_id for lease in await queue.claim(5, lease_s=60)] == ["early", "later"]
    assert shared_server().ask("XLEN", f"{{{prefix}}}:inbox") == ":0\r\n"
    await queue.close()


async def test_an_entry_is_judged_as_any_other_input(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    put(prefix, "session_id", "unix", "due_at", "4000000000.5")
    put(prefix, "session_id", "rfc", "due_at", "2090-01-01T00:00:00Z")
    put(prefix, "session_id", "unix")
    bad = put(prefix, "session_id", "not an ID")
    put(prefix, "id", "a")
    put(prefix, "session_id", "a", "session_id", "b")
    put(prefix, "session_id", "a", "due_at", "tomorrow")
    put(prefix, "session_id", "archal_ws_secret")
    assert await queue.maintain(1e9) == 0
    stats = await queue.stats()
    assert (stats.accepted, stats.duplicate, stats.invalid, stats.delayed) == (2, 1, 5, 2)
    item = await queue.show(SessionId("unix"))
    assert item is not None
    assert (item.due_at, item.source, item.state) == (4_000_000_000.5, "inbox", State.SCHEDULED)
    lines = shared_server().ask("LRANGE", f"{{{prefix}}}:lines", "0", "-1")
    assert bad in lines
    assert "archal_ws_***" in lines
    assert "secret" not in lines
    assert (await queue.audit()).balanced
    await queue.close()


@pytest.mark.parametrize("due_at", ["nan", "inf", "-1", "1e9", "", "1.2.3", "٣", "9" * 400])
def test_a_due_time_that_is_none_is_invalid_never_now(due_at: str) -> None:
    with pytest.raises(ValueError, match="due_at"):
        parse_entry(["session_id", "a", "due_at", due_at])


async def test_next_at_and_sets_see_the_inbox(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    assert await queue.next_at() is None
    put(prefix, "session_id", "a")
    assert await queue.next_at() is not None
    put(prefix, "session_id", "b")
    assert await queue.new_set().include_due() == 2
    await queue.close()


async def test_what_a_dead_reader_left_is_taken_in_and_what_was_deleted_is_counted_as_lost(prefix: str) -> None:
    reader, queue = connected(shared_server().url(prefix)), await opened(shared_server().url(prefix))
    put(prefix, "session_id", "left")
    gone = put(prefix, "session_id", "gone")
    assert len(await reader.run(load("inbox_read"), 30_000, 500)) == 2
    assert await queue.claim(5, lease_s=60) == [], "not before it counts as left behind"
    assert shared_server().ask("XDEL", f"{{{prefix}}}:inbox", gone) == ":1\r\n"
    assert await Inbox(reader, abandoned_s=0.0).drain() == 1
    await reader.close()
    assert [lease.session_id for lease in await queue.claim(5, lease_s=60)] == ["left"]
    audit = await queue.audit()
    assert [(line.left, line.right) for line in audit.lines if not line.balanced] == [(1, 0)]
    await queue.close()


async def test_words_for_no_value_and_times_beyond_the_calendar(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    put(prefix, "session_id", "null")
    put(prefix, "session_id", "None", "due_at", "1893499200")
    put(prefix, "session_id", "far", "due_at", "99999999999999999")
    assert await queue.claim(5, lease_s=60) == []
    stats = await queue.stats()
    assert (stats.accepted, stats.invalid, stats.delayed) == (1, 2, 1)
    item = await queue.show(SessionId("far"))
    assert item is not None
    assert item.due_at == LAST_INSTANT
    await queue.close()


async def test_readers_of_one_inbox_take_each_entry_once(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    readers = [connected(shared_server().url(prefix)) for _ in range(3)]
    for number in range(700):
        put(prefix, "session_id", f"s{number}")
    # With nothing to wait for, each takes over what the others are just reading.
    drains = (Inbox(reader, abandoned_s=0.0).drain() for reader in readers for _ in range(3))
    assert sum(await asyncio.gather(*drains)) == 700
    stats = await queue.stats()
    assert (stats.accepted, stats.duplicate) == (700, 0)
    for reader in readers:
        await reader.close()
    await queue.close()


async def test_the_group_begins_at_the_streams_first_entry_even_when_another_made_the_stream_anew(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    put(prefix, "session_id", "a")
    assert await queue.next_at() is not None
    assert shared_server().ask("XGROUP", "DESTROY", f"{{{prefix}}}:inbox", "reaper") == ":1\r\n"
    put(prefix, "session_id", "b")
    assert [lease.session_id for lease in await queue.claim(5, lease_s=60)] == ["a", "b"]
    await queue.close()


async def test_what_is_deleted_before_it_was_taken_in_never_goes_unnoticed_even_by_a_living_reader(prefix: str) -> None:
    reader, queue = connected(shared_server().url(prefix)), await opened(shared_server().url(prefix))
    gone = [put(prefix, "session_id", f"s{number}") for number in range(3)]
    await reader.run(load("inbox_read"), 30_000, 500)
    assert shared_server().ask("XDEL", f"{{{prefix}}}:inbox", *gone) == ":3\r\n"
    for _ in range(2):
        await Inbox(reader, abandoned_s=0.0).drain()
        audit = await queue.audit()
        assert [(line.left, line.right) for line in audit.lines if not line.balanced] == [(3, 0)]
    await reader.close()
    await queue.close()


async def test_entries_without_a_due_time_live_as_long_as_is_set(prefix: str) -> None:
    queue, _, _ = await open_redis(
        shared_server().url(prefix),
        create=True,
        read_only=False,
        worker=True,
        positions=lambda identity: KeptPositions(),
        inbox_after_s=3600.0,
    )
    put(prefix, "session_id", "later")
    put(prefix, "session_id", "now", "due_at", "1")
    assert [lease.session_id for lease in await queue.claim(5, lease_s=60)] == ["now"]
    item = await queue.show(SessionId("later"))
    assert item is not None
    assert 3590 < item.due_at - item.added_at < 3610
    await queue.close()


async def test_more_entries_than_one_portion_are_taken_in(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    script = "for i = 1, 1700 do redis.call('XADD', KEYS[1], '*', 'session_id', 's' .. i) end"
    shared_server().ask("EVAL", script, "1", f"{{{prefix}}}:inbox")
    await queue.maintain(1e9)
    assert (await queue.stats()).accepted == 1700
    assert (await queue.audit()).balanced
    await queue.close()


async def test_one_drain_takes_so_many_and_leaves_the_rest_to_the_next(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "AT_ONCE", 2)
    monkeypatch.setattr(inbox, "ROUNDS", 2)
    queue = await opened(shared_server().url(prefix))
    for name in "abcde":
        put(prefix, "session_id", name)
    connection = connected(shared_server().url(prefix))
    assert [await Inbox(connection).drain() for _ in range(3)] == [4, 1, 0]
    await connection.close()
    assert (await queue.stats()).accepted == 5
    await queue.close()


async def test_what_was_claimed_before_the_inbox_failed_is_not_lost(
    prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = await opened(shared_server().url(prefix))
    await queue.add(ids("a"))
    put(prefix, "session_id", "b")

    async def away(_: Inbox) -> int:
        raise QueueUnavailableError("away")

    monkeypatch.setattr(Inbox, "drain", away)
    assert [lease.session_id for lease in await queue.claim(5, lease_s=60)] == ["a"]
    with pytest.raises(QueueUnavailableError):
        await queue.claim(5, lease_s=60)
    monkeypatch.undo()
    assert [lease.session_id for lease in await queue.claim(5, lease_s=60)] == ["b"]
    await queue.close()


async def test_an_entry_that_breaks_the_parser_stops_no_other(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = await opened(shared_server().url(prefix))

    def break_on(text: str) -> SessionId:
        if text == "odd":
            raise ZeroDivisionError("nobody foresaw this")
        return check_id(text)

    monkeypatch.setattr("reaper.queues.redis.inbox.check_id", break_on)
    for one in ("a", "odd", "b"):
        put(prefix, "session_id", one)
    assert [lease.session_id for lease in await queue.claim(5, lease_s=60)] == ["a", "b"]
    assert (await queue.stats()).invalid == 1
    await queue.close()
