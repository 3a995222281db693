"""The preflight check in virtual time: a spared session gets no DELETE, and none is sent too late."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import anyio
import pytest

from reaper.core.classify import Final, ServerFault, Throttled, Unauthorized, Verdict
from reaper.core.model import Lease, Outcome, SessionId, Withheld
from reaper.core.preflight import Inconclusive, Proceed, Recheck, Skip
from tests.support.worker import World, well, world

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


async def checking(n: int, check: FakePreflight, **more: float) -> World:
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
    check = FakePreflight(says=Inconclusive(Unauthorized(0, own=True)))
    w = await checking(5, check)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(3)
        w.worker.drain()
    assert w.journal.pauses[0] == "+credentials"
    assert sum(w.api.sent.values()) == 0
    items = [await w.queue.show(SessionId(f"s{n}")) for n in range(5)]
    assert all(item is not None and (item.attempts, item.sends) == (0, 0) for item in items)
    assert w.worker.gate.in_flight == 0


async def test_an_outage_of_the_look_opens_the_breaker() -> None:
    w = await checking(20, FakePreflight(says=Inconclusive(ServerFault(502))))
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(1.2)
        assert w.journal.pauses[0] == "+api_down"
        w.worker.drain()
    assert sum(w.api.sent.values()) == 0


async def test_a_session_that_must_not_be_looked_at_is_a_dead_letter_and_a_run_of_them_a_storm() -> None:
    w = await checking(30, FakePreflight(says=Inconclusive(Final(Outcome.FORBIDDEN, "not yours"))))
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
    check = FakePreflight(takes_s=0.8, takes_of={"s0": 0.3}, of={"s0": Inconclusive(answers[reason])})
    w = await checking(3, check)
    async with anyio.create_task_group() as group:
        group.start_soon(w.worker.run)
        await anyio.sleep(3)
        assert not w.api.sent.keys() & {"s1", "s2"}
        assert w.journal.pauses[0] == f"+{reason}"
        w.worker.drain()
    assert w.worker.gate.in_flight == 0
    assert (await w.queue.audit()).balanced
