"""The Redis queue against a real server: what its scripts cost, what the audit notices, where positions are kept."""

from __future__ import annotations

import asyncio
import re
import tracemalloc
from dataclasses import replace

import pytest

from reaper.core.errors import QueueError
from reaper.core.model import Lease, LeaseResult, Outcome, Send, Settle
from reaper.queues.base import MAX_RESULTS, Queue
from reaper.queues.redis import operators
from reaper.queues.redis.maintenance import MAX_PRUNED
from reaper.queues.redis.open import open_redis
from reaper.queues.selection import PAGE_ROWS
from reaper.queues.values import Position
from tests.support.eventually import eventually_async
from tests.support.queues.harness import ended
from tests.support.queues.redis_cutter import Cutter
from tests.support.queues.redis_server import KeptPositions, RedisServer, ids, opened, shared_server

pytestmark = pytest.mark.anyio

STOPPED = Settle(Outcome.STOPPED)
NO_CONTENT = Send(1.0, 0.25, 204)


async def test_scripts_that_the_server_forgot_are_loaded_again(own_server: RedisServer) -> None:
    queue = await opened(own_server.url())
    await queue.add(ids("a"))
    assert own_server.ask("SCRIPT", "FLUSH") == "+OK\r\n"
    await queue.add(ids("b"))
    assert (await queue.stats()).ready == 2
    await queue.close()


async def test_ends_that_come_together_are_one_script(own_server: RedisServer) -> None:
    def scripts() -> int:
        found = re.search(r"cmdstat_evalsha:calls=(\d+)", own_server.ask("INFO", "commandstats"))
        return int(found[1]) if found else 0

    queue = await opened(own_server.url())
    await queue.add(ids(*(f"s{number}" for number in range(MAX_RESULTS))))
    leases = await queue.claim(MAX_RESULTS, lease_s=60)
    before = scripts()
    assert await queue.apply([LeaseResult(lease, STOPPED, NO_CONTENT) for lease in leases]) == [True] * MAX_RESULTS
    assert scripts() - before == 1
    await queue.close()


async def test_two_reapers_never_hold_one_id_at_once(prefix: str) -> None:
    queues = [await opened(shared_server().url(prefix)) for _ in range(3)]
    await queues[0].add(ids(*(f"s{number}" for number in range(400))))
    claims = await asyncio.gather(*(queue.claim(7, lease_s=60) for _ in range(30) for queue in queues))
    held = [lease.session_id for claim in claims for lease in claim]
    assert len(held) == len(set(held)) == 400
    for queue in queues:
        await queue.close()


@pytest.mark.parametrize(
    "damage",
    [
        ("HSET", "id:stopped", "h0", "1.0 0.25 502"),
        ("HDEL", "id:stopped", "h0"),
        ("HSET", "id:stopped", "out", "protected"),
        ("HSET", "id:waiting", "due", "17"),
        ("HSET", "id:waiting", "snd", "1"),
        ("HSET", "id:held", "until", "17"),
        ("DEL", "id:waiting"),
        ("ZREM", "out:stopped", "000000000001stopped"),
        ("ZREM", "first", "000000000003waiting"),
        ("ZREM", "lease", "000000000002held"),
        ("HINCRBY", "counters", "accepted", "1"),
        ("HINCRBY", "counters", "settled.stopped", "-1"),
    ],
)
async def test_the_audit_notices_whatever_somebody_changed_by_hand(prefix: str, damage: tuple[str, ...]) -> None:
    queue = await opened(shared_server().url(prefix))
    await queue.add(ids("stopped", "held", "waiting"))
    stopped, _ = await queue.claim(2, lease_s=60)
    assert await ended(queue, stopped, STOPPED, NO_CONTENT)
    assert (await queue.audit()).balanced
    command, key, *more = damage
    assert shared_server().ask(command, f"{{{prefix}}}:{key}", *more).startswith(":")
    assert not (await queue.audit()).balanced
    await queue.close()


async def test_a_row_that_the_server_dropped_is_still_stopped(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    await queue.add(ids("a", "b"))
    assert shared_server().ask("DEL", f"{{{prefix}}}:id:a") == ":1\r\n"
    for lease in await queue.claim(5, lease_s=60):
        assert await ended(queue, lease, STOPPED, NO_CONTENT)
    assert [item.session_id async for item in queue.outcomes()] == ["a", "b"]
    await queue.close()


@pytest.mark.untraced  # much work, which a tracer slows
async def test_memory_per_id_is_as_documented(own_server: RedisServer) -> None:
    def used() -> int:
        found = re.search(r"used_memory:(\d+)", own_server.ask("INFO", "memory"))
        assert found
        return int(found[1])

    queue = await opened(own_server.url())
    await queue.add(ids("warm-up"))
    empty, many = used(), 20_000
    names = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in range(many)]
    for start in range(0, many, 5_000):
        await queue.add(ids(*names[start : start + 5_000]))
    waiting = (used() - empty) / many
    send = Send(1_764_000_000.123456, 0.5123456, 204, request_id="0af7651916cd43dd8448eb211c80319c")
    while leases := await queue.claim(MAX_RESULTS, lease_s=60):
        await queue.apply([LeaseResult(lease, STOPPED, send) for lease in leases])
    settled = (used() - empty) / many
    print(f"bytes per ID: waiting {waiting:.0f}, settled {settled:.0f}")
    assert waiting < 512
    assert settled < 768
    await queue.close()


async def settle_all(queue: Queue) -> None:
    while leases := await queue.claim(MAX_RESULTS, lease_s=60):
        await queue.apply([LeaseResult(lease, STOPPED, NO_CONTENT) for lease in leases])


async def test_a_step_costs_what_its_batch_is_however_deep_the_queue(own_server: RedisServer) -> None:
    queue = await opened(own_server.url())

    def commands() -> int:
        return sum(
            map(int, re.findall(r"cmdstat_(?!config|info)\S+?:calls=(\d+)", own_server.ask("INFO", "commandstats")))
        )

    async def cost() -> list[int]:
        costs = []
        leases: list[Lease] = []
        for step in range(4):
            before = commands()
            match step:
                case 0:
                    leases += await queue.claim(10, lease_s=60)
                case 1:
                    await asyncio.gather(*(ended(queue, lease, STOPPED, NO_CONTENT) for lease in leases))
                case 2:
                    await queue.next_at()
                case _:
                    await queue.maintain(1e9)
            costs.append(commands() - before)
        return costs

    await queue.add(ids(*(f"a{number}" for number in range(20))))
    await cost()
    shallow = await cost()
    for start in range(0, 20_000, 5_000):
        await queue.add(ids(*(f"b{number}" for number in range(start, start + 5_000))))
    assert await cost() == shallow
    await queue.close()


@pytest.mark.untraced  # much work, which a tracer slows
async def test_outcomes_come_in_pages_and_memory_stays_flat(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))

    async def read() -> tuple[int, int]:
        tracemalloc.start()
        seen = 0
        async for _ in queue.outcomes():
            seen += 1
        _, most_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return seen, most_bytes

    await queue.add(ids(*(f"a{number:05}" for number in range(PAGE_ROWS))))
    await settle_all(queue)
    await read()
    few, few_bytes = await read()
    await queue.add(ids(*(f"b{number:05}" for number in range(5 * PAGE_ROWS))))
    await settle_all(queue)
    many, many_bytes = await read()
    assert (few, many) == (PAGE_ROWS, 6 * PAGE_ROWS)
    assert many_bytes < 1.5 * few_bytes
    await queue.close()


async def test_settled_rows_are_pruned_a_portion_at_a_time(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    await queue.add(ids(*(f"s{number}" for number in range(MAX_PRUNED + 200))))
    await settle_all(queue)
    await queue.add(ids("dead"))
    (lease,) = await queue.claim(1, lease_s=60)
    assert await ended(queue, lease, Settle(Outcome.FORBIDDEN), Send(1.0, 0.25, 403))
    left = []
    for _ in range(3):
        await queue.maintain(0.0)
        left.append(len([item async for item in queue.outcomes()]))
    assert left == [201, 1, 1], "dead letters are never pruned"
    assert (await queue.audit()).balanced
    rows = shared_server().ask("EVAL", "return #redis.call('KEYS', ARGV[1])", "0", f"{{{prefix}}}:id:*")
    assert rows == ":1\r\n"
    await queue.close()


async def test_positions_are_kept_on_this_machine_under_the_queues_own_name(own_server: RedisServer) -> None:
    machine: dict[str, KeptPositions] = {}

    async def on_this_machine() -> tuple[Queue, bool]:
        queue, begun, _ = await open_redis(
            own_server.url(),
            create=True,
            read_only=False,
            worker=True,
            positions=lambda identity: machine.setdefault(identity, KeptPositions()),
        )
        return queue, begun

    place = Position("/in/x", 7, 11, 64, "aa", 100, 4)
    queue, begun = await on_this_machine()
    assert begun
    await queue.add(replace(ids("a"), position=place))
    again, begun = await on_this_machine()
    assert not begun
    assert await again.positions() == [place]
    await again.close()
    await queue.close()
    await queue.close()
    assert [store.closed for store in machine.values()] == [2], "each process closes it once"
    assert own_server.ask("FLUSHALL") == "+OK\r\n"
    anew, begun = await on_this_machine()
    assert begun
    assert await anew.positions() == [], "its files are read anew"
    assert len(machine) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", identity) for identity in machine)
    await anew.close()


async def test_a_position_is_written_after_its_rows(prefix: str) -> None:
    seen: list[int] = []

    class Full(KeptPositions):
        async def save(self, position: Position) -> None:
            seen.append((await looking.stats()).ready)
            raise QueueError("no room on this machine")

    looking = await opened(shared_server().url(prefix))
    queue, _, _ = await open_redis(
        shared_server().url(prefix), create=True, read_only=False, worker=True, positions=lambda identity: Full()
    )
    with pytest.raises(QueueError, match="no room"):
        await queue.add(replace(ids("a"), position=Position("/in/x", 7, 11, 64, "aa", 100, 4)))
    assert seen == [1]
    assert await queue.positions() == []
    assert (await queue.audit()).balanced
    await queue.close()
    await looking.close()


async def test_a_settled_row_that_the_server_dropped_is_left_out(prefix: str) -> None:
    queue = await opened(shared_server().url(prefix))
    await queue.add(ids("a", "b"))
    await settle_all(queue)
    assert shared_server().ask("DEL", f"{{{prefix}}}:id:a") == ":1\r\n"
    assert [item.session_id async for item in queue.outcomes()] == ["b"]
    assert not (await queue.audit()).balanced, "and it is missed"
    await queue.close()


async def test_rows_are_made_due_a_portion_at_a_time(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "MAX_CHANGED", 2)
    queue = await opened(shared_server().url(prefix))
    await queue.add(ids("a", "b", "c", "d", "e"), default_after_s=600)
    assert (await queue.stats()).ready == 0
    assert await queue.make_due(retries=False) == 5
    assert (await queue.stats()).ready == 5
    await queue.close()


async def test_a_claim_that_fails_for_nobody_holds_nothing(prefix: str) -> None:
    async with Cutter(shared_server().port) as wire:
        queue = await opened(wire.url(prefix))
        await queue.add(ids("a"))
        wire.cut_questions = True
        claiming = asyncio.create_task(queue.claim(1, lease_s=60))
        await asyncio.sleep(0)
        claiming.cancel()
        await asyncio.wait({claiming})
        assert claiming.cancelled()
        await eventually_async(lambda: wire.cuts)
        wire.cut_questions = False
        assert [lease.sends for lease in await queue.claim(1, lease_s=60)] == [1]
        await queue.close()
