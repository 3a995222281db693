"""The settler in virtual time: what is applied together, what is reported when, and results that the queue refuses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest

from reaper.core.errors import QueueError
from reaper.core.model import Lease, LeaseResult, Outcome, Retry, Send, SessionId, Settle
from reaper.queues.base import MAX_RESULTS
from reaper.queues.values import Batch, NewItem
from reaper.worker.queue_health import QueueHealth
from reaper.worker.settler import (
    BACKPRESSURE_AT,
    BATCH_SIZE,
    BATCH_WAIT_S,
    CHECK_S,
    HURRIED_S,
    MAX_BATCHES_IN_FLIGHT,
    SETTLE_TIMEOUT_S,
    Settler,
)
from tests.support.queues.memory import MemoryQueue
from tests.support.worker import Noted

pytestmark = pytest.mark.anyio

STOPPED = Settle(Outcome.STOPPED)
SENT = Send(0.0, 0.1, status=204)


@dataclass(slots=True)
class Slow:
    """A queue in memory that takes `takes_s` for each apply, refuses one with `bad` in it, and counts."""

    takes_s: float = 0.0
    bad: str = ""
    queue: MemoryQueue = field(default_factory=lambda: MemoryQueue(clock=anyio.current_time))
    sizes: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)
    asked: int = 0
    most_asked: int = 0

    def now(self) -> float:
        return self.queue.now()

    async def apply(self, ends: Sequence[LeaseResult]) -> list[bool]:
        self.sizes.append(len(ends))
        self.at.append(anyio.current_time())
        self.asked += 1
        self.most_asked = max(self.most_asked, self.asked)
        try:
            await anyio.sleep(self.takes_s)
        finally:
            self.asked -= 1
        if any(end.lease.session_id == self.bad for end in ends):
            raise QueueError(f"{self.bad} cannot be written")
        return await self.queue.apply(ends)


@dataclass(slots=True)
class RecordedShutdown:
    """Remembers when the settler aborted the worker."""

    aborted_at: list[float]

    @property
    def is_aborted(self) -> bool:
        return bool(self.aborted_at)

    def abort(self) -> None:
        self.aborted_at.append(anyio.current_time())


@dataclass(slots=True)
class Desk:
    slow: Slow
    settler: Settler
    journal: Noted
    leases: list[Lease]
    aborted_at: list[float]

    def post(self, count: int) -> None:
        for _ in range(count):
            self.settler.post(self.leases.pop(0), STOPPED, SENT)


async def desk(count: int, slow: Slow) -> Desk:
    await slow.queue.add(Batch("test", [NewItem(SessionId(f"s{number}")) for number in range(count)]))
    leases = await slow.queue.claim(count, lease_s=600)
    journal, aborted_at = Noted(), list[float]()
    settler = Settler(
        slow,  # type: ignore[arg-type]  # all that it needs of one
        journal,
        QueueHealth(journal),
        RecordedShutdown(aborted_at),  # type: ignore[arg-type]
        on_settled=lambda: None,
    )
    return Desk(slow, settler, journal, leases, aborted_at)


async def work(d: Desk, count: int, for_s: float) -> None:
    """Post so many at once and be open for so long after that."""
    async with d.settler.open():
        d.post(count)
        await anyio.sleep(for_s)


async def test_enough_go_at_once_and_few_wait_for_company() -> None:
    d = await desk(BATCH_SIZE + 3, Slow())
    async with d.settler.open():
        d.post(BATCH_SIZE)
        await anyio.sleep(BATCH_WAIT_S / 2)
        assert d.slow.sizes == [BATCH_SIZE]
        await anyio.sleep(BATCH_WAIT_S)
        begun = anyio.current_time()
        d.post(2)
        await anyio.sleep(BATCH_WAIT_S / 2)
        d.post(1)
        assert d.slow.sizes == [BATCH_SIZE]
        await anyio.sleep(BATCH_WAIT_S)
    assert d.slow.sizes == [BATCH_SIZE, 3]
    assert d.slow.at[1] - begun == pytest.approx(BATCH_WAIT_S)
    assert len(d.journal.outcomes) == BATCH_SIZE + 3


async def test_a_flush_waits_for_nobody_and_asks_for_no_more_than_an_apply_takes() -> None:
    d = await desk(MAX_RESULTS + 1, Slow(takes_s=0.05))
    async with d.settler.open():
        d.post(MAX_RESULTS + 1)
        d.settler.flush()
        await anyio.sleep(BATCH_WAIT_S / 2)
        assert sorted(d.slow.sizes) == [1, MAX_RESULTS]
        assert d.settler.pending
        await anyio.sleep(0.1)
        assert not d.settler.pending


async def test_nothing_is_told_before_it_is_durable() -> None:
    d = await desk(2, Slow(takes_s=5))
    async with d.settler.open():
        d.post(1)
        await anyio.sleep(4)
        assert d.journal.outcomes == []
        assert d.settler.pending
        await anyio.sleep(2)
        assert len(d.journal.outcomes) == 1
        assert not d.settler.pending


async def test_each_end_is_told_as_what_it_was() -> None:
    d = await desk(3, Slow())
    stopped, lost, again = d.leases
    await d.slow.queue.apply([LeaseResult(lost, STOPPED, SENT)])
    async with d.settler.open():
        for lease, decision in ((stopped, STOPPED), (lost, STOPPED), (again, Retry(5.0))):
            d.settler.post(lease, decision, None if decision is not STOPPED else SENT)
    assert d.journal.outcomes == [(stopped.session_id, Outcome.STOPPED)]
    assert d.journal.lost == [lost.session_id]
    assert d.journal.unsent == 1


async def test_one_that_cannot_be_written_keeps_no_other_from_it() -> None:
    d = await desk(5, Slow(bad="s3"))
    with pytest.raises(QueueError, match="s3 cannot be written"):
        await work(d, 5, 0)
    assert sorted(name for name, _ in d.journal.outcomes) == ["s0", "s1", "s2", "s4"]
    assert len(d.aborted_at) == 1, "the worker is aborted"


async def test_a_queue_that_hangs_is_given_up_after_a_while() -> None:
    d = await desk(2, Slow(takes_s=1000))
    begun = anyio.current_time()
    with pytest.raises(QueueError, match="did not take an outcome within 15 s; it stays open"):
        await work(d, 2, 30)
    assert d.aborted_at[0] - begun == pytest.approx(SETTLE_TIMEOUT_S + BATCH_WAIT_S, abs=CHECK_S)
    assert d.journal.outcomes == []


async def test_a_queue_that_hangs_is_given_up_soon_when_the_worker_is_to_end_at_once() -> None:
    d = await desk(1, Slow(takes_s=1e6))
    begun = anyio.current_time()
    d.aborted_at.append(begun)
    with pytest.raises(QueueError, match="did not take an outcome within 3 s; it stays open"):
        await work(d, 1, 1.0)
    assert anyio.current_time() - begun == pytest.approx(HURRIED_S + BATCH_WAIT_S, abs=CHECK_S)
    assert d.journal.unwritten == ["s0"]


async def test_a_slow_queue_is_asked_for_larger_batches_and_not_for_more_of_them() -> None:
    d = await desk(2000, Slow(takes_s=1))
    async with d.settler.open():
        for _ in range(100):
            d.post(20)
            d.settler.flush()
            await anyio.sleep(0.1)
        assert d.slow.most_asked == MAX_BATCHES_IN_FLIGHT
        assert max(d.slow.sizes) > BATCH_SIZE
    assert len(d.journal.outcomes) == 2000
    assert not d.aborted_at


async def test_too_much_that_waits_is_told() -> None:
    d = await desk(BACKPRESSURE_AT + MAX_BATCHES_IN_FLIGHT * MAX_RESULTS, Slow(takes_s=1))
    async with d.settler.open():
        d.settler.flush()
        d.post(MAX_BATCHES_IN_FLIGHT * MAX_RESULTS)
        d.settler.flush()
        d.post(BACKPRESSURE_AT - 1)
        assert not d.settler.behind
        d.post(1)
        assert d.settler.behind
        await anyio.sleep(1.5)
        assert not d.settler.behind


async def test_after_a_long_outage_each_batch_has_its_whole_time_again() -> None:
    d = await desk(3, Slow())
    with suppress(QueueError):
        async with d.settler.open():
            d.slow.queue.store.away = True
            d.post(3)
            await anyio.sleep(SETTLE_TIMEOUT_S * 2)
            d.slow.queue.store.away, d.slow.takes_s = False, SETTLE_TIMEOUT_S / 2
            d.settler.queue_health.mark_available()
            await anyio.sleep(SETTLE_TIMEOUT_S * 2)
    assert not d.aborted_at
    assert len(d.journal.outcomes) == 3


async def test_a_cancellation_from_outside_ends_nothing_that_was_posted() -> None:
    d = await desk(3, Slow(takes_s=2))
    with anyio.move_on_after(1) as scope:
        async with d.settler.open():
            d.post(2)
            try:
                await anyio.sleep(100)
            finally:
                d.post(1)
    assert scope.cancelled_caught
    assert len(d.journal.outcomes) == 3


@pytest.mark.parametrize("away", [False, True])
async def test_what_is_given_up_under_a_cancellation_is_told_too(away: bool) -> None:
    d = await desk(1, Slow(takes_s=0 if away else 1000))
    d.slow.queue.store.away = away
    begun = anyio.current_time()
    with pytest.raises(QueueError, match="stays open and is sent again"), anyio.move_on_after(1):
        await work(d, 1, 100)
    assert anyio.current_time() - begun < (3 if away else SETTLE_TIMEOUT_S + 2)
