"""The reads that compare answers of 404 with the list: how many, how soon, and what waits for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import anyio
import pytest

from reaper.core.allowance import UNPROVEN_KEY, read_unproven
from reaper.core.classify import LIST_BODY_BYTES
from reaper.core.errors import Exit
from reaper.core.model import (
    Answered,
    Failed,
    Fault,
    LeaseResult,
    Outcome,
    Pause,
    PauseReason,
    Reply,
    SessionId,
)
from reaper.worker.comparison import KEY, Comparison, has_unproven
from tests.support.behind_gateway import behind, names, rerun
from tests.support.gateway import NO_ROUTE, Gateway
from tests.support.worker import STOPPED, well, world

pytestmark = pytest.mark.anyio


def until(at: float) -> Callable[[int], bool]:
    return lambda _: anyio.current_time() < at


async def test_a_backlog_that_is_gone_is_booked_as_fast_as_it_is_answered() -> None:
    gateway = Gateway(set())
    w = await behind(gateway, 3000, bound=64)
    summary = await w.run()
    assert summary.view.settled == {Outcome.ALREADY_GONE: 3000}
    assert set(w.api.sent.values()) == {1}
    assert summary.duration_s < 3000 / 64 * 0.1 * 1.1
    assert len(w.api.reads) < 25


async def test_a_healthy_run_reads_once() -> None:
    gateway = Gateway(names(1000))
    w = await behind(gateway, 1000, bound=64)
    assert (await w.run()).exit is Exit.OK
    assert len(w.api.reads) == 1


async def test_a_healthy_run_is_spared_the_reading_of_its_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(body: bytes) -> frozenset[str]:
        raise AssertionError("there is nothing to compare")

    monkeypatch.setattr("reaper.worker.list_reads.ids_alive", read)
    w = await behind(Gateway(names(10)), 10)
    assert (await w.run()).exit is Exit.OK


async def test_a_healthy_run_keeps_up_to_when_it_compared_so_that_no_run_asks_for_all_since_the_first() -> None:
    w = await behind(Gateway(names(3)), 1)
    for n in (1, 2, 3):
        w = await rerun(w, n)
        assert (await w.run()).exit is Exit.OK
        assert w.queue.now() - float(await w.queue.read_value(KEY) or "nan") < 60
        await anyio.sleep(86_400)


@pytest.mark.parametrize("n", [8, 60])
async def test_what_comes_while_a_list_seems_not_to_be_needed_waits_for_the_next_one(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_list = Comparison.needs_list
    answers = []

    async def slowly(self: Comparison, began: float) -> bool:
        answers.append(await needs_list(self, began))
        await anyio.sleep(1.0)
        return answers[-1]

    gateway = Gateway(names(n), list_is_behind_it=False)
    w = await behind(gateway, n, bound=8)
    monkeypatch.setattr(Comparison, "needs_list", slowly)
    began = anyio.current_time()
    gateway.broken = until(began + 20.0)
    w.worker.gate.allowance.limit = 0
    assert (await w.run()).exit is Exit.OK
    assert False in answers
    assert gateway.live == set()
    assert w.journal.queue == [], "nothing was booked that had to be re-opened"


async def test_a_backlog_of_which_a_third_lives_needs_few_reads() -> None:
    gateway = Gateway(set(Random(1).sample(sorted(names(3000)), 1000)))
    w = await behind(gateway, 3000, bound=64)
    assert (await w.run()).view.settled == {Outcome.STOPPED: 1000, Outcome.ALREADY_GONE: 2000}
    assert len(w.api.reads) < 8


async def test_a_daemon_compares_within_a_minute_though_others_are_stopped() -> None:
    gateway = Gateway({"s0", "s1"}, list_is_behind_it=False)
    stop = anyio.Event()

    async def idle(paused: bool) -> float | None:
        return None if stop.is_set() else 1.0

    async def answer(session_id: SessionId, nth: int) -> Reply:
        return NO_ROUTE if session_id == "s0" and anyio.current_time() < began + 30 else STOPPED

    w = await world(2, answer, lists=gateway.lists, idle=idle)
    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(40)
        assert len(w.api.reads) == 1
        await anyio.sleep(25)
        item = await w.queue.show(SessionId("s0"))
        assert item is not None
        assert (item.round, item.outcome, w.api.sent[SessionId("s0")]) == (2, Outcome.STOPPED, 2)
        gateway.live = set()
        stop.set()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Answered(500, b"", 0.0), "api_down"),
        (Failed(Fault.CONNECT, False, "refused", 0.0), "api_down"),
        (Answered(401, b"", 0.0), "credentials"),
        (NO_ROUTE, "wrong_target"),
    ],
)
async def test_a_read_that_fails_pauses_as_identity_says_and_books_nothing_more(reply: Reply, reason: str) -> None:
    gateway = Gateway(set())
    w = await behind(gateway, 100, bound=16)
    began = anyio.current_time()
    w.api.lists = lambda: reply if 0.05 < anyio.current_time() - began < 10.0 else gateway.lists()
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(9)
        assert w.journal.pauses == [f"+{reason}"]
        assert (await w.queue.stats()).settled.get(Outcome.ALREADY_GONE, 0) <= 5
        assert (await w.queue.stats()).in_flight == 0
    assert len(dict(w.journal.outcomes)) == 100
    assert all(item.attempts == 1 for item in [i async for i in w.queue.outcomes()])


async def test_a_drain_releases_the_answers_that_wait() -> None:
    w = await behind(Gateway(set()), 50, bound=16)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(0.05)
        w.api.read_s = 1000.0
        await anyio.sleep(3)
        assert len(w.journal.outcomes) == 5
        assert (await w.queue.stats()).in_flight > 0
        w.worker.drain()
    stats = await w.queue.stats()
    assert (stats.in_flight, stats.ready + stats.delayed) == (0, 45)
    assert (await w.queue.audit()).balanced


async def test_an_answer_waits_no_longer_than_its_lease() -> None:
    w = await behind(Gateway(set()), 50, bound=16)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(0.05)
        w.api.read_s = 1000.0
        await anyio.sleep(119)
        assert len(w.api.sent) == 50, "released before the lease of 120 s was over: others had their turn"
        w.worker.drain()
    assert w.journal.lost == []
    assert len(w.journal.outcomes) == 5


async def test_without_reads_they_are_booked_as_they_come_and_a_warning_says_so() -> None:
    w = await world(600, Gateway(set()).stop, bound=16, verify=False)
    summary = await w.run()
    assert summary.view.settled == {Outcome.ALREADY_GONE: 600}
    assert w.api.reads == []
    assert w.journal.queue == ["unproven: 500"]
    assert summary.unproven == 600
    assert 500 <= read_unproven(await w.queue.read_value(UNPROVEN_KEY)) <= 600
    again = await world(1, well, store=w.queue.store)
    await again.run()
    assert await w.queue.read_value(UNPROVEN_KEY) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"sessions":[{"sessionId":"s1","status":"running"},' + b" " * (LIST_BODY_BYTES - 51),
        b'{"sessions":[],"nextCursor":"c2"}',
    ],
    ids=["too long", "more pages"],
)
async def test_a_list_that_cannot_be_read_whole_proves_the_api_and_compares_nothing(body: bytes) -> None:
    w = await world(30, Gateway(set()).stop, listing=Answered(200, body, 0.0))
    summary = await w.run()
    assert summary.view.settled == {Outcome.ALREADY_GONE: 30}
    assert w.journal.queue == ["list cut"]


@pytest.mark.parametrize("commit_s", [0.03, 2.0])
@pytest.mark.parametrize("n", [3, 60])
async def test_a_read_waits_for_the_ledger_and_forgets_nothing(
    n: int, commit_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list answers sooner than the ledger commits: what it should have been compared with came later."""
    gateway = Gateway(names(n), list_is_behind_it=False)
    w = await behind(gateway, n)
    began, apply = anyio.current_time(), w.queue.apply
    gateway.broken = until(began + 8.0)

    async def slowly(results: Sequence[LeaseResult]) -> list[bool]:
        await anyio.sleep(commit_s)
        return await apply(results)

    monkeypatch.setattr(w.queue, "apply", slowly)
    assert (await w.run()).exit is Exit.OK
    assert gateway.live == set()


async def test_an_operators_pause_says_nothing_of_what_a_read_has_confirmed() -> None:
    gateway = Gateway(set())
    w = await behind(gateway, 1)
    assert (await w.run()).exit is Exit.OK
    await w.queue.reopen([SessionId("s0")], reason="why", by="me", only=frozenset({Outcome.ALREADY_GONE}))
    w = await rerun(w, 1)
    assert (await w.run()).exit is Exit.OK  # gone again, and only a later read confirms it
    await anyio.sleep(120)
    w = await rerun(w, 1)
    await w.queue.pause(Pause(PauseReason.OPERATOR, anyio.current_time(), "lunch"))
    assert await has_unproven(w.queue)
    w.worker.gate.allowance.owe(w.worker.now())  # as `once` does then
    await w.run()
    item = await w.queue.show(SessionId("s0"))
    assert item is not None
    assert (item.outcome, item.round) == (Outcome.ALREADY_GONE, 2)
    assert not any(line.startswith("reopened") for line in w.journal.queue)
