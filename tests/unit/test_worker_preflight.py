"""The preflight check in virtual time: a spared session gets no DELETE, and none is sent too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio
import pytest

from reaper.core.classify import Broken, Final, ServerFault, Throttled, Unauthorized, Verdict
from reaper.core.errors import Exit
from reaper.core.model import Answered, Failed, Fault, Lease, Outcome, Reply, SessionId, Withheld
from reaper.core.preflight import Inconclusive, Proceed, Recheck, Skip
from tests.support.worker import BAD, GONE, LIST, World, well, world

pytestmark = pytest.mark.anyio

GO = Proceed("it expired")


@dataclass(slots=True)
class FakePreflight:
    """Says what the test wants, after a while."""

    says: Recheck = GO
    of: dict[str, Recheck] = field(default_factory=dict)
    takes_s: float = 0.05
    takes_of: dict[str, float] = field(default_factory=dict)
    waits_of: dict[str, float] = field(default_factory=dict)
    """How long each waits for a connection."""
    checked: list[SessionId] = field(default_factory=list)
    withheld: list[SessionId] = field(default_factory=list)

    def applies_to(self, lease: Lease) -> bool:
        return True

    async def __call__(self, lease: Lease, may_start: Callable[[], bool]) -> Recheck:
        self.checked.append(lease.session_id)
        if wait_s := self.waits_of.get(lease.session_id):
            await anyio.sleep(wait_s)
            if not may_start():
                self.withheld.append(lease.session_id)
                raise Withheld
        await anyio.sleep(self.takes_of.get(lease.session_id, self.takes_s))
        return self.of.get(lease.session_id, self.says)


async def checking(n: int, check: FakePreflight, **more: object) -> World:
    return await world(n, well, preflight=check, **more)  # type: ignore[arg-type]


async def test_who_is_spared_is_not_sent_and_the_others_are() -> None:
    check = FakePreflight(of={"s1": Skip("renewed", "it expires in 1 h")})
    w = await checking(6, check)
    summary = await w.run()
    assert summary.view.settled == {Outcome.STOPPED: 5, Outcome.PROTECTED: 1}
    assert w.api.sent[SessionId("s1")] == 0
    assert sorted(check.checked) == [f"s{n}" for n in range(6)]
    item = await w.queue.show(SessionId("s1"))
    assert item is not None
    assert (item.detail, item.sends) == ("renewed", 0)
    assert w.worker.gate.in_flight == 0
    assert (await w.queue.audit()).balanced


async def test_a_check_that_waits_for_a_connection_when_a_pause_begins_is_not_made() -> None:
    check = FakePreflight(waits_of={"s1": 0.5, "s2": 0.5})
    w = await checking(3, check)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(0.3)
        w.worker.gate.hold_target(anyio.current_time(), "elsewhere")
        await anyio.sleep(1)
        assert sorted(check.withheld) == ["s1", "s2"]
        assert (w.worker.sends, w.worker.gate.in_flight) == (1, 0)
        stats = await w.queue.stats()
        assert (stats.ready, stats.in_flight) == (2, 0)
        w.worker.drain()


async def test_looks_count_against_the_bound() -> None:
    check = FakePreflight(takes_s=1.0)
    w = await checking(12, check)
    async with anyio.create_task_group() as group:
        group.start_soon(w.run)
        await anyio.sleep(0.9)
        assert len(check.checked) == 4
    assert w.api.peak <= 4


async def test_a_refused_look_pauses_and_charges_nothing() -> None:
    check = FakePreflight(says=Inconclusive(Unauthorized(0, own=True), BAD))
    w = await checking(5, check)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(3)
        w.worker.drain()
    assert w.journal.pauses[0] == "+credentials"
    assert sum(w.api.sent.values()) == 0
    items = [await w.queue.show(SessionId(f"s{n}")) for n in range(5)]
    assert all(item is not None and item.attempts == 0 for item in items)
    assert w.worker.gate.in_flight == 0


async def test_a_session_whose_check_fails_each_time_is_exhausted_as_one_whose_delete_does() -> None:
    """It circled for ever, unseen: nothing was logged, `show` had nothing of it, and a run ended with 0."""
    check = FakePreflight(of={"s0": Inconclusive(ServerFault(500), Answered(500, b"", 0.1, request_id="r1"))})
    w = await world(4, well, preflight=check, retry_s=1e9)
    assert (await w.run()).exit is Exit.DEAD
    item = await w.queue.show(SessionId("s0"))
    assert item is not None
    assert (item.outcome, item.attempts, item.sends) == (Outcome.EXHAUSTED, 16, 16)
    assert item.detail == "16 attempts, the last: 500 to the check before the DELETE"
    assert {(send.status, send.error, send.request_id) for send in item.history} == {
        (None, "check: answered 500", "r1")
    }
    assert check.checked.count(SessionId("s0")) == 16
    assert w.api.sent.keys() == {"s1", "s2", "s3"}
    assert w.worker.sends == 3
    assert (await w.queue.audit()).balanced


async def test_a_run_waits_for_a_session_whose_check_failed() -> None:
    failed = Inconclusive(Broken(Fault.TIMEOUT), Failed(Fault.TIMEOUT, True, "late", 20.0))
    check = FakePreflight(of={"s0": failed})
    w = await checking(2, check)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(3)
        check.of.clear()
    item = await w.queue.show(SessionId("s0"))
    assert item is not None
    assert item.outcome is Outcome.STOPPED
    assert [send.error for send in item.history] == ["check: timeout: late"] * (item.sends - 1) + [None]


async def test_a_404_after_a_check_without_an_answer_is_not_ambiguous() -> None:
    """A GET stops nothing: the list still has to confirm that the session is gone."""
    failed = Inconclusive(Broken(Fault.TIMEOUT), Failed(Fault.TIMEOUT, True, "late", 20.0))
    check = FakePreflight(says=failed)

    async def gone(_: SessionId, __: int) -> Reply:
        return GONE

    w = await world(1, gone, preflight=check)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(3)
        check.says = GO
    item = await w.queue.show(SessionId("s0"))
    assert item is not None
    assert (item.outcome, item.detail) == (Outcome.ALREADY_GONE, None)


async def test_a_run_whose_checks_meet_an_outage_ends_as_one_whose_deletes_do() -> None:
    down = Answered(503, b"", 0.1)
    w = await checking(4, FakePreflight(says=Inconclusive(ServerFault(503), down)))
    w.api.lists = lambda: down if w.api.reads[1:] else LIST
    summary = await w.run()
    assert (summary.exit, summary.view.to_do) == (Exit.UNAVAILABLE, 4)


async def test_an_outage_of_the_look_opens_the_breaker() -> None:
    w = await checking(20, FakePreflight(says=Inconclusive(ServerFault(502), BAD)))
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(1.2)
        assert w.journal.pauses[0] == "+api_down"
        w.worker.drain()
    assert sum(w.api.sent.values()) == 0


async def test_a_session_that_must_not_be_looked_at_is_a_dead_letter_and_a_run_of_them_a_storm() -> None:
    w = await checking(30, FakePreflight(says=Inconclusive(Final(Outcome.FORBIDDEN, "not yours"), BAD)))
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(2)
        w.worker.drain()
    assert w.journal.pauses[0] == "+forbidden_storm"
    assert sum(w.api.sent.values()) == 0
    dead = (await w.queue.stats()).settled[Outcome.FORBIDDEN]
    assert 20 <= dead < 30, "a right that was lost does not make dead letters of a whole backlog"
    item = await w.queue.show(SessionId("s0"))
    assert item is not None
    assert "refused to show it" in (item.detail or "")
    assert w.worker.gate.in_flight == 0
    assert (await w.queue.audit()).balanced


async def test_nothing_is_sent_that_could_outlast_its_lease() -> None:
    check = FakePreflight(takes_s=3.0)
    w = await checking(1, check)
    options = replace(w.worker.options, lease_s=22.0, send_s=20.0)
    w.worker.reconfigure(w.api, options, check)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(4)
        assert sum(w.api.sent.values()) == 0
        check.takes_s = 0.5
        await anyio.sleep(10)
    assert w.api.sent == {SessionId("s0"): 1}


@pytest.mark.parametrize("end", ["drain", "abort"])
async def test_a_worker_that_ends_during_a_look_sends_nothing(end: str) -> None:
    w = await checking(4, FakePreflight(takes_s=2.0))
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(1)
        begun = anyio.current_time()
        getattr(w.worker, end)()
    assert anyio.current_time() - begun <= (2.5 if end == "drain" else 0.5)
    assert sum(w.api.sent.values()) == 0
    stats = await w.queue.stats()
    assert (stats.ready, stats.in_flight) == (4, 0)
    assert w.worker.gate.in_flight == 0


@pytest.mark.parametrize("reason", ["throttled", "credentials"])
async def test_a_pause_that_begins_during_the_check_holds_the_delete_back(reason: str) -> None:
    answers: dict[str, Verdict] = {"throttled": Throttled(30.0), "credentials": Unauthorized(0, own=True)}
    check = FakePreflight(takes_s=0.8, takes_of={"s0": 0.3}, of={"s0": Inconclusive(answers[reason], BAD)})
    w = await checking(3, check)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(3)
        assert not w.api.sent.keys() & {"s1", "s2"}
        assert w.journal.pauses[0] == f"+{reason}"
        w.worker.drain()
    assert w.worker.gate.in_flight == 0
    assert (await w.queue.audit()).balanced
