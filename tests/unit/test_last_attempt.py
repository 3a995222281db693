"""An ID is exhausted only when something shows that the API works: an outage, however long, makes no dead letters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from reaper.core.decide import RetryPolicy
from reaper.core.errors import Exit
from reaper.core.model import Answered, Item, Outcome, Reply, SessionId
from reaper.queues.values import Batch, NewItem
from reaper.worker.claims import MAX_WAITING
from tests.support.gateway import NO_ROUTE
from tests.support.worker import BAD, LIST, RESET, STOPPED, Answer, World, world

pytestmark = pytest.mark.anyio

DOWN = Answered(503, b'{"error":"unavailable"}', 0.0)
S0 = SessionId("s0")
ALL_ALIVE = Answered(
    200,
    b'{"sessions":[' + b",".join(b'{"sessionId":"s%d","status":"running","alive":true}' % n for n in range(4)) + b"]}",
    0.0,
)
FOR_EVER_S = 1e9
LEASE_TOO_SHORT_S = 21.0
"""The deadline of a send and one second: after a timeout no read can end in time."""
OUTAGE_S = 1200.0
"""Longer than all attempts take."""
QUICK = RetryPolicy(16, 1.0, 20.0)


def always(reply: Reply) -> Answer:
    async def answer(_: SessionId, __: int) -> Reply:
        return reply

    return answer


async def row(w: World) -> Item:
    item = await w.queue.show(S0)
    assert item is not None
    return item


async def patient(n: int, answer: Answer, *, attempts: int = 16, lease_s: float = 120.0, **how: Any) -> World:
    """A run that waits for its retries as long as they take, and for the end of any pause."""
    w = await world(n, answer, retry_s=FOR_EVER_S, gives_up=False, **how)
    retry = replace(QUICK, max_attempts=attempts)
    w.worker.reconfigure(w.worker.api, replace(w.worker.options, retry=retry, lease_s=lease_s), None)
    return w


async def test_an_outage_after_one_of_its_teardown_alone_does_not_exhaust_one_id() -> None:
    """After the first one the breaker takes 20 failures, more than are left to the ID."""
    began = anyio.current_time()

    def elapsed_s() -> float:
        return anyio.current_time() - began

    async def answer(_: SessionId, __: int) -> Reply:
        return DOWN if elapsed_s() < 60 + OUTAGE_S else STOPPED

    w = await patient(1, answer, lists=lambda: DOWN if 60 < elapsed_s() < 60 + OUTAGE_S else LIST)
    assert (await w.run()).view.settled == {Outcome.STOPPED: 1}
    assert w.journal.pauses == ["+api_down", "-api_down."] * 2
    assert (await row(w)).attempts == 16, "the last one is the one that stopped it"


@pytest.mark.parametrize(("attempts", "processes"), [(16, 8), (3, 8), (1, 8)])
async def test_many_processes_beside_one_id_do_not_exhaust_it_in_an_outage(attempts: int, processes: int) -> None:
    """Each of them sees too few failures to know of the outage; its sends are many, and few of them charged."""
    began = anyio.current_time()

    def is_down() -> bool:
        return 0.05 < anyio.current_time() - began < OUTAGE_S

    async def answer(_: SessionId, __: int) -> Reply:
        return DOWN if is_down() else STOPPED

    lists = lambda: DOWN if is_down() else LIST  # noqa: E731
    first = await patient(1, answer, attempts=attempts, lists=lists)
    alike: dict[str, Any] = {"attempts": attempts, "lists": lists, "store": first.queue.store}
    others = [await patient(0, answer, idle=forever, is_daemon=True, **alike) for _ in range(processes - 1)]
    async with anyio.create_task_group() as group:
        for w in others:
            group.start_soon(w.worker.run)
        await first.run()
        for w in others:
            w.worker.drain()
    assert (await row(first)).outcome is Outcome.STOPPED
    assert sum(1 for w in (first, *others) if w.api.sent) > 3, "one process saw enough to know of the outage"


async def test_an_outage_that_begins_after_an_id_was_sent_last_does_not_exhaust_it() -> None:
    """Another ID got its final answer since, so that the failures before were this ID's own: the last one is not."""
    other = SessionId("other")

    async def answer(session_id: SessionId, nth: int) -> Reply:
        return STOPPED if session_id == other or nth > 3 else DOWN if nth > 2 else BAD

    async def idle(paused: bool) -> float | None:
        if w.api.sent[S0] == 2 and len(w.api.sent) == 1:
            await w.queue.add(Batch("test", [NewItem(other)]))
            return 0.01
        return await w.once.idle(paused)

    w = await patient(1, answer, attempts=3, idle=idle, is_daemon=True)
    w.api.lists = lambda: DOWN if w.api.sent[S0] == 3 and len(w.api.reads) < 5 else LIST
    await w.run()
    assert w.api.sent[other] == 1
    assert (await row(w)).outcome is Outcome.STOPPED


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("reply", [DOWN, RESET])
async def test_an_outage_that_begins_in_a_busy_hour_exhausts_nothing(attempts: int, reply: Reply) -> None:
    """Others got their final answers while these DELETEs were on their way: that shows nothing of what came then."""
    began = anyio.current_time()

    def is_down() -> bool:
        return 3.0 < anyio.current_time() - began < 60.0

    async def answer(session_id: SessionId, nth: int) -> Reply:
        if session_id.endswith("7") and nth < attempts:
            return BAD
        return reply if is_down() else STOPPED

    w = await patient(2000, answer, attempts=attempts, bound=32, lists=lambda: DOWN if is_down() else LIST)
    expected = {Outcome.STOPPED: 2000}
    assert (await w.run()).view.settled == expected


async def test_a_failure_of_a_former_address_or_token_exhausts_nothing() -> None:
    async def answer(_: SessionId, nth: int) -> Reply:
        if nth > 1:
            return STOPPED
        await anyio.sleep(5.0)
        w.worker.gate.target_changed(anyio.current_time(), 0, moved=("https://a", "https://b"))
        w.worker.gate.generation = w.token.generation = 1
        return BAD

    w = await patient(1, answer, attempts=1)
    assert (await w.run()).view.settled == {Outcome.STOPPED: 1}


async def test_a_404_that_nobody_believes_yet_shows_nothing() -> None:
    """A gateway answers for an API that is down: some IDs by 404, others by 503, and the list after a while by 503."""
    began = anyio.current_time()

    def is_down() -> bool:
        return 0.05 < anyio.current_time() - began < 60.0

    async def answer(session_id: SessionId, _: int) -> Reply:
        if not is_down():
            return STOPPED
        return DOWN if session_id == S0 else NO_ROUTE

    def lists() -> Reply:
        return DOWN if is_down() else ALL_ALIVE

    w = await patient(4, answer, attempts=1, lists=lists, read_s=10.0)
    began = anyio.current_time() + 10.0
    await w.run()
    assert (await row(w)).outcome is Outcome.STOPPED


async def forever(paused: bool) -> float | None:
    return 1.0


async def test_a_session_that_never_ends_is_exhausted_after_its_attempts_and_a_read() -> None:
    w = await patient(1, always(BAD))
    assert (await w.run()).exit is Exit.DEAD
    item = await row(w)
    assert (item.outcome, item.attempts, item.detail) == (Outcome.EXHAUSTED, 16, "16 attempts, the last: 502")
    assert w.api.reads[-1] >= w.api.at[-1], "the read came after the last failure"


async def test_one_read_serves_all_that_fail_for_the_last_time_together() -> None:
    w = await patient(200, always(BAD), bound=64)
    assert (await w.run()).view.settled == {Outcome.EXHAUSTED: 200}
    first_end = sorted(w.api.at)[15 * 200]
    assert sum(1 for at in w.api.reads if at > first_end) <= 200 / 8 + 5, "an eighth of the bound fails at once"


async def test_nothing_is_read_where_others_show_meanwhile_that_the_api_works() -> None:
    async def answer(session_id: SessionId, _: int) -> Reply:
        return BAD if session_id.endswith("7") else STOPPED

    w = await patient(300, answer, attempts=1, bound=16)
    assert (await w.run()).view.settled == {Outcome.STOPPED: 270, Outcome.EXHAUSTED: 30}
    assert len(w.api.reads) == 1, "only that for identity"


async def test_a_failure_that_waits_for_a_long_list_ends_with_the_final_answer_of_another() -> None:
    async def answer(session_id: SessionId, _: int) -> Reply:
        if session_id == S0:
            return BAD
        await anyio.sleep(1.0)
        return STOPPED

    w = await patient(2, answer, attempts=1, read_s=10.0)
    began = anyio.current_time()
    await w.worker.run()
    item = await row(w)
    assert item.outcome is Outcome.EXHAUSTED
    assert (item.settled_at or 0.0) - began < 12.0, "not after a second list"


async def test_one_at_a_time_a_failure_that_waits_holds_up_no_other_id() -> None:
    """The next ID's final answer is the proof that it waits for."""

    async def answer(session_id: SessionId, _: int) -> Reply:
        return BAD if session_id == S0 else STOPPED

    w = await patient(4, answer, attempts=1, bound=1, read_s=10.0)
    began = anyio.current_time()
    assert (await w.run()).view.settled == {Outcome.STOPPED: 3, Outcome.EXHAUSTED: 1}
    assert len(w.api.reads) == 1, "only that for identity, which takes 10 s"
    assert anyio.current_time() - began < 11.0
    assert w.api.peak == 1


async def test_answers_that_wait_for_a_slow_list_hold_up_no_others_up_to_so_many() -> None:
    """Five answers of 404 are believed; each further one waits for a list, which takes 20 s."""
    w = await patient(400, always(NO_ROUTE), bound=4, read_s=20.0)
    assert (await w.run()).view.settled == {Outcome.ALREADY_GONE: 400}
    first_list_ends = w.api.reads[1] + 20.0
    assert 5 + MAX_WAITING <= sum(1 for at in w.api.at if at < first_list_ends) <= 5 + MAX_WAITING + 8
    assert w.api.peak == 4


async def test_a_list_that_asks_for_silence_keeps_no_id_and_no_other_for_ever() -> None:
    async def answer(session_id: SessionId, _: int) -> Reply:
        return BAD if session_id == S0 else STOPPED

    async def idle(paused: bool) -> float | None:
        if anyio.current_time() - began > 600 and len(w.api.sent) < 300:
            await w.queue.add(Batch("test", [NewItem(SessionId(f"other-{len(w.api.sent)}"))]))
        return None if len(w.api.sent) >= 300 else 0.5

    w = await patient(1, answer, attempts=2, idle=idle, is_daemon=True)
    began = anyio.current_time()
    w.api.lists = lambda: Answered(429, b"", 0.0, retry_after="30") if w.api.sent[S0] >= 2 else LIST
    await w.worker.run()
    item = await row(w)
    assert (item.outcome, item.sends) == (Outcome.EXHAUSTED, 3)
    assert anyio.current_time() - began < 800, "the others are sent as they come"
    assert not [at for at in w.api.reads if at - began > 600], "nothing waits for a read any more"


@pytest.mark.parametrize(("reply", "is_ambiguous"), [(BAD, False), (RESET, True)])
async def test_the_last_failure_of_an_outage_charges_nothing_and_keeps_what_may_have_worked(
    reply: Reply, is_ambiguous: bool
) -> None:
    w = await patient(1, always(reply))
    w.api.lists = lambda: DOWN if w.api.sent[S0] >= 16 else LIST
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(600)
        assert w.journal.pauses[-1] == "+api_down"
        w.worker.drain()
    item = await row(w)
    assert (item.outcome, item.attempts, item.sends, item.unanswered) == (None, 15, 16, 0)
    (lease,) = await w.queue.claim(1, lease_s=60)
    assert lease.ambiguous is is_ambiguous


async def test_without_reads_the_last_attempt_counts_as_it_comes() -> None:
    w = await patient(1, always(BAD), attempts=3, verify=False)
    await w.run()
    item = await row(w)
    assert (item.outcome, item.sends) == (Outcome.EXHAUSTED, 3)
    assert w.api.reads == []


async def test_a_lease_too_short_for_a_read_does_not_keep_an_id_for_ever() -> None:
    w = await patient(1, always(RESET), latency_s=20.0, lease_s=LEASE_TOO_SHORT_S)
    await w.run()
    item = await row(w)
    assert (item.outcome, item.attempts, item.sends) == (Outcome.EXHAUSTED, 17, 17)
