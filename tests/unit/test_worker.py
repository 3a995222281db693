"""The worker in virtual time, over the in-memory queue and an API that is a function."""

from __future__ import annotations

import anyio
import pytest

from reaper.core.errors import Exit
from reaper.core.gate import Gate
from reaper.core.model import (
    Answered,
    Outcome,
    Pause,
    PauseReason,
    Reply,
    Send,
    SessionId,
    Settle,
)
from tests.support.queues.harness import ended
from tests.support.queues.memory import MemoryQueue
from tests.support.worker import BAD, GONE, LIST, RESET, STOPPED, well, world

pytestmark = pytest.mark.anyio


async def test_stops_all_within_the_bound() -> None:
    w = await world(20, well)
    summary = await w.run()
    assert summary.exit is Exit.OK
    assert summary.view.settled == {Outcome.STOPPED: 20}
    assert w.api.peak == 4
    assert set(w.api.sent.values()) == {1}
    assert summary.duration_s == pytest.approx(0.5, abs=0.1)
    assert (await w.queue.audit()).balanced


async def test_reads_before_it_sends() -> None:
    w = await world(1, well)
    await w.run()
    assert len(w.api.reads) == 1
    assert w.api.reads[0] <= w.api.at[0]


async def test_a_lost_answer_ends_in_already_gone() -> None:
    async def answer(_: SessionId, nth: int) -> Reply:
        return RESET if nth == 1 else GONE

    w = await world(1, answer)
    await w.run()
    item = await w.queue.show(SessionId("s0"))
    assert item is not None
    assert (item.outcome, item.detail, item.attempts) == (Outcome.ALREADY_GONE, "after_ambiguous", 2)


async def test_drain_lets_sends_end_and_releases_the_rest() -> None:
    w = await world(50, well, latency_s=5.0)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(2)
        w.worker.drain()
    assert len(w.journal.outcomes) == 4
    assert w.api.in_flight == 0
    stats = await w.queue.stats()
    assert (stats.ready, stats.in_flight) == (46, 0)


async def test_drain_releases_sends_that_hang() -> None:
    w = await world(5, well, latency_s=1000.0)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(2)
        begun = anyio.current_time()
        w.worker.drain()
    assert anyio.current_time() - begun == pytest.approx(25, abs=1)
    assert (await w.queue.stats()).ready == 5
    item = await w.queue.show(SessionId("s0"))
    assert item is not None
    assert (item.attempts, item.sends, item.unanswered) == (0, 1, 0)


async def test_abort_releases_everything_at_once() -> None:
    w = await world(5, well, latency_s=1000.0)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(2)
        begun = anyio.current_time()
        w.worker.abort()
    assert anyio.current_time() - begun < 1
    assert (await w.queue.stats()).ready == 5


async def test_a_refused_token_ends_once_with_77_and_charges_nothing() -> None:
    async def answer(_: SessionId, __: int) -> Reply:
        return Answered(401, b"{}", 0.0)

    w = await world(20, answer)
    w.api.listing = LIST
    summary = await w.run()
    assert summary.exit is Exit.CREDENTIALS
    assert summary.view.open == 20
    assert w.journal.pauses[0] == "+credentials"
    assert all(item.attempts == 0 for item in [await w.queue.show(SessionId(f"s{i}")) for i in range(20)] if item)


async def test_a_new_token_ends_the_pause() -> None:
    async def answer(_: SessionId, __: int) -> Reply:
        return STOPPED if w.token.generation else Answered(401, b"{}", 0.0)

    w = await world(20, answer)
    async with anyio.create_task_group() as group:
        group.start_soon(w.run)
        await anyio.sleep(3)
        w.token.changed = True
    assert {outcome for _, outcome in w.journal.outcomes} == {Outcome.STOPPED}
    assert len(w.journal.outcomes) == 20
    assert w.journal.pauses == ["+credentials", "-credentials."]


async def test_an_outage_charges_little_and_is_waited_for() -> None:
    async def answer(_: SessionId, __: int) -> Reply:
        return BAD if anyio.current_time() - begun < 40 else STOPPED

    w = await world(100, answer, bound=8)
    begun = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(w.run)
        await anyio.sleep(0.05)
        w.api.listing = BAD
        await anyio.sleep(40)
        during = sum(w.api.sent.values())
        w.api.listing = LIST
    assert during <= 5 + 8
    assert len(w.journal.outcomes) == 100
    assert {outcome for _, outcome in w.journal.outcomes} == {Outcome.STOPPED}


async def test_an_operators_pause_ends_once_with_75() -> None:
    w = await world(3, well)
    await w.queue.pause(Pause(PauseReason.OPERATOR, anyio.current_time(), "maintenance"))
    summary = await w.run()
    assert (summary.exit, summary.view.open, sum(w.api.sent.values())) == (Exit.WORK_LEFT, 3, 0)


async def test_an_operators_pause_holds_from_the_first_claim_on() -> None:
    """Also where no read comes first: the queue is asked before anything is claimed."""
    w = await world(50, well)
    w.worker.gate = Gate(4, verify=False)
    await w.queue.pause(Pause(PauseReason.OPERATOR, anyio.current_time(), "maintenance"))
    summary = await w.run()
    assert (summary.view.open, sum(w.api.sent.values())) == (50, 0)


async def test_what_ended_a_run_early_is_told_only_if_something_is_left() -> None:
    w = await world(2, well)
    async with anyio.create_task_group() as group:

        async def told_to_stop() -> None:
            await anyio.sleep(0.05)
            w.worker.drain()

        group.start_soon(told_to_stop)
        summary = await w.run()
    assert (summary.exit, summary.why) == (Exit.OK, None)


async def test_what_waits_for_a_connection_when_a_silence_begins_is_not_sent() -> None:
    """All are sent at once on new connections; the first one that is open is answered with 429."""
    throttled = Answered(429, b'{"error": "slow down"}', 0.1, retry_after="30", date=None)

    async def answer(session_id: SessionId, nth: int) -> Reply:
        return throttled if session_id == "s0" and nth == 1 else STOPPED

    w = await world(4, answer, waits_s=lambda session_id: 0.0 if session_id == "s0" else 0.5)
    begun = anyio.current_time()
    summary = await w.run()
    assert summary.exit is Exit.OK
    assert [session_id for session_id, sends in w.api.sent.items() if sends > 1] == ["s0"]
    first, *later = w.api.at
    assert first - begun < 1
    assert min(later) > first + 30
    assert w.worker.sends == sum(w.api.sent.values()) == 5
    assert w.worker.retries == 1
    assert w.worker.gate.in_flight == 0
    for name, sends in (("s0", 2), ("s1", 1), ("s2", 1), ("s3", 1)):
        item = await w.queue.show(SessionId(name))
        assert item is not None
        assert (item.sends, item.attempts, item.outcome) == (sends, 1, Outcome.STOPPED)


async def test_a_retry_due_later_than_wait_is_left() -> None:
    async def answer(one: SessionId, _: int) -> Reply:
        return BAD if one == "s0" else STOPPED

    w = await world(3, answer, retry_s=3.0)
    summary = await w.run()
    assert (summary.exit, summary.view.open) == (Exit.WORK_LEFT, 1)
    assert 2 <= w.api.sent[SessionId("s0")] <= 5


async def test_a_late_settle_is_refused() -> None:
    """The lease ran out during the send and another process claimed the ID: this one's answer changes nothing."""

    async def answer(_: SessionId, __: int) -> Reply:
        other = MemoryQueue(w.queue.store, clock=anyio.current_time)
        (lease,) = await other.claim(1, lease_s=60)
        assert await ended(other, lease, Settle(Outcome.REJECTED), Send(0, 0, status=400))
        return STOPPED

    w = await world(1, answer, bound=1, latency_s=130.0)
    await w.run()
    assert w.journal.lost == ["s0"]
    assert w.journal.outcomes == []
    item = await w.queue.show(SessionId("s0"))
    assert item is not None
    assert item.outcome is Outcome.REJECTED


async def test_an_id_whose_sends_vanish_is_given_up() -> None:
    w = await world(1, well)
    for _ in range(25):
        doomed = MemoryQueue(w.queue.store, clock=anyio.current_time)
        assert await doomed.claim(1, lease_s=60)
        w.queue.store.mark_dead(doomed.owner)
        await w.queue.maintain(1e9)
    summary = await w.run()
    assert summary.view.settled == {Outcome.EXHAUSTED: 1}
    assert w.api.sent == {}


async def test_a_worker_that_has_not_begun_is_not_stalled() -> None:
    """Monotonic time begins at the machine's start, days ago."""
    await anyio.sleep(86_400)
    w = await world(0, well)
    assert w.worker.stalled_s == 0
    await anyio.sleep(40)
    assert w.worker.stalled_s == 40
    w.worker.drain()
    assert w.worker.stalled_s == 0, "a drain is a reason not to claim"
